# SPDX-License-Identifier: MIT
"""Wrong inputs: status 125 and one line that says what to do."""

import socket

from lib import *

TRUE = ["--", "true"]


def wrong(args, *words, **kw):
    """Ends with 125 and one line that has all the words."""
    r = husk_raw(["run", *args], **kw)
    eq(r.rc, 125, "exit status (%r)" % r)
    one_line(r)
    for w in words:
        check(w.encode() in r.err, "no %r in %r" % (w, r.err))


def scratch(name, data=b""):
    path = os.path.join("/dev/shm/husk-e2e", name)
    with open(path, "wb") as f:
        f.write(data)
    return path


def head_of(path, n):
    with open(path, "rb") as f:
        return f.read(n)


def test_options():
    """unknown option, bad number, missing value, contradiction"""
    wrong(["--no-such-option", *TRUE], "--no-such-option")
    wrong(["--memroy", "1G", *TRUE], "--memroy", "--memory")
    wrong(["--memory", "lots", *TRUE], "--memory", "lots")
    wrong(["--cpus", "9", *TRUE], "--cpus")
    wrong(["--timeout", "-1", *TRUE], "--timeout")
    wrong(["--timeout"], "--timeout")
    wrong(["--result-fd", "77", *TRUE], "77")
    wrong(["--result", "/tmp/a", "--result-fd", "5", *TRUE], "--result")
    wrong(["--env", "NOEQUALS", *TRUE], "NOEQUALS")
    wrong([], "CMD")


