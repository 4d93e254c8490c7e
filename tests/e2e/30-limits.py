# SPDX-License-Identifier: MIT
"""What a job is granted: processes, memory, scratch space, users, environment.

Shows of issue 2: --memory, --cpus, --pids, --tmp-size, --env, --workdir,
--user, --hostname; "each run has its own empty /tmp and work folder"; "there
is no network interface but lo"; that a job, root or not, gets nowhere near
init, the disk or the kernel's controls; and the guest's clock.
"""

from lib import *


def test_pids():
    """--pids: a fork bomb meets its limit, the verdict is right, output kept"""
    code = ("import os,sys,time\n"
            "n=0\n"
            "try:\n"
            "  while True:\n"
            "    if os.fork()==0: time.sleep(1000)\n"
            "    n+=1\n"
            "except OSError as e:\n"
            "  print(n, e.errno); sys.exit(3)\n")
    r = husk("python3", "-c", code, options=["--pids", "20"])
    eq((r.rc, r.out), (3, b"19 11\n"))
    eq(r.status["pids_peak"], 20)


def test_fork_bomb():
    """a fork bomb that does not stop dies at the time limit, output is kept"""
    p = start("sh", "-c", "echo up; read x; f() { f | f & f; }; f",
              options=["--timeout", "3s", "--timeout-from", "stdin", "--status", scratch("bomb-status")])
    eq(p.stdout.readline(), b"up\n")
    p.stdin.write(b"\n")
    p.stderr.read()
    rc, status = p.wait(), json.load(open(os.path.join(FOLDER, "bomb-status")))
    # The shell gives up with 2 when it can not fork; its children may go on.
    check((status["verdict"], rc) in (("timeout", 124), ("exited", 2)), "%r" % status)


def test_tmp_size():
    """--tmp-size bounds /tmp, /work, /run and /dev/shm together"""
    cmd = ("for d in /tmp /work /run /dev/shm; do "
           "dd if=/dev/zero of=$d/x bs=1M count=3 2>/dev/null; done; "
           "du -cm /tmp /work /run /dev/shm | tail -1; "
           "dd if=/dev/zero of=/tmp/y bs=1M count=100 2>&1 | grep -c 'No space'")
    r = husk("sh", "-c", cmd, options=["--tmp-size", "8M"])
    lines = r.out.split(b"\n")
    check(int(lines[0].split()[0]) <= 9, "%r" % r)
    eq(lines[1], b"1", "%r" % r)


def test_read_only_root():
    """nothing but scratch folders is writable, even to root"""
    code = ("import os\n"
            "bad=[]\n"
            "for d in ['/','/etc','/usr','/bin','/proc/sys/kernel','/sys/kernel','/sys/fs/cgroup','/var']:\n"
            "  try: open(d+'/x','w'); bad.append(d)\n"
            "  except OSError: pass\n"
            "for f in ['/proc/sys/kernel/hostname','/proc/sysrq-trigger','/proc/sys/vm/drop_caches']:\n"
            "  try: open(f,'w').write('x'); bad.append(f)\n"
            "  except OSError: pass\n"
            "print(bad)\n")
    for user in ("65534", "0"):
        r = husk("python3", "-c", code, options=["--user", user])
        eq(r.out, b"[]\n", "as user %s" % user)


def test_user():
    """--user UID[:GID], with no group, no capability, no new privileges"""
    r = husk("sh", "-c", "id -u; id -g; id -G; grep -E 'Cap(Eff|Bnd|Prm|Inh|Amb)|NoNewPrivs' /proc/self/status",
             options=["--user", "1000:2000"])
    lines = r.out.decode().split("\n")
    eq(lines[:3], ["1000", "2000", "2000"])
    for line in lines[3:-1]:
        name, value = line.split(":")
        eq(int(value, 16), 1 if name == "NoNewPrivs" else 0, name)
    eq(husk("sh", "-c", "id -u; id -g").out, b"65534\n65534\n")


def test_scratch_of_its_own():
    """each run starts with an empty /tmp, /work, /run, /dev/shm that it can write"""
    cmd = "ls -A /tmp /work /run /dev/shm | grep -v : | grep .; for d in /tmp /work /run /dev/shm; do echo x > $d/left || exit 9; done; exit 0"
    for _ in range(2):
        r = husk("sh", "-c", cmd)
        eq((r.rc, r.out), (0, b""), "%r" % r)


