# SPDX-License-Identifier: MIT
"""The inner wall: what a job can do to its guest, and what comes of it.

Shows of issue 4: a job's verdict, its streams and init can not be forged or
stopped by it. Each attack runs as an ordinary user and as root of the guest
(--user 0); each has the verdict and the streams that it should have, and the
next job works. What a job may do with a namespace of its own counts, too:
"nested" attacks are done by the root of one.
"""

import ctypes
import mmap

from inner import *

# ---- too much of something ----

BOMB = """
def bomb():
    while True:
        try: os.fork()
        except OSError: pass
"""


def test_fork_bomb():
    """a fork bomb dies at the time limit, or with its main process, however many there are"""
    attack_until(BOMB + "bomb()\n", options=["--pids", "100"])
    attack(BOMB + """
try:
    while True:
        if os.fork() == 0: bomb()
except OSError: pass
say('kept'); os._exit(7)
""", rc=7, out=b"kept", options=["--pids", "100"])


def test_memory_bombs():
    """memory filled in any way is oom: pages, processes, locked, shared, page tables"""
    for code in ("x = []\nwhile True: x.append(bytearray(1 << 20))",
                 # Many small ones, none of which is large.
                 "while True:\n  if os.fork() == 0:\n    x = bytearray(1 << 20); signal.pause()",
                 "while True:\n  if os.fork() == 0:\n"
                 "    m = mmap.mmap(-1, 4 << 20, flags=0x2022)\n"  # MAP_LOCKED
                 "    signal.pause()",
                 "i = call(29, 0, 1 << 30, 0o11600)\nlibc.shmat.restype = ctypes.c_void_p\n"
                 "p = libc.shmat(ctypes.c_long(i), None, ctypes.c_long(0))\nctypes.memset(p, 1, 1 << 30)",
                 # A byte in each 2 MiB: it is the tables that cost.
                 "m = mmap.mmap(-1, 1 << 40, flags=0x4022, prot=3)\n"
                 "for i in range(0, 1 << 40, 1 << 21): m[i]",
                 ):
        attack("say('up')\n" + code, "oom", 137, b"up", ["--memory", "96M", "--pids", "4096"],
               users=USERS if "x = []" in code else USERS[:1])


def test_tmpfs_bombs():
    """scratch space filled with bytes, files, links, folders ends in ENOSPC, nothing else"""
    attack("""
n = 0
f = os.open('/tmp/x', os.O_CREAT | os.O_WRONLY)
try:
    while True: n += os.write(f, b'x' * 65536)
except OSError as e: say((n >> 20, e.errno == errno.ENOSPC))
""", out=b"(16, True)", options=["--tmp-size", "16M"])
    for code in ("os.close(os.open('/tmp/%d' % n, os.O_CREAT))", "os.symlink('x' * 4000, '/tmp/%d' % n)",
                 "os.mkdir('d'); os.chdir('d')", "os.mkfifo('/work/%d' % n)"):
        attack("""
os.chdir('/dev/shm')
n = 0
try:
    while n < 1000000: %s; n += 1
    say('no end')
except OSError as e: say((0 < n <= 9216, e.errno == errno.ENOSPC))
""" % code, out=b"(True, True)", options=["--tmp-size", "8M"], users=USERS[:1])


def test_a_million_symlinks():
    """a million symlinks, or as many as the scratch space takes"""
    attack("""
n = 0
try:
    while n < 1000000: os.symlink('x', '/tmp/%d' % n); n += 1
except OSError as e: assert e.errno == errno.ENOSPC
say(n)
""", out=lambda out: int(out) >= 60000, options=["--tmp-size", "60M"], users=USERS[:1])


def test_descriptors():
    """every descriptor that the guest has: the verdict needs some, and has them"""
    attack("""
resource.setrlimit(resource.RLIMIT_NOFILE, (65536, 65536))
r, w = os.pipe()
while True:
    if os.fork() == 0:
        n = 0
        try:
            while True: os.dup(os.open('/dev/null', 0)) ; n += 2
        except OSError as e: os.write(w, bytes([e.errno]))
        signal.pause()
    # EMFILE is the process's, ENFILE everybody's end.
    if os.read(r, 1)[0] != errno.EMFILE: break
os._exit(4)
""", rc=4, options=["--memory", "512M"])