def test_kernel_files():
    """kernel missing, a folder, empty, cut, text, not Linux, unreadable"""
    def k(path, *words):
        wrong(["--kernel", path, *TRUE], path, *words)
    k("/no/such/kernel", "No such file")
    k("/tmp", "directory")
    k(scratch("empty"), "empty")
    k(scratch("text", b"hello world\n" * 1000))
    k(scratch("half", head_of(KERNEL, 4 << 20)))
    k(scratch("head", head_of(KERNEL, 100)))
    k("/usr/bin/true")
    k("/dev/zero", "not a file")
    import gzip
    gz = gzip.compress(head_of(KERNEL, 1 << 22), 1)
    k(scratch("cut.gz", gz[:len(gz) // 2]))
    k(scratch("bad.gz", gz[:1000] + b"\0" * 1000 + gz[2000:]))


def test_kernel_gz():
    """a gzip'ed vmlinux works"""
    import gzip
    path = scratch("vmlinux.gz", gzip.compress(head_of(KERNEL, 1 << 30), 1))
    r = husk("echo", "ok", options=["--kernel", path])
    eq((r.rc, r.out), (0, b"ok\n"))


def test_kernel_that_lacks():
    """a Linux kernel without what husk needs is named before it runs"""
    data = head_of(KERNEL, 1 << 30).replace(b"husk-1\0", b"other1\0")
    path = scratch("foreign", data.replace(b"virtio,mmio\0", b"virtio,nope\0"))
    wrong(["--kernel", path, *TRUE], "VIRTIO_MMIO")
    r = husk("true", options=["--kernel", scratch("foreign-good", data)])
    eq(r.rc, 0, "a foreign kernel that has everything (%r)" % r)


def test_image_files():
    """image missing, a folder, empty, cut, no file system"""
    def i(path, *words):
        wrong(["--image", path, *TRUE], path, *words)
    i("/no/such/image", "No such file")
    i("/tmp", "directory")
    i(scratch("empty"), "ext4")
    i(scratch("zeros", b"\0" * (1 << 20)), "ext4")
    i(scratch("cut", head_of(IMAGE, 4 << 20)), "cut short")
    i(KERNEL, "ext4")
    i("/dev/null")


def test_image_damaged():
    """an image that is damaged inside ends with a verdict, not a hang"""
    data = bytearray(head_of(IMAGE, 4096))
    path = scratch("damaged", bytes(data))
    with open(path, "r+b") as f:
        f.truncate(os.stat(IMAGE).st_size if os.path.isfile(IMAGE) else 8 << 30)
    r = husk("true", options=["--image", path])
    eq(r.rc, 125, "%r" % r)
    one_line(r)


def test_streams():
    """closed and wrong-way descriptors"""
    for fd, word in ((0, "stdin"), (1, "stdout"), (2, None)):
        p = subprocess.run([HUSK, "run", *TRUE], env=ENV, capture_output=True,
                           preexec_fn=lambda fd=fd: os.close(fd), timeout=PATIENCE)
        eq(p.returncode, 125, "closed fd %d" % fd)
        if word:
            check(word.encode() in p.stderr and p.stderr.count(b"\n") == 1, "%r" % p.stderr)
    with open("/dev/null", "rb") as ro:
        wrong_fd = subprocess.run([HUSK, "run", *TRUE], env=ENV, stdin=subprocess.DEVNULL,
                                  stdout=ro, stderr=subprocess.PIPE, timeout=PATIENCE)
    eq(wrong_fd.returncode, 125)
    check(b"stdout" in wrong_fd.stderr, "%r" % wrong_fd.stderr)


def test_outputs():
    """result and status that can not be opened; nothing is lost"""
    wrong(["--result", "/no/such/dir/x", *TRUE], "/no/such/dir/x")
    wrong(["--status", "/no/such/dir/x", *TRUE], "/no/such/dir/x")
    wrong(["--console", "/no/such/dir/x", *TRUE], "/no/such/dir/x")
    keep = scratch("keep", b"precious")
    wrong(["--result", keep, "--kernel", "/no/such/kernel", *TRUE], "/no/such/kernel")
    eq(open(keep, "rb").read(), b"precious", "an old result after a run that did not start")


def test_full_disk():
    """a stream, result or status on a full disk: 125 and one line"""
    with open("/dev/full", "wb") as full:
        p = subprocess.run(argv("sh", "-c", "echo x; sleep 1000"), env=ENV, stdout=full,
                           stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=PATIENCE)
    eq(p.returncode, 125)
    check(b"stdout" in p.stderr and b"No space" in p.stderr, "%r" % p.stderr)
    r = husk_raw(["run", "--status", "/dev/full", *TRUE])
    eq(r.rc, 125)
    check(b"status" in r.err and b"No space" in r.err, "%r" % r.err)
    r = husk_raw(["run", "--result", "/dev/full", "--", "sh", "-c", "echo x >&3"])
    eq(r.rc, 125)
    check(b"result" in r.err and b"No space" in r.err, "%r" % r.err)


def test_memory():
    """memory too small to boot, larger than the host, absurd"""
    wrong(["--memory", "2M", *TRUE], "memory")
    wrong(["--memory", "100000G", *TRUE], "memory")
    with open("/proc/meminfo") as f:
        total = int(f.readline().split()[1]) >> 10
    wrong(["--memory", "%dM" % (total + 64), *TRUE], "memory")


def test_smallest_memory():
    """what the smallest allowed memory is, boots"""
    r = husk_raw(["run", "--memory", "2M", *TRUE])
    import re
    least = re.search(rb"(\d+) ?M", r.err.split(b"least")[-1])
    check(least, "the line says the least: %r" % r.err)
    r = husk("echo", "small", options=["--memory", least.group(1).decode() + "M"])
    eq((r.rc, r.out), (0, b"small\n"))


def test_no_kvm():
    """no /dev/kvm or no permission: a hint"""
    p = subprocess.run(["unshare", "-m", "sh", "-c",
                        "mount --make-rprivate / && mount --bind /dev/null /dev/kvm && exec %s run -- true" % HUSK],
                       env=ENV, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE)
    eq(p.returncode, 125, "%r" % p)
    check(b"/dev/kvm" in p.stderr and p.stderr.count(b"\n") == 1, "%r" % p.stderr)
    p = subprocess.run(["unshare", "-m", "sh", "-c",
                        "mount --make-rprivate / && mkdir -p /tmp/emptydev && mount --bind /tmp/emptydev /dev && exec %s run -- true </dev/stdin" % HUSK],
                       env=dict(ENV, HUSK_IMAGE=KERNEL), capture_output=True, input=b"", timeout=PATIENCE)
    check(p.returncode != 0, "%r" % p)
    p = subprocess.run(["setpriv", "--reuid", "4242", "--regid", "4242", "--clear-groups",
                        HUSK, "run", "--", "true"],
                       env=ENV, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE)
    eq(p.returncode, 125, "%r" % p)
    check(b"/dev/kvm" in p.stderr and b"group" in p.stderr, "%r" % p.stderr)


def test_arguments_too_long():
    """arguments beyond what fits: one line, and long ones that fit pass"""
    r = husk("sh", "-c", "echo ${#1}", "x", "a" * 120000)
    eq((r.rc, r.out), (0, b"120000\n"))
    wrong(["--", "true", *["b" * 100000 for _ in range(12)]], "arguments")


main()
