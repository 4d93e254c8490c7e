# SPDX-License-Identifier: MIT
"""Pools: machines that wait, one for each client.

Shows of issue 3: "husk pool keeps N copies restored and waiting, and hands
them out; each machine is used once; a dead or killed machine is replaced; the
pool survives SIGKILL of any of its machines; its own end leaves nothing". A
run from a pool is one from the pool's template in all that a user sees. What
a client sends that is no request hurts nobody. Suites 20 and 30 run through a
pool with HUSK_E2E_POOL=1.
"""

import array

from pools import *

def test_streams():
    """all four streams, the arguments, the environment and the exit status"""
    r = pool().run("sh", "-c", 'cat; echo "$A $1 $(id -u):$(id -g) $(hostname) $(pwd)" >&2; echo r >&3; exit 7', "sh",
                   "a b", options=["--env", "A=x", "--user", "5:6", "--hostname", "here", "--workdir", "/tmp"],
                   stdin=pattern(300000))
    eq(r.rc, 7)
    eq(r.out, pattern(300000))
    eq((r.err, r.result), (b"x a b 5:6 here /tmp\n", b"r\n"))
    eq((r.status["verdict"], r.status["exit_status"]), ("exited", 7))
    eq(r.status["streams"]["stdin"]["bytes"], 300000)


def test_warm():
    """a warm process is the job of each machine, with streams and seed of its own"""
    of = template(warm=("sh", "-c", "echo early; echo >&$HUSK_READY_FD; cat; od -An -tx1 <&$HUSK_SEED_FD >&3; exit 5"))
    p = Pool(of)
    seeds = set()
    for word in (b"one\n", b"two\n", b"three\n"):
        r = p.run(stdin=word)
        eq((r.rc, r.out, r.err), (5, b"early\n" + word, b""))
        eq(len(r.result.split()), 32)
        seeds.add(r.result)
    eq(len(seeds), 3, "different seeds")
    for option in ("--env=A=c", "--user=9", "--workdir=/", "--tmp-size=2M"):
        r = p.run(options=[option])
        eq((r.rc, r.out), (125, b""))
        one_line(r)
        check(b"comes too late" in r.err, "%r" % r)
    r = p.run("true")
    check(r.rc == 125 and b"its warm command is the job" in r.err, "%r" % r)
    eq(p.end(), (0, b""))


def all_private_kib(pid):
    """Private memory of a process, that of its guest included."""
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Private_"))


VOLATILE = ("wall_ns", "cpu_user_ns", "cpu_system_ns", "memory_peak", "pids_peak", "timeline_ns", "exits", "guest_pages",
            "private_bytes")


def shape(value):
    """What kind of a value it is, members included."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    return type(value)


def test_same_as_template():
    """verdict, line, exit status and status object are those of run --template"""
    of, p = template(), pool()
    jobs = [
        (("sh", "-c", "echo o; echo e >&2; echo r >&3"), ()),
        (("sh", "-c", "kill -SEGV $$"), ()),
        (("no-such-thing",), ()),
        (("/etc/passwd",), ()),
        (("sh", "-c", "while :; do :; done"), ("--timeout=4s",)),
        (("sh", "-c", "while :; do :; done"), ("--cpu-time=300ms",)),
        (("perl", "-e", '$x .= "x" x 1048576 while 1'), ()),
        (("sh", "-c", "while :; do echo y; done"), ("--output-limit=10K", "--on-output-limit=kill")),
        (("sh", "-c", "head -c 5000 /dev/zero"), ("--output-limit=4K",)),
        (("sh", "-c", "head -c 2M /dev/zero >/tmp/x"), ("--tmp-size=1M", "--pids=30")),
        (("true",), ("--tmp-size=2G",)),
        ((), ()),
    ]
    for cmd, options in jobs:
        a = p.run(*cmd, options=options)
        with tempfile.TemporaryDirectory() as d:
            res, st = os.path.join(d, "result"), os.path.join(d, "status")
            b = husk_raw(["run", "--template", of, "--result", res, "--status", st, *options,
                          *(("--", *cmd) if cmd else ())])
            b.result, b.status = head_of(res, -1) if os.path.exists(res) else b"", json.loads(head_of(st, -1))
        what = "%r %r" % (cmd, options)
        eq((a.rc, a.out, a.err, a.result), (b.rc, b.out, b.err, b.result), what)
        if a.status["verdict"] not in ("timeout", "cpu_time", "oom", "output_limit", "error"):
            eq(shape(a.status), shape(b.status), what)
        eq(list(a.status), list(b.status), what)
        for key in a.status:
            if key not in VOLATILE and not (a.status["verdict"] == "error" and key in ("kernel", "image", "options")):
                eq(a.status[key], b.status[key], "%s of %s" % (key, what))


def test_used_once():
    """each machine is used once: no boot id comes twice, and no file stays"""
    ids = set()
    for i in range(RUNS):
        r = pool().run("sh", "-c", "ls -A /tmp /work | grep mark; touch /tmp/mark; cat /proc/sys/kernel/random/boot_id")
        eq(r.rc, 0)
        eq(len(r.out.split()), 1, "%r" % r)
        ids.add(r.out)
    eq(len(ids), RUNS, "boot ids")


def test_time_waits():
    """a machine does not notice that it has waited: its uptime goes on from the template's"""
    of = template()
    husk_raw(["run", "--template", of, "--", "cat", "/proc/uptime"])
    direct = float(husk_raw(["run", "--template", of, "--", "cat", "/proc/uptime"]).out.split()[0])
    pool().rested()
    time.sleep(5)
    began = time.monotonic()
    waited = float(pool().run("cat", "/proc/uptime").out.split()[0])
    # Of five seconds none, but what the two runs themselves take.
    check(waited < direct + 2.5 + time.monotonic() - began, "uptime %g, without a pool %g" % (waited, direct))


