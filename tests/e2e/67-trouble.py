# SPDX-License-Identifier: MIT
"""A run on a host that lets it down: one line, and a verdict that blames no job.

Shows of issue 4: "host out of memory, disk full under --status/--result, EIO
under the image: the right verdict and one line". Needs root, as a host that
fails has to be arranged: loop devices, device mapper, cgroups, mounts.
"""

import resource
from pathlib import Path

from lib import *

os.environ.pop("HUSK_E2E_TEMPLATE", None)



def tool(*args):
    """A command that must work; its output."""
    p = subprocess.run(args, capture_output=True, text=True, timeout=PATIENCE,
                       env=dict(os.environ, PATH="/usr/sbin:/sbin:/usr/bin:/bin"))
    check(p.returncode == 0, "%s: %s" % (" ".join(args), p.stderr))
    return p.stdout.strip()


def module(name):
    """Part of the kernel of this machine, or of the lab's."""
    where = []
    if os.environ.get("HUSK_IN_LAB"):
        modules = "build/cache/lab-kernel/*/root/lib/modules/" + os.uname().release
        where = ["-d", str(next(Path(ROOT).glob(modules)).parents[2])]
    tool("modprobe", *where, name)


BIG = 16 << 20


def small_image():
    """busybox and a large file that nothing has read yet."""
    tree = tempfile.mkdtemp(prefix="husk-e2e-")
    os.mkdir(tree + "/bin")
    shutil.copy("/bin/busybox", tree + "/bin/busybox")
    os.symlink("busybox", tree + "/bin/sh")
    with open(tree + "/big", "wb") as f:
        f.write(pattern(BIG))
    image = os.path.join(FOLDER, "small.ext4")
    tool(os.path.join(ROOT, "build/husk-image"), "build", "-q", "--from", tree, "-o", image)
    shutil.rmtree(tree)
    return image


READER = ("sh", "-c", "echo up; read x; busybox cat /big >/dev/null; echo went on; exec busybox sleep 1000")


def reads_from(image, then):
    """A job that reads on when `then` has been done to its image."""
    st = scratch("trouble-status")
    p = start(*READER, options=["--image", image, "--status", st, "--timeout", "600s"])
    eq(p.stdout.readline(), b"up\n")
    then()
    out, err = talk(p, b"\n")
    status = json.load(open(st))
    return Result(p.returncode, out.replace(b"went on\n", b""), err, status=status)


def blames_the_image(r, image, word):
    eq((r.rc, r.status["verdict"]), (125, "error"), "%r" % r)
    one_line(r)
    check(image.encode() in r.err and word in r.err, "%r" % r.err)


def test_image_whole():
    """an image that stays as it is: the job of the next tests works"""
    st = scratch("trouble-status")
    p = start("sh", "-c", READER[2].replace("exec busybox sleep 1000", "exit 7"),
              options=["--image", small_image(), "--status", st])
    eq(talk(p, b"\n"), [b"up\nwent on\n", b""])
    eq((p.returncode, json.load(open(st))["verdict"]), (7, "exited"))


def test_image_truncated():
    """an image that is cut short while in use: an error that names it, not a failed job"""
    image = small_image()
    blames_the_image(reads_from(image, lambda: os.truncate(image, 4 << 20)), image, b"cut short")


def test_image_unreadable():
    """a disk under the image that fails: an error that names it, not a failed job"""
    image = small_image()
    module("loop")
    module("dm_mod")
    loop = tool("losetup", "--show", "-r", "-f", image)
    sectors = os.stat(image).st_size // 512
    name = "husk-e2e-%d" % os.getpid()
    disk = "/dev/mapper/" + name
    dm = ["dmsetup", "--noudevsync", "--noudevrules"]
    try:
        tool(*dm, "create", "-r", name, "--table", "0 %d linear %s 0" % (sectors, loop))
        tool(*dm, "mknodes")

        def fail():
            tool(*dm, "suspend", name)
            tool(*dm, "load", "-r", name, "--table", "0 %d error" % sectors)
            tool(*dm, "resume", name)
        blames_the_image(reads_from(disk, fail), disk, b"Input/output error")
        # At the start.
        r = husk_raw(["run", "--image", disk, "--", "true"])
        eq(r.rc, 125, "%r" % r)
        one_line(r)
    finally:
        tool(*dm, "remove", "--retry", name)
        tool("losetup", "-d", loop)