def test_pipes_full():
    """pipes filled to the brim, its streams and others: every byte comes once they are read"""
    code = PRELUDE + """
for fd in (1, 2, 3):
    fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 1 << 20)
    os.set_blocking(fd, False)
try:
    while True:
        r, w = os.pipe()
        os.set_blocking(w, False)
        try:
            while True: os.write(w, b'x' * 4096)
        except BlockingIOError: pass
except OSError as e: assert e.errno == errno.EMFILE
full = 0
while full < 30:
    full += 1
    for fd in (1, 2, 3):
        try:
            while True: os.write(fd, b'%d' % fd * 4096); full = 0
        except BlockingIOError: pass
    os.sched_yield()
os._exit(4)
"""
    for user in USERS:
        r, w = os.pipe()
        st = scratch("inner-status")
        p = start("python3", "-c", code, pass_fds=[w],
                  options=["--user", user, "--status", st, "--result-fd", str(w)])
        os.close(w)
        # The job fills all of it although nobody reads; then it is over.
        wait_for(quiet(p.pid), "the job to have filled everything")
        got = [b"", b""]
        result = []
        t = threading.Thread(target=lambda: result.append(on_hand(r)))
        t.start()
        got = talk(p)
        t.join()
        os.close(r)
        status = json.load(open(st))
        eq((status["verdict"], p.returncode), ("exited", 4))
        for name, byte, bytes_ in zip(("stdout", "stderr", "result"), b"123", (*got, result[0])):
            check(len(bytes_) >= 1 << 20 and bytes_.count(byte) == len(bytes_), "%s: %d bytes" % (name, len(bytes_)))
            eq(status["streams"][name]["delivered"], len(bytes_), name)
        next_job("--user", user)


def test_closed_descriptors():
    """a job that closes everything ends as it ends, or at the time limit"""
    attack("os.closerange(0, 65536); os._exit(6)", rc=6)
    attack_until("os.closerange(0, 65536); signal.pause()")


def test_kernel_log():
    """the kernel's log filled: neither the verdict nor --console suffers"""
    code = """
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
for i in range(200):
    if os.fork() == 0: ctypes.string_at(i)
    os.wait()
# Whoever may not clear it, nor turn it up.
bad = [a for a in (4, 5, 6, 7, 8) if call(103, a, None, 8) >= 0]
say(bad)
"""
    attack(code, out=b"[]", users=USERS)
    log = scratch("inner-console")
    r = husk("python3", "-c", PRELUDE + code, options=["--console", log])
    eq((r.rc, r.out), (0, b"[]"))
    check(os.stat(log).st_size < 64 << 10, "%d bytes of log" % os.stat(log).st_size)


# ---- signals and tracing ----

def test_kill_everything():
    """kill(-1, SIGKILL): by the job it goes on, by its child it was killed; init reports"""
    # The caller is spared by the kernel.
    attack("""
if os.fork() == 0: signal.pause()
try: os.kill(-1, signal.SIGKILL)
except PermissionError: pass
say('on'); os._exit(5)
""", rc=5, out=b"on")
    attack("""
say('up')
if os.fork() == 0:
    for s in range(1, 65):
        try: os.kill(1, s)
        except PermissionError: pass
    os.kill(-1, signal.SIGKILL)
while True: signal.pause()
""", "signaled", 137, b"up")


def test_stop_everything():
    """SIGSTOP to everything: the stopped die with their job, or at the time limit"""
    attack("""
if os.fork() == 0:
    os.kill(os.getpid(), signal.SIGSTOP)
os.waitpid(-1, os.WUNTRACED)
try: os.kill(-1, signal.SIGSTOP)
except PermissionError: pass
say('on'); os._exit(5)
""", rc=5, out=b"on")
    attack_until("""
if os.fork() == 0:
    while True: os.kill(-1, signal.SIGSTOP)
while True: pass
""")


