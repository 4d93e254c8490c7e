# SPDX-License-Identifier: MIT
"""Wrong inputs: status 125 and one line that says what to do.

Shows of issue 2, "every wrong input": unknown option, bad number, missing or
truncated kernel or image, a kernel without what husk needs, a directory as
image, a closed or read-only fd, no /dev/kvm, no permission, memory too small
to boot or larger than the host; husk check on a fit host and on others; and
the largest inputs that are right.
"""

import gzip
import re

from lib import *

TRUE = ["--", "true"]


def wrong(args, *words, **kw):
    """Ends with 125 and one line that has all the words."""
    r = husk_raw(["run", *args], **kw)
    eq(r.rc, 125, "exit status (%r)" % r)
    one_line(r)
    for w in words:
        check(w.encode() in r.err, "no %r in %r" % (w, r.err))


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
    wrong(["--env", "=nameless", *TRUE], "=nameless")
    wrong([], "COMMAND")


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
    gz = gzip.compress(head_of(KERNEL, 1 << 22), 1)
    k(scratch("cut.gz", gz[:len(gz) // 2]))
    k(scratch("bad.gz", gz[:1000] + b"\0" * 1000 + gz[2000:]))


def test_kernel_gz():
    """a gzip'ed vmlinux works"""
    path = scratch("vmlinux.gz", gzip.compress(head_of(KERNEL, 1 << 30), 1))
    r = husk("echo", "ok", options=["--kernel", path])
    eq((r.rc, r.out), (0, b"ok\n"))


def test_kernel_that_lacks():
    """a Linux kernel without what husk needs is named before it runs, one that has it runs"""
    data = head_of(KERNEL, 1 << 30).replace(b"husk-1\0", b"other1\0")
    path = scratch("foreign", data.replace(b"virtio,mmio\0", b"virtio,nope\0"))
    wrong(["--kernel", path, *TRUE], "VIRTIO_MMIO")
    r = husk("true", options=["--kernel", scratch("foreign", data)])
    eq(r.rc, 0, "a foreign kernel that has everything (%r)" % r)


def test_kernel_breaks():
    """a kernel that breaks before it can run init: what it said"""
    # What an initramfs begins with; so none is found, and no root.
    data = head_of(KERNEL, 1 << 30)
    check(data.count(b"070701") > 0, "no cpio in this kernel")
    r = husk_raw(["run", "--kernel", scratch("foreign", data.replace(b"070701", b"070709")), *TRUE])
    eq(r.rc, 125, "%r" % r)
    one_line(r)
    check(b"anic" in r.err, "%r" % r)


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
    """descriptors open the wrong way, a folder (closed ones: suite 60)"""
    with open("/dev/null", "rb") as ro, open("/dev/null", "wb") as wo:
        for kw, word in (({"stdout": ro}, b"stdout"), ({"stdin": wo}, b"stdin"),
                         ({"stdin": os.open("/", os.O_RDONLY)}, b"directory")):
            p = subprocess.run([HUSK, "run", *TRUE], env=ENV, timeout=PATIENCE, stderr=subprocess.PIPE,
                               **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **kw})
            eq(p.returncode, 125, "%r" % p)
            check(word in p.stderr and p.stderr.count(b"\n") == 1, "%r" % p.stderr)
        for option in ("--result-fd", "--status-fd"):
            wrong([option, str(ro.fileno()), *TRUE], "descriptor %d" % ro.fileno(), pass_fds=[ro.fileno()])


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
    """the least that --memory takes is enough to run in"""
    r = husk_raw(["run", "--memory", "2M", *TRUE])
    least = re.search(rb"\((\d+M) to ", r.err)
    check(least, "the line says the least: %r" % r.err)
    r = husk("echo", "small", options=["--memory", least.group(1).decode()])
    eq((r.rc, r.out), (0, b"small\n"), "%r" % r)


def other(how, *args):
    """husk in a changed world: a prefix that ends in exec "$@", files in /tmp/files."""
    p = subprocess.run(["unshare", "-m", "sh", "-euc",
                        "mount --make-rprivate /; mkdir -p /tmp/files /tmp/empty; "
                        "mount --bind %s /tmp/files; %s" % (FOLDER, how), "sh", "/tmp/files/husk", *args],
                       env=dict(ENV, HUSK_KERNEL="/tmp/files/vmlinux", HUSK_IMAGE="/tmp/files/image"),
                       capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE)
    return Result(p.returncode, p.stdout, p.stderr)


NO_KVM = 'mount --bind /tmp/empty /dev; exec "$@"'
FALSE_KVM = 'mount --bind /dev/null /dev/kvm; exec "$@"'
NO_GROUP = 'exec setpriv --reuid 4242 --regid 4242 --clear-groups "$@"'


def test_no_kvm():
    """no /dev/kvm, another file in its place, no permission: run and check say so, with a hint"""
    os.truncate(scratch("image", head_of(IMAGE, 4096)), 8 << 30)
    for how, words in ((NO_KVM, ("/dev/kvm",)), (FALSE_KVM, ("/dev/kvm",)), (NO_GROUP, ("/dev/kvm", "group"))):
        r = other(how, "run", *TRUE)
        eq(r.rc, 125, "%r" % r)
        one_line(r)
        for w in words:
            check(w.encode() in r.err, "no %r in %r" % (w, r.err))
        r = other(how, "check")
        eq((r.rc, r.err), (1, b""), "%r" % r)
        lines = r.out.decode().split("\n")
        check("not fit" in lines[-2], "last line %r" % lines)
        at = next(i for i, line in enumerate(lines) if line.startswith("no "))
        check("->" in lines[at + 1], "a hint after %r" % lines[at])
        check("kvm" in lines[at], lines[at])
        if how == NO_GROUP:
            check("kvm_permitted" in lines[at] and "group" in lines[at + 1], "%r" % lines)


def test_check():
    """husk check on a fit host: every answer is yes, status 0, the same in JSON"""
    r = husk_raw(["check"])
    eq((r.rc, r.err), (0, b""), "%r" % r)
    lines = r.out.decode().rstrip("\n").split("\n")
    check("is fit" in lines[-1] and all(line.startswith("ok ") for line in lines[:-1]), r.out.decode())
    r = husk_raw(["check", "--json"])
    eq(r.rc, 0)
    j = json.loads(r.out)
    eq((j["husk_check"], j["fit"]), (1, True))
    eq([q["name"] for q in j["questions"]], [line.split()[1] for line in lines[:-1]])
    check(any(q["name"] == "kvm_cap_split_irqchip" for q in j["questions"]), "capabilities by name")
    for option, value, name in (("--kernel", "/no/such", "kernel"), ("--image", KERNEL, "image")):
        r = husk_raw(["check", "--json", option, value])
        eq(r.rc, 1)
        bad = [q for q in json.loads(r.out)["questions"] if not q["ok"]]
        eq([q["name"] for q in bad], [name])
        check(bad[0]["hint"], "a hint")


def test_arguments_too_long():
    """arguments and environment up to the limit pass, beyond it: one line"""
    big = ["--env", "BIG=" + "e" * 120000]
    r = husk("sh", "-c", "echo $# ${#7} ${#BIG}", "x", *["a" * 130000 for _ in range(7)], options=big)
    eq((r.rc, r.out), (0, b"7 130000 120000\n"), "%r" % r.err)
    wrong([*big, "--", "true", *["b" * 130000 for _ in range(8)]], "arguments", "stdin")


def test_environment():
    """--env NAME, --env-file from a file and a FIFO, 100,000 variables, 1 MiB of them"""
    with tempfile.TemporaryDirectory(dir=FOLDER) as d:
        few, many, fifo = (os.path.join(d, n) for n in ("few", "many", "fifo"))
        with open(few, "w") as f:
            f.write("# of a run\nA=1\nB=two words\nSECRET\nNOT_THERE\n")
        r = husk("sh", "-c", 'echo "$A|$B|$SECRET|$OTHER|${NOT_THERE-unset}"', env=dict(ENV, SECRET="s=x", OTHER="o"),
                 options=["--env-file", few, "--env=A=mine", "--env", "OTHER", "--env=NOT_HERE"])
        eq((r.rc, r.out), (0, b"mine|two words|s=x|o|unset\n"), "%r" % r.err)
        entries = ["V%05d=%d" % (i, i & 1) for i in range(100000)]
        with open(many, "w") as f:
            f.write("\n".join(entries))
        r = husk("sh", "-c", "env | grep -c ^V", options=["--env-file", many])
        eq((r.rc, r.out), (0, b"100000\n"), "%r" % r.err)
        os.mkfifo(fifo)
        t = threading.Thread(target=lambda: open(fifo, "w").write("\n".join("L%d=%s" % (i, "x" * 130000)
                                                                           for i in range(8))))
        t.start()
        r = husk("sh", "-c", "echo ${#L0}${#L7}; env | wc -c", options=["--env-file", fifo])
        t.join()
        eq((r.rc, r.out.split()[0]), (0, b"130000130000"), "%r" % r.err)
        check(int(r.out.split()[1]) > 8 * 130000, "%r" % r.out)
        with open(many, "a") as f:
            f.write("\n" + "\n".join("L%d=%s" % (i, "x" * 130000) for i in range(4)))
        wrong(["--env-file", many, "--", "true"], "arguments and environment", "stdin")


main()
