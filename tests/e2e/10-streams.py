# SPDX-License-Identifier: MIT
"""The four byte streams: exact, independent, bounded, ended."""

import fcntl
import os
import pty
import select
import subprocess
import termios
import threading

from lib import *

MIB = 1 << 20
BIG = 64 * MIB


def test_all_byte_values():
    """every byte value passes both ways on all streams"""
    data = bytes(range(256)) * 5 + b"\0\0\0"
    r = husk("sh", "-c", "tee /proc/self/fd/3 | tee /dev/stderr", stdin=data)
    eq(r.rc, 0)
    eq(r.out, data, "stdout")
    eq(r.err, data, "stderr")
    eq(r.result, data, "result")


def test_empty():
    """no byte is made up: empty stdin, empty output"""
    r = husk("true")
    eq((r.rc, r.out, r.err, r.result), (0, b"", b"", b""))


def big_in_out(n):
    data = pattern(n)
    r = husk("cat", stdin=data)
    eq(r.rc, 0)
    check(r.out == data, "stdout differs (%d bytes of %d)" % (len(r.out), n))
    eq(r.status["streams"]["stdin"]["bytes"], n)
    eq(r.status["streams"]["stdout"]["bytes"], n)


def test_64_mib_through():
    """64 MiB in through stdin and out through stdout, byte-exact"""
    big_in_out(BIG)


def test_64_mib_stderr_result():
    """64 MiB out through stderr and result, byte-exact"""
    code = ("import os,sys\n"
            "d=sys.stdin.buffer.read()\n"
            "for i in range(64):\n"
            "  os.write(2,d) if len(d)==os.write(3,d) else 1/0\n")
    data = pattern(MIB)
    # os.write on a pipe writes all of it when blocking.
    r = husk("python3", "-c", code, stdin=data)
    eq(r.rc, 0)
    check(r.err == data * 64, "stderr differs (%d bytes)" % len(r.err))
    check(r.result == data * 64, "result differs (%d bytes)" % len(r.result))


def test_four_at_once():
    """all four streams at once, 8 MiB each"""
    code = ("import os,sys,threading\n"
            "d=bytes(range(256))*4096\n"
            "def w(fd):\n"
            "  for i in range(8): os.write(fd,d)\n"
            "ts=[threading.Thread(target=w,args=(f,)) for f in (1,2,3)]\n"
            "[t.start() for t in ts]\n"
            "n=0\n"
            "while True:\n"
            "  b=os.read(0,65536)\n"
            "  if not b: break\n"
            "  n+=len(b)\n"
            "[t.join() for t in ts]\n"
            "sys.exit(0 if n==8<<20 else 9)\n")
    want = bytes(range(256)) * 4096 * 8
    r = husk("python3", "-c", code, stdin=pattern(8 * MIB))
    eq(r.rc, 0)
    check(r.out == want and r.err == want and r.result == want,
          "lengths %d %d %d" % (len(r.out), len(r.err), len(r.result)))


def test_reader_stops():
    """a reader that stops holds the guest back; husk's memory stays bounded"""
    p = start("cat", "/dev/zero", stdin=subprocess.DEVNULL)
    eq(len(p.stdout.read(1)), 1)
    # Until nothing moves any more: the guest's queue and the pipe are full.
    last = None

    def settled():
        nonlocal last
        with open("/proc/%d/stat" % p.pid) as f:
            cpu = f.read().split()[13:15]
        time.sleep(0.3)
        same, last = cpu == last, cpu
        return same
    wait_for(settled, "the guest to be held back")
    check(private_kib(p.pid) <= 2048, "husk has %d KiB" % private_kib(p.pid))
    # It goes on when somebody reads again.
    got = 0
    while got < 4 * MIB:
        n = len(p.stdout.read(65536))
        check(n > 0, "stream ended early")
        got += n
    p.kill()
    p.wait()


def test_stopped_stdout_leaves_stderr():
    """stdout that nobody reads does not stop stderr"""
    p = start("sh", "-c", "cat /dev/zero & sleep 0.2; echo still here >&2; kill $!; wait",
              stdin=subprocess.DEVNULL)
    eq(p.stderr.readline(), b"still here\n")
    p.kill()
    p.wait()


def test_reader_closes():
    """a reader that closes gives the job EPIPE or SIGPIPE, as a pipe would"""
    p = start("sh", "-c", "cat /dev/zero; echo $? >&2", stdin=subprocess.DEVNULL)
    p.stdout.read(1)
    p.stdout.close()
    err = p.stderr.read()
    eq(p.wait(), 0)
    check(err.strip().split(b"\n")[-1] in (b"141", b"1"), "stderr %r" % err)


def test_endless_stdin():
    """the job may end before its stdin does"""
    zero = open("/dev/zero", "rb")
    p = start("head", "-c", "100000", stdin=zero)
    out = p.stdout.read()
    eq(p.wait(), 0)
    eq(len(out), 100000)
    r, w = os.pipe()
    p = start("true", stdin=r)
    eq(p.wait(), 0)
    os.close(r)
    os.close(w)