def test_init():
    """init can not be traced, read, written, signalled, slowed, limited or entered"""
    attack(r"""
buf = ctypes.create_string_buffer(4096)
iov = (ctypes.c_long * 2)(ctypes.addressof(buf), 8)
pidfd = call(434, 1, 0)
tries = {
    'ptrace attach': lambda: call(101, 16, 1, 0, 0), 'ptrace seize': lambda: call(101, 0x4206, 1, 0, 0),
    'process_vm_readv': lambda: call(310, 1, iov, 1, iov, 1, 0), 'process_vm_writev': lambda: call(311, 1, iov, 1, iov, 1, 0),
    'prlimit': lambda: call(302, 1, 7, (ctypes.c_long * 2)(0, 0), None), 'setpriority': lambda: call(141, 0, 1, 19),
    'affinity': lambda: call(203, 1, 8, b'\1' + bytes(7)), 'scheduler': lambda: call(144, 1, 5, bytes(8)),
    'ioprio': lambda: call(251, 1, 1, 0x6000), 'kcmp': lambda: call(312, 1, os.getpid(), 0, 0, 0),
    'robust list': lambda: call(274, 1, buf, buf), 'setpgid': lambda: call(109, 1, 0),
    'perf': lambda: call(298, struct.pack('IIQQ', 1, 112, 0, 0) + bytes(88), 1, -1, -1, 0),
    'perf of the CPU': lambda: call(298, struct.pack('IIQQ', 1, 112, 0, 0) + bytes(88), -1, 0, -1, 0),
    'move_pages': lambda: call(279, 1, 1, iov, (ctypes.c_int * 1)(0), (ctypes.c_int * 1)(0), 2),
    'pidfd_getfd': lambda: max(call(438, pidfd, n, 0) for n in range(40)),
    'setns': lambda: call(308, pidfd, NEWNS | NEWCGROUP),
    'process_madvise': lambda: call(440, pidfd, iov, 1, 21, 0),
}
tries.update({'signal %d' % s: lambda s=s: call(424, pidfd, s, None, 0) for s in range(1, 65)})
bad = [name for name, f in tries.items() if f() >= 0]
# A signal on behalf of init's own input and output.
r, w = os.pipe()
for fd in (0, 1, 2, 3, r):
    for s in (0, signal.SIGKILL):
        try:
            fcntl.fcntl(fd, fcntl.F_SETOWN, 1); fcntl.fcntl(fd, 10, s)
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)
        except PermissionError: pass
os.write(w, b'x')
for name in os.listdir('/proc/1'):
    path = '/proc/1/' + name
    # Its sight is no secret; what could change it is.
    if name in ('oom_score_adj', 'oom_adj', 'clear_refs', 'coredump_filter', 'autogroup', 'comm', 'sched', 'timerslack_ns'):
        if writes(path, b'1'): bad.append(path)
    elif name in ('root', 'cwd', 'exe', 'mem', 'maps', 'environ', 'auxv', 'stack', 'syscall', 'pagemap', 'io'):
        if reads(path) or opens(path, os.O_WRONLY): bad.append(path)
for name in ('fd', 'map_files', 'fdinfo', 'ns'):
    try: names = os.listdir('/proc/1/' + name)
    except OSError: continue
    bad += [name + '/' + n for n in names if name != 'fdinfo' and opens('/proc/1/%s/%s' % (name, n), os.O_RDONLY)]
say(bad)
""", out=b"[]")


# ---- files, devices, the kernel's controls ----

def test_system_files():
    """nothing in /dev, /proc and /sys that is not the job's own takes a byte"""
    attack(r"""
own = {'/dev/' + n for n in 'null zero full random urandom tty ptmx pts/ptmx stdin stdout stderr'.split()}
bad, tried = [], 0
for top in ('/dev', '/proc', '/sys'):
    for d, dirs, names in os.walk(top):
        # What is its own is tried below; init is the business of another test.
        dirs[:] = [n for n in dirs if not (d == '/proc' and n in ('1', 'self', 'thread-self', str(os.getpid())))
                   and d + '/' + n not in ('/dev/shm', '/dev/fd')]
        for n in names:
            path = d + '/' + n
            if path in own: continue
            tried += 1
            opens(path, os.O_RDWR | os.O_TRUNC)
            # Those of a kernel thread mean nothing, though root may write them.
            if writes(path, b'1\n') and not (d[6:7].isdigit() and n in ('oom_adj', 'oom_score_adj', 'clear_refs')):
                bad.append(path)
        for n in dirs + ['.']:
            try: os.mkdir(d + '/' + n + '/new'); bad.append(d + '/' + n)
            except OSError: pass
# Its own: anything but the score of one who is never killed.
for d in ('/proc/self', '/proc/thread-self'):
    for n in os.listdir(d):
        if n in ('mem', 'comm') or not os.path.isfile(d + '/' + n): continue
        for text in (b'0', b'-1000', b'\xff' * 4096):
            if writes(d + '/' + n, text) and n.startswith('oom') and text == b'-1000': bad.append(n)
for n in own - {'/dev/stdin', '/dev/stdout', '/dev/stderr'}: writes(n, b'x' * 65536)
say((tried > 500, bad))
""", out=b"(True, [])")


