# SPDX-License-Identifier: MIT
"""husk's own jail: what the machine's process has left, and who speaks for it when it is killed.

Shows of issue 4, "The outer wall": the layers as /proc sees them, as root and as an
ordinary user; each allowed system call is used, and nothing else is; --jail=require
and off; the supervisor's verdict; MSRs and CPUID of the guest.

What each forbidden call does is in tests/unit/test_jail.c.
"""

import fcntl
import re
import socket
import termios

from lib import *

LAYERS = ["pid_ns", "user_ns", "ipc_ns", "uts_ns", "net_ns", "root", "id", "caps", "limits", "syscalls", "msrs"]


def popen(args):
    return subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV, bufsize=0)


def status_of(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def end(p):
    p.kill()
    p.wait()
    p.stdin.close(), p.stdout.close(), p.stderr.close()


def look(args, uid_is):
    """A running machine from outside, as root sees it."""
    p = popen(args)
    eq(p.stdout.readline(), b"up\n")
    pid = machine(p.pid)
    s = status_of(pid)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        eq(int(s[name], 16), 0, name)
    eq((s["NoNewPrivs"], s["Seccomp"], s["NSpid"].split()[-1]), ("1", "2", "1"))
    for task in os.listdir("/proc/%d/task" % pid):
        t = status_of(int(task))
        eq((t["NoNewPrivs"], t["Seccomp"], int(t["CapEff"], 16)), ("1", "2", 0), "thread")
    uids, gids = set(s["Uid"].split()), set(s["Gid"].split())
    check(len(uids) == 1 and len(gids) == 1 and uid_is(int(uids.pop())), "ids %s %s" % (s["Uid"], s["Gid"]))
    eq(os.listdir("/proc/%d/root" % pid), [], "its root")
    with open("/proc/%d/mountinfo" % pid) as f:
        mounts = f.read().splitlines()
    check(len(mounts) == 1 and " / / ro," in mounts[0], "its mounts: %r" % mounts)
    for ns in ("pid", "user", "ipc", "uts", "net", "mnt"):
        check(os.readlink("/proc/%d/ns/%s" % (pid, ns)) != os.readlink("/proc/self/ns/%s" % ns), ns + " namespace")
    with open("/proc/%d/net/dev" % pid) as f:
        eq([line.split(":")[0].strip() for line in f][2:], ["lo"], "its interfaces")
    fds = sorted(os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fd" % pid))
    for fd in fds:
        check(re.match(r"pipe:|anon_inode:(\[eventfd\]|\[signalfd\]|kvm-vm|kvm-vcpu:0)$|%s$" % IMAGE, fd), "open: %r" % fds)
    check(len(fds) <= 10, "open: %r" % fds)
    with open("/proc/%d/limits" % pid) as f:
        limits = {line[:26].strip(): line[26:].split()[1] for line in f}
    eq((limits["Max core file size"], limits["Max open files"]), ("0", "64"))
    # The supervisor holds stderr and what it needs to wait.
    check(len(os.listdir("/proc/%d/fd" % p.pid)) <= 3, "the supervisor's descriptors")
    end(p)
    wait_for(lambda: not os.path.exists("/proc/%d" % pid), "the machine to be gone")
    return s["Uid"].split()[0]


JOB = ("sh", "-c", "echo up; sleep 1000")


def test_layers_as_root():
    """as root: no capability, a uid of its own, an empty root, namespaces, filters on every thread"""
    command = argv(*JOB, options=["--jail", "require", "--cpus", "2"])
    command[command.index("2")] = "1"  # one vCPU: its descriptor is in the list above
    p = popen(command)
    eq(p.stdout.readline(), b"up\n")
    second = look(command, lambda uid: 0x70000000 <= uid < 0x80000000)
    first = status_of(machine(p.pid))["Uid"].split()[0]
    end(p)
    check(first != second, "both are uid %s" % first)


def test_uids_of_containers():
    """two machines with the same pid, of two containers on one host, are two users"""
    box = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    ps = [popen([*box, *argv(*JOB)]) for _ in range(2)]
    found = []
    for p in ps:
        eq(p.stdout.readline(), b"up\n")
        husk, = children(p.pid)
        status = status_of(machine(husk))
        # The last but one: in the container.
        found.append((status["NSpid"].split()[-2], status["Uid"].split()[0]))
    for p in ps:
        end(p)
    eq(found[0][0], found[1][0], "pids")
    check(found[0][1] != found[1][1], "both are uid %s" % found[0][1])


def test_layers_as_user():
    """as an ordinary user: the same, and still that user"""
    look(as_user(argv(*JOB, options=["--jail", "require"])), lambda uid: uid == USER)


# ---- system calls ----

def calls_of(trace):
    """From strace's log: calls after the filter went on, by kind of thread."""
    main, sealed, calls = set(), set(), {"loop": set(), "vcpu": set()}
    with open(trace) as f:
        for line in f:
            m = re.match(r"(\d+) +(?:<\.\.\. )?([a-z0-9_]+)(\(| resumed)", line)
            if not m:
                continue
            pid, name, how = m.groups()
            if name == "unshare":
                main.add(pid)
            if name == "seccomp" and "SECCOMP_SET_MODE_FILTER" in line:
                sealed.add(pid)
            elif pid in sealed and how == "(":
                calls["loop" if pid in main else "vcpu"].add(name)
    check(len(sealed) >= 2, "no thread was sealed in %s" % trace)
    return calls


def traced(command, data=b"", **kw):
    trace = os.path.join(FOLDER, "trace")
    p = subprocess.Popen(["strace", "-f", "-o", trace, *command], env=ENV,
                         **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **kw})
    if data:  # when the job waits for it, so that the loop reads
        eq(p.stdout.read(3), b"up\n")
        time.sleep(2)
    out, err = p.communicate(data if p.stdin else None, timeout=PATIENCE)
    check(p.returncode == 0, "%r: %r %r" % (command, p.returncode, err))
    return calls_of(trace)


CLOCK = "/sys/devices/system/clocksource/clocksource0/"


def without_vdso(run):
    """With a clock that programs cannot read by themselves, each look at it is a system call."""
    with open(CLOCK + "current_clocksource") as f:
        before = f.read()
    with open(CLOCK + "available_clocksource") as f:
        slow = [c for c in f.read().split() if c in ("acpi_pm", "hpet", "jiffies", "refined-jiffies")]
    check(slow, "no clock without a vDSO")
    try:
        with open(CLOCK + "current_clocksource", "w") as f:
            f.write(slow[0])
        return run()
    finally:
        with open(CLOCK + "current_clocksource", "w") as f:
            f.write(before)


def read_late(fd):
    """Everything, but nothing before no more of it comes."""
    last, same = 0, 0
    while same < 20:
        have = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"1234"))[0]
        same = same + 1 if have and have == last else 0
        last = have
        time.sleep(0.1)
    return on_hand(fd)


