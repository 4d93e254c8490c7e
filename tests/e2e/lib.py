# SPDX-License-Identifier: MIT
"""What the end-to-end tests share: running husk, and TAP.

A test is a function named test_*; its docstring is its name. main() runs all
of the calling module in the order they stand there and prints TAP. A test
fails by an exception; there is no skip. Everything runs inside one process on
the host that runs the microVMs: the machine itself or the lab (tests/e2e/run
decides), so a test may use pipes, signals and /proc freely.
"""

import atexit
import faulthandler
import hashlib
import json
import os
import shutil
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from diff import difference
from folder import FOLDER, IN_LAB, is_foreign, ram_copy

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# A hang, not a speed limit: the lab is slow and its machine shared.
PATIENCE = 500
# An ordinary user's number.
USER = 4242


HUSK = ram_copy(os.path.join(ROOT, "build/husk"))
KERNEL = ram_copy(os.path.join(ROOT, "build/vmlinux"))
IMAGE = "/dev/vda" if IN_LAB else os.path.join(ROOT, "build/base.ext4")
ENV = dict(os.environ, HUSK_KERNEL=KERNEL, HUSK_IMAGE=IMAGE)


class Result:
    """How a run of husk ended."""

    def __init__(self, rc, out, err, result=b"", status=None):
        self.rc = rc
        self.out = out
        self.err = err
        self.result = result
        self.status = status

    def __repr__(self):
        return "rc=%r out=%r err=%r result=%r status=%r" % (
            self.rc, self.out[-300:], self.err[-300:], self.result[-300:], self.status)


def argv(*cmd, options=()):
    if os.environ.get("HUSK_E2E_POOL"):
        options = from_pool(from_template(options))
    elif os.environ.get("HUSK_E2E_TEMPLATE"):
        options = from_template(options)
    return [HUSK, "run", *options, "--", *cmd]


# What a template has for good; a suite runs from one with HUSK_E2E_TEMPLATE=1,
# and through a pool of it with HUSK_E2E_POOL=1.
MACHINE = ("--memory", "--cpus", "--kernel", "--image")
templates = {}


def make_template(*options, warm=(), env=ENV):
    """A template in RAM, for as long as this process lives."""
    path = os.path.join(FOLDER, "template-%d-%d" % (os.getpid(), len(templates)))
    templates[path] = path
    r = husk_raw(["template", "create", "-o", path, *options, *(("--warm", *warm) if warm else ())], env=env)
    check(r.rc == 0 and not r.out, "make a template: %r" % r)
    return path


def from_template(options):
    """The same run in a copy: what is the machine's goes into a template, made once."""
    own, rest, words = [], [], [str(w) for w in options]
    # A guest of a few instructions never rests: nothing to make a template of.
    # The log of the boot is not in a copy.
    if any("/guest-" in w for w in words) or "--console" in words:
        return options
    while words:
        w = words.pop(0)
        name, equals, _ = w.partition("=")
        (own if name in MACHINE else rest).append(w)
        if not equals and words and not words[0].startswith("--"):
            (own if name in MACHINE else rest).append(words.pop(0))
    key = tuple(own)
    if key not in templates:
        try:
            templates[key] = make_template(*own)
        except AssertionError:
            # A kernel that cannot boot, an image that is none: husk run says it.
            if not {"--kernel", "--image"} & {w.partition("=")[0] for w in own}:
                raise
            templates[key] = None
    if not templates[key]:
        return options
    return ["--template", templates[key], *rest]


def start_pool(path, of, size, options=(), program=(HUSK,)):
    """A pool of this template, once its machines wait; what it says is in PATH.err."""
    with open(path + ".err", "wb") as err:
        p = subprocess.Popen([*program, "pool", "--template", of, "--size", str(size), "--listen", path, *options],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, env=ENV)
    try:
        wait_for(lambda: b"waiting\n" in head_of(path + ".err", -1) or p.poll() is not None, "the pool's machines")
        check(p.poll() is None, "the pool has ended: %r" % head_of(path + ".err", -1))
    except AssertionError:
        p.kill()
        p.wait()
        raise
    return p


pools = {}


