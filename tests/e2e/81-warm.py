# SPDX-License-Identifier: MIT
"""Warm templates: a process that has started in the template is the job of each copy.

Shows of issue 3: "the warm command writes one byte to the descriptor in
HUSK_READY_FD when it is ready, and then reads stdin; in the copy, stdin,
stdout, stderr and fd 3 are the job's"; it gets a fresh seed on HUSK_SEED_FD;
boot id, clock, host name and the time origin of limits are the copy's;
timers armed before the template was made fire, those for a time of day at
that time; examples/warm.py and warm.sh.
"""

from lib import *

RUNS = int(os.environ.get("HUSK_RUNS") or 10)
made = {}


def template(*warm, options=()):
    key = warm, tuple(options)
    if key not in made:
        made[key] = make_template(*options, warm=warm)
    return made[key]


def sh(script, options=()):
    return template("sh", "-c", script, options=options)


def perl(script, options=()):
    return template("perl", "-e", script, options=options)


def example(name):
    return head_of(os.path.join(ROOT, "examples", name), -1).decode()


def go(of, stdin=b"", options=()):
    """A copy whose job is the warm process."""
    with tempfile.TemporaryDirectory(prefix="husk-e2e-") as d:
        res, st = os.path.join(d, "result"), os.path.join(d, "status")
        p = subprocess.Popen([HUSK, "run", "--template", of, "--result", res, "--status", st, *options],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=ENV, bufsize=0)
        r = Result(None, *talk(p, stdin))
        r.rc = p.returncode
        r.result = head_of(res, -1) if os.path.exists(res) else b""
        r.status = json.loads(head_of(st, -1))
        return r


def test_streams():
    """stdin, stdout, stderr, fd 3 and the exit status are the copy's"""
    of = sh('x=$(cat /etc/hostname /proc/uptime); echo >&$HUSK_READY_FD; cat; echo e >&2; echo r >&3; exit 5')
    for i in range(3):
        data = pattern(70000, i)
        r = go(of, data)
        eq((r.rc, r.out, r.err, r.result), (5, data, b"e\n", b"r\n"))
        eq(r.status["verdict"], "exited")
    r = go(of)
    eq((r.rc, r.out), (5, b""), "without input")


def test_info_is_clean():
    """template info: what the file says reaches a terminal as text"""
    of = sh("echo >&$HUSK_READY_FD; cat # \033[31m \u009b31m \u202e \n")
    r = husk_raw(["template", "info", of])
    eq(r.rc, 0)
    check(r.out.endswith(b"cat # \\033[31m \\302\\23331m \\342\\200\\256 \\012\n"), "%r" % r.out)
    # The file itself may say anything: a stranger wrote it.
    name = scratch("n\u009b\x1b[31m\n", head_of(of, -1))
    os.utime(name, ns=(os.stat(of).st_mtime_ns,) * 2)
    for what in ("info", "verify"):
        r = husk_raw(["template", what, name])
        eq(r.rc, 0)
        check(b"n\\302\\233\\033[31m\\012" in r.out and not set(r.out) & {0x1b, 0x9b}, "%s: %r" % (what, r.out))


def test_held_output():
    """what it wrote while it warmed up comes first, in each copy"""
    of = sh('echo early; echo err >&2; echo >&$HUSK_READY_FD; read l; echo $l')
    for word in (b"one\n", b"two\n"):
        r = go(of, word)
        eq((r.out, r.err), (b"early\n" + word, b"err\n"))


def test_options_of_the_template():
    """user, environment, work folder and scratch space are the template's"""
    of = sh('echo >&$HUSK_READY_FD; read l; echo "$A $(id -u):$(id -g) $(pwd)"; head -c 2M /dev/zero >/tmp/x',
            options=["--env=A=b", "--user=7:8", "--workdir=/tmp", "--tmp-size=1M"])
    r = go(of, b"\n")
    eq(r.out, b"b 7:8 /tmp\n")
    check(b"No space" in r.err, "%r" % r)
    for option in ("--env=A=c", "--user=9", "--workdir=/", "--tmp-size=2M"):
        r = husk_raw(["run", "--template", of, option])
        eq(r.rc, 125)
        one_line(r)
        check(b"comes too late" in r.err, "%r" % r)
    r = husk_raw(["run", "--template", of, "--", "true"])
    eq(r.rc, 125)
    one_line(r)
    check(b"its warm command is the job" in r.err, "%r" % r)


