# SPDX-License-Identifier: MIT
"""Start-up on a host in trouble: each system call fails once.

Shows of issue 4: "every system call of start-up is made to fail once
(strace's fault injection): each gives one clear line and status 125, no hang,
nothing left". The calls are those that a trace of a real run shows, from
main's first one to the first KVM_RUN, cold and from a template; where a
failure does no harm, the run is as if it had not been. HUSK_FAULTS=all takes
each call of a loop, and from a template those of a cold start once more.

Left out: what the C library does before main, and calls of a thread that is
sealed, where strace can not tell a failed call from a forbidden one. It counts
in each thread, so one of those may fail beside the call that was meant: such
a run has a time limit that lets it start, and no more.
"""

import re

from lib import *

# What a call that has no other reason fails with.
DEFAULT = "EIO"
REASONS = {"openat": "EMFILE", "mmap": "ENOMEM", "brk": "ENOMEM", "mprotect": "ENOMEM", "madvise": "EINVAL",
           "clone": "EAGAIN", "clone3": "EAGAIN", "fork": "EAGAIN", "vfork": "EAGAIN", "close": "EINTR",
           "eventfd2": "EMFILE", "signalfd4": "EMFILE", "pipe2": "EMFILE", "socketpair": "EMFILE",
           "unshare": "EPERM", "mount": "EPERM", "sysinfo": "EFAULT", "getrandom": "ENOSYS"}
# These can not fail, or end the process.
NEVER = {"exit", "exit_group", "execve", "rt_sigreturn", "restart_syscall", "futex", "gettid"}
# --jail=auto does without a layer that a host refuses, and says so.
WITHOUT = rb"husk: warning: --jail=auto: this host refuses [\w, ]+ \(husk check says more\)\n"


def trace(args, *options):
    """Run under strace; the run's result and its trace."""
    log = os.path.join(FOLDER, "strace")
    p = subprocess.Popen(["strace", "-f", "-qq", "-o", log, *options, *args], env=ENV, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    be_patient()
    try:
        out, err = p.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        raise AssertionError("hangs: %s" % " ".join(options))
    with open(log, errors="replace") as f:
        return Result(p.returncode, out, err), f.read()


class Call:
    """A call of the start-up: its name, and how often it came until then, as strace counts, in each thread by itself."""

    def __init__(self, name, n, shape):
        self.name, self.n, self.shape = name, n, shape
        self.sealed_too = False

    def inject(self):
        return "%s:error=%s:when=%d" % (self.name, REASONS.get(self.name, DEFAULT), self.n)


def started(text):
    """The calls from main's first to the first KVM_RUN, in order, but those of a sealed thread."""
    main_seen, running, sealed, counts, calls = False, False, set(), {}, {}
    for line in text.split("\n"):
        m = re.match(r"(\d+) +(\w+)\((.*)", line)
        if not m:
            continue
        pid, name, rest = m.groups()
        n = counts[pid, name] = counts.get((pid, name), 0) + 1
        main_seen = main_seen or name == "fcntl" and rest.startswith("0, F_GETFD")
        running = running or name == "ioctl" and "KVM_RUN" in rest
        if pid in sealed:
            if (name, n) in calls:
                calls[name, n].sealed_too = True
        elif main_seen and not running and name not in NEVER:
            # What is no number says which call it is: those of a loop look alike.
            shape = name + re.sub(r"0x[0-9a-f]+|\d+|\bCAP_\w+", "#", rest.split(") =")[0])
            calls.setdefault((name, n), Call(name, n, shape))
        if name == "seccomp" or name == "prctl" and "SECCOMP" in rest:
            sealed.add(pid)
    check(running, "no KVM_RUN in the trace")
    return list(calls.values())


def chosen(calls, known=()):
    """Of several alike in a row the first and the last; none that is known. HUSK_FAULTS=all: all."""
    if os.environ.get("HUSK_FAULTS") == "all":
        return calls
    of = {}
    for c in calls:
        of.setdefault(c.shape, []).append(c)
    return [c for c in calls if c.shape not in known and c in (of[c.shape][0], of[c.shape][-1])]


def look(options):
    """Arguments of a run, and the calls of its start."""
    args = [HUSK, "run", *options, "--status", scratch("fault-status"), "--", "echo", "x"]
    r, text = trace(args)
    eq((r.rc, r.out), (0, b"x\n"), "the run that nothing disturbs")
    calls = started(text)
    check(len(calls) > 60, "only %d calls" % len(calls))
    return args, calls


def fails_well(args, call):
    """None, True when it did no harm, or what was wrong."""
    st = scratch("fault-status")
    if call.sealed_too:
        args = args[:2] + ["--timeout", "1ms"] + args[2:]
    try:
        r, _ = trace(args, "--seccomp-bpf", "-e", "trace=" + call.name, "-e", "inject=" + call.inject())
    except AssertionError as e:
        return str(e)
    status = head_of(st, 1 << 16)
    verdict = json.loads(status)["verdict"] if status else None
    if huskies():
        return "%s is still there after %s" % (call.inject(), r)
    if (r.rc, r.out, verdict) == (0, b"x\n", "exited") and (not r.err or re.fullmatch(WITHOUT, r.err)):
        return True
    told = r.rc == 125 and re.fullmatch(rb"husk: [^\n]{10,}\n", r.err)
    # The injection met a thread that was sealed by then: see above.
    if told and b"killed by its jail" in r.err:
        return None
    # No status object is right only where the status can not be opened.
    if told and not r.out and verdict in ("error", None):
        return None
    if call.sealed_too and (r.rc, verdict) == (124, "timeout") and b"time limit" in r.err:
        return True
    # A vCPU's KVM_RUN, or its end: the run was under way.
    if told and call.sealed_too and verdict in ("error", "guest_crash"):
        return None
    return "%s: %r, %r" % (call.inject(), r, verdict)


def fail_each(args, calls):
    before = host_state()
    bad, harmless = [], 0
    for call in calls:
        r = fails_well(args, call)
        if r is True:
            harmless += 1
        elif r:
            bad.append(r)
            print("# " + r, flush=True)
    eq(host_state(), before, "what is left")
    print("# %d calls fail, %d of them without harm" % (len(calls), harmless), flush=True)
    check(not bad, "%d of %d: %r" % (len(bad), len(calls), bad))


def test_cold():
    """each system call of a cold start fails once: one line and 125, or no harm"""
    args, calls = look([])
    fail_each(args, chosen(calls))


def test_template():
    """each further system call of a start from a template fails once: one line and 125, or no harm"""
    cold = look([])[1]
    args, calls = look(["--template", make_template()])
    fail_each(args, chosen(calls, {c.shape for c in cold}))


main()