def test_job_closes_stdin():
    """a job that closes stdin lets the writer see EPIPE, as a pipe would"""
    r, w = os.pipe()
    p = start("sh", "-c", "exec <&-; echo closed; sleep 1000", stdin=r)
    os.close(r)
    eq(p.stdout.readline(), b"closed\n")
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def broken():
        try:
            os.write(w, b"x" * 4096)
            return False
        except BrokenPipeError:
            return True
    wait_for(broken, "EPIPE")
    os.close(w)
    p.kill()
    p.wait()


def test_job_closes_stdout():
    """a job that closes stdout and goes on: the reader sees the end"""
    p = start("sh", "-c", "echo last; exec >&-; read x; exit 5")
    eq(p.stdout.read(), b"last\n")
    p.stdin.write(b"go\n")
    eq(p.wait(), 5)


def test_interactive_pipe():
    """byte by byte on pipes: each answer comes before the next question"""
    p = start("python3", "-c",
              "import os\nwhile True:\n b=os.read(0,1)\n if not b: break\n os.write(1,b.upper())")
    for b in b"interactive":
        p.stdin.write(bytes([b]))
        eq(p.stdout.read(1), bytes([b]).upper())
    p.stdin.close()
    eq(p.wait(), 0)


def test_terminal():
    """on a terminal: typed bytes go in, output comes back, ^D ends stdin"""
    master, slave = pty.openpty()
    attr = termios.tcgetattr(slave)
    attr[3] &= ~termios.ECHO
    attr[1] &= ~termios.OPOST
    termios.tcsetattr(slave, termios.TCSANOW, attr)
    p = start("cat", stdin=slave, stdout=slave, stderr=slave)
    os.write(master, b"hello\n")
    got = b""
    while got != b"hello\n":
        check(select.select([master], [], [], PATIENCE)[0], "no echo, got %r" % got)
        got += os.read(master, 100)
    # The terminal is left as it was, even when husk is killed: no raw mode.
    eq(termios.tcgetattr(slave), attr, "terminal settings")
    eq(fcntl.fcntl(slave, fcntl.F_GETFL) & os.O_NONBLOCK, 0, "O_NONBLOCK")
    os.write(master, b"\x04")
    eq(p.wait(), 0)


def test_terminal_interrupt():
    """Ctrl-C on a terminal ends the run with 130"""
    master, slave = pty.openpty()

    def login():
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    p = start("sh", "-c", "echo up; sleep 1000", stdin=slave, stdout=slave, stderr=slave,
              preexec_fn=login)
    got = b""
    while b"up" not in got:
        got += os.read(master, 100)
    os.write(master, b"\x03")
    eq(p.wait(), 130)


def test_shared_description():
    """descriptors that others share keep their flags; files their content"""
    r, w = os.pipe()
    dup = os.dup(w)
    p = start("echo", "x", stdout=w, stdin=subprocess.DEVNULL)
    eq(p.wait(), 0)
    eq(fcntl.fcntl(dup, fcntl.F_GETFL) & os.O_NONBLOCK, 0)
    eq(os.read(r, 10), b"x\n")
    with tempfile.TemporaryFile() as f:
        f.write(b"before\n")
        f.flush()
        eq(start("echo", "after", stdout=f, stdin=subprocess.DEVNULL).wait(), 0)
        f.seek(0)
        eq(f.read(), b"before\nafter\n")


def test_one_pipe_for_two():
    """stdout and stderr on one pipe (2>&1): order of a single writer is kept"""
    p = start("sh", "-c", "i=0; while [ $i -lt 300 ]; do echo o$i; i=$((i+1)); done",
              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    out = p.stdout.read()
    eq(p.wait(), 0)
    eq(out, b"".join(b"o%d\n" % i for i in range(300)))


def test_sockets():
    """sockets as stdin and stdout"""
    import socket
    a, b = socket.socketpair()
    p = start("cat", stdin=b, stdout=b)
    b.close()
    data = pattern(3 * MIB)
    t = threading.Thread(target=lambda: (a.sendall(data), a.shutdown(socket.SHUT_WR)))
    t.start()
    got = b""
    while len(got) < len(data):
        d = a.recv(1 << 16)
        check(d, "ended after %d" % len(got))
        got += d
    t.join()
    eq(p.wait(), 0)
    check(got == data, "differs")


def test_left_in_pipes():
    """what is in the pipes when the job ends is delivered, complete, in order"""
    r = husk("sh", "-c",
             "for i in 1 2 3; do head -c 60000 /dev/zero | tr '\\0' $i >&$i; done; exit 4")
    eq(r.rc, 4)
    eq((r.out, r.err, r.result), (b"1" * 60000, b"2" * 60000, b"3" * 60000))


def test_background_writer():
    """what the job left running is killed; its output until then is kept"""
    r = husk("sh", "-c", "(while :; do sleep 1; done) & echo main; exit 6")
    eq((r.rc, r.out), (6, b"main\n"))


def test_eof_everywhere():
    """after the exit every stream has reached EOF, even with a leaked pipe"""
    r3, w3 = os.pipe()
    p = subprocess.Popen(argv("sh", "-c", "echo a; echo b >&2; echo c >&3",
                              options=["--result-fd", str(w3)]),
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, pass_fds=[w3], env=ENV)
    os.close(w3)
    eq(p.wait(), 0)
    eq(p.stdout.read(), b"a\n")
    eq(p.stderr.read(), b"b\n")
    eq(os.read(r3, 100), b"c\n")
    eq(os.read(r3, 100), b"")


main()
