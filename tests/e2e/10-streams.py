# SPDX-License-Identifier: MIT
"""The four byte streams: exact, independent, bounded, ended.

Shows of issue 2, "streams are byte-exact and independent": all 256 byte
values, 0 bytes, 64 MiB each way, all four at once, a reader that stops (the
guest is held back, husk's memory stays bounded), a reader that closes, a stdin
that never ends, a stdin at EOF from the start, interactive use byte by byte on
a terminal and on pipes, EOF on every stream after the exit; --result and
--result-fd; and that streams may be anything a descriptor can be.
"""

import fcntl
import os
import pty
import re
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
    """no byte is made up: stdin at EOF from the start, empty output"""
    r = husk("sh", "-c", "wc -c >/dev/fd/3")
    eq((r.rc, r.out, r.err, r.result), (0, b"", b"", b"0\n"))


def test_64_mib():
    """64 MiB in, 64 MiB out, byte-exact, in a machine of 64 MiB"""
    data = pattern(BIG)
    r = husk("cat", stdin=data, options=["--memory", "64M"])
    eq(r.rc, 0, "%r" % r)
    check(r.out == data, "stdout differs (%d bytes of %d)" % (len(r.out), BIG))
    eq(r.status["streams"]["stdin"]["bytes"], BIG)
    eq(r.status["streams"]["stdout"], {"bytes": BIG, "delivered": BIG, "truncated": False})


