# SPDX-License-Identifier: MIT
"""A storm: jobs side by side, each killed by SIGKILL at a moment of its own.

Shows of issue 4: afterwards there is no process, no file, no descriptor, no
cgroup, no VM; the image is unchanged, and the next job works. HUSK_STORM says
how many jobs (500 for a release, see the note; fewer by default), HUSK_SEED
which moments.
"""

import concurrent.futures
import random

from lib import *

JOBS = int(os.environ.get("HUSK_STORM", "60"))
SEED = int(os.environ.get("HUSK_SEED", "4"))
AT_A_TIME = 8

# What they are at when it hits them: streams, disk, memory, processes, the CPU, nothing.
WORK = ("cat /dev/zero", "cat /dev/zero >&3", "cat; sleep 1000", "head -c 64M /dev/zero >/tmp/x; sleep 1000",
        "f() { f | f & f; }; f", "while :; do :; done", "cat /usr/bin/* >/dev/null", "echo done")


def vms():
    """How many VMs and vCPUs the kernel's KVM holds, and its openers."""
    n = 0
    for name in ("kvm", "kvm_amd", "kvm_intel"):
        path = "/sys/module/%s/refcnt" % name
        if os.path.exists(path):
            n += int(head_of(path, 20))
    return n


def family(pid):
    """A process and those that it started."""
    pids = [pid]
    for p in pids:
        try:
            for t in os.listdir("/proc/%d/task" % p):
                pids += map(int, head_of("/proc/%d/task/%s/children" % (p, t), 4096).split())
        except OSError:
            pass
    return pids


def launch(options, i):
    """One of them, with what it says going nowhere."""
    be_patient()
    r, w = os.pipe()
    p = subprocess.Popen(argv("sh", "-c", WORK[i % len(WORK)], options=["--result-fd", str(w), *options]),
                         pass_fds=[w], env=ENV, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE)
    os.close(w)
    return p, r


def settle(p, r):
    """Its end: everything that it held is closed, so no read may hang."""
    err = p.stderr.read()
    while os.read(r, 1 << 16):
        pass
    os.close(r)
    p.stdin.close(), p.stderr.close()
    return p.wait(), err


def one(options, i, moment, member):
    """Start, wait, kill; `member` of its processes, most times the first."""
    p, r = launch(options, i)
    t = threading.Timer(moment, lambda: kill(p.pid, member))
    t.start()
    rc, err = settle(p, r)
    t.cancel()
    t.join()
    # Killed; over before that; or told by the half that is left.
    if rc != -signal.SIGKILL and not (rc in (0, 2) and not err) and \
            not (rc == 125 and member and err.startswith(b"husk: ") and err.count(b"\n") == 1):
        return "job %d (%s), hit after %.3f s: status %d, %r" % (i, WORK[i % len(WORK)], moment, rc, err)
    return None


def kill(pid, member):
    pids = family(pid)
    try:
        os.kill(pids[member % len(pids)], signal.SIGKILL)
    except ProcessLookupError:
        pass


def storm(options, jobs, seed):
    """What was wrong with any of them."""
    rng = random.Random(seed)
    r = husk("true", options=options)
    eq(r.rc, 0)
    # Some are hit before they begin, some when they have long been at it.
    reach = 1.5 * AT_A_TIME * r.status["timeline_ns"]["t4_exit"] / 1e9
    plan = [(i, rng.uniform(0, reach), 0 if rng.random() < 0.75 else 1) for i in range(jobs)]
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        return [x for x in pool.map(lambda a: one(options, *a), plan) if x]


def test_storm():
    """a storm of copies and cold starts, killed at any moment: nothing is left, the image is unchanged"""
    template = make_template()
    before = host_state(), vms(), os.listdir("/proc/self/fd"), image_hash()
    bad = storm(["--template", template], JOBS * 4 // 5, SEED) + storm([], JOBS - JOBS * 4 // 5, SEED + 1)
    check(not bad, "%d of %d: %r" % (len(bad), JOBS, bad))
    # The kernel lets go of a killed VM in its own time.
    wait_for(lambda: huskies() == 0 and vms() == before[1], "husk and its VMs to be gone")
    after = host_state(), vms(), os.listdir("/proc/self/fd"), image_hash()
    for what, a, b in zip(("mounts, cgroups, files", "VMs", "descriptors", "the image"), after, before):
        eq(a, b, what)
    next_job("--template", template)
    next_job()


main()