def test_waiting():
    """as many wait as were asked for, small and still, and what is killed is replaced"""
    p = pool()
    first = p.rested()
    for pid in first:
        wait_for(quiet(pid, itself=True), "a machine to be quiet")
        kib = all_private_kib(pid)
        print("# a machine that waits: %d KiB of its own, %d of them without the guest's" % (
            kib, private_kib(pid, itself=True)))
        check(kib <= 1024, "a machine that waits has %d KiB of its own" % kib)
    for _ in range(3):
        victim = p.rested()[0]
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: is_gone(victim), "the death of a machine")
        check(victim not in p.rested(), "the dead are replaced")
    eq(p.words().count(b"was killed by SIGKILL"), 3, "lines about it")
    eq(p.run("echo", "ok").out, b"ok\n")
    check(not set(first) - {first[1]} & set(p.rested()), "those that were used or killed are others now")


def test_machine_killed():
    """a machine that is killed at work: one line, 125, and the pool goes on"""
    p = pool()
    waiting = set(p.rested())
    with tempfile.TemporaryDirectory() as d:
        st = os.path.join(d, "st")
        c = p.start("sh", "-c", "echo up; sleep 1000", options=["--status", st])
        eq(c.stdout.readline(), b"up\n")
        # Machines are used in the order of their start.
        wait_for(lambda: len(p.machines()) == p.size + 1, "a replacement")
        os.kill(min(waiting & set(p.machines()), key=order_of_start), signal.SIGKILL)
        out, err = talk(c)
        eq((c.returncode, out), (125, b""))
        check(err.startswith(b"husk: ") and err.count(b"\n") == 1 and b"was killed" in err, "%r" % err)
        s = json.loads(head_of(st, -1))
        eq((s["verdict"], s["exit_status"]), ("error", 125))
    eq(p.run("echo", "ok").out, b"ok\n")
    p.rested()


def test_client_killed():
    """a client that is killed takes its machine along"""
    p = pool()
    p.rested()
    c = p.start("sh", "-c", "echo up; sleep 1000")
    eq(c.stdout.readline(), b"up\n")
    wait_for(lambda: len(p.machines()) == p.size + 1, "a replacement")
    c.kill()
    c.wait()
    # Its machine holds the other end of this pipe: when that is gone, so is it.
    eq(on_hand(c.stdout.fileno()), b"")
    p.rested()


def test_signals():
    """SIGINT, SIGTERM and SIGHUP to the client end the run as they do without a pool"""
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with tempfile.TemporaryDirectory() as d:
            st = os.path.join(d, "st")
            c = pool().start("sh", "-c", "echo up; sleep 1000", options=["--status", st])
            eq(c.stdout.readline(), b"up\n")
            c.send_signal(sig)
            out, err = talk(c)
            eq((c.returncode, out, err), (128 + sig, b"", b""))
            s = json.loads(head_of(st, -1))
            eq((s["verdict"], s["code"], s["streams"]["stdout"]["bytes"]), ("interrupted", sig, 3))
    pool().rested()


