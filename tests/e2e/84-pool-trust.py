# SPDX-License-Identifier: MIT
"""Pools among others: deaths next to clients, users who do not trust each other, what an operator allows.

Shows of issue 11, A: a machine's death beside clients (2), whose pool it is and who may use it (4), a layout and a
canary for each machine (10), the filter of a machine that runs its job (11), an operator's limits (12). The states
behind it are played through in tests/unit/test_pool_states.c.
"""

from pools import *


def filters(pid):
    """System call filters of a machine: none while it starts, one while it waits, two with a job; None when it is gone."""
    try:
        words = head_of("/proc/%d/status" % pid, -1).split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(words[words.index(b"Seccomp_filters:") + 1])


def test_death_beside_clients():
    """a machine that dies while three clients ask for one is nobody's, and hurts no job"""
    p = Pool()
    job = p.start("sh", "-c", "echo up; read x; echo still $x")
    eq(job.stdout.readline(), b"up\n")

    def idle():
        found = [pid for pid in p.machines() if filters(pid) == 1]
        return len(found) == p.size and found
    for _ in range(3):
        waiting = wait_for(idle, "machines to wait")
        # It sees all of it at once.
        p.p.send_signal(signal.SIGSTOP)
        os.kill(min(waiting), signal.SIGKILL)
        cs = [p.start("echo", "ok") for _ in range(3)]
        wait_for(lambda: all(waits_in_poll(c.pid) for c in cs), "three clients")
        p.p.send_signal(signal.SIGCONT)
        for c in cs:
            out, err = talk(c)
            eq((c.returncode, out, err), (0, b"ok\n", b""))
    job.stdin.write(b"here\n")
    out, err = talk(job)
    eq((job.returncode, out, err), (0, b"still here\n", b""))
    eq(p.end(), (0, b""))


def layout(pid):
    """Where a machine's program lies, and what its stack canary is made of."""
    with open("/proc/%d/maps" % pid) as f:
        base = int(f.readline().split("-")[0], 16)
    auxv = dict(struct.iter_unpack("QQ", head_of("/proc/%d/auxv" % pid, -1)))
    with open("/proc/%d/mem" % pid, "rb") as f:
        f.seek(auxv[25])  # AT_RANDOM
        return base, f.read(16)


def test_layouts():
    """each machine has an address layout and a stack canary of its own, whatever became of husk's file"""
    own = scratch("own-husk", head_of(HUSK, -1))
    os.chmod(own, 0o755)
    p = Pool(size=4, program=own)
    seen = [layout(pid) for pid in (p.p.pid, *p.rested())]
    os.unlink(own)
    for _ in range(2):
        eq(p.run("echo", "ok").out, b"ok\n")
    scratch("own-husk", b"#!/bin/sh\nexit 1\n")
    eq(p.run("echo", "ok").out, b"ok\n")
    seen += [layout(pid) for pid in p.rested()[-3:]]
    eq(len({base for base, _ in seen}), 8, "places of the program: %r" % seen)
    eq(len({canary for _, canary in seen}), 8, "canaries: %r" % seen)
    for pid in p.rested():
        with open("/proc/%d/comm" % pid) as f:
            eq(f.read(), "husk\n")
    eq(p.end(), (0, b""))


def test_layers_as_user():
    """a pool of an ordinary user: its machines are in the same jail as any of his"""
    folder = tempfile.mkdtemp(dir=FOLDER)
    os.chmod(folder, 0o777)
    p = Pool(options=["--jail=require"], prefix=as_user([]), folder=folder)
    for pid in p.rested():
        s = dict(line.rstrip("\n").split(":\t", 1) for line in open("/proc/%d/status" % pid) if ":\t" in line)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            eq(int(s[name], 16), 0, name)
        eq((s["Uid"].split()[0], s["NoNewPrivs"], s["Seccomp"], s["NSpid"].split()[-1]), (str(USER), "1", "2", "1"))
        eq(os.listdir("/proc/%d/root" % pid), [], "its root")
    eq(p.run("echo", "ok", options=["--pool-uid=%d" % USER]).out, b"ok\n")
    eq(p.end(), (0, b""))


def test_walls_that_are_missing():
    """a pool whose machines go without a wall says so in one line, and serves"""
    without = ["strace", "-f", "-o", "/dev/null", "-e", "trace=seccomp", "-e", "inject=seccomp:error=ENOSYS"]
    p = Pool(size=3, prefix=without)
    for _ in range(2):
        r = p.run("echo", "x")
        eq((r.rc, r.out, r.err), (0, b"x\n", b""))
    # strace itself takes no notice of a signal while its log is a file.
    os.kill(children(p.p.pid)[0], signal.SIGTERM)
    eq(p.p.wait(), 0)
    eq(p.words(), b"husk: warning: --jail=auto: this host refuses syscalls (husk check says more)\n"
                  b"husk: 3 machines are waiting\n")


def test_filters():
    """a machine that waits has one filter, one that runs a job that of any run besides"""
    p = Pool(size=1)
    pid, = p.rested()
    eq(filters(pid), 1)
    c = p.start("sh", "-c", "echo up; read x")
    eq(c.stdout.readline(), b"up\n")
    eq(filters(pid), 2)
    c.stdin.write(b"\n")
    eq(talk(c), [b"", b""])
    eq(p.end(), (0, b""))