NEW = r"""
sub show { for (qw(uuid boot_id)) { open F, "</proc/sys/kernel/random/$_"; print "$_ ", scalar <F> }
  $b = "\0" x 32; syscall(318, $b, 32, 0) == 32 or die; print "getrandom ", unpack("H*", $b), "\n" }
$| = 1; show; open R, ">&=$ENV{HUSK_READY_FD}"; syswrite R, "."; <STDIN>;
open S, "<&=$ENV{HUSK_SEED_FD}"; sysread S, $s, 99; print "length ", length $s, "\nseed ", unpack("H*", $s), "\n";
sysread S, $t, 1 and die; show; print "name ", `hostname`;
"""


def test_new_in_each_copy():
    """seed, kernel randomness, boot id and host name are new, though all was read before"""
    of = perl(NEW)
    seen = {}
    for i in range(RUNS):
        t0 = time.time()
        r = go(of, b"\n", options=["--hostname=copy%d" % i])
        eq((r.rc, r.err), (0, b""))
        words = [line.split() for line in r.out.decode().splitlines()]
        # The first three were read in the template and are the same in all.
        eq([w[0] for w in words], ["uuid", "boot_id", "getrandom", "length", "seed",
                                   "uuid", "boot_id", "getrandom", "name"])
        eq(words[3][1], "32")
        eq(words[8][1], "copy%d" % i)
        eq(words[:3], seen.setdefault("warm", words[:3]))
        for name, value in words[4:8]:
            check(value not in seen.setdefault(name, {words[1][1]}), "%s has %s twice" % (name, value))
            seen[name].add(value)


def test_clocks():
    """the wall clock jumps, the monotonic one does not, timers fire"""
    of = perl(r'use Time::HiRes qw(time clock_gettime CLOCK_MONOTONIC alarm sleep); $| = 1;'
              r'$SIG{ALRM} = sub { $n++ }; $m = clock_gettime(CLOCK_MONOTONIC); alarm 12;'
              r'open R, ">&=$ENV{HUSK_READY_FD}"; syswrite R, "."; <STDIN>;'
              r'printf "%.6f %d\n", time, $n; sleep 1 until $n or clock_gettime(CLOCK_MONOTONIC) > $m + 300;'
              r'printf "%d %.6f\n", $n, clock_gettime(CLOCK_MONOTONIC) - $m')
    time.sleep(15)  # longer than the timer: time in the file does not count
    for _ in range(2):
        p = subprocess.Popen([HUSK, "run", "--template", of], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENV)
        t0 = time.time()
        p.stdin.write(b"\n")
        p.stdin.flush()
        real, early = p.stdout.readline().split()
        t1 = time.time()
        check(t0 - 0.010 <= float(real) <= t1 + 0.010, "guest %s, host %.3f to %.3f" % (real, t0, t1))
        eq(early, b"0", "alarms before the copy ran")
        fired, passed = p.stdout.readline().split()
        eq(fired, b"1", "alarms")
        check(12 <= float(passed) < 300, "monotonic time from arming to firing: %s" % passed)
        eq(p.wait(), 0)


ABSOLUTE = """
import ctypes, os, select, struct, time
libc = ctypes.CDLL(None)
def timer(at, flags=1):  # TFD_TIMER_ABSTIME of CLOCK_REALTIME
    fd = libc.timerfd_create(0, 0)
    assert not libc.timerfd_settime(fd, flags, struct.pack("qqqq", 0, 0, at, 0), None)
    return fd
start = int(time.time())
past, ahead, told = timer(start + 5), timer(start + 40), timer(start + 9999, 3)
os.write(int(os.environ["HUSK_READY_FD"]), b".")
input()
print(time.time() >= start + 5, os.read(past, 8) == struct.pack("q", 1))
try:
    os.read(told, 8)
except OSError as e:
    print(e.errno)
print(select.select([ahead], [], [], 0)[0], os.read(ahead, 8) == struct.pack("q", 1), time.time() >= start + 40)
"""


def test_wall_clock_timers():
    """a timer for a time of day that passed in the file fires at once, a later one then"""
    of = template("python3", "-c", ABSOLUTE)
    time.sleep(8)
    r = go(of, b"\n")
    # 125: ECANCELED, what TFD_TIMER_CANCEL_ON_SET says of a clock that was set.
    eq((r.rc, r.out, r.err), (0, b"True True\n125\n[] True True\n", b""))