def test_devices():
    """no device of the host's is in reach: by name, number, handle or file system"""
    attack(r"""
bad = [p for p in ['/dev/' + n for n in ('vda', 'mem', 'kmem', 'port', 'kmsg', 'kvm', 'console', 'ttyS0', 'hvc0')]
       + ['/dev/vport%dp%d' % (i, j) for i in range(4) for j in range(6)]
       if opens(p, os.O_RDONLY) or opens(p, os.O_WRONLY)]
def nodes():
    n = 0
    for d in ('/sys/class/virtio-ports', '/sys/class/block', '/sys/class/mem', '/sys/class/misc', '/sys/class/tty'):
        for name in (os.listdir(d) if os.path.isdir(d) else ()):
            major, minor = map(int, open(d + '/' + name + '/dev').read().split(':'))
            kind = 0o060000 if 'block' in d else 0o020000
            n += 1
            try: os.mknod('/tmp/node', kind | 0o666, os.makedev(major, minor))
            except OSError: continue
            if opens('/tmp/node', os.O_RDONLY): return 200
            os.unlink('/tmp/node')
    # All streams, control and the disk at the least.
    return n if n >= 6 else 201
def mounts():
    "File systems that show devices, in a namespace of the job's own."
    call(165, None, b'/', None, 0x44000, None)
    shown = 0
    for kind in (b'devtmpfs', b'ext4', b'debugfs', b'tracefs', b'securityfs', b'efivarfs', b'bdev', b'ramfs', b'tmpfs'):
        if call(165, b'none', b'/tmp', kind, 0, None) < 0: continue
        try: os.mknod('/tmp/node', 0o020666, os.makedev(1, 1)); shown = 202
        except OSError: pass
        if os.path.exists('/tmp/vda') or kind not in (b'ramfs', b'tmpfs'): shown = 203
    return shown
def handles():
    handle = struct.pack('II', 8, 1) + struct.pack('II', 2, 0)
    fd = os.open('/', os.O_RDONLY)
    return 204 if call(304, fd, handle, os.O_RDONLY) >= 0 else 0
for f in (nodes, mounts, handles):
    for how in (child, nested):
        r = how(f)
        if r >= 200 or r < 0: bad.append((f.__name__, how.__name__, r))
say(bad)
""", out=b"[]")