def test_closed_streams():
    """who closes a stream is noticed inside, and what is left running does not hold it"""
    c = pool().start("sh", "-c", "trap '' PIPE; read x; while echo y; do :; done; echo gone >&2")
    c.stdout.close()
    c.stdin.write(b"\n")
    check(b"gone\n" in on_hand(c.stderr.fileno()), "a reader that left is an error")
    eq(c.wait(), 0)
    c = pool().start("sh", "-c", "exec <&-; echo closed; sleep 1000")
    eq(c.stdout.readline(), b"closed\n")

    def refused():
        try:
            c.stdin.write(b"x")
        except BrokenPipeError:
            return True
    wait_for(refused, "EPIPE on stdin")
    c.kill()
    c.wait()


def test_files_are_the_clients():
    """relative paths are the client's, as are descriptors; an old result is replaced"""
    with tempfile.TemporaryDirectory() as d:
        with open(os.path.join(d, "res"), "w") as f:
            f.write("old and longer\n")
        c = pool().start("sh", "-c", "echo new >&3", options=["--result=res", "--status=st", "--console=log"], cwd=d)
        eq(talk(c), [b"", b""])
        eq((c.returncode, head_of(os.path.join(d, "res"), -1)), (0, b"new\n"))
        eq(json.loads(head_of(os.path.join(d, "st"), -1))["verdict"], "exited")
        r, w = os.pipe()
        c = pool().start("sh", "-c", "echo by number >&3", options=["--result-fd", str(w)], pass_fds=[w])
        os.close(w)
        eq(on_hand(r), b"by number\n")
        os.close(r)
        eq(talk(c), [b"", b""])
        c = pool().start("true", options=["--result=no/such/folder"], cwd=d)
        out, err = talk(c)
        check(c.returncode == 125 and b"open result 'no/such/folder'" in err, "%r" % err)


def test_long_request():
    """arguments and environment of almost a megabyte"""
    words = ["%06d%s" % (i, "x" * 90000) for i in range(10)]
    r = pool().run("sh", "-c", 'echo $# $0 ${#9} ${#V}', *words, options=["--env", "V=" + "v" * 90000])
    eq((r.rc, r.out), (0, b"9 %s 90006 90000\n" % words[0].encode()))


def test_timeline():
    """--timeline has all points, T5 the last"""
    c = pool().start("echo", "x", options=["--timeline"])
    out, err = talk(c)
    eq(out, b"x\n")
    at = [float(line.split()[-2 if b"+" not in line else line.split().index(b"+") - 2])
          for line in err.split(b"\n") if line.startswith(b"  T")]
    eq(len(at), 6, "points: %r" % err)
    eq(sorted(at), at, "their order")


def test_many_at_once():
    """eight clients at once on two machines: all are served"""
    p = pool()
    cs = [p.start("sh", "-c", "read x; echo got $x") for _ in range(8)]
    for i, c in enumerate(cs):
        c.stdin.write(b"%d\n" % i)
    for i, c in enumerate(cs):
        out, err = talk(c)
        eq((c.returncode, out, err), (0, b"got %d\n" % i, b""))
    p.rested()


