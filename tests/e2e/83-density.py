# SPDX-License-Identifier: MIT
"""Copies that wait: what each costs the host, and what it has ready.

Shows of issue 3: "private memory of an idle copy, husk included: at most
1 MiB; 200 idle copies at once in the lab with 3 GiB of memory". The copies
are a pool's waiting machines (HUSK_COPIES, 200 by default). Private is what
smaps says of a machine's process, guest memory and all; what the kernel
holds for it besides (page tables, KVM, namespaces) is printed, and bounded by
the lab's memory alone.

A machine that waits has touched the pages that its job will touch (KVM's count
of faults says so, and the pool where that cannot be), and its memory is still
the template's.
"""

import contextlib

from forge import TOUCHED, forge
from lib import *

COPIES = int(os.environ.get("HUSK_COPIES") or 200)
PRIVATE_MAX = 1 << 20
MAX_FAULTS = 150  # of a job that had 390 before there was touching


def available():
    with open("/proc/meminfo") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("MemAvailable"))


def private(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return sum(int(line.split()[1]) << 10 for line in f if line.startswith("Private_"))


@contextlib.contextmanager
def pool(of, size):
    """Its process, its socket and its machines, all waiting."""
    path = os.path.join(FOLDER, "density")
    p = start_pool(path, of, size)
    try:
        machines = children(p.pid)
        eq(len(machines), size, "machines: %r" % head_of(path + ".err", -1))
        yield p, path, machines
        p.terminate()
        eq(p.wait(), 0)
        wait_for(lambda: not any(os.path.exists("/proc/%d" % pid) for pid in machines), "the machines to be gone")
    finally:
        p.kill()
        p.wait()


def test_idle_copies():
    """as many machines wait at once as asked for, each with at most 1 MiB of its own"""
    of = make_template()
    before = available()
    with pool(of, COPIES) as (_, path, machines):
        own = sorted(private(pid) for pid in machines)
        whole = (before - available()) // COPIES
        print("# %d machines: private %d to %d KiB, %d KiB of the host's memory for each" % (
            COPIES, own[0] >> 10, own[-1] >> 10, whole >> 10))
        check(own[-1] <= PRIVATE_MAX, "private memory of %d bytes" % own[-1])
        for i in range(3):
            r = husk_raw(["run", "--pool", path, "--", "sh", "-c", "echo $((6 * %d))" % i])
            eq((r.rc, r.out, r.err), (0, b"%d\n" % (6 * i), b""))


# Writes a byte, and waits for one.
STATIC = r"""
static long call(long n, long fd, void *p)
{
	long r;

	__asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(fd), "S"(p), "d"(1) : "rcx", "r11", "memory");
	return r;
}
void _start(void)
{
	char c = 'x';

	call(1, 1, &c);
	call(0, 0, &c);
	call(60, 0, 0);
}
"""
made = []


def static_template():
    if not made:
        made.append(make_template("--image", static_image("job", STATIC, "-nostdlib")))
    return made[0]


def faults(pid):
    """Times that the guest of this process ended in KVM for a page, devices included."""
    top = "/sys/kernel/debug/kvm"
    if not os.path.exists(top):
        subprocess.run(["mount", "-t", "debugfs", "none", "/sys/kernel/debug"], check=True)
    d, = (d for d in os.listdir(top) if d.startswith("%d-" % pid))
    with open(os.path.join(top, d, "pf_taken")) as f:
        return int(f.read())


def test_touched():
    """a machine has touched the pages of its job, which then waits for few"""
    of = static_template()
    words = husk_raw(["template", "info", of]).out.split()
    at = words.index(b"touched")
    listed = (int(words[at + 1]) + int(words[at + 4])) // 4
    check(listed > 300, "the template lists %d pages" % listed)
    with pool(of, 1) as (_, path, (pid,)):
        before = faults(pid)
        job = subprocess.Popen([HUSK, "run", "--pool", path, "--", "/bin/job"], bufsize=0, env=ENV,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        eq(job.stdout.read(1), b"x")
        during = faults(pid) - before
        print("# %d pages listed, %d faults before the job, %d until its first byte" % (listed, before, during))
        # KVM may look up several pages at a fault.
        check(before > listed / 2, "%d faults of %d pages while it waited" % (before, listed))
        check(during <= MAX_FAULTS, "%d faults until the job's first byte" % during)
        job.communicate(b"\n")
        eq(job.returncode, 0)


def test_untouched():
    """where pages cannot be touched beforehand the pool says so, once, and serves its jobs"""
    def only_read(kind, section):
        for at in range(4, len(section) if kind == TOUCHED else 0, 8):
            section[at + 3] &= 0x7f
    of = forge(static_template(), os.path.join(FOLDER, "only-read"), only_read)
    with pool(of, 2) as (_, path, _):
        words = head_of(path + ".err", -1)
        check(words.count(b"jobs start slower") == 1 and b"no page to work in\n" in words, "%r" % words)
        r = husk_raw(["run", "--pool", path, "--", "/bin/job"])
        eq((r.rc, r.out, r.err), (0, b"x", b""))
    with pool(static_template(), 2) as (_, path, _):
        eq(head_of(path + ".err", -1), b"husk: 2 machines are waiting\n")


def test_huge_pages():
    """a pool has in huge pages what its machines only read, on a tmpfs, though the file was copied there"""
    of = shutil.copy2(static_template(), os.path.join(FOLDER, "copied"))
    with pool(of, 1) as (_, _, (pid,)):
        with open("/proc/%d/smaps" % pid) as f:
            kib = sum(int(line.split()[1]) for line in f if line.startswith("ShmemPmdMapped:"))
    check(kib >= 2048, "%d KiB in huge pages" % kib)


def test_as_the_template():
    """the memory of a machine that waits is the template's, byte for byte"""
    of, compared = static_template(), 0
    with pool(of, 1) as (_, _, (pid,)):
        with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb") as mem, open(of, "rb") as file:
            for word in (line.split() for line in maps):
                if word[-1] != of:
                    continue
                start, end = (int(w, 16) for w in word[0].split("-"))
                mem.seek(start)
                file.seek(int(word[2], 16))
                for at in range(start, end, 4096):
                    check(mem.read(4096) == file.read(4096), "page %d of %r differs" % ((at - start) >> 12, word))
                    compared += 1
    check(compared > 1000, "compared %d pages" % compared)


main()
