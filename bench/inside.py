# SPDX-License-Identifier: MIT
"""The measuring part of bench: runs where the jobs run, in a world of its own.

    inside.py PLAN      PLAN is JSON: see main(); bench/run makes it

The same program measures on this machine and in the lab, as PID 1 of a PID
namespace, so that what a contender leaves behind can be counted and ends with
us. Times are taken by bench/spawn, a small static program; what is counted
(memory, processes, leftovers) is counted here. Prints JSON lines: records, and
progress. A contender that fails at something is left out there, with its own
last line as the reason, and the others go on.
"""

import json
import os
import subprocess
import sys
import time

import jobs
import probes

HERE = os.path.dirname(os.path.abspath(__file__))
PLAN = {}
# A hang, not a speed limit: real time is slow in the lab, its own is not.
PATIENCE = 3600


def emit(**what):
    print(json.dumps(what), flush=True)


class LeftOut(Exception):
    """A contender cannot do this; the text says why."""


def last_line(text):
    """The last thing that a contender said, and before it what the timer said."""
    lines = [line.strip() for line in text.decode(errors="replace").splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith("spawn: ")]
    timer = [line for line in lines if line.startswith("spawn: ")]
    return (": ".join(timer[-1:] + said[-1:]) or "no reason given")[:400]


class Contender:
    """An adaptor and what it said of itself."""

    def __init__(self, name):
        self.name = name
        self.path = os.path.join(HERE, "contenders", name)
        with open(self.path) as f:
            self.own_deadline = "# DEADLINE: own\n" in f.read()
        self.is_husk = name.startswith("husk")
        self.state = os.path.join(PLAN["state"], name)
        os.makedirs(self.state, exist_ok=True)
        self.prepared = set()
        self.version = self.call("available").decode().strip().split("\n")[0]

    def call(self, verb, *args, **env):
        env = dict(os.environ, **PLAN["env"], BENCH_STATE=self.state, **env)
        # Not a pipe for stderr: what prepare leaves running would hold it.
        with open(os.path.join(self.state, "stderr"), "w+b") as err:
            p = subprocess.run([self.path, verb, *args], env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=err, timeout=PATIENCE, check=False)
            err.seek(0)
            if p.returncode:
                raise LeftOut(last_line(err.read()))
        return p.stdout

    def argv(self, *cmd, **env):
        """The command line that runs CMD inside, prepared once for each environment."""
        key = env.get("BENCH_MEMORY")
        if key not in self.prepared:
            self.call("prepare", **({"BENCH_MEMORY": key} if key else {}))
            self.prepared.add(key)
        words = self.call("run", *cmd, **env).decode().split("\0")[:-1]
        if not words:
            raise LeftOut("the adaptor's verb 'run' printed no command line")
        return words