def test_wrong_requests():
    """what is no request is answered or dropped, and hurts nobody"""
    p = pool()
    null = os.open("/dev/null", os.O_RDWR)

    def wrong(packets, fds=()):
        s = p.connect()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            for packet in packets:
                s.sendmsg([packet], rights)
                rights = []
        except (BrokenPipeError, ConnectionResetError):
            pass
        a = answer(s)
        check(not a or b"does not understand this request" in a, "answer %r" % a)
        s.close()
    wrong([b"x"])
    wrong([b"\0" * 65536])
    wrong([os.urandom(4000)])
    wrong([b"GET / HTTP/1.0\r\n\r\n"], [null] * 3)
    wrong([head(1, 100) + b"\0" * 100])
    wrong([head(1, 100, version=1) + b"\0" * 100], [null] * 3)
    wrong([head(1, 1 << 30)])
    wrong([head(2, 4) + struct.pack("<I", 15)])
    good = good_request()
    wrong([good])                       # no descriptors
    wrong([good], [null] * 2)           # too few
    wrong([good], [null] * 4)           # too many
    wrong([good], [null] * 60)          # far too many
    wrong([good[:40], good[40:]], ())
    wrong([good + b"\0"], [null] * 3)
    wrong([good[:-1] + b"x"], [null] * 3)
    # Descriptors with a later packet.
    s = p.connect()
    s.sendmsg([good[:40]], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [null] * 3))])
    s.sendmsg([good[40:]], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [null] * 3))])
    check(b"does not understand" in answer(s), "descriptors twice")
    s.close()
    # A whole one is served, and after it nothing but a signal is listened to.
    s = p.connect()
    r, w = os.pipe()
    s.sendmsg([good], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [null, w, null]))])
    os.close(w)
    eq(os.read(r, 3), b"up\n")
    s.send(b"nonsense")
    eq(on_hand(r), b"")
    check(b"ended by signal KILL" in answer(s), "an end")
    s.close()
    os.close(r)
    # A directory, and a descriptor open the wrong way round.
    for fd in (os.open("/", os.O_RDONLY), os.open("/dev/null", os.O_WRONLY)):
        s = p.connect()
        s.sendmsg([good], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd, null, null]))])
        check(b"as stdin" in answer(s), "a wrong stdin")
        s.close()
        os.close(fd)
    os.close(null)
    p.rested()
    eq(p.run("echo", "ok").out, b"ok\n")


def good_request():
    """The bytes of: sh -c 'echo up; sleep 1000', three descriptors."""
    strings = b"h\0/\0\0sh\0-c\0echo up; sleep 1000\0"
    fixed = struct.pack("<6Q6I", 0, 0, 0, 0, (1 << 64) - 1, 1 << 24, 512, 65534, 65534, 0, 3, 0)
    return head(1, len(fixed) + len(strings)) + fixed + strings


def test_silent_clients():
    """a connection that says nothing costs no machine, and is dropped in the end"""
    p = pool()
    before = p.rested()
    silent = [p.connect() for _ in range(20)]
    eq(p.run("echo", "ok").out, b"ok\n")
    check(len(set(before) - set(p.rested())) == 1, "one machine was used")
    for s in silent:
        check(b"the request did not come within 10 s" in answer(s), "a silent client")
        s.close()
    for _ in range(20):
        p.connect().close()
    check(len(set(before) & set(p.rested())) == 1, "no machine was used")


def test_queue():
    """who waits for a machine can be interrupted, and its time runs out"""
    p = pool()
    p.rested()
    p.p.send_signal(signal.SIGSTOP)
    try:
        with tempfile.TemporaryDirectory() as d, open(os.path.join(d, "err"), "w+b") as err:
            # No pipes: the request in the queue of a pool that stands still has their other ends.
            own = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": err}
            st = os.path.join(d, "st")
            c = p.start("true", options=["--timeout=2s", "--status", st], **own)
            eq(c.wait(), 124)
            err.seek(0)
            eq(err.read(), b"husk: time limit of 2 s reached\n")
            eq(json.loads(head_of(st, -1))["verdict"], "timeout")
            c = p.start("true", options=["--status", st], **own)
            wait_for(lambda: waits_in_poll(c.pid), "the client to wait")
            c.send_signal(signal.SIGTERM)
            eq(c.wait(), 143)
            eq(json.loads(head_of(st, -1))["verdict"], "interrupted")
            err.seek(0)
            eq(err.read().count(b"\n"), 1)
    finally:
        p.p.send_signal(signal.SIGCONT)
    eq(p.run("echo", "ok").out, b"ok\n")
    p.rested()


def test_refused_options():
    """what cannot change in a machine that runs already"""
    for option in ("--memory=1G", "--cpus=2", "--kernel=" + KERNEL, "--image=" + IMAGE, "--jail=off",
                   "--template=" + template()):
        r = husk_raw(["run", "--pool", pool().path, option, "--", "true"])
        eq(r.rc, 125)
        one_line(r)
        check(b"cannot change" in r.err or b"exclude" in r.err, "%r" % r)
    r = husk_raw(["run", "--pool", "/no/such/socket", "--", "true"])
    eq(r.rc, 125)
    one_line(r)
    check(b"use pool '/no/such/socket': No such file" in r.err, "%r" % r)