def talk_late(sock, got):
    """Send when the job waits for it, so that the loop receives."""
    up = b""
    while up != b"up\n":
        up += sock.recv(3 - len(up))
    time.sleep(2)

    def feed():
        sock.sendall(pattern(300000))
        sock.shutdown(socket.SHUT_WR)
    feeder = threading.Thread(target=feed)
    feeder.start()
    got.append(read_late(sock.fileno()))
    feeder.join()
    sock.close()


def test_system_calls():
    """every system call that is allowed after the start is used, by the kind of thread that it is allowed for"""
    r = husk_raw(["check", "--json"])
    table = json.loads(r.out)["system_calls"]
    allowed = {kind: {c["name"] for c in table if c[kind]} for kind in ("loop", "vcpu", "maker", "waiter")}
    check(len(allowed["loop"] | allowed["vcpu"]) <= 20, "too many")
    check(len(allowed["vcpu"]) < len(allowed["loop"] | allowed["vcpu"]), "a vCPU may do as much as all")
    check(all(len(c["why"]) > 5 for c in table), "a call without a reason")
    used = {"loop": set(), "vcpu": set()}

    def add(calls):
        for kind in used:
            check(calls[kind] <= allowed[kind], "%s made %r" % (kind, calls[kind] - allowed[kind]))
            used[kind] |= calls[kind]
    st = scratch("jail-status")
    # Pipes, all reports, the time limit armed from inside, and teardown.
    add(traced(argv("sh", "-c", "echo up; cat; echo e >&2; echo r >&3; exec 1>&-; sleep 1", options=[
        "--status", st, "--timeline", "--result", st + "r", "--console", st + "c",
        "--timeout", "900s", "--timeout-from", "stdin", "--env", "BIG=" + 120000 * "x"]), data=b"in\n"))
    # A socket and then a pipe that is full before somebody reads: then the loop sends.
    a, b = socket.socketpair()
    got = []
    ts = [threading.Thread(target=talk_late, args=(b, got))]
    ts[0].start()
    add(traced(argv("sh", "-c", "echo up; cat"), stdin=a, stdout=a))
    a.close()
    r, w = os.pipe()
    ts.append(threading.Thread(target=lambda: got.append(read_late(r))))
    ts[1].start()
    add(traced(argv("head", "-c", "200000", "/dev/zero"), stdout=w, stdin=subprocess.DEVNULL))
    os.close(w)
    [t.join() for t in ts]
    os.close(r)
    eq(got, [pattern(300000), bytes(200000)], "through the socket and the pipe")
    # Input that is there before the guest asks: then the vCPU receives and reads.
    a, b = socket.socketpair()
    b.sendall(pattern(60000))
    b.shutdown(socket.SHUT_WR)
    add(traced(argv("cat"), stdin=a))
    a.close(), b.close()
    r, w = os.pipe()
    os.write(w, pattern(60000))
    os.close(w)
    add(traced(argv("cat"), stdin=r))
    os.close(r)
    # Pipes of somebody else: they cannot be opened anew, so each write asks first.
    add(traced(as_user(argv("echo", "x"))))
    # A terminal of somebody else: it cannot be opened anew, nor told not to wait, so the vCPU polls.
    master, slave = os.openpty()
    add(traced(as_user(argv("echo", "x")), stdout=slave))
    os.close(slave), os.close(master)
    add(without_vdso(lambda: traced(argv("true"))))
    for kind in used:
        eq(sorted(allowed[kind] - used[kind]), [], "allowed for a %s and never used" % kind)
    # A template's maker has a list of its own.
    of = os.path.join(FOLDER, "jail-template")
    calls = traced([HUSK, "template", "create", "-o", of, "--timeout", "900s"])
    os.unlink(of)
    check(calls["loop"] <= allowed["maker"], "the maker made %r" % (calls["loop"] - allowed["maker"]))
    # malloc asks brk or mmap, as it likes.
    own = allowed["maker"] - allowed["loop"] - {"brk"}
    eq(sorted(own - calls["loop"]), [], "allowed for the maker only and never used")