def survives(code):
    """Whether a program of this host may do that, too."""
    pid = os.fork()
    if not pid:
        m = mmap.mmap(-1, 4096, prot=7)
        m[:16] = (code + b"\xc3").ljust(16, b"\xcc")
        ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def test_instructions():
    """port access, HLT, CLI, MSRs, hypercalls and vmrun by a program: a signal to it, no more"""
    # QEMU 10's processor lets any program do these two, the host's own as well: that is no hole of a guest's.
    free = [name for name, code in (("invd", b"\x0f\x08"), ("wbinvd", b"\x0f\x09")) if survives(code)]
    attack("free = %r" % free + r"""
m = mmap.mmap(-1, 4096, prot=7)
at = ctypes.addressof(ctypes.c_char.from_buffer(m))
# Each would do harm in the kernel; behind each a ret. Not iretq: any program may,
# but QEMU's emulation (7.2) then reads the stack with the kernel's rights.
names = {
    'out 0x64': b'\xb0\xfe\xe6\x64', 'out 0x3f8': b'\x66\xba\xf8\x03\xb0\x41\xee', 'in 0x60': b'\xe4\x60',
    'rep outsb': b'\x66\xba\xf8\x03\xf3\x6e', 'cli': b'\xfa', 'sti': b'\xfb', 'hlt': b'\xf4',
    'mov cr0': b'\x0f\x22\xc0', 'mov cr3': b'\x0f\x22\xd8', 'mov dr7': b'\x0f\x23\xf8', 'wrmsr': b'\x0f\x30',
    'rdmsr': b'\x0f\x32', 'lidt': b'\x0f\x01\x1c\x24', 'lgdt': b'\x0f\x01\x14\x24', 'ltr': b'\x0f\x00\xd8',
    'invd': b'\x0f\x08', 'wbinvd': b'\x0f\x09', 'invlpg': b'\x0f\x01\x3c\x24', 'swapgs': b'\x0f\x01\xf8',
    'xsetbv': b'\x0f\x01\xd1', 'vmrun': b'\x0f\x01\xd8', 'vmload': b'\x0f\x01\xda', 'vmxon': b'\xf3\x0f\xc7\x34\x24',
    'clts': b'\x0f\x06', 'sysretq': b'\x48\x0f\x07', 'ud2': b'\x0f\x0b', 'lldt': b'\x0f\x00\xd0',
    'int 0x80': b'\xcd\x80', 'int 8': b'\xcd\x08', 'stgi': b'\x0f\x01\xdc', 'monitor': b'\x0f\x01\xc8',
}
lived = []
for name, code in names.items():
    if name in free: continue
    m[:16] = (code + b'\xc3').ljust(16, b'\xcc')
    if child(lambda: ctypes.CFUNCTYPE(None)(at)()) >= 0: lived.append(name)
# To the hypervisor: only a kernel is listened to.
for code in (b'\x0f\x01\xc1', b'\x0f\x01\xd9'):
    m[:16] = (code + b'\xc3').ljust(16, b'\xcc')
    def ask():
        r = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_long)(at)(0)
        return r >= 0 and 1
    if child(ask) == 1: lived.append('hypercall')
# After iopl and ioperm, if they worked.
for nr, args in ((172, (3,)), (173, (0x3f8, 8, 1)), (173, (0x64, 1, 1))):
    if call(nr, *args) >= 0 or nested(lambda: call(nr, *args) >= 0): lived.append(nr)
say(lived)
""", out=b"[]")


# Needs a right that neither a job nor the root of a namespace has.
CALLS = r"""
big = bytes(4096)
calls = {
    'reboot': (169, 0xfee1dead, 672274793, 0x1234567, 0), 'kexec_load': (246, 0, 0, None, 0),
    'kexec_file_load': (320, 0, 0, 0, None, 0), 'init_module': (175, big, 4096, b''),
    'finit_module': (313, 0, b'', 0), 'delete_module': (176, b'virtio_console', 0), 'iopl': (172, 3),
    'ioperm': (173, 0x60, 16, 1), 'swapon': (167, b'/work/f', 0), 'swapoff': (168, b'/work/f'), 'acct': (163, b'/work/f'),
    'settimeofday': (164, (ctypes.c_long * 2)(1, 0), None), 'clock_settime': (227, 0, (ctypes.c_long * 2)(1, 0)),
    'adjtimex': (159, struct.pack('I', 1) + big), 'clock_adjtime': (305, 0, struct.pack('I', 1) + big),
    'quotactl': (179, 0x800002, b'/dev/vda', 0, None), 'open_by_handle_at': (304, 3, struct.pack('II', 8, 1) + bytes(8), 0),
    'scheduler fifo': (144, 0, 1, struct.pack('I', 1)), 'nice -20': (141, 0, 0, -20), 'ioprio rt': (251, 1, 0, 0x2000),
    'vhangup': (153,), 'bpf': (321, 0, big, 128), 'userfaultfd': (323, 0),
    'add_key': (248, b'user', b'a', b'b', 1, -3), 'keyctl': (250, 0, -3, 1), 'request_key': (249, b'user', b'a', None, 0),
    'fanotify_init': (300, 0x4, 0), 'memfd_secret': (447, 0), 'lookup_dcookie': (212, 1, big, 4096),
    'modify_ldt': (154, 1, big, 16), 'set nofile': (160, 7, (ctypes.c_long * 2)(1 << 20, 1 << 20)),
    'mlockall': (151, 7), 'raise oom score': None,
}
# Each in a child, for what worked must not spoil the next.
def tries(f):
    return [n for n, a in calls.items() if a and not f(lambda: 1 if call(*a) < 0 else 0)]
"""


