# SPDX-License-Identifier: MIT
"""Many idle copies at once: what each costs the host.

Shows of issue 3: "private memory of an idle copy, husk included: at most
1 MiB; 200 idle copies at once in the lab with 3 GiB of memory". The copies
are a pool's waiting machines (HUSK_COPIES, 200 by default). Private is what
smaps says of a machine's process, guest memory and all; what the kernel
holds for it besides (page tables, KVM, namespaces) is printed, and bounded by
the lab's memory alone.
"""

from lib import *

COPIES = int(os.environ.get("HUSK_COPIES") or 200)
PRIVATE_MAX = 1 << 20


def available():
    with open("/proc/meminfo") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("MemAvailable"))


def private(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return sum(int(line.split()[1]) << 10 for line in f if line.startswith("Private_"))


def test_idle_copies():
    """as many machines wait at once as asked for, each with at most 1 MiB of its own"""
    of, path = make_template(), os.path.join(FOLDER, "density")
    before = available()
    with open(path + ".err", "wb") as err:
        p = subprocess.Popen([HUSK, "pool", "--template", of, "--size", str(COPIES), "--listen", path],
                             stdin=subprocess.DEVNULL, stderr=err, env=ENV)
    try:
        wait_for(lambda: b"waiting\n" in head_of(path + ".err", -1) or p.poll() is not None, "the pool's machines")
        machines = children(p.pid)
        eq(len(machines), COPIES, "machines: %r" % head_of(path + ".err", -1))
        own = sorted(private(pid) for pid in machines)
        whole = (before - available()) // COPIES
        print("# %d machines: private %d to %d KiB, %d KiB of the host's memory for each" % (
            COPIES, own[0] >> 10, own[-1] >> 10, whole >> 10))
        check(own[-1] <= PRIVATE_MAX, "private memory of %d bytes" % own[-1])
        for i in range(3):
            r = husk_raw(["run", "--pool", path, "--", "sh", "-c", "echo $((6 * %d))" % i])
            eq((r.rc, r.out, r.err), (0, b"%d\n" % (6 * i), b""))
        p.terminate()
        eq(p.wait(), 0)
        wait_for(lambda: not any(os.path.exists("/proc/%d" % pid) for pid in machines), "the machines to be gone")
    finally:
        p.kill()
        p.wait()


main()