def from_pool(options):
    """The same run in a machine of a pool, which is started once."""
    if options[:1] != ["--template"]:
        return options
    of, rest = options[1], options[2:]
    if of not in pools:
        p = subprocess.Popen([HUSK, "pool", "--template", of, "--size=2", "--listen", of + ".pool"], env=ENV,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        pools[of] = p
        wait_for(lambda: os.path.exists(of + ".pool") or p.poll() is not None, "a pool")
        check(p.poll() is None, "no pool")
    return ["--pool", of + ".pool", *rest]


@atexit.register
def forget_templates():
    for p in pools.values():
        p.terminate()
        p.wait()
    for path in templates.values():
        if path and os.path.exists(path):
            os.unlink(path)


def talk(p, data=b""):
    """Popen.communicate with large pieces: its select for each 512 bytes is slow here."""
    out = [b"", b""]

    def feed():
        try:
            with p.stdin:
                for i in range(0, len(data), 1 << 20):
                    p.stdin.write(memoryview(data)[i:i + (1 << 20)])
        except BrokenPipeError:
            pass

    def collect(i, pipe):
        out[i] = on_hand(pipe.fileno())
        pipe.close()
    ts = [threading.Thread(target=feed)]
    ts += [threading.Thread(target=collect, args=x) for x in enumerate((p.stdout, p.stderr))]
    [t.start() for t in ts]
    try:
        p.wait()
    finally:
        p.kill()
        [t.join() for t in ts]
    return out


def husk(*cmd, options=(), stdin=b"", env=ENV, cwd=None):
    """Run a job with all four streams and the status object collected."""
    with tempfile.TemporaryDirectory(prefix="husk-e2e-") as d:
        res, st = os.path.join(d, "result"), os.path.join(d, "status")
        p = start(*cmd, options=["--result", res, "--status", st, *options], env=env, cwd=cwd)
        r = Result(None, *talk(p, stdin))
        r.rc = p.returncode
        # Wrong usage leaves neither file.
        if os.path.exists(res):
            r.result = head_of(res, -1)
        if os.path.exists(st):
            r.status = json.loads(head_of(st, -1))
        return r


def husk_raw(args, **kw):
    """husk with exactly these arguments; for wrong ones."""
    kw.setdefault("env", ENV)
    kw.setdefault("stdin", subprocess.DEVNULL)
    p = subprocess.run([HUSK, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=PATIENCE, **kw)
    return Result(p.returncode, p.stdout, p.stderr)


_started = []


def start(*cmd, options=(), **kw):
    """A running husk: Popen with pipes unless told otherwise."""
    for name in ("stdin", "stdout", "stderr"):
        kw.setdefault(name, subprocess.PIPE)
    kw.setdefault("env", ENV)
    # Each run starts the patience of its test anew.
    be_patient()
    p = subprocess.Popen(argv(*cmd, options=options), bufsize=0, **kw)
    _started.append(p)
    return p


# ---- when a test does not end ----

def _text(path):
    try:
        with open(path, errors="replace") as f:
            return f.read().strip("\n")
    except OSError as e:
        return "(%s)" % e.strerror


def _what_runs(suite, watcher):
    """Lines on where the suite, all that it started and every husk are, in the kernel's eyes."""
    stats = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        head, found, tail = _text("/proc/%s/stat" % pid).rpartition(") ")
        if found:  # it may have ended since
            stats[int(pid)] = head.partition("(")[2], tail.split()
    tree = [suite]
    tree += [p for p, (name, _) in stats.items() if name == "husk"]
    for p in tree:
        tree += [c for c, (_, f) in stats.items() if int(f[1]) == p and c not in tree]
    lines = ["up %s, load %s" % (_text("/proc/uptime"), _text("/proc/loadavg"))]
    for p in (p for p in tree if p in stats and p != watcher):
        name, f = stats[p]
        lines.append("%d (%s) of %s: %s, ticks %s+%s, exit %s" % (p, name, f[1], f[0], f[11], f[12], f[49]))
        for t in sorted(os.listdir("/proc/%d/task" % p), key=int)[:6] if os.path.exists("/proc/%d/task" % p) else ():
            at = "/proc/%d/task/%s/" % (p, t)
            stack = [line.split()[1].partition("+")[0] for line in _text(at + "stack").splitlines()[:4] if "+" in line]
            lines.append("  %s %s: %s, syscall %s, %s" % (
                t, _text(at + "comm"), _text(at + "stat").rpartition(") ")[2][:1],
                " ".join(_text(at + "syscall").split()[:3]), " < ".join(stack)))
    return lines[:40]


class _Watcher:
    """A process that outlives a test which neither ends nor takes its alarm.

    Python runs no handler while its main thread is in a wait that only
    SIGKILL ends, and no thread while it is in vfork.
    """

    def __init__(self):
        # Python's stack, which faulthandler writes without Python's help.
        self.stack = tempfile.TemporaryFile(dir="/dev/shm")
        r, self.pipe = os.pipe()
        self.suite = os.getpid()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.pipe)
            os.setsid()
            try:
                self.watch(r)
            finally:
                os._exit(0)
        os.close(r)

    def tell(self, text):
        """A new test, or a new run in it: patience begins anew."""
        self.stack.truncate(0)
        self.stack.seek(0)
        faulthandler.dump_traceback_later(PATIENCE * 1.06, file=self.stack)
        os.write(self.pipe, b"%s\n" % text.encode())

    def watch(self, r):
        name = "0"
        while select.select([r], [], [], PATIENCE * 1.12)[0]:
            text = os.read(r, 1 << 16)
            if not text:
                return
            name = text.decode().split("\n")[-2]
        self.stack.seek(0)
        said = self.stack.read().decode(errors="replace").splitlines()
        print("not ok %s: no end in sight after %d s, nor does its alarm end it" % (name, PATIENCE * 1.12))
        for line in said[:20] + _what_runs(self.suite, os.getpid()):
            print("# " + line)
        sys.stdout.flush()
        os.kill(self.suite, signal.SIGKILL)


_watcher = None
_current = ""
_late = []


def be_patient():
    """From here on the test has its whole patience again."""
    signal.alarm(PATIENCE)
    if _watcher and _watcher.suite == os.getpid():
        _watcher.tell(_current)


def _lose_patience(signum=None, frame=None, what="no end in sight"):
    _late.extend(_what_runs(os.getpid(), _watcher.pid))
    raise AssertionError("%s after %d s" % (what, PATIENCE))


def _end_all():
    """What a failed test has left running is not the next one's business."""
    for p in _started:
        if p.poll() is None:
            p.kill()
            p.wait()
    _started.clear()


def eq(got, want, what=""):
    lines = difference(got, want)
    if lines:
        raise AssertionError("%s: %s" % (what or "value", "\n".join(lines)))


def check(cond, what):
    if not cond:
        raise AssertionError(what)


def next_job(*options):
    """The host is as it was: all streams and the status of a job work."""
    r = husk("sh", "-c", "cat; echo e >&2; echo r >&3; exit 3", stdin=b"in", options=options)
    eq((r.rc, r.out, r.err, r.result, r.status["verdict"]), (3, b"in", b"e\n", b"r\n", "exited"), "the next job")


def one_line(r):
    """husk said exactly one line of its own, and nothing on stdout."""
    eq(r.out, b"", "stdout")
    check(r.err.startswith(b"husk: ") and r.err.count(b"\n") == 1 and r.err.endswith(b"\n"),
          "want one line of husk on stderr, got %r" % r.err)


def as_user(args):
    """The command as an ordinary user who may use KVM."""
    gid = os.stat("/dev/kvm").st_gid
    if IMAGE.startswith("/dev/"):
        os.chmod(IMAGE, 0o644)  # the lab's, gone with it
    return ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--groups", str(gid), "--bounding-set=-all", *args]


def pattern(n, seed=0):
    """n bytes that hold every value and no short period."""
    block = b"".join(hashlib.sha256(b"%d.%d" % (seed, i)).digest() for i in range(128))
    block = bytes(range(256)) + block
    return (block * (n // len(block) + 1))[:n]


def wait_for(cond, what):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        v = cond()
        if v:
            return v
        time.sleep(0.02)
    _lose_patience(what="no " + what)


def children(pid):
    """The processes that a process's first thread has started and that have not ended."""
    found = []
    try:
        for word in head_of("/proc/%d/task/%d/children" % (pid, pid), -1).split():
            if head_of("/proc/%d/stat" % int(word), -1).rsplit(b")", 1)[1].split()[0] != b"Z":
                found.append(int(word))
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def machine(pid):
    """The machine's process, of which husk's own is the supervisor; None before and after it is there."""
    return next(iter(children(pid)), None)


def private_kib(pid, itself=False):
    """Private memory of the machine of a husk beyond guest RAM.

    Guest RAM is what is neither reserved nor dumped, and the kernel's file
    that is mapped into the middle of it.
    """
    maps = []
    with open("/proc/%d/smaps" % (pid if itself else machine(pid))) as f:
        for line in f:
            word = line.split()
            if not word[0].endswith(":"):
                maps.append([int(word[0].split("-")[0], 16), 0, False])
            elif word[0] in ("Private_Clean:", "Private_Dirty:"):
                maps[-1][1] += int(word[1])
            elif word[0] == "VmFlags:":
                maps[-1][2] = {"nr", "dd"} <= set(word)
    guest = [at for at, _, is_guest in maps if is_guest]
    check(guest, "no guest RAM in the memory map")
    return sum(kib for at, kib, _ in maps if not min(guest) <= at <= max(guest))


def on_hand(fd):
    """Everything that can be read from a pipe until its end."""
    parts = []
    while True:
        b = os.read(fd, 1 << 16)
        if not b:
            return b"".join(parts)
        parts.append(b)


def quiet(pid, itself=False):
    """A condition: the machine of a husk and all its threads use no CPU any more."""
    last = None

    def cond():
        nonlocal last
        which = pid if itself else machine(pid)
        if not which:
            return False
        with open("/proc/%d/stat" % which) as f:
            cpu = f.read().rsplit(")", 1)[1].split()[11:13]
        time.sleep(0.5)
        same, last = cpu == last, cpu
        return same
    return cond


def threads(pid):
    """How many threads the machine of a husk has; vCPUs run from the second on."""
    child = machine(pid)
    return len(os.listdir("/proc/%d/task" % child)) if child else 0


def host_state():
    """What a run could leave: mounts, cgroups, files in RAM but for our own templates.

    Of mounts and cgroups those where we are: tests/e2e/run gives each suite a
    mount namespace of its own, the lab a cgroup.
    """
    with open("/proc/self/mountinfo") as f:
        mounts = f.read()
    with open("/proc/self/cgroup") as f:
        ours = next((line.strip()[3:] for line in f if line.startswith("0::")), "/")
    cgroups = sorted(d for d, _, _ in os.walk("/sys/fs/cgroup" + ours))
    files = sorted(os.path.join(d, n) for top in ("/tmp", "/dev/shm", "/run", "/var/tmp")
                   for d, _, names in os.walk(top) for n in names)
    return mounts, cgroups, [f for f in files if f not in templates and not is_foreign(f)]


def image_hash():
    h = hashlib.sha256()
    with open(IMAGE, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            h.update(block)
    return h.hexdigest()


def huskies():
    """Processes that run our husk binary."""
    n = 0
    for pid in os.listdir("/proc"):
        try:
            n += pid.isdigit() and os.readlink("/proc/%s/exe" % pid) == HUSK
        except OSError:
            pass
    return n


def scratch(name, data=b""):
    """A file in RAM with this content."""
    path = os.path.join(FOLDER, name)
    with open(path, "wb") as f:
        f.write(data)
    return path


def build_image(name, tree):
    """The image NAME.ext4 of a folder."""
    image = os.path.join(FOLDER, name + ".ext4")
    subprocess.run([os.path.join(ROOT, "build/husk-image"), "build", "--from", tree, "-o", image],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return image


def compile_static(path, source, *flags, cc="gcc"):
    """A static program of C source."""
    subprocess.run([cc, "-x", "c", "-Os", "-static", *flags, "-o", path, "-"], input=source.encode(), check=True,
                   stderr=subprocess.DEVNULL)
    return path


def static_image(program, source, *flags):
    """An image with a static program of this C source in /bin, and all that is mounted on; -nostdlib is a flag."""
    tree = os.path.join(FOLDER, "static-" + program)
    for name in ("bin", "proc", "sys", "dev", "tmp", "run", "work", "etc", "var/tmp"):
        os.makedirs(os.path.join(tree, name), exist_ok=True)
    scratch("static-%s/etc/hosts" % program)
    compile_static(os.path.join(tree, "bin", program), source, *flags)
    return build_image("static-" + program, tree)


def head_of(path, n):
    with open(path, "rb") as f:
        return f.read(n)


# ---- guests that are hostile, or broken ----

def elf_guest(code):
    """A kernel of a few instructions that claims to be husk's own."""
    base = 0x1000000
    note = struct.pack("<III", 6, 7, 0x100) + b"Linux\0\0\0" + b"husk-1\0\0"
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, base, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0x1000, base, base, len(code), len(code), 0x1000)
    notes = struct.pack("<IIQQQQQQ", 4, 4, 176, 0, 0, len(note), len(note), 4)
    name = "guest-" + hashlib.sha256(code).hexdigest()[:8]
    return scratch(name, (head + load + notes + note).ljust(0x1000, b"\0") + code)


def says(text):
    """Code that writes text to the early console."""
    code = b"\x66\xba\xf8\x03"  # mov $0x3f8, %dx
    for c in text:
        code += b"\xb0" + bytes([c]) + b"\xee"  # mov $c, %al; out %al, %dx
    return code


RESET = b"\xb0\xfe\xe6\x64\xf4"  # mov $0xfe, %al; out %al, $0x64; hlt
SPIN = b"\xfa\xeb\xfe"  # cli; jmp .
# A job that says up, waits for a byte, and springs what corrupted() laid.
TRAP_SYMBOL = "__x64_sys_sched_rr_get_interval"
SPRING = ("perl", "-e", '$|=1; print "up\\n"; <STDIN>; syscall(148, 0, 0); print "missed"')


def corrupted(code):
    """Our Linux kernel with other code for one system call that nobody uses.

    Stands for a kernel that a job has taken over: what it then does with the
    processor is what husk must bear.
    """
    with open(ram_copy(os.path.join(ROOT, "build/kernel/System.map"))) as f:
        addr = next(int(line.split()[0], 16) for line in f if line.split()[2] == TRAP_SYMBOL)
    data = bytearray(head_of(KERNEL, 1 << 30))
    phoff, = struct.unpack_from("<Q", data, 32)
    num, = struct.unpack_from("<H", data, 56)
    for i in range(num):
        kind, _, off, virt, _, size = struct.unpack_from("<IIQQQQ", data, phoff + 56 * i)
        if kind == 1 and virt <= addr < virt + size:
            at = off + addr - virt
            data[at:at + len(code)] = code
            return scratch("corrupted-" + hashlib.sha256(code).hexdigest()[:8], bytes(data))
    raise AssertionError("%s is in no segment of %s" % (TRAP_SYMBOL, KERNEL))


def main():
    """Run the calling script's tests; with arguments, those whose name has one."""
    mod = sys.modules["__main__"]
    tests = [v for k, v in vars(mod).items() if k.startswith("test_") and callable(v)]
    if sys.argv[1:]:
        tests = [t for t in tests if any(a in t.__name__ for a in sys.argv[1:])]
    print("1..%d" % len(tests), flush=True)
    global _watcher, _current
    _watcher = _Watcher()
    signal.signal(signal.SIGALRM, _lose_patience)
    failed = 0
    for i, t in enumerate(tests, 1):
        name = (t.__doc__ or t.__name__).strip().split("\n")[0]
        _current = "%d - %s" % (i, name)
        try:
            be_patient()
            t()
            print("ok " + _current, flush=True)
        except Exception as e:  # a test may fail in any way
            failed += 1
            said = "not ok %s: %s" % (_current, str(e) or repr(e))
            print("\n# ".join(said.split("\n") + _late), flush=True)
            traceback.print_tb(e.__traceback__)
            sys.stderr.flush()
        finally:
            _late.clear()
            signal.alarm(0)
            _end_all()
    _current = "%d - the end of the suite" % (len(tests) + 1)
    _watcher.tell(_current)
    sys.exit(1 if failed else 0)
