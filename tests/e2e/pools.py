# SPDX-License-Identifier: MIT
"""A pool as its suites hold it: the process, its socket, its machines, its clients."""

import socket

from lib import *

RUNS = int(os.environ.get("HUSK_RUNS") or 10)
made = {}


def template(*options, warm=()):
    key = options, tuple(warm)
    if key not in made:
        made[key] = make_template(*options, warm=warm)
    return made[key]


class Pool:
    """A pool of this template; its words on stderr are in .words()."""

    def __init__(self, of=None, size=2, options=(), prefix=(), program=HUSK, folder=FOLDER):
        self.path = os.path.join(folder, "pool-%d-%d" % (os.getpid(), len(made_pools)))
        self.size = size
        self.log = self.path + ".err"
        self.p = start_pool(self.path, of or template(), size, options, [*prefix, program])
        made_pools.append(self)

    def words(self):
        return head_of(self.log, -1)

    def machines(self):
        return children(self.p.pid)

    def rested(self):
        """All machines that wait, once there are as many as there should be."""
        return wait_for(lambda: len(self.machines()) == self.size and sorted(self.machines()), "machines to wait")

    def end(self, sig=signal.SIGTERM):
        self.p.send_signal(sig)
        out = self.p.communicate()[0]
        return self.p.returncode, out

    def argv(self, *cmd, options=()):
        return [HUSK, "run", "--pool", self.path, *options, *(("--", *cmd) if cmd else ())]

    def run(self, *cmd, options=(), stdin=b""):
        with tempfile.TemporaryDirectory(prefix="husk-e2e-") as d:
            res, st = os.path.join(d, "result"), os.path.join(d, "status")
            p = self.start(*cmd, options=["--result", res, "--status", st, *options])
            r = Result(None, *talk(p, stdin))
            r.rc = p.returncode
            r.result = head_of(res, -1) if os.path.exists(res) else b""
            r.status = json.loads(head_of(st, -1)) if os.path.exists(st) else None
            return r

    def start(self, *cmd, options=(), **kw):
        for name in ("stdin", "stdout", "stderr"):
            kw.setdefault(name, subprocess.PIPE)
        return subprocess.Popen(self.argv(*cmd, options=options), bufsize=0, env=ENV, **kw)

    def connect(self):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.connect(self.path)
        return s


made_pools = []
shared = {}


def pool():
    """One that tests share; each leaves it as it was."""
    if "pool" not in shared:
        shared["pool"] = Pool()
    return shared["pool"]


@atexit.register
def end_pools():
    for p in made_pools:
        if p.p.poll() is None:
            p.p.kill()
            p.p.wait()
        for path in (p.path, p.log):
            if os.path.exists(path):
                os.unlink(path)


def is_gone(pid):
    return not os.path.exists("/proc/%d" % pid)


def order_of_start(pid):
    with open("/proc/%d/stat" % pid) as f:
        return int(f.read().rsplit(")", 1)[1].split()[19]), pid


def answer(s):
    """What comes back, b"" for a connection that was closed."""
    s.settimeout(PATIENCE)
    try:
        return s.recv(1 << 16)
    except ConnectionResetError:
        return b""


def head(kind, n, version=2, magic=b"POOL"):
    return magic + struct.pack("<HHI", version, kind, n)


def waits_in_poll(pid):
    with open("/proc/%d/syscall" % pid) as f:
        return f.read().split()[0] in ("7", "271")  # poll, ppoll
