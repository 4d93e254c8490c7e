# SPDX-License-Identifier: MIT
"""The classic threats, and what each costs the host: CPU, memory, disk, output.

Shows of issue 4: the table of SECURITY.md, which `tests/e2e/run 57 --table`
prints anew, and its bounds. Needs root: each run has a cgroup of its own that
counts for it.
"""

from lib import *

MEMORY = 128 << 20
OUTPUT = 1 << 20
# husk itself: two processes, their stacks and tables, KVM's.
OWN = 24 << 20
LIMITS = ["--memory", "128M", "--tmp-size", "32M", "--pids", "100", "--output-limit", "1M"]
ENDLESS = ("--timeout", "4s", "--timeout-from", "stdin")

ESCALATE = ("import ctypes, os\nlibc = ctypes.CDLL(None)\nwon = 0\n"
            "for f in (lambda: os.setuid(12345), lambda: os.chroot('/tmp'), lambda: os.mknod('/tmp/n', 0o60666, 65024),\n"
            "          lambda: os.kill(1, 9), lambda: open('/proc/1/mem', 'rb').read(1), lambda: open('/dev/mem'),\n"
            "          lambda: open('/proc/sys/kernel/core_pattern', 'w').write('|/tmp/x'), lambda: open('/proc/sysrq-trigger', 'w').write('c')):\n"
            "  try: f(); won += 1\n"
            "  except OSError: pass\n"
            "for nr, a in ((169, 0xfee1dead), (172, 3), (175, 0), (246, 0), (321, 0)): won += libc.syscall(nr, a, 672274793, 0x1234567, 0) >= 0\n"
            "print(won)")
ROUND = "exec 2>/dev/null; rm -rf /etc/* /usr/bin/*; for f in /etc/* /usr/bin/* /dev/* /proc/sys/kernel/*; do echo x >$f; done; " \
        "for d in / /etc /usr /proc /sys /dev; do echo x >$d/x; done; dd if=/dev/zero of=/dev/vda; exit 5"

# Name, verdict, status, command, options; what is longer than a shell line has a function.
THREATS = (
    ("endless loop", "timeout", 124, ("sh", "-c", "read x; while :; do :; done"), ENDLESS),
    ("endless output", "output_limit", 153, ("sh", "-c", "yes"), ("--on-output-limit", "kill")),
    ("fork bomb", "timeout", 124, ("perl", "-e", "<STDIN>; $SIG{TERM} = 'IGNORE'; fork while 1"), ENDLESS),
    ("memory filling", "oom", 137, ("perl", "-e", "my @x; push @x, 'x' x 1e6 while 1"), ()),
    ("disk filling", "exited", 1, ("sh", "-c", "cat /dev/zero >/tmp/x"), ()),
    ("overwriting files", "exited", 5, ("sh", "-c", ROUND), ()),
    ("overwriting files as root", "exited", 5, ("sh", "-c", ROUND), ("--user", "0")),
    ("privilege escalation", "exited", 0, ("python3", "-c", ESCALATE), ()),
    ("privilege escalation as root", "exited", 0, ("python3", "-c", ESCALATE), ("--user", "0")),
    ("guest kernel taken over", "guest_crash", 125, SPRING, ("--kernel", lambda: corrupted(b"\x0f\x0b"))),
)


def measure(verdict, rc, cmd, options):
    """One threat in a cgroup of its own: what the host counted."""
    group = "/sys/fs/cgroup/husk-e2e-%d" % os.getpid()
    st = scratch("threat-status")
    options = [*LIMITS, *(o() if callable(o) else o for o in options), "--status", st]
    before = host_state()
    os.mkdir(group)
    try:
        def enter():
            with open(group + "/cgroup.procs", "w") as f:
                f.write("0")
        p = start(*cmd, options=options, preexec_fn=enter)
        got = [b"", b""]

        def collect(i, pipe):
            got[i] = on_hand(pipe.fileno())
        ts = [threading.Thread(target=collect, args=x) for x in enumerate((p.stdout, p.stderr))]
        [t.start() for t in ts]
        try:
            p.stdin.write(b"\n")
        except BrokenPipeError:
            pass
        _, wait_status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(wait_status)
        [t.join() for t in ts]
        p.stdin.close()
        status = json.load(open(st))
        stat = dict(line.split() for line in open(group + "/cpu.stat"))
        row = {"cpu_ms": int(stat["usage_usec"]) // 1000, "memory": int(head_of(group + "/memory.peak", 99)),
               "disk": usage.ru_oublock * 512, "out": sum(status["streams"][n]["bytes"] for n in ("stdout", "stderr", "result")),
               "wall_ms": status["timeline_ns"]["t4_exit"] // 1000000, "said": got}
    finally:
        wait_for(lambda: not head_of(group + "/cgroup.procs", 99), "its cgroup to be empty")
        os.rmdir(group)
    eq((status["verdict"], p.returncode), (verdict, rc), "%r %r" % (got, status["reason"]))
    eq(host_state(), before, "what is left")
    return row


def holds(name, verdict, rc, cmd, options):
    row = measure(verdict, rc, cmd, options)
    check(row["memory"] <= MEMORY + OWN, "%s: %d bytes of memory" % (name, row["memory"]))
    eq(row["disk"], 0, name + ": bytes written to disks")
    check(row["out"] <= 3 * OUTPUT, "%s: %d bytes of output" % (name, row["out"]))
    # A vCPU and the loop: no more than both all the time.
    check(row["cpu_ms"] <= 2 * row["wall_ms"] + 1000, "%s: %r" % (name, row))
    if "escalation" in name:
        eq(row["said"][0], b"0\n", "attempts that worked")
    return row


def all_of_them(tell):
    before = image_hash()
    for threat in THREATS:
        tell(threat, holds(*threat))
    eq(image_hash(), before, "the image")


def test_threats():
    """endless loop, memory and disk filling, overwriting files, privilege escalation: within bounds"""
    all_of_them(lambda threat, row: None)


def table():
    print("| threat | verdict | host CPU, ms | host memory, MiB | written to disk, bytes | output, bytes |")
    print("|---|---|---|---|---|---|")
    all_of_them(lambda threat, row: print("| %s | `%s` %d | %d | %.1f | %d | %d |" % (
        *threat[:3], row["cpu_ms"], row["memory"] / (1 << 20), row["disk"], row["out"]), flush=True))


if "--table" in sys.argv:
    table()
else:
    main()