def spawn(commands, rounds, *options):
    """bench/spawn's lines, as (name, numbers); LeftOut with its complaint."""
    words = []
    for name, argv in commands:
        words += ["+"] * bool(words) + [name, *argv]
    p = subprocess.run([PLAN["spawn"], *map(str, options), str(rounds), *words], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
    if p.returncode:
        raise LeftOut(last_line(p.stderr))
    for line in p.stdout.decode().splitlines():
        name, *numbers = line.split()
        yield name, list(map(int, numbers))


def pause():
    """Milliseconds before a run: nothing in the lab, where sleeping is free."""
    return ("-p", 200 if PLAN["exact"] else 20)


def leave_out(bench, contender, job, reason):
    emit(kind="left_out", bench=bench, contender=contender, job=job, reason=str(reason))


def measure(bench, job, commands, rounds, options=(), out=None, trial=None, **more):
    """Runs of all commands in turn; those that fail alone before are left out.

    A command is (contender, argv). With `out` a run must print so many bytes.
    The trial alone, with options of its own if it has some, also warms up.
    Returns (contender's name, nanoseconds) of each run.
    """
    good = []
    for c, argv in commands:
        try:
            (_, numbers), = spawn([(c.name, argv)], 1, *(options if trial is None else trial), "-p", 0, "-w", 0)
            if out is not None and numbers[3] != out:
                raise LeftOut("printed %d bytes, not %d" % (numbers[3], out))
            good.append((c, argv))
        except (LeftOut, subprocess.TimeoutExpired) as e:
            leave_out(bench, c.name, job, e)
    runs = []
    if not good:
        return runs
    by_name = {c.name: (c, argv) for c, argv in good}
    try:
        for name, numbers in spawn([(c.name, argv) for c, argv in good], rounds, *options, *pause(), "-w", 0):
            c, argv = by_name[name]
            runs.append((name, numbers[0]))
            record = dict(zip(("ns", "first_ns", "last_ns", "bytes"), numbers))
            emit(kind="run", bench=bench, contender=name, job=job, version=c.version, argv=argv, **record, **more)
    except (LeftOut, subprocess.TimeoutExpired) as e:
        leave_out(bench, "all", job, e)
    return runs


def each(contenders, bench, job, function):
    """function(contender) for all that can, as a list of (contender, result)."""
    done = []
    for c in contenders:
        try:
            done.append((c, function(c)))
        except (LeftOut, OSError, subprocess.TimeoutExpired) as e:
            leave_out(bench, c.name, job, e)
    return done


def rounds_of(exact, wall):
    return PLAN["rounds"] or (exact if PLAN["exact"] else wall)


def do_job(contenders, name):
    job = jobs.JOBS[name]
    exact = PLAN["exact"]
    fed = {"BENCH_INPUT": "1"} if job.stdin(exact) else {}
    commands = each(contenders, "jobs", name, lambda c: c.argv(*job.argv(exact), **fed))
    options = ["-o"]
    if job.stdin(exact):
        options += ["-i", job.stdin(exact)]
    measure("jobs", name, commands, rounds_of(job.exact_rounds, job.wall_rounds), options, job.stdout(exact))


def do_rate(contenders, at_once):
    commands = each(contenders, "rate", "true", lambda c: c.argv("/bench/true"))
    commands = [(c, argv) for c, argv in commands if fits(c, at_once)]
    runs = measure("rate", "true", commands, rounds_of(1, max(2, 20 // at_once)), ["-j", at_once], trial=(), at_once=at_once)
    for name, ns in runs:
        longest[name] = max(ns / at_once, longest.get(name, 0))


# What one idle instance took from the host, and a run of true, by contender.
footprint, longest = {}, {}


def fits(c, n):
    """Whether so many at once are worth a try."""
    if n * footprint.get(c.name, 0) > 0.7 * probes.available():
        leave_out("rate", c.name, "true", "%d at a time do not fit into this host's memory" % n)
    elif PLAN["exact"] and n * longest.get(c.name, 0) > 10e9:
        leave_out("rate", c.name, "true", "%d at a time take the lab too long" % n)
    else:
        return True
    return False


def do_idle(contenders):
    def idle(c):
        for found in probes.idle(c.argv(*jobs.IDLE), jobs.IDLE_COUNTS):
            footprint[c.name] = found["more_bytes"] or found["private_bytes"]
            emit(kind="run", bench="idle", contender=c.name, job="idle", version=c.version, **found)
    each(contenders, "idle", "idle", idle)


def do_death(contenders):
    def death(c):
        # A second of computing takes the lab a minute, one of waiting nothing.
        argv = c.argv(*(jobs.IDLE if PLAN["exact"] else jobs.SPIN), BENCH_DEADLINE="1")
        for _ in range(rounds_of(1, 20)):
            ns = probes.deadline(argv, 1.0, c.own_deadline, c.name == "husk-pool")
            emit(kind="run", bench="death", contender=c.name, job="endless", version=c.version, argv=argv,
                 own_deadline=c.own_deadline, ns=ns)
            if ns is None:
                break
        emit(kind="run", bench="leftovers", contender=c.name, job="idle", version=c.version,
             **probes.leftovers(c.argv(*jobs.IDLE), PLAN["scratch"], c.name == "husk-pool"))
    each(contenders, "death", "endless", death)


def do_status(contenders, name):
    """What husk counts about a run."""
    job = jobs.JOBS[name]

    def status(c):
        path = os.path.join(c.state, "status")
        argv = c.argv(*job.argv(PLAN["exact"]), BENCH_STATUS=path)
        feed = job.stdin(PLAN["exact"])
        # Clocks want a median, counts do not.
        rounds = rounds_of(3, 5) if job.slow == 1 else 1
        for _ in range(rounds):
            (_, numbers), = spawn([(c.name, argv)], 1, "-o", *(("-i", feed) if feed else ()), "-p", 0, "-w", 0)
            with open(path) as f:
                emit(kind="run", bench="status", contender=c.name, job=name, version=c.version, argv=argv,
                     ns=numbers[0], status=json.load(f))
    each([c for c in contenders if c.is_husk], "status", name, status)


def do_console(contenders):
    """When the guest's kernel says what, in a cold run."""
    def console(c):
        path = os.path.join(c.state, "console")
        argv = c.argv("/bench/true", BENCH_CONSOLE=path)
        list(spawn([(c.name, argv)], 1, "-p", 0))
        with open(path, errors="replace") as f:
            emit(kind="run", bench="console", contender=c.name, job="true", version=c.version, log=f.read())
    each([c for c in contenders if c.name == "husk"], "console", "true", console)


def do_growth_memory(contenders, mib):
    size = "%dM" % mib
    husks = [c for c in contenders if c.name in ("husk", "husk-template")]
    commands = each(husks, "growth-memory", "true", lambda c: c.argv("/bench/true", BENCH_MEMORY=size))
    measure("growth-memory", "true", commands, rounds_of(3, 20), ["-o"], memory=mib * jobs.MIB)


def do_growth_stream(contenders, mib):
    commands = each(contenders, "growth-stream", "stream", lambda c: c.argv("/bin/cat", BENCH_INPUT="1"))
    size = mib * jobs.MIB
    measure("growth-stream", "stream", commands, rounds_of(1, 20), ["-o", "-i", size], size, size=size)


def do_target_python(contenders):
    """Ten lines of Python: cold in each contender, and where it has one in a warm one."""
    with open(os.path.join(PLAN["state"], "warm-job.py"), "w") as f:
        f.write(jobs.WARM_JOB)
    commands = each(contenders, "python", "ten lines", lambda c: c.argv("python3", "-", BENCH_INPUT="1"))
    measure("python", "ten lines", commands, rounds_of(2, 20), ["-o", "-f", f.name], jobs.WARM_OUT)
    warm = [c for c in contenders if c.name in PLAN["warm"]]
    commands = each(warm, "python", "ten lines, warm", lambda c: c.argv())
    measure("python", "ten lines, warm", commands, rounds_of(5, 20), ["-o", "-f", f.name], jobs.WARM_OUT)


def do_target_byte(contenders):
    """A static program that writes a byte: T3 without the cost of a dynamic one."""
    commands = each(contenders, "byte", "byte", lambda c: c.argv("/bench/work", "byte"))
    measure("byte", "byte", commands, rounds_of(5, 100), ["-o"], 2)


def steps(contenders):
    """(figure, words for people, seconds in the lab's host, function)."""
    n = len(contenders)
    exact = PLAN["exact"]
    yield "idle", "idle instances", 5 * n, lambda: do_idle(contenders)
    for name in PLAN["jobs"]:
        job = jobs.JOBS[name]
        yield "jobs", name, n * job.slow * (job.exact_rounds + 1), lambda j=name: do_job(contenders, j)
    yield "targets", "ten lines of Python", 14 * n, lambda: do_target_python(contenders)
    yield "targets", "first byte", 10 * n, lambda: do_target_byte(contenders)
    for name in PLAN["jobs"]:
        yield "status", "exits of " + name, 6 * jobs.JOBS[name].slow, lambda j=name: do_status(contenders, j)
    yield "status", "the kernel's log", 4, lambda: do_console(contenders)
    # How things grow is counted best where nothing else moves.
    for mib in (128, 512, 1024, 2048) if exact else ():
        yield "growth", "%d MiB of memory" % mib, 20, lambda m=mib: do_growth_memory(contenders, m)
    for mib in (1, 2, 8) if exact else ():
        yield "growth", "%d MiB through" % mib, 3 * n * mib, lambda m=mib: do_growth_stream(contenders, m)
    for at_once in (1, 2, 8, 64):
        yield "rate", "%d at a time" % at_once, n * at_once, lambda a=at_once: do_rate(contenders, a)
    yield "death", "deadline and SIGKILL", 12 * n, lambda: do_death(contenders)


def prove(c):
    """That it runs anything: `true` prints nothing, and to fail fast must not look fast."""
    (_, numbers), = spawn([(c.name, c.argv("/bench/work", "byte"))], 1, "-o", "-p", 0, "-w", 0)
    if numbers[3] != 2:
        raise LeftOut("a job that prints 2 bytes printed %d" % numbers[3])


def find_contenders():
    found = []
    for name in PLAN["contenders"]:
        try:
            c = Contender(name)
            prove(c)
            found.append(c)
            emit(kind="contender", contender=name, version=c.version)
        except (LeftOut, subprocess.TimeoutExpired) as e:
            leave_out("all", name, "all", e)
    return found


def main():
    PLAN.update(json.loads(sys.argv[1]))
    emit(kind="host", **probes.host())
    contenders = find_contenders()
    todo = [s for s in steps(contenders) if s[0] in PLAN["figures"]]
    total = sum(s[2] for s in todo)
    done = 0
    for _, text, seconds, function in todo:
        emit(kind="progress", fraction=done / total, text=text)
        begin = time.monotonic()
        function()
        emit(kind="step", text=text, estimate=seconds, host_seconds=round(time.monotonic() - begin, 3))
        done += seconds


main()
