# SPDX-License-Identifier: MIT
"""Verdicts: the exit status and the status object for each way to end."""

from lib import *


def verdict(r, name, rc):
    eq(r.status["verdict"], name, "verdict (%r)" % r)
    eq(r.rc, rc, "exit status")
    eq(r.status["exit_status"], rc, "exit_status member")


def test_exited():
    """exited: every kind of status passes unchanged"""
    for n in (0, 1, 2, 7, 124, 125, 126, 127, 137, 255):
        r = husk("sh", "-c", "exit %d" % n)
        verdict(r, "exited", n)
        eq(r.status["code"], n)
        eq(r.err, b"", "stderr of an ordinary end")


def test_signaled():
    """signaled: 128 + signal, for each signal that ends a process"""
    for s in (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGPIPE):
        r = husk("sh", "-c", "kill -%d $$" % s)
        verdict(r, "signaled", 128 + s)
        eq(r.status["code"], int(s))


def test_not_found():
    """start_failed: 127 for a command that is not there"""
    for cmd in ("no-such-command", "/no/such/file"):
        r = husk(cmd)
        verdict(r, "start_failed", 127)
        one_line(r)
        check(cmd.encode() in r.err, "the line names the command: %r" % r.err)


def test_not_executable():
    """start_failed: 126 for what can not be run"""
    for cmd in ("/etc/passwd", "/etc", "/usr/bin"):
        r = husk(cmd)
        verdict(r, "start_failed", 126)
        one_line(r)


def test_workdir_missing():
    """a work folder that is not in the image: start_failed, and the line says so"""
    r = husk("true", options=["--workdir", "/no/such/dir"])
    eq(r.status["verdict"], "start_failed")
    check(b"/no/such/dir" in r.err, "%r" % r.err)


def test_timeout():
    """timeout: 124, partial output is kept"""
    r = husk("sh", "-c", "echo before; echo e >&2; echo r >&3; sleep 1000",
             options=["--timeout", "4s" if IMAGE == "/dev/vda" else "2s"])
    verdict(r, "timeout", 124)
    eq((r.out, r.result), (b"before\n", b"r\n"))
    check(r.err.startswith(b"e\n"), "stderr %r" % r.err)


def test_cpu_time():
    """cpu_time: 124, whichever process of the job uses it"""
    r = husk("sh", "-c", "echo x; (while :; do :; done) & (while :; do :; done) & wait",
             options=["--cpu-time", "300ms"])
    verdict(r, "cpu_time", 124)
    eq(r.out, b"x\n")
    used = r.status["cpu_user_ns"] + r.status["cpu_system_ns"]
    check(300e6 <= used < 2e9, "used %d ns of CPU" % used)


def test_oom():
    """oom: 137 and told apart from a kill"""
    for cmd in ("x = []\nwhile True: x.append(bytearray(1<<20))", "bytearray(1<<40)"):
        r = husk("python3", "-c", cmd)
        if r.status["verdict"] != "exited":
            verdict(r, "oom", 137)
            one_line(r)
    # The second asks too much at once: Python gets MemoryError and exits 1.
    verdict(r, "exited", 1)
    r = husk("sh", "-c", "kill -9 $$")
    verdict(r, "signaled", 137)


def test_oom_child():
    """oom in a child ends the job: a judge must not score half a job"""
    r = husk("sh", "-c", "python3 -c 'x=bytearray(1<<30)\nfor i in range(0,1<<30,4096): x[i]=1'; echo went on")
    verdict(r, "oom", 137)


def test_output_limit():
    """output_limit: truncate keeps the first bytes and drains, kill is 153"""
    r = husk("sh", "-c", "seq 100000; echo done >&2", options=["--output-limit", "1000"])
    verdict(r, "exited", 0)
    eq(r.out, "".join("%d\n" % i for i in range(1, 100001)).encode()[:1000])
    eq(r.err, b"done\n")
    eq(r.status["streams"]["stdout"]["truncated"], True)
    eq(r.status["streams"]["stderr"]["truncated"], False)
    r = husk("sh", "-c", "yes", options=["--output-limit", "1000", "--on-output-limit", "kill"])
    verdict(r, "output_limit", 153)
    eq(len(r.out), 1000)


def test_output_limit_exact():
    """output of exactly the limit is not truncated"""
    r = husk("head", "-c", "1000", "/dev/zero",
             options=["--output-limit", "1000", "--on-output-limit", "kill"])
    verdict(r, "exited", 0)
    eq(len(r.out), 1000)
    eq(r.status["streams"]["stdout"]["truncated"], False)


def test_interrupted():
    """interrupted: SIGINT 130, SIGTERM 143, partial output kept"""
    for s, rc in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with tempfile.NamedTemporaryFile() as st:
            p = start("sh", "-c", "echo up; sleep 1000", options=["--status", st.name])
            eq(p.stdout.readline(), b"up\n")
            p.send_signal(s)
            eq(p.wait(), rc)
            j = json.load(open(st.name))
            eq((j["verdict"], j["exit_status"]), ("interrupted", rc))


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
    check(0 < t["t1_run"] < t["t2_init"] < t["t3_first_byte"] < t["t4_exit"], "timeline %r" % t)
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
    r = husk("true", options=["--kernel", elf_guest(b"\x0f\x0b")])  # ud2, no IDT
    verdict(r, "guest_crash", 125)
    one_line(r)
    # mov $0xfe, %al; out %al, $0x64
    r = husk("true", options=["--kernel", elf_guest(b"\xb0\xfe\xe6\x64")])
    verdict(r, "guest_crash", 125)


def elf_guest(code):
    """A kernel of a few instructions that claims to be husk's own."""
    import struct
    base = 0x1000000
    note = struct.pack("<III", 6, 7, 0x100) + b"Linux\0\0\0" + b"husk-1\0\0"
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, base, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0x1000, base, base, len(code), len(code), 0x1000)
    notes = struct.pack("<IIQQQQQQ", 4, 4, 176, 0, 0, len(note), len(note), 4)
    path = "/dev/shm/husk-e2e/guest-%s" % hashlib.sha256(code).hexdigest()[:8]
    with open(path, "wb") as f:
        f.write((head + load + notes + note).ljust(0x1000, b"\0") + code)
    return path


def test_spin_without_interrupts():
    """a kernel that spins with interrupts off dies on time, as does one in HLT"""
    for code in (b"\xfa\xeb\xfe", b"\xfa\xf4\xeb\xfd"):  # cli; jmp . / cli; hlt; jmp
        r = husk("true", options=["--kernel", elf_guest(code), "--timeout", "1s"])
        verdict(r, "timeout", 124)


def test_console():
    """--console keeps the guest kernel's log"""
    with tempfile.NamedTemporaryFile() as f:
        r = husk("true", options=["--console", f.name])
        eq(r.rc, 0)
        log = open(f.name).read()
        check("Linux version" in log and "Run /init" in log, log[-500:])


def test_timeline():
    """--timeline goes to stderr only"""
    r = husk("echo", "x", options=["--timeline"])
    eq(r.out, b"x\n")
    for word in (b"T0", b"T1", b"T2", b"T3", b"T4", b"T5", b"exits"):
        check(word in r.err, "no %r in %r" % (word, r.err))


def test_timeout_from_stdin():
    """--timeout-from stdin: waiting for input costs nothing, then the clock runs"""
    p = start("cat", options=["--timeout", "1s", "--timeout-from", "stdin"])
    time.sleep(3)
    eq(p.poll(), None, "ended before the first byte")
    p.stdin.write(b"x")
    eq(p.stdout.read(1), b"x")
    eq(p.wait(), 124)


main()