# ---- the supervisor ----

def killed(how, want_line):
    """A machine that ends without a word: one line, status 125, a whole status object."""
    st = scratch("jail-status", b"old")
    p = start("sh", "-c", "echo up; sleep 1000", options=["--status", st])
    eq(p.stdout.readline(), b"up\n")
    wait_for(quiet(p.pid), "the machine to have counted that")
    os.kill(machine(p.pid), how)
    eq(p.stdout.read(), b"")
    r = Result(p.wait(), b"", p.stderr.read())
    one_line(r)
    check(want_line in r.err, "%r" % r.err)
    status = json.loads(head_of(st, -1))
    # What it had counted is not lost with it.
    eq(status["streams"]["stdout"], {"bytes": 3, "delivered": 3, "truncated": False})
    check(status["exits"]["total"] > 0 and status["timeline_ns"]["t3_first_byte"], "%r" % status)
    eq(status["said_by"], "husk")
    return r.rc, status


def test_killed_machine():
    """a machine killed by the host: the supervisor says so, 125, and writes the status"""
    rc, status = killed(signal.SIGKILL, b"killed by SIGKILL (was the host out of memory?)")
    eq((rc, status["verdict"], status["exit_status"]), (125, "error", 125))
    check("SIGKILL" in status["reason"], "%r" % status)
    # Pid 1 of a namespace feels nothing else from outside, unless it asked for it.
    rc, status = killed(signal.SIGALRM, b"time limit reached, and husk hung")
    eq((rc, status["verdict"], status["exit_status"]), (124, "timeout", 124))


