# SPDX-License-Identifier: MIT
"""Verdicts: the exit status and the status object for each way to end.

Shows of issue 2: every line of the table of verdicts; "the time limit holds
whatever the guest does (spinning with interrupts off in its kernel included),
partial output is kept"; "SIGTERM, SIGINT end it cleanly"; --timeout,
--timeout-from, --cpu-time, --output-limit, --on-output-limit, --status,
--status-fd, --console, --timeline; what the status object has; "husk never
prints anything on the job's stdout or result stream".
"""

from lib import *


# What init reports; all else is what husk sees or does.
SAID_BY_GUEST = ("exited", "signaled", "start_failed", "oom", "cpu_time")


def verdict(r, name, rc):
    eq(r.status["verdict"], name, "verdict (%r)" % r)
    eq(r.rc, rc, "exit status")
    eq(r.status["exit_status"], rc, "exit_status member")
    eq(r.status["said_by"], "guest" if name in SAID_BY_GUEST else "husk")


def test_exited():
    """exited: every kind of status passes unchanged"""
    for n in (1, 124, 125, 126, 127, 137, 255):
        r = husk("sh", "-c", "exit %d" % n)
        verdict(r, "exited", n)
        eq(r.status["code"], n)
        eq(r.err, b"", "stderr of an ordinary end")


def test_signaled():
    """signaled: 128 + signal, for each signal that ends a process"""
    for s in (signal.SIGTERM, signal.SIGSEGV, signal.SIGPIPE):
        r = husk("sh", "-c", "kill -%d $$" % s)
        verdict(r, "signaled", 128 + s)
        eq((r.status["code"], r.status["code_name"]), (int(s), s.name))


def test_not_found():
    """start_failed: 127 for a command that is not there"""
    for cmd in ("no-such-command", "/no/such/file"):
        r = husk(cmd)
        verdict(r, "start_failed", 127)
        one_line(r)
        check(cmd.encode() in r.err, "the line names the command: %r" % r.err)
        check(r.err.startswith(b"husk: the guest says: "), "whose word it is: %r" % r.err)


def test_not_executable():
    """start_failed: 126 for what can not be run"""
    for cmd in ("/etc/passwd", "/etc"):
        r = husk(cmd)
        verdict(r, "start_failed", 126)
        one_line(r)


def test_workdir_missing():
    """a work folder that is not in the image: start_failed, and the line says so"""
    r = husk("true", options=["--workdir", "/no/such/dir"])
    eq(r.status["verdict"], "start_failed")
    check(b"/no/such/dir" in r.err, "%r" % r.err)


def test_timeout():
    """timeout: 124 for a limit that is shorter than the boot, and in a job"""
    r = husk("true", options=["--timeout", "1ms"])
    verdict(r, "timeout", 124)
    one_line(r)
    st = scratch("timeout-status")
    # The clock starts when the job has written: no guess how long a boot is.
    p = start("sh", "-c", "echo before; echo e >&2; echo r >&3; read x; sleep 1000",
              options=["--timeout", "100ms", "--timeout-from", "stdin", "--status", st])
    eq(p.stdout.readline(), b"before\n")
    eq(p.stderr.readline(), b"e\n")
    time.sleep(1)
    eq(p.poll(), None, "waiting for input costs nothing; exit status")
    p.stdin.write(b"\n")
    eq(p.wait(), 124)
    line = p.stderr.read()
    check(line.startswith(b"husk: ") and line.count(b"\n") == 1, "%r" % line)
    status = json.load(open(st))
    eq((status["verdict"], status["exit_status"]), ("timeout", 124))
    eq(status["streams"]["result"]["bytes"], 2, "partial output")


def test_timeout_hostile_kernel():
    """a Linux kernel that spins with interrupts off in the middle of a job dies on time"""
    p = start(*SPRING, options=["--kernel", corrupted(SPIN), "--timeout", "2s", "--timeout-from", "stdin"])
    eq(p.stdout.readline(), b"up\n")
    p.stdin.write(b"\n")
    eq(p.wait(), 124)
    # From the first instruction on, and in HLT.
    for code in (SPIN, b"\xfa\xf4\xeb\xfd"):  # cli; hlt; jmp .-1
        verdict(husk("true", options=["--kernel", elf_guest(code), "--timeout", "500ms"]),
                "timeout", 124)


def test_cpu_time():
    """cpu_time: 124, whichever process of the job uses it, partial output kept"""
    # How much CPU time the shell needs to begin is the host's secret.
    for limit in (1, 4, 16, 64):
        r = husk("sh", "-c", "echo x; (while :; do :; done) & (while :; do :; done) & wait",
                 options=["--cpu-time", "%ds" % limit])
        verdict(r, "cpu_time", 124)
        used = r.status["cpu_user_ns"] + r.status["cpu_system_ns"]
        check(used >= limit * 1000000000, "used %d ns of CPU" % used)
        if r.out == b"x\n":
            return
    raise AssertionError("no output")


