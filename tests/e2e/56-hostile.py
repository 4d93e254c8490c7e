# SPDX-License-Identifier: MIT
"""Hostile guests in the husk that users run, and in one with a hostile init.

Shows of issue 4: HLT for ever, triple fault, MMIO and port storms, interrupt
storms, kernel log floods: "after each the host process is alive or ended with
the right verdict, its memory is bounded and the next job works"; and "even as
root in the guest kernel (a hostile init in place of ours) the host sees
nothing but four byte streams".

The kernels are tests/hostile/guest.S, each with the section of the
specification that it breaks; the init is tests/hostile/init.c, in a husk that
differs from build/husk in nothing else.
"""

import re

from lib import *

# Private memory of a husk beyond guest RAM, whatever the guest does.
BOUND_KIB = 4096
GUESTS = os.path.join(ROOT, "build/test/hostile")
os.makedirs(os.path.join(FOLDER, "hostile"), exist_ok=True)


def private_peak(p):
    """The most that a running husk had, until its end."""
    peak = 0
    while p.poll() is None:
        try:
            if machine(p.pid):
                peak = max(peak, private_kib(p.pid))
        except (AssertionError, FileNotFoundError, ProcessLookupError, TypeError):
            pass  # before there is guest RAM, or after
        time.sleep(0.1)
    return peak


def next_job():
    """An ordinary job after a hostile one."""
    r = husk("sh", "-c", "cat; echo r >&3", stdin=b"next\n")
    eq((r.rc, r.out, r.err, r.result), (0, b"next\n", b"", b"r\n"), "the next job (%r)" % r)


def guest(name):
    return scratch("guest-" + name, head_of(os.path.join(GUESTS, name), -1))


def runs_into_the_limit(name, *options, **kw):
    """The guest ends at the limit, by husk's own hand, and not by that of who watches it; the status object."""
    st = scratch("hostile-status")
    p = start("true", options=["--kernel", guest(name), "--timeout", "4s", "--status", st, *options], **kw)
    peak = private_peak(p)
    check(0 < peak <= BOUND_KIB, "%s: private memory of %d KiB" % (name, peak))
    eq((p.returncode, p.stdout.read() if p.stdout else b""), (124, b""), name)
    eq(p.stderr.read(), b"husk: time limit of 4 s reached\n", name)
    s = json.load(open(st))
    eq((s["verdict"], s["exit_status"]), ("timeout", 124), name)
    check(s["exits"]["total"] > 0 and s["guest_pages"] > 0, "%s: counts %r" % (name, s))
    return s


def crashes(name, word):
    r = husk("true", options=["--kernel", guest(name)])
    eq((r.rc, r.status["verdict"], r.status["said_by"]), (125, "guest_crash", "husk"), name)
    one_line(r)
    check(word in r.err, "%s: no %r in %r" % (name, word, r.err))


def test_halts_for_ever():
    """SDM 2A HLT, interrupts off: timeout, and the next job works"""
    runs_into_the_limit("hlt")
    runs_into_the_limit("spin", "--cpus", "2")
    next_job()


def test_triple_fault():
    """SDM 3A 6.15, and a reset: guest_crash, and the next job works"""
    crashes("triple", b"triple fault")
    crashes("reset", b"reset")
    next_job()


def test_window_storm():
    """virtio 4.2.2.2, accesses of any width to all windows: timeout, memory bounded"""
    runs_into_the_limit("windows")
    next_job()


def test_port_storm():
    """SDM 1 19.3, strings to and from every port: timeout, memory bounded"""
    runs_into_the_limit("ports")
    next_job()


def test_log_flood():
    """the early console without end: timeout, memory bounded, also with --console"""
    runs_into_the_limit("log")
    log = scratch("hostile-console")
    runs_into_the_limit("log", "--console", log, "--console-limit", "100")
    cut = b"\n[cut here by husk: --console-limit]\n"
    eq((os.path.getsize(log), head_of(log, -1)[100:]), (100 + len(cut), cut), "the log")
    os.unlink(log)
    next_job()


