# SPDX-License-Identifier: MIT
"""Real programs, and the kernel features that they rely on.

Shows of issue 2: "real programs among them (gcc, python3 with its subprocess,
socket, threading and mmap modules, perl, tar of a large tree through stdin and
stdout)"; what part 1 wants of the kernel (futex, epoll, inotify, timerfd,
eventfd, signalfd, memfd, POSIX and SysV IPC, UNIX, TCP and UDP sockets, ptys,
seccomp, cgroups, overlayfs, tmpfs with xattr, AVX); that any image works.
"""

import io
import tarfile

from lib import *


def py(code, **kw):
    r = husk("python3", "-c", code, **kw)
    eq(r.rc, 0, "exit status (%r)" % r)
    return r.out.decode()


def test_gcc():
    """gcc compiles C from stdin, the program uses all four streams"""
    src = b"""
#include <stdio.h>
#include <immintrin.h>
int main(void)
{
	FILE *result = fdopen(3, "w");
	puts("out");
	fputs("err\\n", stderr);
	fprintf(result, "%d\\n", __builtin_cpu_supports("avx"));
	return 42;
}
"""
    r = husk("sh", "-c", "gcc -O2 -Wall -x c -o p - && exec ./p", stdin=src)
    eq((r.rc, r.out, r.err), (42, b"out\n", b"err\n"))
    with open("/proc/cpuinfo") as f:
        avx = " avx " in f.read()
    eq(int(r.result) != 0, avx, "AVX, as the host has it")


def test_gcc_error():
    """gcc's complaint arrives and its status too"""
    r = husk("sh", "-c", "gcc -x c - 2>&3", stdin=b"int main(void) { return x; }")
    eq(r.rc, 1)
    check(b"undeclared" in r.result, "%r" % r)


def test_python_subprocess():
    """python3: subprocess with pipes and a pipeline"""
    eq(py("import subprocess as s\n"
          "print(s.run('echo a b c | tr a-z A-Z',shell=True,capture_output=True,text=True).stdout,end='')\n"
          "p=s.Popen(['cat'],stdin=-1,stdout=-1); print(p.communicate(b'x'*300000)[0]==b'x'*300000)"),
       "A B C\nTrue\n")


def test_python_threads():
    """python3: threads, locks, queues, on several CPUs"""
    eq(py("import threading,queue\n"
          "q=queue.Queue(); out=[]\n"
          "def w():\n"
          "  while (x:=q.get()) is not None: out.append(x*x)\n"
          "ts=[threading.Thread(target=w) for _ in range(8)]\n"
          "[t.start() for t in ts]; [q.put(i) for i in range(1000)]; [q.put(None) for _ in ts]\n"
          "[t.join() for t in ts]; print(sum(out))", options=["--cpus", "4"]), "332833500\n")


def test_python_multiprocessing():
    """python3: multiprocessing (POSIX semaphores, shared memory)"""
    eq(py("import multiprocessing as m\n"
          "from multiprocessing import shared_memory as sm\n"
          "if __name__=='__main__':\n"
          "  with m.Pool(3) as p: print(sum(p.map(abs,range(-100,0))))\n"
          "  s=sm.SharedMemory(create=True,size=1<<20); s.buf[5]=7; t=sm.SharedMemory(s.name); print(t.buf[5])\n"
          "  t.close(); s.close(); s.unlink()"), "5050\n7\n")


def test_python_mmap():
    """python3: mmap of a file and of anonymous memory, shared by fork"""
    eq(py("import mmap,os\n"
          "m=mmap.mmap(-1,4096)\n"
          "if os.fork()==0: m[0]=65; os._exit(0)\n"
          "os.wait(); print(m[0])\n"
          "f=open('/work/f','w+b'); f.truncate(8192); a=mmap.mmap(f.fileno(),8192); a[8191]=66; a.flush(); a.close()\n"
          "f.seek(8191); print(f.read())"), "65\nb'B'\n")


def test_python_sockets():
    """python3: UNIX sockets with descriptor passing, UDP, TCP with asyncio"""
    eq(py("import socket,os,array,asyncio\n"
          "a,b=socket.socketpair(); r,w=os.pipe()\n"
          "socket.send_fds(a,[b'x'],[w]); _,fds,_,_=socket.recv_fds(b,1,1); os.write(fds[0],b'ok'); print(os.read(r,2).decode())\n"
          "u=socket.socket(socket.AF_INET6,socket.SOCK_DGRAM); u.bind(('::1',0)); u.sendto(b'u',u.getsockname()); print(u.recv(1).decode())\n"
          "async def h(r,w): w.write((await r.read(100)).upper()); w.close()\n"
          "async def m():\n"
          "  s=await asyncio.start_server(h,'127.0.0.1',0); r,w=await asyncio.open_connection(*s.sockets[0].getsockname())\n"
          "  w.write(b'async'); w.write_eof(); print((await r.read()).decode())\n"
          "asyncio.run(m())"), "ok\nu\nASYNC\n")


