# SPDX-License-Identifier: MIT
"""What the end-to-end tests share: running husk, and TAP.

A test is a function named test_*; its docstring is its name. main() runs all
of the calling module in the order they stand there and prints TAP. A test
fails by an exception; there is no skip. Everything runs inside one process on
the host that runs the microVMs: the machine itself or the lab (tests/e2e/run
decides), so a test may use pipes, signals and /proc freely.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# A hang, not a speed limit: the lab is slow and its machine shared.
PATIENCE = 300


def _ram_copy(src):
    """A copy of a build product in RAM: the lab reads files over a wire."""
    folder = "/dev/shm/husk-e2e"
    os.makedirs(folder, exist_ok=True)
    dst = os.path.join(folder, os.path.basename(src))
    tag = "%d %d" % (os.stat(src).st_mtime_ns, os.stat(src).st_size)
    try:
        with open(dst + ".tag") as f:
            if f.read() == tag and os.path.exists(dst):
                return dst
    except FileNotFoundError:
        pass
    shutil.copy(src, dst + ".new")
    os.rename(dst + ".new", dst)
    with open(dst + ".tag", "w") as f:
        f.write(tag)
    return dst


HUSK = _ram_copy(os.path.join(ROOT, "build/husk"))
KERNEL = _ram_copy(os.path.join(ROOT, "build/vmlinux"))
IMAGE = "/dev/vda" if os.environ.get("HUSK_IN_LAB") else os.path.join(ROOT, "build/base.ext4")
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
    return [HUSK, "run", *options, "--", *cmd]


def husk(*cmd, options=(), stdin=b"", env=None, cwd=None):
    """Run a job with all four streams and the status object collected."""
    with tempfile.TemporaryDirectory(prefix="husk-e2e-") as d:
        res, st = os.path.join(d, "result"), os.path.join(d, "status")
        p = subprocess.run(
            argv(*cmd, options=["--result", res, "--status", st, *options]),
            input=stdin, capture_output=True, env=env or ENV, cwd=cwd, timeout=PATIENCE)
        with open(res, "rb") as f:
            result = f.read()
        with open(st) as f:
            status = json.load(f)
        return Result(p.returncode, p.stdout, p.stderr, result, status)


def husk_raw(args, **kw):
    """husk with exactly these arguments; for wrong ones."""
    kw.setdefault("env", ENV)
    kw.setdefault("stdin", subprocess.DEVNULL)
    p = subprocess.run([HUSK, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=PATIENCE, **kw)
    return Result(p.returncode, p.stdout, p.stderr)


def start(*cmd, options=(), **kw):
    """A running husk: Popen with pipes unless told otherwise."""
    for name in ("stdin", "stdout", "stderr"):
        kw.setdefault(name, subprocess.PIPE)
    kw.setdefault("env", ENV)
    return subprocess.Popen(argv(*cmd, options=options), bufsize=0, **kw)


def eq(got, want, what=""):
    if got != want:
        if isinstance(got, bytes) and len(got) > 400:
            got = got[:200] + b"..." + got[-200:]
        raise AssertionError("%s: got %r, want %r" % (what or "value", got, want))


def check(cond, what):
    if not cond:
        raise AssertionError(what)


def one_line(r):
    """husk said exactly one line of its own, and nothing on stdout."""
    eq(r.out, b"", "stdout")
    check(r.err.startswith(b"husk: ") and r.err.count(b"\n") == 1 and r.err.endswith(b"\n"),
          "want one line of husk on stderr, got %r" % r.err)


def pattern(n, seed=0):
    """n bytes that hold every value and no short period."""
    block = b"".join(hashlib.sha256(b"%d.%d" % (seed, i)).digest() for i in range(128))
    block = bytes(range(256)) + block
    return (block * (n // len(block) + 1))[:n]


def wait_for(cond, what, patience=PATIENCE):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        v = cond()
        if v:
            return v
        time.sleep(0.02)
    raise AssertionError("timed out waiting for " + what)


def private_kib(pid):
    """Private memory of a process beyond its largest mapping (guest RAM)."""
    sizes = []
    private = 0
    with open("/proc/%d/smaps" % pid) as f:
        for line in f:
            word = line.split()
            if word[0] == "Size:":
                sizes.append([int(word[1]), 0])
            elif word[0] in ("Private_Clean:", "Private_Dirty:"):
                sizes[-1][1] += int(word[1])
                private += int(word[1])
    return private - max(sizes)[1]


def main():
    """Run the calling script's tests; with arguments, those whose name has one."""
    mod = sys.modules["__main__"]
    tests = [v for k, v in vars(mod).items() if k.startswith("test_") and callable(v)]
    if sys.argv[1:]:
        tests = [t for t in tests if any(a in t.__name__ for a in sys.argv[1:])]
    print("1..%d" % len(tests), flush=True)
    failed = 0
    for i, t in enumerate(tests, 1):
        name = (t.__doc__ or t.__name__).strip().split("\n")[0]
        try:
            t()
            print("ok %d - %s" % (i, name), flush=True)
        except Exception as e:  # a test may fail in any way
            failed += 1
            print("not ok %d - %s: %s" % (i, name, str(e).replace("\n", "\\n")[:600]), flush=True)
            traceback.print_exc()
            sys.stderr.flush()
    sys.exit(1 if failed else 0)