def test_interrupt_storm():
    """SDM 3A 11.5.4 and 11.6.1, a timer of one tick and messages to itself: timeout"""
    runs_into_the_limit("timer")
    next_job()


def test_ring_noise():
    """virtio 2.7, a disk set up, fed noise and reset for ever: timeout, image unchanged"""
    runs_into_the_limit("rings")
    next_job()


def test_console_flood():
    """virtio 2.7.13, queues of the console that are never empty, in and out: timeout and signals hold"""
    with open("/dev/zero", "rb") as zero, open("/dev/null", "wb") as null:
        s = runs_into_the_limit("flood", "--timeout-from", "stdin", stdin=zero, stdout=null)
    for name in ("stdin", "stdout"):
        n = s["streams"][name]
        check(n["bytes"] == n["delivered"] > 0 and not n["truncated"], "%s: %r" % (name, n))
    # Into a file, whose end is only the limit's; all that comes after is dropped.
    path, st = scratch("flood-out", b""), scratch("hostile-status")
    with open(path, "wb") as out:
        p = start("true", stdin=subprocess.DEVNULL, stdout=out,
                  options=["--kernel", guest("flood"), "--output-limit", "8M", "--status", st])
    wait_for(lambda: os.path.getsize(path) == 8 << 20, "the first 8 MiB")
    p.send_signal(signal.SIGTERM)
    eq((p.wait(), p.stderr.read()), (143, b""))
    s = json.load(open(st))
    eq((s["verdict"], s["code"]), ("interrupted", signal.SIGTERM))
    eq(s["streams"]["stdout"], {"bytes": 8 << 20, "delivered": 8 << 20, "truncated": True})
    eq((os.path.getsize(path), head_of(path, -1).strip(b"\0")), (8 << 20, b""))
    os.unlink(path)
    next_job()


def test_disk_flood():
    """virtio 5.2.6, half a GiB to be read with each kick: the limit holds, no vCPU is waited for"""
    runs_into_the_limit("reads")
    runs_into_the_limit("reads", "--cpus", "2")
    next_job()


# ---- root of the guest ----

def own_husk():
    """The husk with the hostile init, in RAM."""
    path = os.path.join(FOLDER, "hostile", "husk")
    shutil.copy(os.path.join(GUESTS, "husk"), path)
    return path