OTHER = 4243


def as_uid(uid, args):
    return ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", *args]


LISTENER = r"""
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind(sys.argv[1])
s.listen()
print("up", flush=True)
for _ in range(2):
    c, _ = s.accept()
    got = socket.recv_fds(c, 65536, 5)
    print(len(got[0]), len(got[1]), flush=True)
    c.close()
"""


def test_whose_pool():
    """a client hands nothing to a stranger who listens, but to a user that it was told to trust"""
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o777)
        path = os.path.join(d, "s")
        p = subprocess.Popen(as_uid(USER, ["/usr/bin/python3", "-c", LISTENER, path]), stdout=subprocess.PIPE)
        eq(p.stdout.readline(), b"up\n")
        r = husk_raw(["run", "--pool", path, "--", "true"])
        eq((r.rc, r.out), (125, b""))
        one_line(r)
        check(b"it is uid 4242's, neither yours nor root's (if you trust it, add --pool-uid=4242)" in r.err, "%r" % r)
        eq(p.stdout.readline(), b"0 0\n", "it was given something")
        r = husk_raw(["run", "--pool", path, "--pool-uid=4242", "--", "true"])
        check(b"its machine was killed, or the pool ended" in r.err, "%r" % r)
        eq(p.stdout.readline().split()[1], b"3", "descriptors of one that is trusted")
        eq(p.wait(), 0)
        p.stdout.close()


def run_as(p, uid, *options):
    return subprocess.run(as_uid(uid, [HUSK, "run", "--pool", p.path, *options, "--", "echo", "ok"]),
                          stdin=subprocess.DEVNULL, capture_output=True, env=ENV, timeout=PATIENCE)


def test_who_may_use_it():
    """a pool serves its own user, root and those that it is told to, whatever the mode of its socket"""
    p = Pool(options=["--allow-uid=%d" % USER, "--allow-uid=5"])
    eq(os.stat(p.path).st_mode & 0o777, 0o666)
    r = run_as(p, USER)
    eq((r.returncode, r.stdout, r.stderr), (0, b"ok\n", b""))
    before = p.rested()
    r = run_as(p, OTHER)
    eq((r.returncode, r.stdout), (125, b""))
    eq(r.stderr, b"husk: use the pool: uid 4243 may not (whoever runs it can let you: husk pool --allow-uid=4243)\n")
    eq(p.rested(), before, "the machines")
    eq(p.run("echo", "ok").out, b"ok\n")
    eq(p.end(), (0, b""))


def test_users_without_a_number():
    """a user whom this user namespace does not know is nobody's, though one of that number is allowed"""
    p = Pool(options=["--allow-uid=65534"])
    r = run_as(p, 65534)
    eq((r.returncode, r.stdout), (0, b"ok\n"))
    before = p.rested()
    # Here all uids have a number; in a new namespace neither root nor the client has.
    r = subprocess.run(["unshare", "-U", *p.argv("echo", "ok", options=["--pool-uid=65534"])], env=ENV,
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
    eq((r.returncode, r.stdout), (125, b""))
    check(b"its user is none that is known here (start both in the same user namespace)" in r.stderr, "%r" % r)
    eq(p.rested(), before, "the machines")
    eq(p.end(), (0, b""))
    p = Pool(options=["--allow-uid=65534"], prefix=["unshare", "-U", "-r"])
    before = p.rested()
    r = run_as(p, 65534)
    eq((r.returncode, r.stdout), (125, b""))
    check(b"your user is none that it knows (start both in the same user namespace)" in r.stderr, "%r" % r)
    eq(p.rested(), before, "the machines")
    eq(p.run("echo", "ok").out, b"ok\n")
    eq(p.end(), (0, b""))


def refused(p, line, *options):
    r = p.run("true", options=options)
    eq((r.rc, r.out, r.status["verdict"]), (125, b"", "error"))
    one_line(r)
    check(line in r.err, "want %r in %r" % (line, r.err))


def test_operators_limits():
    """the longest --timeout, the most jobs, the time for a request: a line for who is beyond"""
    p = Pool(options=["--max-timeout=90s", "--max-jobs=1", "--request-time=2s"])
    timeout = b"its jobs have a --timeout of at most 90 s (give --timeout=90, or less)"
    refused(p, timeout)
    refused(p, timeout, "--timeout=90001ms")
    refused(p, b"(leave --timeout-from out)", "--timeout=90", "--timeout-from=stdin")
    # One after the other is no two at once.
    for _ in range(5):
        eq(p.run("echo", "ok", options=["--timeout=90s"]).out, b"ok\n")
    c = p.start("sh", "-c", "echo up; read x; echo $x", options=["--timeout=90s"])
    eq(c.stdout.readline(), b"up\n")
    refused(p, b"use the pool: it runs 1 job already, the most that it may (try again later)", "--timeout=90s")
    c.stdin.write(b"on\n")
    out, err = talk(c)
    eq((c.returncode, out, err), (0, b"on\n", b""))
    p.rested()
    late = b"use the pool: the request did not come within 2 s"
    s = p.connect()
    check(late in answer(s), "who says nothing")
    s.close()
    s = p.connect()
    s.send(head(1, 100))
    a = answer(s)
    check(late in a, "who begins only: %r" % a)
    s.close()
    p.rested()
    eq(p.end(), (0, b""))


main()