def test_python_time():
    """python3: clocks, timers, sleep; the wall clock is the host's"""
    out = py("import time,signal,threading\n"
             "print(time.time())\n"
             "t=time.monotonic(); time.sleep(0.05); print(time.monotonic()-t>=0.05)\n"
             "signal.signal(signal.SIGALRM,lambda *a: print('alarm'))\n"
             "signal.setitimer(signal.ITIMER_REAL,0.02); signal.pause()\n"
             "e=[]; x=threading.Timer(0.02,lambda: e.append(1)); x.start(); x.join(); print(e)").split("\n")
    check(abs(float(out[0]) - time.time()) < 120, "wall clock %s" % out[0])
    eq(out[1:], ["True", "alarm", "[1]", ""])


def test_kernel_interfaces():
    """epoll, inotify, eventfd, timerfd, signalfd, memfd, futex, pty, SysV IPC, queues"""
    code = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/xattr.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <unistd.h>
#define OK(c) do { if (!(c)) { printf("line %d: %s: %s\n", __LINE__, #c, strerror(errno)); bad = 1; } } while (0)
int main(void)
{
	int bad = 0, fd, ep = epoll_create1(0), p[2];
	struct epoll_event ev = { .events = EPOLLIN };
	struct itimerspec its = { .it_value.tv_nsec = 1000 };
	uint64_t v = 3;
	char buf[4096];
	sigset_t set;

	fd = eventfd(0, 0); OK(fd >= 0 && write(fd, &v, 8) == 8);
	OK(!epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) && epoll_wait(ep, &ev, 1, 0) == 1);
	fd = timerfd_create(CLOCK_MONOTONIC, 0);
	OK(!timerfd_settime(fd, 0, &its, NULL) && read(fd, &v, 8) == 8);
	sigemptyset(&set); sigaddset(&set, SIGUSR1); sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, 0); raise(SIGUSR1); OK(read(fd, buf, 4096) == 128);
	fd = inotify_init1(0); OK(inotify_add_watch(fd, "/tmp", IN_CREATE) > 0);
	close(open("/tmp/new", O_CREAT | O_WRONLY, 0600)); OK(read(fd, buf, 4096) > 0);
	OK(!setxattr("/tmp/new", "user.k", "v", 1, 0));
	fd = memfd_create("m", MFD_ALLOW_SEALING);
	OK(fd >= 0 && !ftruncate(fd, 4096) && !fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	int word = 1;
	OK(syscall(SYS_futex, &word, FUTEX_WAIT, 2, NULL) == -1 && errno == EAGAIN);
	int m, s; OK(!openpty(&m, &s, NULL, NULL, NULL) && write(s, "x", 1) == 1 && read(m, buf, 1) == 1);
	int id = shmget(IPC_PRIVATE, 4096, 0600); char *a = shmat(id, NULL, 0);
	OK(id >= 0 && a != (void *)-1); *a = 1;
	id = semget(IPC_PRIVATE, 1, 0600); OK(id >= 0);
	id = msgget(IPC_PRIVATE, 0600); struct { long t; char c; } msg = { 1, 'x' };
	OK(!msgsnd(id, &msg, 1, 0) && msgrcv(id, &msg, 1, 0, 0) == 1);
	struct mq_attr at = { .mq_maxmsg = 4, .mq_msgsize = 16 };
	mqd_t q = mq_open("/q", O_CREAT | O_RDWR, 0600, &at);
	OK(q >= 0 && !mq_send(q, "hi", 2, 0) && mq_receive(q, buf, 16, NULL) == 2);
	fd = shm_open("/s", O_CREAT | O_RDWR, 0600); OK(fd >= 0);
	OK(!pipe2(p, O_DIRECT)); OK(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p));
	OK(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) && write(1, "done\n", 5) == 5);
	syscall(SYS_exit, bad);
}
"""
    r = husk("sh", "-c", "gcc -x c -o p - -lutil -lrt && ./p", stdin=code.encode())
    eq((r.rc, r.out), (0, b"done\n"), "%r" % r)


def test_overlay_cgroup_namespaces():
    """the kernel has overlayfs, user namespaces and cgroup controllers"""
    r = husk("sh", "-c", "grep -c overlay /proc/filesystems; unshare -Ur true && echo userns; cat /proc/self/cgroup")
    eq(r.out.split(b"\n")[:2], [b"1", b"userns"], "%r" % r)


def test_perl():
    """perl: a filter with fork and regular expressions"""
    r = husk("perl", "-ne", 'print scalar reverse($1), "\\n" if /(\\w+)$/', stdin=b"ab cd\nef ghi\n")
    eq((r.rc, r.out), (0, b"dc\nihg\n"))


def test_tar_tree():
    """tar of a large tree in through stdin, changed, out through stdout"""
    buf = io.BytesIO()
    with tarfile.open(fileobj=buf, mode="w") as t:
        for i in range(1500):
            data = pattern(i * 7 % 9000, i)
            info = tarfile.TarInfo("tree/d%02d/f%04d" % (i % 37, i))
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    r = husk("sh", "-c", "tar xf - && rm tree/d00/f0000 && tar cf - tree && tar cf - tree | sha256sum >&3",
             stdin=buf.getvalue(), options=["--memory", "512M"])
    eq(r.rc, 0, "%r" % r)
    with tarfile.open(fileobj=io.BytesIO(r.out)) as t:
        names = [m.name for m in t if m.isfile()]
        eq(len(names), 1499)
        check(t.extractfile("tree/d10/f1009").read() == pattern(1009 * 7 % 9000, 1009), "content")


def test_shell_pipes():
    """writing to /dev/stderr and /dev/stdout works as anywhere"""
    r = husk("sh", "-c", "echo a >/dev/stdout; echo b >/dev/stderr; echo c > /dev/fd/3; cat /dev/stdin", stdin=b"in")
    eq((r.out, r.err, r.result), (b"a\nin", b"b\n", b"c\n"))


def image_of(name, files, links=(), programs=()):
    """An image with busybox, these files (folders end with a slash), links and programs."""
    tree = os.path.join(FOLDER, "any", name)
    shutil.rmtree(tree, ignore_errors=True)
    for path, data in {"bin/": "", **files}.items():
        os.makedirs(os.path.join(tree, os.path.dirname(path)), exist_ok=True)
        if not path.endswith("/"):
            with open(os.path.join(tree, path), "w") as f:
                f.write(data)
    for path, to in links:
        os.symlink(to, os.path.join(tree, path))
    for program in ("/bin/busybox", *programs):
        shutil.copy(program, os.path.join(tree, "bin"))
    os.symlink("busybox", tree + "/bin/sh")
    return build_image(name, tree)


def test_any_image():
    """an image without the usual folders works unmodified"""
    image = image_of("bare", {})
    r = husk("/bin/sh", "-c", "echo here; echo x > /tmp/f; echo /*; cd /work && echo ok", options=["--image", image])
    eq((r.rc, r.out), (0, b"here\n/bin /dev /etc /proc /run /sys /tmp /var /work\nok\n"), "%r" % r)


# The first address of each kind that a libc has for each word.
LOOKUP = r"""
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		for (int six = 0; six < 2; six++) {
			struct addrinfo hint = { .ai_family = six ? AF_INET6 : AF_INET, .ai_socktype = SOCK_STREAM }, *a;
			char text[99];
			int e = getaddrinfo(argv[i], NULL, &hint, &a);
			if (e) {
				printf("%s: %s\n", argv[i], gai_strerror(e));
				continue;
			}
			printf("%s\n", inet_ntop(hint.ai_family, six ?
				(void *)&((struct sockaddr_in6 *)a->ai_addr)->sin6_addr :
				(void *)&((struct sockaddr_in *)a->ai_addr)->sin_addr, text, sizeof(text)));
		}
	}
	return 0;
}
"""

OWN_HOSTS = "127.0.0.9 mine\n::9 mine"
ELSEWHERE = "nameserver 192.0.2.1\nnameserver 2001:db8::1\n"
# What docker export leaves, a tar without any, what others may have.
IMAGES = {
    "nothing": ({}, ()),
    "exported": ({"etc/hosts": "", "etc/resolv.conf": "", "var/tmp/": "", "var/spool/": ""},
                 [("var/run", "/run"), ("var/lock", "../run/lock")]),
    "no-files": ({"etc/passwd": "", "var/lib/": ""}, ()),
    "dangling": ({"etc/nsswitch.conf": "passwd: files\nhosts: dns\n", "var/": ""},
                 [("etc/hosts", "/run/no/hosts"), ("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf"),
                  ("var/tmp", "/tmp"), ("var/run", "nowhere")]),
    "folders": ({"etc/hosts/": "", "etc/nsswitch.conf/": "", "etc/resolv.conf/": "", "var/tmp/x/": "", "var/run/x/": "",
                 "var/lock/x/": ""}, ()),
    "own": ({"etc/hosts": OWN_HOSTS, "etc/nsswitch.conf": "hosts: dns [!SUCCESS=return] files\n",
             "etc/resolv.conf": ELSEWHERE}, ()),
    "linked": ({"private/etc/hosts": OWN_HOSTS, "private/var/tmp/": "", "private/var/run/": ""},
               [("etc", "/private/etc"), ("var", "private/var"), ("private/etc/nsswitch.conf", "gone")]),
}
# What a link leads to is laid over by nothing: these run, without names.
PLACELESS = {
    "no-etc": ({}, [("etc", "/nowhere")]),
    "round": ({}, [("etc", "etc")]),
    "no-hosts": ({"private/etc/": ""}, [("etc", "/private/etc")]),
    "hosts-folder": ({"private/etc/hosts/": ""}, [("etc", "/private/etc")]),
}


def test_names_in_any_image():
    """localhost and the own name resolve with glibc, musl and busybox; /var/tmp, /var/run, /var/lock are scratch"""
    glibc = compile_static(os.path.join(FOLDER, "lookup-glibc"), LOOKUP)
    musl = compile_static(os.path.join(FOLDER, "lookup-musl"), LOOKUP, cc="musl-gcc")
    script = ("lookup-glibc localhost there; lookup-musl localhost there; "
              "for n in localhost there; do busybox nc $n 1; done 2>&1 | busybox grep -c refused; "
              "for d in /var/tmp /var/run /run/lock; do echo x >$d/x1 || echo $d; done; "
              "[ -e /var/lock ] && { echo >/var/lock/x2 && busybox cat /run/lock/x2 || echo lock; } || echo; "
              "[ $1 = 0 ] || lookup-glibc mine; echo >/etc/hosts || echo fixed")
    for name, (files, links) in IMAGES.items():
        image = image_of(name, files, links, (glibc, musl))
        own = OWN_HOSTS in files.values()
        r = husk("/bin/sh", "-c", script, "sh", str(int(own)), options=["--image", image, "--hostname", "there"])
        want = "127.0.0.1\n::1\n" * 4 + "2\n\n" + "127.0.0.9\n::9\n" * own + "fixed\n"
        if name == "dangling":  # its own /var/run, which leads nowhere
            want = want.replace("2\n", "2\n/var/run\n")
        eq(r.out.decode(), want, "%s: %r" % (name, r))
    for name, (files, links) in PLACELESS.items():
        r = husk("/bin/sh", "-c", "echo here", options=["--image", image_of(name, files, links)])
        eq((r.rc, r.out), (0, b"here\n"), name)


# A libc from before 2012 asks the time so.
VSYSCALL = r"""
#include <stdio.h>
#include <sys/time.h>
#include <time.h>
int main(void)
{
	struct timeval tv = { 0 };
	int (*ask)(struct timeval *, void *) = (void *)0xffffffffff600000;
	time_t (*seconds)(time_t *) = (void *)0xffffffffff600400;
	long rc = ask(&tv, NULL), t = seconds(NULL);
	printf("%ld %d\n", rc, tv.tv_sec > 1000000000 && t - tv.tv_sec < 100);
	return 0;
}
"""

# Of 32 bits: it writes a line and ends with 7.
I386 = """
.globl _start
_start: mov $4, %eax; mov $1, %ebx; mov $text, %ecx; mov $3, %edx; int $0x80
mov $1, %eax; mov $7, %ebx; int $0x80
.data
text: .ascii "32\\n"
"""

# A request that does nothing, through the rings.
IO_URING = r"""
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
	struct io_uring_params p = { 0 };
	int fd = syscall(SYS_io_uring_setup, 4, &p);
	size_t all = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	char *ring = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQ_RING);
	struct io_uring_sqe *sqe = mmap(NULL, p.sq_entries * sizeof(*sqe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
					fd, IORING_OFF_SQES);
	if (fd < 0 || ring == MAP_FAILED || sqe == MAP_FAILED)
		return 1;
	sqe->opcode = IORING_OP_NOP;
	sqe->user_data = 42;
	*(unsigned int *)(ring + p.sq_off.tail) = 1;
	if (syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return 2;
	printf("%d\n", (int)((struct io_uring_cqe *)(ring + p.cq_off.cqes))->user_data);
	return 0;
}
"""


def test_kinds_of_programs():
    """what husk(1) says of a program that uses io_uring, one of 32 bits, one that calls the vsyscall page"""
    at = os.path.join(FOLDER, "i386")
    subprocess.run(["as", "--32", "-o", at + ".o", "-"], input=I386.encode(), check=True)
    subprocess.run(["ld", "-m", "elf_i386", "-o", at, at + ".o"], check=True)
    image = image_of("kinds", {}, (), (at, compile_static(os.path.join(FOLDER, "vsyscall"), VSYSCALL),
                                      compile_static(os.path.join(FOLDER, "io_uring"), IO_URING)))
    for program, rc, out, said in (("io_uring", 0, b"42\n", b""), ("vsyscall", 0, b"0 1\n", b""),
                                   ("i386", 126, b"", b"not a program for this machine")):
        r = husk(program, options=["--image", image])
        eq((r.rc, r.out), (rc, out), program)
        check(said in r.err, "%r" % r)


main()