def test_environment():
    """--env sets, repeats and overrides, 256 times; nothing of the host's leaks"""
    many = [x for i in range(252) for x in ("--env", "V%d=%d" % (i, i))]
    r = husk("env", options=["--env", "A=1", "--env", "B=x=y z", "--env", "A=2", "--env", "HOME=/h", *many],
             env=dict(ENV, LEAK="secret"))
    got = dict(line.split("=", 1) for line in r.out.decode().strip().split("\n"))
    eq((got.pop("A"), got.pop("B"), got.pop("HOME")), ("2", "x=y z", "/h"))
    eq((got.pop("PATH").split(":")[-1], got.pop("LANG")), ("/bin", "C.UTF-8"))
    eq(got, {"V%d" % i: str(i) for i in range(252)})
    r = husk_raw(["run", "--env", "A=1", "--env", "B=2", "--env", "C=3", "--env", "D=4", "--env", "E=5", *many,
                  "--", "true"])
    eq(r.rc, 125, "257 variables")
    one_line(r)


def test_workdir_hostname():
    """--workdir and --hostname"""
    r = husk("sh", "-c", "pwd; uname -n; cd; pwd", options=["--workdir", "/usr/lib", "--hostname", "judge-7"])
    eq(r.out, b"/usr/lib\njudge-7\n/work\n")


def test_clock():
    """the wall clock is the host's"""
    before = time.time()
    r = husk("date", "+%s.%N")
    eq(r.rc, 0)
    check(before - 0.1 <= float(r.out) <= time.time() + 0.1,
          "%r between %f and %f" % (r.out, before, time.time()))


def test_cpus():
    """--cpus N gives N CPUs that run"""
    for n in (2, 8):
        r = husk("sh", "-c", "nproc; for c in $(seq 0 %d); do taskset -c $c true || exit 9; done" % (n - 1),
                 options=["--cpus", str(n)])
        eq((r.rc, r.out), (0, b"%d\n" % n), "%r" % r)


def test_memory():
    """--memory is the machine's; most of it is the job's"""
    for mib in (128, 768):
        r = husk("perl", "-e", "my @x; push @x, 'x' x 1048500 for 1..%d; print scalar @x" % (mib * 3 // 4),
                 options=["--memory", "%dM" % mib])
        eq((r.rc, r.out), (0, b"%d" % (mib * 3 // 4)), "%r" % r)


def test_no_network():
    """there is no interface but lo, and it works"""
    code = ("import socket,threading\n"
            "import os\n"
            "print(sorted(os.listdir('/sys/class/net')))\n"
            "for fam,addr in ((socket.AF_INET,'127.0.0.1'),(socket.AF_INET6,'::1')):\n"
            "  s=socket.socket(fam); s.bind((addr,0)); s.listen()\n"
            "  c=socket.socket(fam); c.connect(s.getsockname())\n"
            "  a,_=s.accept(); c.sendall(b'hi'); print(a.recv(2).decode())\n"
            "try: socket.create_connection(('192.0.2.1',80),2); print('connected')\n"
            "except OSError as e: print(e.errno)\n")
    eq(husk("python3", "-c", code).out, b"['lo']\nhi\nhi\n101\n")


def test_init_is_safe():
    """a job can not end, stop or trace init, nor reach its ports"""
    code = ("import os,signal,ctypes\n"
            "bad=[]\n"
            "for s in (signal.SIGKILL,signal.SIGSTOP,signal.SIGTERM,signal.SIGCHLD):\n"
            "  try: os.kill(1,s)\n"
            "  except PermissionError: pass\n"
            "libc=ctypes.CDLL(None,use_errno=True)\n"
            "if libc.ptrace(16,1,0,0)==0: bad.append('ptrace')\n"
            "ps=['/proc/1/'+f for f in ('root','cwd','exe','mem','maps','environ','fd/4')]\n"
            # Root may see the numbers of its descriptors, but not what they are.
            "try: ps+=['/proc/1/fd/'+n for n in os.listdir('/proc/1/fd')]\n"
            "except OSError: pass\n"
            "for p in ps+['/dev/vda','/dev/vport0p0','/dev/mem','/dev/kmsg']:\n"
            "  try: os.read(os.open(p,os.O_RDONLY),1); bad.append(p)\n"
            "  except IsADirectoryError: bad.append(p)\n"
            "  except OSError: pass\n"
            "try: os.mknod('/tmp/n',0o600|0o020000,os.makedev(254,0)); bad.append('mknod')\n"
            "except OSError: pass\n"
            "print(bad)\n")
    for user in ("65534", "0"):
        r = husk("python3", "-c", code, options=["--user", user])
        eq((r.rc, r.out), (0, b"[]\n"), "as user %s (%r)" % (user, r))
        # Signals to everything end the job itself or pass; init reports on.
        r = husk("python3", "-c", "import os;os.kill(-1,9)", options=["--user", user])
        check(r.status["verdict"] in ("exited", "signaled"), "%r" % r)


main()