def test_calls():
    """reboot, kexec, modules, ports, clocks, keys, bpf, scheduling: refused or not there"""
    attack("open('/work/f', 'w').write('x' * 65536)\nresource.setrlimit(resource.RLIMIT_MEMLOCK, (4096, 4096))\n" + CALLS + r"""
first = tries(child)
reboot = calls.pop('reboot')
inner = told(nested, lambda: tries(child))
# The root of a pid namespace may end that: it dies, and nothing else does.
say((first, inner, nested(lambda: call(*reboot))))
""", out=b"([], '[]', -1)")


def test_identity():
    """no way to another user: not by a set-user-id program, not by setuid, capset or a namespace"""
    attack(r"""
uid = os.getuid()
bad = []
for nr, args in ((105, (12345,)), (117, (12345, 12345, 12345)), (117, (4294967294,) * 3), (106, (12345,)),
                 (116, (1, (ctypes.c_int * 1)(6))), (161, (b'/tmp',)), (155, (b'/tmp', b'/tmp')), (272, (NEWNS,)),
                 (272, (NEWCGROUP,)), (170, (b'x', 1)), (165, (None, b'/', None, 0x20, None)), (166, (b'/tmp', 2)),
                 (430, (b'tmpfs', 0)), (428, (-100, b'/', 1))):
    if child(lambda: 1 if call(nr, *args) < 0 else 0) == 0: bad.append((nr, args))
# A set-user-id program of the image tells who it is, and whether it was made more.
import glob, stat, subprocess
found = [p for d in ('/usr/bin', '/bin', '/usr/sbin', '/usr/lib/openssh') for p in glob.glob(d + '/*')
         if os.path.isfile(p) and os.stat(p).st_mode & stat.S_ISUID]
for p in found[:3]:
    aux = subprocess.run([p, '--version'], env={'LD_SHOW_AUXV': '1'}, capture_output=True, text=True).stdout
    if 'AT_SECURE:            0' not in aux or 'AT_EUID:              %d\n' % uid not in aux: bad.append((p, aux))
# In a namespace only its own user can be named.
def maps(text):
    def go():
        call(272, NEWUSER)
        return 0 if writes('/proc/self/uid_map', text.encode()) else 1
    return child(go)
bad += [t for t in ('0 4294967294 1', '0 12345 1', '0 0 65536', '0 %d 2' % uid) if maps(t) == 0]
say((len(found) > 0, bad))
""", out=b"(True, [])")


def test_chroot():
    """chroot and .. in a namespace: the image is the end of the world"""
    attack(r"""
def climb():
    os.makedirs('/tmp/d', exist_ok=True)
    os.chroot('/tmp/d')
    for i in range(100): os.chdir('..')
    os.chroot('.')
    names = os.listdir('/')
    return 0 if 'usr' in names and not {'vda', 'init', 'tmpfs', 'skeleton', 'image', 'boot_id'} & set(names) else 1
def unroot():
    "Take everything away from over the first root."
    for i in range(20):
        call(166, b'/', 2)
        for path in (b'/proc', b'/sys', b'/dev', b'/tmp', b'/work', b'/run'): call(166, path, 2)
    return climb() if not {'vda', 'init', 'tmpfs'} & set(os.listdir('/')) else 2
say((nested(climb), nested(unroot)))
""", out=b"(0, 0)")


def test_mounts():
    """mounts are as they are: nothing becomes writable, nothing is uncovered or shown anew"""
    attack(r"""
RDONLY, REMOUNT, BIND, REC = 1, 32, 4096, 16384
def writable():
    bad = []
    for path in ('/', '/usr', '/dev', '/sys', '/proc/sys', '/proc/sys/kernel', '/proc/irq', '/sys/fs', '/etc'):
        try: os.mkdir(path + '/new'); bad.append(path)
        except OSError: pass
    for path in ('/proc/sys/kernel/panic', '/proc/sys/vm/overcommit_memory', '/proc/sysrq-trigger',
                 '/proc/sys/kernel/printk', '/proc/sys/kernel/core_pattern', '/proc/sys/kernel/pid_max'):
        if opens(path, os.O_WRONLY): bad.append(path)
    return bad
def attempts():
    for path in ('/', '/proc', '/proc/sys', '/proc/sysrq-trigger', '/sys', '/dev', '/proc/irq', '/proc/bus'):
        p = path.encode()
        call(165, None, p, None, REMOUNT, None)
        call(165, None, p, None, REMOUNT | BIND, None)
        call(442, -100, p, 0x8000, struct.pack('QQQQ', 0, 1, 0, 0), 32)
        if path != '/':
            call(166, p, 2)
    bad = writable()
    # A second view of the same, and file systems made anew.
    for kind in (b'proc', b'sysfs', b'cgroup2', b'devpts', b'mqueue', b'overlay', b'devtmpfs'):
        for flags in (0, RDONLY, 14):
            if call(165, b'none', b'/tmp', kind, flags, None) < 0: continue
            for d, dirs, names in os.walk('/tmp'):
                dirs[:] = [n for n in dirs if not n.isdigit() and n not in ('self', 'thread-self', 'net', 'mqueue')]
                for n in names:
                    # What a namespace of its own has is its own.
                    if d == '/tmp' and kind in (b'devpts', b'mqueue'): continue
                    if re.match('/tmp/sys/(net|user|fs/mqueue|kernel/(sem|shm|msg|auto_msgmni))', d + '/' + n): continue
                    if writes(d + '/' + n, b'1'): bad.append((kind, d + '/' + n))
            call(166, b'/tmp', 2)
    return bad
say((writable(), told(child, attempts), told(nested, attempts)))
""", out=b"([], '[]', '[]')")