EAT = ("perl", "-e", '$|=1; print "up\\n"; <STDIN>; my @x; push @x, "x" x 1e6 while @x < 150; print "went on\\n"; sleep 1000')


def test_out_of_memory():
    """a host without the memory that it promised: an error and one line, not the job's oom"""
    group = "/sys/fs/cgroup/husk-e2e-%d" % os.getpid()
    os.mkdir(group)
    try:
        with open(group + "/memory.max", "w") as f:
            f.write("%d" % (110 << 20))
        st = scratch("trouble-status")

        def enter():
            with open(group + "/cgroup.procs", "w") as f:
                f.write("0")
        p = start(*EAT, options=["--memory", "256M", "--status", st], preexec_fn=enter)
        eq(p.stdout.readline(), b"up\n")
        out, err = talk(p, b"\n")
        r = Result(p.returncode, out, err)
        eq(r.rc, 125, "%r" % r)
        one_line(r)
        eq(json.load(open(st))["verdict"], "error")
        eq(huskies(), 0)
    finally:
        wait_for(lambda: not head_of(group + "/cgroup.procs", 99), "its cgroup to be empty")
        os.rmdir(group)


def test_limits():
    """too little address space, too few descriptors, too small files: one line each"""
    def limited(*pairs, args=("--", "true")):
        def set_them():
            for what, n in pairs:
                resource.setrlimit(what, (n, n))
        return husk_raw(["run", *args], preexec_fn=set_them)
    for r in (limited((resource.RLIMIT_AS, 100 << 20)), limited((resource.RLIMIT_NOFILE, 8)),
              limited((resource.RLIMIT_DATA, 64 << 20))):
        eq(r.rc, 125, "%r" % r)
        one_line(r)
    big = scratch("trouble-result")
    r = limited((resource.RLIMIT_FSIZE, 100000),
                args=("--result", big, "--", "sh", "-c", "head -c 1000000 /dev/zero >&3"))
    eq((r.rc, os.stat(big).st_size), (125, 100000), "%r" % r)
    one_line(r)
    check(b"result" in r.err, "%r" % r.err)


def test_disk_full():
    """a disk that gets full under --result, --status and --console: one line, and what fitted is there"""
    folder = tempfile.mkdtemp(prefix="husk-e2e-")
    tool("mount", "-t", "tmpfs", "-o", "size=64k", "husk-e2e", folder)
    try:
        st = scratch("trouble-status")
        r = husk_raw(["run", "--result", folder + "/result", "--status", st, "--", "sh", "-c",
                      "head -c 1000000 /dev/zero >&3; sleep 1000"])
        eq((r.rc, json.load(open(st))["verdict"]), (125, "error"), "%r" % r)
        one_line(r)
        check(b"write result: No space left" in r.err, "%r" % r.err)
        check(os.stat(folder + "/result").st_size >= 60000, "what fitted")
        # The disk is full from before.
        r = husk_raw(["run", "--status", folder + "/status", "--", "true"])
        eq(r.rc, 125, "%r" % r)
        one_line(r)
        check(b"write the status: No space left" in r.err, "%r" % r.err)
        # A log is no reason to lose the job.
        r = husk_raw(["run", "--console", folder + "/console", "--", "true"])
        eq((r.rc, r.err), (0, b""), "%r" % r)
    finally:
        tool("umount", folder)
        os.rmdir(folder)


main()