def test_killed_by_its_jail():
    """a system call that is not allowed: killed by SIGSYS, and the supervisor says that"""
    for call in ("pwritev2", "ppoll"):
        st, trace = scratch("jail-status"), os.path.join(FOLDER, "trace")
        # Output goes through pwritev2; the loop's ppoll comes after the one of the start.
        p = subprocess.run(["strace", "-f", "-o", trace, "-e", "trace=" + call,
                            "-e", "inject=%s:retval=0:syscall=getpid:when=%s" % (call, "1" if call == "pwritev2" else "4+"),
                            *argv("sh", "-c", "echo x", options=["--status", st])],
                           env=ENV, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
        check(p.returncode == 125 and b"killed by its jail" in p.stderr and b"SIGSYS" in p.stderr,
              "%s: %r" % (call, p))
        status = json.loads(head_of(st, -1))
        eq((status["verdict"], status["exit_status"]), ("error", 125))


def test_killed_supervisor():
    """SIGKILL of the supervisor ends the machine with it, as root and as a user"""
    for command in (argv(*JOB), as_user(argv(*JOB)), argv(*JOB, options=["--jail", "off"])):
        p = popen(command)
        eq(p.stdout.readline(), b"up\n")
        pid = machine(p.pid)
        check(pid, "no machine")
        end(p)
        wait_for(lambda: not os.path.exists("/proc/%d" % pid), "the machine to be gone")


def test_without_cap_kill():
    """root that may signal no other user (a container's): its signals and its end reach the machine"""
    def weak(*options):
        return ["setpriv", "--bounding-set=-kill", "--inh-caps=-kill", *argv(*JOB, options=options)]
    p = popen(weak())
    eq(p.stdout.readline(), b"up\n")
    pid = machine(p.pid)
    s = status_of(pid)
    eq((s["Seccomp"], int(s["CapPrm"], 16)), ("2", 0))
    check("0" not in s["Uid"].split()[:2] and s["Uid"].split()[2] == "0", "uids %r" % s["Uid"])
    p.send_signal(signal.SIGTERM)
    eq(p.wait(), 143)
    end(p)
    p = popen(weak())
    eq(p.stdout.readline(), b"up\n")
    pid = machine(p.pid)
    end(p)
    wait_for(lambda: not os.path.exists("/proc/%d" % pid), "the machine to be gone")
    p = popen(weak("--jail=require"))
    eq(p.wait(), 125)
    check(b"this host refuses id (" in p.stderr.read(), "the layer that is missing")
    end(p)


def test_killed_maker():
    """a template's machine that is killed leaves no file, and a line"""
    folder = tempfile.mkdtemp(dir=FOLDER)
    p = popen([HUSK, "template", "create", "-o", folder])
    pid = wait_for(lambda: machine(p.pid), "its machine")
    wait_for(lambda: threads(p.pid) > 1, "its vCPU")
    fds = [os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fd" % pid)]
    check("anon_inode:kvm-vm" in fds and "/dev/kvm" not in fds, "a maker has open: %r" % fds)
    os.kill(pid, signal.SIGKILL)
    eq(p.wait(), 125)
    check(b"husk: the machine was killed by SIGKILL" in p.stderr.read(), "its line")
    eq(os.listdir(folder), [])
    os.rmdir(folder)
    end(p)


def test_signals_pass():
    """SIGINT, SIGTERM and SIGHUP to husk reach the machine"""
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        p = start(*JOB)
        eq(p.stdout.readline(), b"up\n")
        p.send_signal(s)
        eq(p.wait(), 128 + s)


def test_stop_and_continue():
    """Ctrl-Z stops the machine, and what continues husk continues it"""
    # In a group of its own, as a shell starts it: an orphaned one cannot be stopped so.
    p = start("sh", "-c", "echo up; read x; echo $x", preexec_fn=lambda: os.setpgid(0, 0))
    eq(p.stdout.readline(), b"up\n")
    pid = machine(p.pid)

    def state(of):
        return status_of(of)["State"][0]
    p.send_signal(signal.SIGTSTP)
    wait_for(lambda: state(p.pid) == "T" and state(pid) == "T", "both to stop")
    p.send_signal(signal.SIGCONT)
    wait_for(lambda: state(p.pid) != "T" and state(pid) != "T", "both to go on")
    p.stdin.write(b"on\n")
    eq((p.stdout.read(), p.wait()), (b"on\n", 0))


# ---- the option ----

class limit:
    """A limit of the host for as long as the block lasts."""

    def __init__(self, name):
        self.path = "/proc/sys/user/" + name

    def __enter__(self):
        with open(self.path) as f:
            self.before = f.read()
        with open(self.path, "w") as f:
            f.write("0")

    def __exit__(self, *_):
        with open(self.path, "w") as f:
            f.write(self.before)


def layers_of_check(prefix=lambda a: a):
    p = subprocess.run(prefix([HUSK, "check", "--json"]), env=ENV, capture_output=True, timeout=PATIENCE)
    q = json.loads(p.stdout)
    return q["fit"], {x["name"][5:]: x for x in q["questions"] if x["name"].startswith("jail")}


def test_require():
    """--jail=require: runs where all is there, else refuses and names what is missing; auto goes on"""
    fit, layers = layers_of_check()
    eq(sorted(layers), sorted(LAYERS))
    check(fit and all(x["ok"] for x in layers.values()), "%r" % layers)
    with limit("max_net_namespaces"):
        r = husk("true", options=["--jail", "require"])
        one_line(r)
        eq((r.rc, r.status["verdict"]), (125, "error"))
        check(b"this host refuses net_ns (--jail=auto" in r.err, "%r" % r.err)
        eq(husk("echo", "x").out, b"x\n")
        fit, layers = layers_of_check()
        check(fit and layers["net_ns"]["ok"] is False and layers["net_ns"]["hint"], "%r" % layers["net_ns"])
        check(all(x["ok"] for n, x in layers.items() if n != "net_ns"), "%r" % layers)
    # An ordinary user without user namespaces: files by Landlock, calls by the filters.
    with limit("max_user_namespaces"):
        p = subprocess.run(as_user(argv("true", options=["--jail=require"])), env=ENV, capture_output=True,
                           stdin=subprocess.DEVNULL, timeout=PATIENCE)
        check(p.returncode == 125 and b"refuses pid_ns, user_ns, ipc_ns, uts_ns, net_ns" in p.stderr, "%r" % p)
        p = popen(as_user(argv(*JOB)))
        eq(p.stdout.readline(), b"up\n")
        s = status_of(machine(p.pid))
        eq((s["NoNewPrivs"], s["Seccomp"], int(s["CapEff"], 16)), ("1", "2", 0))
        end(p)
        fit, layers = layers_of_check(as_user)
        check(fit and not layers["user_ns"]["ok"] and layers["syscalls"]["ok"], "%r" % layers)


def test_walls_that_are_missing():
    """--jail=auto without filters or an empty root says so in one line, and goes on"""
    def without(calls, names):
        inject = [w for c in calls for w in ("-e", "inject=%s:error=ENOSYS" % c)]
        p = subprocess.run(["strace", "-f", "-o", "/dev/null", "-e", "trace=" + ",".join(calls), *inject,
                            HUSK, "run", "--", "echo", "x"], env=ENV, stdin=subprocess.DEVNULL,
                           capture_output=True, timeout=PATIENCE)
        eq((p.returncode, p.stdout), (0, b"x\n"), "%r" % p)
        eq(p.stderr, b"husk: warning: --jail=auto: this host refuses %s (husk check says more)\n" % names)
    without(["seccomp"], b"syscalls")
    without(["mount", "landlock_create_ruleset"], b"root")
    without(["seccomp", "mount", "landlock_create_ruleset"], b"root, syscalls")


def test_off():
    """--jail=off: a warning, and no layer"""
    p = popen(argv(*JOB, options=["--jail=off"]))
    eq(p.stdout.readline(), b"up\n")
    s = status_of(machine(p.pid))
    eq((s["NoNewPrivs"], s["Seccomp"], s["Uid"].split()[0]), ("0", "0", "0"))
    p.send_signal(signal.SIGTERM)
    eq(p.wait(), 143)
    check(p.stderr.read().startswith(b"husk: warning: --jail=off"), "the warning")
    end(p)


# ---- what KVM shows the guest ----

def rdmsr(index):
    return b"\xb9" + struct.pack("<I", index) + b"\x0f\x32"


def test_msrs():
    """an MSR that Linux has no use for faults in the guest, one that it uses does not"""
    def reaches(index):
        r = husk("true", options=["--kernel", elf_guest(rdmsr(index) + says(b"passed\n") + RESET)])
        eq(r.status["verdict"], "guest_crash")
        return "passed" in r.status["reason"]
    for index in (0x10, 0x1b, 0x277, 0xc0000080):
        check(reaches(index), "MSR %#x faults" % index)
    # KVM's own, which it would answer: old clock, asynchronous faults, stolen time; the count of SMIs.
    for index in (0x11, 0x34, 0x4b564d02, 0x4b564d03):
        check(not reaches(index), "MSR %#x is there" % index)


def test_linux_misses_no_msr():
    """Linux touches no MSR that faults unexpectedly"""
    log = scratch("jail-console")
    eq(husk("true", options=["--console", log]).rc, 0)
    text = head_of(log, -1)
    check(b"Linux version" in text and b"unchecked MSR" not in text, "%r" % re.findall(b".*unchecked.*", text))


def test_cpuid():
    """the CPU of a job has no nested virtualisation, no PMU, no SGX, no AMX"""
    r = husk("cat", "/proc/cpuinfo")
    flags = set(re.search(rb"^flags\s*: (.*)", r.out, re.M).group(1).decode().split())
    check("sse2" in flags and "hypervisor" in flags, "%r" % flags)
    bad = flags & {"svm", "vmx", "sgx", "amx_tile", "amx_bf16", "amx_int8", "perfctr_core", "perfctr_nb", "arch_perfmon",
                   "perfmon_v2", "ibs", "monitor", "mwaitx", "pku", "dts", "intel_pt", "skinit"}
    eq(bad, set())


main()