# A megabyte at a time: too much at once would be refused, not granted.
EAT = "my @x; push @x, \"x\" x 1e6 while 1"


def test_oom():
    """oom: 137, in a child too: a judge must not score half a job"""
    r = husk("perl", "-e", EAT)
    verdict(r, "oom", 137)
    one_line(r)
    r = husk("sh", "-c", "perl -e '%s'; echo went on" % EAT)
    verdict(r, "oom", 137)
    eq(r.out, b"")
    check(r.status["memory_peak"] > 150 << 20, "memory_peak %r" % r.status["memory_peak"])


def test_not_oom():
    """a kill is told from oom, as is a program that is refused memory and copes"""
    verdict(husk("sh", "-c", "kill -9 $$"), "signaled", 137)
    # More than there are addresses: what there is not of memory is promised all the same.
    r = husk("python3", "-c", "bytearray(1<<50)")
    verdict(r, "exited", 1)
    check(b"MemoryError" in r.err, "%r" % r)


def test_oom_many_processes():
    """a memory bomb of many processes, with little memory: oom, not a crash"""
    r = husk("perl", "-e", "fork for 1..5; " + EAT, options=["--memory", "96M"])
    verdict(r, "oom", 137)
    # Files count, as do many small allocations of the kernel's for the job.
    r = husk("sh", "-c", "cat /dev/zero >/tmp/x", options=["--memory", "96M", "--tmp-size", "96M"])
    verdict(r, "oom", 137)
    r = husk("perl", "-e", "use Socket; my @s; for (1..60000) { socketpair(my $a, my $b, 1, 1, 0) or last; "
             "$a->blocking(0); syswrite $a, 'x' x 4096 for 1..30; push @s, $a, $b } print 'end'",
             options=["--memory", "96M"])
    check((r.status["verdict"], r.rc) in (("oom", 137), ("exited", 0)), "%r" % r)


def test_output_limit():
    """output_limit: truncate keeps the first bytes, each stream by itself"""
    r = husk("sh", "-c", "head -c 999 /dev/zero; seq 30000 >&2; head -c 1000 /dev/zero >&3",
             options=["--output-limit", "1000"])
    verdict(r, "exited", 0)
    eq((len(r.out), len(r.result)), (999, 1000))
    eq(r.err, "".join("%d\n" % i for i in range(1, 30001)).encode()[:1000])
    for name, cut in (("stdout", False), ("stderr", True), ("result", False)):
        eq(r.status["streams"][name]["truncated"], cut, name)


def test_output_limit_kill():
    """output_limit: kill is 153 at the first byte too many, of any stream"""
    for to in ("", " >&3"):
        r = husk("sh", "-c", "yes" + to, options=["--output-limit", "1000", "--on-output-limit", "kill"])
        verdict(r, "output_limit", 153)
        eq((r.out, r.result), (b"", b"y\n" * 500) if to else (b"y\n" * 500, b""))
        one_line(Result(r.rc, b"", r.err))
    # Exactly the limit is none too many.
    r = husk("head", "-c", "1000", "/dev/zero",
             options=["--output-limit", "1000", "--on-output-limit", "kill"])
    verdict(r, "exited", 0)
    eq(len(r.out), 1000)
    eq(r.status["streams"]["stdout"]["truncated"], False)


def test_interrupted():
    """interrupted: SIGINT 130, SIGTERM 143, SIGHUP 129, partial output kept"""
    for s, rc in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)):
        st = scratch("interrupted-status")
        p = start("sh", "-c", "echo up; echo e >&2; sleep 1000", options=["--status", st])
        eq(p.stdout.readline(), b"up\n")
        eq(p.stderr.readline(), b"e\n")
        p.send_signal(s)
        eq(p.wait(), rc)
        j = json.load(open(st))
        eq((j["verdict"], j["exit_status"], j["code"]), ("interrupted", rc, int(s)))


def test_interrupted_in_boot():
    """interrupted: SIGTERM when the guest has only just begun"""
    st = scratch("boot-status")
    p = start("true", options=["--kernel", elf_guest(SPIN), "--status", st])
    wait_for(lambda: threads(p.pid) > 1, "the vCPU to run")
    p.send_signal(signal.SIGTERM)
    eq(p.wait(), 143)
    eq(json.load(open(st))["verdict"], "interrupted")
    eq((p.stdout.read(), p.stderr.read()), (b"", b""))