def test_end():
    """SIGTERM: no machine, no socket; who was being served is told"""
    for sig in (signal.SIGTERM, signal.SIGINT):
        p = Pool()
        eq(os.stat(p.path).st_mode & 0o777, 0o600)
        c = p.start("sh", "-c", "echo up; sleep 1000")
        eq(c.stdout.readline(), b"up\n")
        wait_for(lambda: len(p.machines()) == p.size + 1, "a replacement")
        pids = p.machines()
        eq(p.end(sig), (0, b""))
        check(not os.path.exists(p.path), "the socket is left")
        check(all(map(is_gone, pids)), "machines are left")
        out, err = talk(c)
        eq((c.returncode, out), (125, b""))
        check(b"the pool ended" in err and err.count(b"\n") == 1, "%r" % err)


def test_killed():
    """SIGKILL of the pool: no machine is left, and the next pool takes the socket"""
    p = Pool()
    c = p.start("sh", "-c", "echo up; sleep 1000")
    eq(c.stdout.readline(), b"up\n")
    pids = wait_for(lambda: len(p.machines()) == p.size + 1 and p.machines(), "a replacement")
    other = husk_raw(["pool", "--template", template(), "--listen", p.path])
    eq(other.rc, 125)
    one_line(other)
    check(b"there is a pool or another file already" in other.err, "%r" % other)
    p.end(signal.SIGKILL)
    wait_for(lambda: all(map(is_gone, pids)), "the end of all machines")
    out, err = talk(c)
    eq((c.returncode, out), (125, b""))
    r = husk_raw(["run", "--pool", p.path, "--", "true"])
    check(r.rc == 125 and b"Connection refused (husk pool --listen starts one)" in r.err, "%r" % r)
    with open(p.log, "wb") as err:
        q = subprocess.Popen([HUSK, "pool", "--template", template(), "--size=1", "--listen", p.path], stderr=err, env=ENV)
    wait_for(lambda: b"1 machine is waiting" in p.words(), "the next pool")
    eq(p.run("echo", "ok").out, b"ok\n")
    q.terminate()
    eq(q.wait(), 0)
    check(not os.path.exists(p.path), "the socket is left")


def test_bad_templates():
    """no pool of what is no template, or of one that changes under it"""
    def refused(words, *options):
        path = os.path.join(FOLDER, "none.pool")
        r = husk_raw(["pool", "--listen", path, *options])
        eq(r.rc, 125)
        one_line(r)
        check(words in r.err, "want %r in %r" % (words, r.err))
        check(not os.path.lexists(path), "a socket was left")
    refused(b"it is no template", "--template", KERNEL)
    refused(b"No such file", "--template", "/no/such/file")
    refused(b"another image", "--template", template(), "--image", ext4("other.ext4"))
    r = husk_raw(["pool", "--template", template(), "--listen", "/no/such/folder/s"])
    check(r.rc == 125 and b"listen at '/no/such/folder/s'" in r.err, "%r" % r)
    of = scratch("changing", head_of(template(), -1))
    p = Pool(of, size=1)
    os.utime(of)
    # The copies at work have pages of that file, too: they are not kept.
    check(p.run("sleep", "1000").rc == 125, "a job goes on")
    eq(p.p.wait(), 125)
    check(b"was changed under the pool" in p.words(), "%r" % p.words())
    check(not os.path.lexists(p.path), "a socket was left")


def ext4(name):
    """A small image that is not the template's."""
    image, tree = scratch(name), os.path.join(FOLDER, "pooltree")
    os.makedirs(tree + "/bin", exist_ok=True)
    shutil.copy("/bin/true", tree + "/bin/true")
    subprocess.run([os.path.join(ROOT, "build/husk-image"), "build", "--from", tree, "-o", image], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return image


def test_dying_template():
    """machines that die again and again are replaced ever later, with a line each time"""
    p = Pool(size=1)
    for n in range(1, 6):
        os.kill(p.rested()[0], signal.SIGKILL)
        wait_for(lambda: p.words().count(b"was killed by SIGKILL") == n, "a line")
    eq(p.rested() and p.end(), (0, b""))


def test_shared_pool_ends():
    """after all of this the pool still ends cleanly"""
    p = pool()
    pids = p.rested()
    eq(p.end(), (0, b""))
    check(all(map(is_gone, pids)) and not os.path.exists(p.path), "something is left")


main()
