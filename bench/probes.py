# SPDX-License-Identifier: MIT
"""What bench counts on the host that runs the jobs: memory, deaths, leftovers.

Expects to be in a PID namespace of its own: every process there besides us is
the contender's, and is ended here when its question is answered.
"""

import os
import platform
import select
import signal
import subprocess
import time

# Until the first byte; set by who uses this.
PATIENCE_S = 60
# How long after a kill leftovers are counted: what is still ending is none.
SETTLE_S = 2
# Between two deadlines, each of which has ended all that it began.
BREATH_S = 0.3


def is_pool(pid):
    """One of a pool that runs beside us all the time."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return b"\0pool\0" in f.read()
    except OSError:
        return False


def pids(pools=False):
    """All processes but us, with those of pools only if they are the contender."""
    found = {int(d) for d in os.listdir("/proc") if d.isdigit()} - {os.getpid()}
    return found if pools else {pid for pid in found if not is_pool(pid)}


def end_all(but, pools=False):
    for _ in range(100):
        rest = pids(pools) - but
        if not rest:
            return
        for pid in rest:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        reap(but)
        time.sleep(0.02)


def reap(but=frozenset()):
    """We are PID 1: the orphans of contenders are ours. Not those that we still wait for."""
    try:
        while True:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
    except ChildProcessError:
        pass


def start(argv):
    """A contender with its stdout in a pipe, in a group of its own."""
    words = [w.replace("@N", str(time.monotonic_ns())) for w in argv]
    root = None
    if words[0].startswith("chroot="):
        root = words.pop(0)[len("chroot="):]

    def enter():
        if root:
            os.chroot(root)
            os.chdir("/")
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            preexec_fn=enter, start_new_session=True, bufsize=0)


def first_byte(p):
    ready, _, _ = select.select([p.stdout], [], [], PATIENCE_S)
    if not ready or not p.stdout.read(1):
        raise OSError("no output within %d s" % PATIENCE_S)


def available():
    with open("/proc/meminfo") as f:
        for line in f:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    raise OSError("no MemAvailable in /proc/meminfo")


def private(pid):
    """Bytes that this process has for itself; 0 when it is gone."""
    try:
        with open("/proc/%d/smaps_rollup" % pid) as f:
            return sum(int(line.split()[1]) * 1024 for line in f if line.startswith("Private_"))
    except OSError:
        return 0


def kvm_exits():
    """All exits of all machines that there are now, by KVM's own count; None where it cannot be seen."""
    try:
        with open("/sys/kernel/debug/kvm/exits") as f:
            return int(f.read())
    except (OSError, ValueError):
        return None


def idle(argv, counts, pools=False):
    """What instances that wait take, for each of `counts`: private, and of the host's memory.

    Of a pool its machines are a part: it makes another for each that is taken,
    so what all of it has more than before is what those in use have.
    The host's is counted from the first instance on: what that one has brought
    into memory for all of them is not what one more costs.
    """
    before, running, found, free, exits = pids(pools), [], [], None, (kvm_exits(), None)
    had = sum(map(private, before))
    try:
        for count in counts:
            while len(running) < count:
                running.append(start(argv))
                first_byte(running[-1])
                exits = exits if exits[1] else (exits[0], kvm_exits())
            time.sleep(SETTLE_S)
            now = pids(pools)
            left = available()
            free = left if free is None else free
            found.append({
                "instances": count,
                "private_bytes": (sum(map(private, now)) - had) // count,
                "more_bytes": (free - left) // (count - 1) if count > 1 else None,
                "processes": (len(now) - len(before)) / count,
                "kvm_exits": exits[1] - exits[0] if exits[1] else None,
            })
        return found
    finally:
        for p in running:
            p.kill()
            p.stdout.close()
        end_all(before)
        for p in running:
            p.wait()


def deadline(argv, seconds, own, pools=False):
    """Nanoseconds from a deadline until no process of the contender and its job is left.

    The contender's own deadline where it has one, else SIGKILL at that time,
    as timeout(1) would do. None when something was still there 10 s later.
    """
    time.sleep(BREATH_S)
    before = pids(pools)
    begin = time.monotonic()
    p = start(argv)
    try:
        first_byte(p)
        if not own:
            time.sleep(max(0, begin + seconds - time.monotonic()))
            p.kill()
        while time.monotonic() < begin + seconds + 10:
            if p.poll() is not None:
                reap()
                if len(pids(pools)) <= len(before):
                    return int((time.monotonic() - begin - seconds) * 1e9)
            time.sleep(0.0005)
        return None
    finally:
        p.kill()
        p.stdout.close()
        end_all(before, pools)
        p.wait()


def tree(top):
    """How many files and folders are below, on this file system."""
    try:
        device = os.stat(top).st_dev
    except OSError:
        return 0
    total = 0
    for folder, dirs, files in os.walk(top):
        dirs[:] = [d for d in dirs if os.lstat(os.path.join(folder, d)).st_dev == device]
        total += len(dirs) + len(files)
    return total


def traces(scratch, pools):
    with open("/proc/self/mountinfo") as f:
        mounts = len(f.readlines())
    return {
        "processes": len(pids(pools)),
        "mounts": mounts,
        "cgroups": sum(len(dirs) for _, dirs, _ in os.walk("/sys/fs/cgroup")),
        "files": sum(map(tree, scratch)),
    }


def leftovers(argv, scratch, pools=False):
    """What SIGKILL of a contender leaves: processes, mounts, control groups, files."""
    # A first run makes what is kept for good, which is no leftover.
    for _ in range(2):
        time.sleep(SETTLE_S)
        held, before = pids(pools), traces(scratch, pools)
        p = start(argv)
        try:
            first_byte(p)
            p.kill()
            p.wait()
            time.sleep(SETTLE_S)
            reap()
            after = traces(scratch, pools)
        finally:
            p.kill()
            p.stdout.close()
            end_all(held, pools)
    return {key: max(0, after[key] - before[key]) for key in before}


def cpu():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def host():
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": cpu(),
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "memory": total,
        "load": os.getloadavg()[0],
    }
