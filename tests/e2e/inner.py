# SPDX-License-Identifier: MIT
"""Attacks from inside: programs that a job runs against its own guest.

Every run is a copy of a template, so that boots do not take most of the time.
"""

from lib import *

os.environ["HUSK_E2E_TEMPLATE"] = "1"

USERS = ("65534", "0")

# What the attacks below begin with. A call that was refused left -errno.
PRELUDE = r"""
import ctypes, errno, fcntl, mmap, os, re, resource, signal, socket, struct, sys, traceback
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(nr, *args):
    args = [a if isinstance(a, (bytes, ctypes.Array)) or a is None else ctypes.c_long(a) for a in args]
    r = libc.syscall(ctypes.c_long(nr), *args)
    return -ctypes.get_errno() if r == -1 else r
def opens(path, flags):
    try:
        os.close(os.open(path, flags | os.O_NONBLOCK))
        return True
    except OSError:
        return False
def reads(path):
    try:
        return os.path.isdir(path) or len(open(path, "rb").read(1)) > 0
    except OSError:
        return False
def writes(path, text):
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return os.write(fd, text) >= 0
    except OSError:
        return False
    finally:
        os.close(fd)
def child(f):
    "f's return value, at most 255, or minus the signal that ended it."
    pid = os.fork()
    if pid == 0:
        try:
            r = f() or 0
        except BaseException:
            traceback.print_exc()
            r = 99
        os._exit(r)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
def told(how, f):
    "What f, done in this way, returns, as text."
    r, w = os.pipe()
    how(lambda: os.write(w, repr(f()).encode()[:4000]) < 0)
    os.close(w)
    return os.read(r, 4096).decode()
def say(text):
    os.write(1, str(text).encode())
NEWNS, NEWCGROUP, NEWUSER, NEWPID, NEWNET = 0x20000, 0x2000000, 0x10000000, 0x20000000, 0x40000000
NEWIPC, NEWUTS = 0x8000000, 0x4000000
def nested(f):
    "f in a child that is root in namespaces of its own, pid 1 included."
    def go():
        uid, gid = os.getuid(), os.getgid()
        assert call(272, NEWUSER) == 0, ctypes.get_errno()
        for name, text in (("setgroups", "deny"), ("uid_map", "0 %d 1" % uid), ("gid_map", "0 %d 1" % gid)):
            # The guest's own root has no name there, but all rights all the same.
            assert uid == 0 or writes("/proc/self/" + name, text.encode())
        # Of all these, root of the guest gets no cgroup namespace.
        assert call(272, NEWCGROUP) == (-errno.ENOSPC if uid == 0 else 0), ctypes.get_errno()
        assert call(272, NEWNS | NEWPID | NEWNET | NEWIPC | NEWUTS) == 0, ctypes.get_errno()
        r = child(f)
        if r < 0: os.kill(os.getpid(), -r)
        return r
    return child(go)
"""


def brief(r):
    return "rc=%r out=%r err=%r result=%r %s" % (r.rc, r.out[-600:], r.err[-600:], r.result[-99:], r.status["reason"])


def attack(code, verdict="exited", rc=0, out=b"", options=(), users=USERS):
    """Run it as each user; `out` may be a function that is given the output."""
    for user in users:
        r = husk("python3", "-c", PRELUDE + code, options=["--user", user, "--timeout", "300s", *options])
        what = "as user %s: %s" % (user, brief(r))
        eq((r.status["verdict"], r.rc), (verdict, rc), what)
        if callable(out):
            check(out(r.out), what)
        else:
            eq(r.out, out, what)
        # An ordinary end says nothing on stderr, any other one line.
        eq(r.err.count(b"\n"), 0 if verdict in ("exited", "signaled") else 1, what)
        eq(r.result, b"", what)
        next_job("--user", user)


def attack_until(code, seconds="2s", options=()):
    """An attack that never ends: it says up, and dies at the time limit."""
    for user in USERS:
        st = scratch("inner-status")
        p = start("python3", "-c", PRELUDE + "say('up\\n'); sys.stdin.readline()\n" + code,
                  options=["--user", user, "--timeout", seconds, "--timeout-from", "stdin", "--status", st, *options])
        eq(p.stdout.readline(), b"up\n")
        p.stdin.write(b"\n")
        out, err = talk(p)
        status = json.load(open(st))
        what = "as user %s: %r %r %r" % (user, status, out, err)
        eq((status["verdict"], p.returncode, out), ("timeout", 124, b""), what)
        eq(err.count(b"\n"), 1, what)
        next_job("--user", user)