def test_cgroup():
    """the job's limits are its own to meet, not to raise, nor to leave"""
    attack(r"""
def inside():
    bad = []
    if call(165, b'none', b'/tmp', b'cgroup2', 0, None) < 0: return 'no mount'
    values = {'memory.max': b'max', 'pids.max': b'max', 'memory.oom.group': b'0', 'cgroup.procs': b'0',
              'cgroup.threads': b'0', 'cgroup.freeze': b'1', 'cgroup.kill': b'1', 'memory.high': b'1',
              'cgroup.subtree_control': b'+memory', 'cgroup.type': b'threaded', 'memory.reclaim': b'1M',
              'memory.low': b'max', 'memory.min': b'max', 'cgroup.max.descendants': b'0'}
    def take(d):
        for n in os.listdir(d):
            if not os.path.isfile(d + '/' + n): continue
            if opens(d + '/' + n, os.O_WRONLY): bad.append(n)
            writes(d + '/' + n, values.get(n, b'1'))
    take('/tmp')
    try: os.mkdir('/tmp/x')
    except OSError: pass
    else:
        bad.append('mkdir')
        # In a group below, and a namespace that begins there.
        open('/tmp/x/cgroup.procs', 'w').write('0')
        call(272, NEWCGROUP)
        take('/tmp')
    return bad
say(told(nested, inside))
""", out=lambda out: out in (b"[]", b"'no mount'"))


def test_forged_end():
    """frames of init's protocol on every stream are bytes, and nothing else"""
    end = struct.pack("<IHHI", 0x4b535548, 2, 4, 48) + struct.pack("<IIQQQQII", 1, 0, 1, 1, 1, 1, 1, 0)
    for user in USERS:
        r = husk("python3", "-c", "import os\nx = bytes.fromhex('%s')\n"
                 "for i in range(1, 4): os.write(i, x * 3)\n"
                 "for i in range(4, 64):\n  try: os.write(i, x)\n  except OSError: pass\n"
                 "os._exit(9)" % end.hex(), options=["--user", user])
        eq((r.rc, r.status["verdict"], r.out, r.err, r.result), (9, "exited", end * 3, end * 3, end * 3))
        next_job("--user", user)


def test_own_sandbox():
    """what a job may use for itself: seccomp, namespaces, a child that is traced"""
    attack(r"""
# A filter that kills at getppid: struct sock_filter, loaded by prctl.
prog = struct.pack('HBBI', 0x20, 0, 0, 0) + struct.pack('HBBI', 0x15, 0, 1, 110) + \
       struct.pack('HBBI', 6, 0, 0, 0x80000000) + struct.pack('HBBI', 6, 0, 0, 0x7fff0000)
buf = ctypes.create_string_buffer(prog)
fprog = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', 4, ctypes.addressof(buf)))
def filtered():
    libc.prctl(22, 2, fprog, 0, 0)
    os.getppid()
def traced():
    pid = os.fork()
    if pid == 0:
        call(101, 0, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(8)
    os.waitpid(pid, 0)
    call(101, 7, pid, 0, 0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
say((child(filtered), child(traced), nested(lambda: os.getpid())))
""", out=b"(-31, 8, 1)")


main()