def test_limits_count_from_the_copy():
    """CPU and wall time of the warming up count for nothing"""
    of = perl('sub burn { 1 while (times)[0] < $_[0] } burn(1.5); open R, ">&=$ENV{HUSK_READY_FD}"; syswrite R, ".";'
              'burn(99) if <STDIN> eq "burn\\n"')
    r = go(of, b"no\n", options=["--cpu-time=1s"])
    eq((r.rc, r.status["verdict"]), (0, "exited"))
    check(r.status["cpu_user_ns"] + r.status["cpu_system_ns"] < 10 ** 9, "CPU time: %r" % r.status)
    r = go(of, b"burn\n", options=["--cpu-time=1s"])
    eq((r.rc, r.status["verdict"]), (124, "cpu_time"))
    r = go(of, b"burn\n", options=["--timeout=5s"])
    eq((r.rc, r.status["verdict"]), (124, "timeout"))


def test_isolated():
    """a file that the warm process made is each copy's own"""
    of = sh('echo warm >/tmp/x; echo >&$HUSK_READY_FD; cat >>/tmp/x; cat /tmp/x')
    before = head_of(of, -1)
    for word in (b"one\n", b"two\n"):
        eq(go(of, word).out, b"warm\n" + word)
    check(head_of(of, -1) == before, "the template's file has changed")


def test_never_ready():
    """a warm command that fails: no template, and a line with its last words"""
    def fails(words, *warm, options=()):
        path = os.path.join(FOLDER, "none")
        r = husk_raw(["template", "create", "-o", path, *options, "--warm", *warm])
        eq(r.rc, 125)
        one_line(r)
        check(words.encode() in r.err, "want %r in %r" % (words, r.err))
        check(not os.path.exists(path), "a file was left")
    fails("exited with 3 before it was ready: the guest says: cannot find it", "sh", "-c", "echo a; echo cannot find it >&2; exit 3")
    fails("exited with 0 before it was ready", "true")
    fails("killed by signal 9 before it was ready", "sh", "-c", "kill -9 $$")
    fails("it closed HUSK_READY_FD", "sh", "-c", "exec 4>&-; sleep 1000")
    fails("not found in PATH", "no-such-thing")
    fails("time limit of 6 s reached", "sleep", "1000", options=["--timeout=6s"])


def test_python():
    """examples/warm.py: programs run in a Python that has started before"""
    of = template("python3", "-c", example("warm.py"))
    r = go(of, b"import decimal, json, sys\nprint(json.dumps({'a': str(decimal.Decimal(1) / 4)}))\nsys.exit(3)\n")
    eq((r.rc, r.out, r.err), (3, b'{"a": "0.25"}\n', b""))
    r = go(of, b"import os\nos.write(3, b'r')\nprint(6 * 7)\n1 / 0\n")
    eq((r.rc, r.out, r.result), (1, b"42\n", b"r"))
    check(b'File "<stdin>", line 4' in r.err and b"ZeroDivisionError" in r.err and b"warm" not in r.err, "%r" % r)
    # Its end is ours to play: exit functions, threads, buffers, what exit() says.
    r = go(of, b"import atexit, sys, threading, time\natexit.register(print, 'last')\n"
               b"threading.Thread(target=lambda: (time.sleep(0.1), print('thread'))).start()\nsys.exit('words')\n")
    eq((r.rc, r.out, r.err), (1, b"thread\nlast\n", b"words\n"))
    eq(go(of, b"raise SystemExit\n").rc, 0)
    eq(go(of, b"exit(259)\n").rc, 3)
    program = b"import random, secrets, uuid\nprint(random.random(), secrets.token_hex(), uuid.uuid4())\n"
    words = [w for _ in range(RUNS) for w in go(of, program).out.split()]
    eq(len(words), 3 * RUNS)
    eq(len(set(words)), 3 * RUNS, "different random values")


def test_shell():
    """examples/warm.sh: a shell that has prepared a list"""
    of = sh(example("warm.sh"))
    r = go(of, b"gcc\nno-such-thing\n")
    eq((r.rc, r.err), (0, b""))
    lines = r.out.decode().splitlines()
    check(lines[0].startswith("gcc: ") and not lines[0].startswith("gcc: 0 "), "%r" % lines)
    check(lines[1].startswith("no-such-thing: 0 of "), "%r" % lines)


def test_four_cpus():
    """with four CPUs, and threads that wait on each of them"""
    of = template("python3", "-c", """
import os, threading
def worker(n, gate, out):
    os.sched_setaffinity(0, {n})
    gate.wait()
    out.append(n)
gate, out = threading.Event(), []
threads = [threading.Thread(target=worker, args=(n, gate, out)) for n in range(4)]
[t.start() for t in threads]
os.write(int(os.environ["HUSK_READY_FD"]), b".")
print(input())
gate.set()
[t.join() for t in threads]
print(sorted(out))
""", options=["--cpus=4"])
    for _ in range(2):
        r = go(of, b"go\n")
        eq((r.rc, r.out, r.err), (0, b"go\n[0, 1, 2, 3]\n", b""))


main()