def as_root(what, *options, wrap=(), stdin=b""):
    """Run the hostile init, all streams collected; from no template."""
    with tempfile.TemporaryDirectory(prefix="husk-e2e-") as d:
        res, st = os.path.join(d, "result"), os.path.join(d, "status")
        p = subprocess.Popen([*wrap, own_husk(), "run", "--result", res, "--status", st,
                              *options, "--", what], env=ENV, cwd=d, bufsize=0,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        r = Result(None, *talk(p, stdin))
        r.rc = p.returncode
        r.result, r.status = head_of(res, -1), json.loads(head_of(st, -1))
        eq(sorted(os.listdir(d)), ["result", "status"], "what husk left in its folder")
        return r


def image_digest():
    h = hashlib.sha256()
    with open(IMAGE, "rb") as f:
        while True:
            b = f.read(1 << 20)
            if not b:
                return h.hexdigest()
            h.update(b)


# After the first KVM_RUN: reading, writing, waiting, and coming to an end.
CALLS = """ioctl read readv preadv preadv2 pread64 write pwritev2 poll ppoll futex close munmap
madvise mprotect rt_sigprocmask rt_sigreturn sigreturn tgkill getpid gettid exit exit_group
clock_nanosleep restart_syscall clone clone3 mmap set_robust_list rseq fcntl lseek
rt_sigaction timerfd_settime epoll_wait getrandom brk fstat newfstatat wait4 getrusage
prctl seccomp""".split()
FOREIGN = """open openat openat2 creat socket connect bind sendto sendmsg execve execveat
fork vfork ptrace mount unlink unlinkat rename renameat2 mkdir mkdirat symlinkat linkat
ftruncate truncate pwrite64 pwritev chmod fchmod kill process_vm_writev""".split()


def test_root_sees_nothing():
    """root of the guest finds a read-only disk and five streams, no way out; image unchanged"""
    before = image_digest()
    r = as_root("look")
    eq((r.rc, r.status["verdict"], r.status["code"]), (7, "exited", 7), "what it claims (%r)" % r)
    eq((r.err, r.result), (b"to stderr\n", b"to result\n"))
    saw = dict(line.split(": ", 1) for line in r.out.decode().splitlines())
    eq(saw["net"], "lo", "network devices")
    eq(saw["block"], "vda", "disks")
    eq(len(saw["virtio"].split()), 2, "virtio devices: %r" % saw["virtio"])
    eq(len(saw["streams"].split()), 5, "ports: %r" % saw["streams"])
    check("pci" not in saw["buses"].split(), "buses: %r" % saw["buses"])
    for what in ("connect", "vsock", "packets", "written", "memory", "ports", "iopl", "module",
                 "kexec"):
        check(saw[what] != "done", "%s: %r" % (what, saw))
    eq(image_digest(), before, "the image")
    next_job()


def test_root_is_four_streams():
    """of root of the guest, the host does nothing but move bytes: strace has no other call"""
    table = os.path.join(FOLDER, "hostile", "strace")
    r = as_root("look", wrap=("strace", "-f", "-o", table))
    eq(r.rc, 7)
    with open(table) as f:
        lines = f.read().splitlines()
    ran = next(i for i, line in enumerate(lines) if "KVM_RUN" in line)
    calls = set()
    for line in lines[ran:]:
        m = re.match(r"\d+ +(\w+)\(", line)
        if m:
            calls.add(m.group(1))
    bad = calls & set(FOREIGN)
    # The files of --status and --result are opened before; their names are ours.
    check(not bad, "after the guest ran: %r" % sorted(bad))
    check(calls <= set(CALLS), "new calls: %r" % sorted(calls - set(CALLS)))


def test_root_lies():
    """what init says is one clean line, whatever is in it; the status object stays one"""
    r = as_root("lie")
    check(r.err.startswith(b"husk: ") and r.err.count(b"\n") == 1, "%r" % r.err)
    check(not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", r.err), "control characters: %r" % r.err)
    check(r.err.startswith(b"husk: the guest says: "), "%r" % r.err)
    eq((r.out, r.result), (b"", b""))
    eq((r.rc, r.status["verdict"], r.status["said_by"]), (125, "error", "guest"))


def test_root_makes_noise():
    """noise in every port: output arrives, the verdict is guest_crash, nothing grows"""
    r = as_root("noise")
    eq((r.rc, r.status["verdict"]), (125, "guest_crash"), "%r" % r)
    eq((len(r.out), len(r.result)), (64 * 4096, 64 * 4096), "bytes of the streams")
    check(r.err.endswith(b"\n") and r.err[64 * 4096:].startswith(b"husk: "), "%r" % r.err[-200:])


def test_root_ends_twice():
    """after the END of a conversation nothing more counts"""
    r = as_root("many")
    check((r.rc, r.status["verdict"]) in ((3, "exited"), (125, "guest_crash")), "%r" % r)


def test_root_says_nothing():
    """an init that closes its ports, powers off, resets: a verdict, no hang"""
    r = as_root("mute", "--timeout", "5s")
    check(r.status["verdict"] in ("timeout", "guest_crash"), "%r" % r)
    r = as_root("off", "--timeout", "5s")
    eq((r.rc, r.status["verdict"]), (124, "timeout"), "%r" % r)
    r = as_root("reset")
    eq((r.rc, r.status["verdict"]), (125, "guest_crash"), "%r" % r)
    next_job()


main()