def test_status_object():
    """the status object counts: bytes, memory, times, exits, identity"""
    r = husk("python3", "-c", "import sys;x=bytearray(32<<20)\nsys.stdout.write(sys.stdin.read())",
             stdin=b"12345")
    s = r.status
    eq(s["streams"]["stdin"]["bytes"], 5)
    eq(s["streams"]["stdout"], {"bytes": 5, "delivered": 5, "truncated": False})
    check(s["memory_peak"] > 32 << 20, "memory_peak %r" % s["memory_peak"])
    check(s["cpu_user_ns"] > 0 and s["wall_ns"] > 0, "times")
    t = s["timeline_ns"]
    # In a copy of a template init is ready when the first instruction runs.
    check(0 < t["t1_run"] <= t["t2_init"] < t["t3_first_byte"] < t["t4_exit"], "timeline %r" % t)
    eq(s["exits"]["total"], sum(v for k, v in s["exits"].items() if k != "total"))
    eq(s["kernel"]["salt"], "husk-1")
    eq(s["kernel"]["size"], os.stat(KERNEL).st_size)
    check(len(s["image"]["uuid"]) == 36, "uuid")
    check(s["guest_pages"] > 0 and s["private_bytes"] > 0, "memory")


def test_status_fd():
    """--status-fd gets one JSON object and a newline"""
    r, w = os.pipe()
    p = subprocess.Popen(argv("sh", "-c", "exit 3", options=["--status-fd", str(w)]),
                         pass_fds=[w], stdin=subprocess.DEVNULL, env=ENV)
    os.close(w)
    eq(p.wait(), 3)
    text = os.read(r, 65536)
    check(text.endswith(b"}\n") and text.count(b"\n") == 1, "%r" % text)
    eq(json.loads(text)["code"], 3)


def test_guest_crash():
    """guest_crash: a kernel that dies without a verdict, and why"""
    for code, word in ((b"\x0f\x0b", b"triple fault"),  # ud2, no IDT
                       (RESET, b"reset"),
                       (says(b"Kernel panic - not syncing: \x1b[31m red\n") + RESET, b"panic")):
        r = husk("true", options=["--kernel", elf_guest(code)])
        verdict(r, "guest_crash", 125)
        one_line(r)
        check(word in r.err, "no %r in %r" % (word, r.err))
        check(b"\x1b" not in r.err, "control characters: %r" % r.err)


def test_guest_panic_in_job():
    """guest_crash: a Linux kernel that panics or faults in a job; output until then is kept"""
    for code, word in ((b"\x0f\x0b", b"Kernel panic - not syncing"),
                       # An empty IDT: push $0; push $0; lidt (%rsp); ud2
                       (b"\x6a\0\x6a\0\x0f\x01\x1c\x24\x0f\x0b", b"triple fault")):
        log, st = scratch("panic-console"), scratch("panic-status")
        p = start(*SPRING, options=["--kernel", corrupted(code), "--console", log, "--status", st])
        eq(p.stdout.readline(), b"up\n")
        p.stdin.write(b"\n")
        eq(p.wait(), 125)
        err = p.stderr.read()
        check(err.startswith(b"husk: ") and word in err and err.count(b"\n") == 1, "%r" % err)
        check(b"Linux version" in head_of(log, 1 << 20), "--console of a crash")
        eq(json.load(open(st))["verdict"], "guest_crash")


def test_console():
    """--console keeps the guest kernel's log, and what init says when it gives up"""
    log = scratch("console", b"old")
    eq(husk("true", options=["--console", log]).rc, 0)
    text = open(log).read()
    check(not text.startswith("old") and "cut here" not in text and "Linux version" in text and "Run /init" in text,
          "%r" % (text[:200] + "..." + text[-200:]))
    empty = scratch("no-root", head_of(IMAGE, 2048))
    os.truncate(empty, 1 << 20)
    r = husk_raw(["run", "--console", log, "--image", empty, "--", "true"])
    eq(r.rc, 125, "%r" % r)
    one_line(r)
    eq(husk_raw(["run", "--console", log, "--kernel", "/no/such/kernel", "--", "true"]).rc, 125)
    check(open(log).read(), "the log after a run that did not start")
    eq(husk("true", options=["--console", log, "--console-limit", "1K"]).rc, 0)
    eq(head_of(log, -1)[1024:], b"\n[cut here by husk: --console-limit]\n")


def test_timeline():
    """--timeline goes to stderr only"""
    r = husk("echo", "x", options=["--timeline"])
    eq(r.out, b"x\n")
    for word in (b"T0", b"T1", b"T2", b"T3", b"T4", b"T5", b"exits"):
        check(word in r.err, "no %r in %r" % (word, r.err))


main()