def test_four_at_once():
    """all four streams at once, each with a process of its own, on one and four CPUs"""
    n = 4 * MIB
    for cpus in ("1", "4"):
        r = husk("sh", "-c", "yes out | head -c %d & yes err | head -c %d >&2 & yes res | head -c %d >&3 & "
                 "got=$(wc -c); wait; exit $((got != %d))" % (n, n, n, n),
                 stdin=pattern(n), options=["--cpus", cpus])
        eq(r.rc, 0, "%r" % r)
        check((r.out, r.err, r.result) == tuple(w * (n // 4) for w in (b"out\n", b"err\n", b"res\n")),
              "lengths %d %d %d" % (len(r.out), len(r.err), len(r.result)))


def test_reader_stops():
    """a reader that stops holds the job back, and nothing else; husk's memory stays bounded"""
    p = start("sh", "-c", "cat /dev/zero & read x; echo still here >&2; wait")
    eq(p.stdout.read(1), b"\0")
    # Until nothing moves any more: the guest's queue and the pipe are full.
    wait_for(quiet(p.pid), "the guest to be held back")
    check(private_kib(p.pid) <= 2048, "husk has %d KiB" % private_kib(p.pid))
    p.stdin.write(b"\n")
    eq(p.stderr.readline(), b"still here\n")
    # It goes on when somebody reads again.
    got = 0
    while got < 4 * MIB:
        n = len(p.stdout.read(65536))
        check(n > 0, "stream ended early")
        got += n
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


def test_job_closes_output():
    """a job that closes an output and goes on: its reader sees the end"""
    p = start("sh", "-c", "echo last; exec >&-; read x; exit 5")
    eq(p.stdout.read(), b"last\n")
    p.stdin.write(b"go\n")
    eq(p.wait(), 5)
    # stderr stays husk's for its own line.
    r = husk("sh", "-c", "echo e >&2; exec 2>&-; echo out; echo r >&3; kill -9 $$")
    eq((r.rc, r.out, r.err, r.result), (137, b"out\n", b"e\n", b"r\n"))
    p = start("sh", "-c", "echo e >&2; exec 2>&-; read x; yes",
              options=["--output-limit", "10", "--on-output-limit", "kill"])
    eq(p.stderr.readline(), b"e\n")
    p.stdin.write(b"\n")
    eq((p.wait(), p.stdout.read()), (153, b"y\n" * 5))
    line = p.stderr.read()
    check(line.startswith(b"husk: ") and line.count(b"\n") == 1, "%r" % line)


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


def test_terminal_background():
    """in the background of a terminal, reading stops husk, as it would any program"""
    master, slave = pty.openpty()

    def shell():
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        p = start("head", "-n1", stdin=slave, stdout=slave, stderr=slave,
                  preexec_fn=lambda: os.setpgid(0, 0))
        _, status = os.waitpid(p.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status) or os.WSTOPSIG(status) != signal.SIGTTIN:
            os.write(slave, b"no stop by SIGTTIN: wait status %#x" % status)
            return 100
        os.tcsetpgrp(slave, p.pid)
        os.kill(p.pid, signal.SIGCONT)
        _, status = os.waitpid(p.pid, 0)
        os.tcsetpgrp(slave, os.getpid())
        return os.waitstatus_to_exitcode(status)

    pid = os.fork()
    if pid == 0:
        try:
            os._exit(shell())
        finally:
            os._exit(99)
    # Typed before husk is in the foreground: the terminal keeps it.
    os.write(master, b"typed\n")
    got = b""
    while got.count(b"typed") < 2:  # its echo, and head's
        got += os.read(master, 100)
        check(b"no stop" not in got, "got %r" % got)
    eq(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)


def test_terminal_of_another():
    """on the terminal of another user that is husk's own: a reader that stops holds up nothing but the job"""
    master, slave = pty.openpty()  # root's
    os.fchmod(slave, 0o600)

    def login():
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    p = subprocess.Popen(as_user(argv("sh", "-c", "echo up; cat /dev/zero")), env=ENV, stdin=slave, stdout=slave,
                         stderr=slave, preexec_fn=login)
    got = b""
    while b"up" not in got:
        got += os.read(master, 100)
    with open("/proc/%d/fdinfo/1" % machine(p.pid)) as f:
        check(int(re.search(r"flags:\s*(\d+)", f.read())[1], 8) & os.O_NONBLOCK, "stdout may wait")
    eq(fcntl.fcntl(slave, fcntl.F_GETFL) & os.O_NONBLOCK, 0, "O_NONBLOCK of the others")
    p.terminate()
    eq(p.wait(), 143)


def test_shared_description():
    """descriptors that others share keep their flags"""
    ir, iw = os.pipe()
    r, w = os.pipe()
    p = start("cat", stdin=ir, stdout=w)
    os.write(iw, b"x\n")
    eq(os.read(r, 10), b"x\n")
    for fd in (ir, w):
        eq(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK, 0, "O_NONBLOCK")
    os.close(iw)
    eq(p.wait(), 0)
    for fd in (ir, r, w):
        os.close(fd)


def test_kinds_of_descriptors():
    """files, appended files, FIFOs and /dev/null as streams"""
    names = [os.path.join(FOLDER, "fifo-" + n) for n in ("in", "out", "result", "status")]
    for n in names:
        if os.path.lexists(n):
            os.unlink(n)
        os.mkfifo(n)
    # Opened both ways, so that no open waits for its peer.
    fifos = [os.open(n, os.O_RDWR) for n in names]
    p = start("sh", "-c", "cat; echo r >&3", stdin=os.open(names[0], os.O_RDONLY),
              stdout=os.open(names[1], os.O_WRONLY),
              options=["--result", names[2], "--status", names[3]])
    os.write(fifos[0], b"through a FIFO\n")
    eq(os.read(fifos[1], 100), b"through a FIFO\n")
    # The end of a FIFO is when its last writer closes.
    os.close(fifos[0])
    eq(p.wait(), 0)
    eq(os.read(fifos[2], 100), b"r\n")
    eq(json.loads(os.read(fifos[3], 65536))["verdict"], "exited")

    data = pattern(3 * MIB)
    source, sink = scratch("source", b"skipped" + data), scratch("sink", b"before\n")
    with open(source, "rb", buffering=0) as i, open(sink, "ab", buffering=0) as o:
        i.seek(7)
        eq(start("sh", "-c", "head -c 2000000; cat", stdin=i, stdout=o).wait(), 0)
        eq(i.tell(), 7 + len(data), "where the file has been read to")
    check(head_of(sink, 1 << 30) == b"before\n" + data, "a file as stdin, an appended one as stdout")

    with open(sink, "r+b", buffering=0) as o:
        # Not appended: on from where the descriptor stands, as > does it.
        o.seek(7)
        eq(start("sh", "-c", "cat; echo after", stdin=subprocess.DEVNULL, stdout=o,
                 stderr=subprocess.DEVNULL).wait(), 0)
    eq(head_of(sink, 13), b"before\nafter\n"[:13])


def test_named_streams():
    """/dev/stdout and links of one's own as result and status; planted links are refused"""
    r = husk_raw(["run", "--result=/dev/stdout", "--status=/dev/stderr", "--", "sh", "-c", "echo r >&3"])
    eq((r.rc, r.out, json.loads(r.err)["verdict"]), (0, b"r\n", "exited"))
    with tempfile.TemporaryDirectory(dir=FOLDER) as d:
        os.mkdir(d + "/shared")
        os.chmod(d + "/shared", 0o1777)
        for name in ("precious", "result", "console"):
            with open(os.path.join(d, name), "w") as f:
                f.write("long enough to be seen if it stays\n" * 100)
        os.symlink("result", d + "/link")
        os.symlink("../precious", d + "/shared/link")
        r = husk_raw(["run", "--result", d + "/link", "--console", d + "/console", "--", "sh", "-c", "echo r >&3"])
        eq((r.rc, head_of(d + "/result", -1), os.path.islink(d + "/link")), (0, b"r\n", True))
        check(b"Linux version" in head_of(d + "/console", -1), "no log")
        for option in ("--result", "--status", "--console"):
            r = husk_raw(["run", option, d + "/shared/link", "--", "true"])
            eq(r.rc, 125)
            one_line(r)
            check(head_of(d + "/precious", -1).startswith(b"long enough"), "%s follows a planted link" % option)


def test_two_on_one_stdin():
    """two runs that share a stdin pipe: each byte goes to one of them, none is lost"""
    r, w = os.pipe()
    ps = [start("cat", stdin=r) for _ in range(2)]
    os.close(r)
    data = pattern(2 * MIB)
    t = threading.Thread(target=lambda: (os.write(w, data), os.close(w)))
    t.start()
    outs = [None, None]

    def drain(i):
        outs[i] = ps[i].stdout.read()
    ts = [threading.Thread(target=drain, args=(i,)) for i in range(2)]
    [x.start() for x in ts]
    [x.join() for x in [t] + ts]
    eq([p.wait() for p in ps], [0, 0])
    both = b"".join(outs)
    eq(len(both), len(data), "bytes")
    eq([both.count(bytes([b])) for b in range(256)], [data.count(bytes([b])) for b in range(256)])


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
