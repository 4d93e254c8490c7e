# SPDX-License-Identifier: MIT
"""The measuring part of bench: runs where the jobs run, in a world of its own.

    inside.py PLAN      PLAN is JSON: see main(); bench/run makes it

The same program measures on this machine and in the lab, as PID 1 of a PID
namespace, so that what a contender leaves behind can be counted and ends with
us. Times are taken by bench/spawn, a small static program; what is counted
(memory, processes, leftovers) is counted here. Prints JSON lines: records, and
progress. A contender that fails at something is left out there, with its own
last line as the reason, and the others go on; so does one that hangs, for each
run has a limit.

What there is to do is told first, as groups of steps; then each line of stdin
names one that shall be done: so several labs share the work as they get on.
"""

import json
import os
import select
import subprocess
import sys
import time

import jobs
import probes

HERE = os.path.dirname(os.path.abspath(__file__))
PLAN = {}
# Seconds that an adaptor's verb may take, and a run: a hang, not a speed limit.
# A second of computing takes the lab 20 to 40 of its host.
PATIENCE = {True: 20, False: 300}
LIMIT = {True: 8, False: 60}
# In the lab a second run says little that the first one did not: contenders
# that take long have fewer, so many seconds of the lab for each job.
BUDGET_NS = 0.5e9


def emit(**what):
    print(json.dumps(what), flush=True)


HUNG = "hung"
# What bench/run says when it has heard nothing for long: a guest that spins
# takes the lab's host minutes for each second of the lab's clock.
STUCK = "stuck"


class LeftOut(Exception):
    """A contender cannot do this; the text says why."""


class Failed(LeftOut):
    """The timer ended early: after so many runs."""

    def __init__(self, text, runs):
        super().__init__(text)
        self.runs = runs


def patience():
    return PATIENCE[PLAN["exact"]]


def limit():
    return PLAN["limit"] or LIMIT[PLAN["exact"]]


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
                               stdout=subprocess.PIPE, stderr=err, timeout=patience(), check=False)
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


def told_by_run():
    """A line from bench/run, whose end is ours."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            sys.exit(0)
        line += byte
    return line.decode().strip()


def spawn(commands, rounds, *options, limit_s=None):
    """bench/spawn's lines, as (name, numbers), as they come.

    Failed, when a run fails or takes longer than its limit: it and all that it
    started is ended then, and the runs before it have been told.
    """
    words, runs, told = [], 0, b""
    for name, argv in commands:
        words += ["+"] * bool(words) + [name, *argv]
    before = probes.pids()
    with open(os.path.join(PLAN["state"], "timer"), "w+b") as err:
        p = subprocess.Popen([PLAN["spawn"], *map(str, options), str(rounds), *words], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=err, bufsize=0)
        try:
            while True:
                ready = select.select([p.stdout, 0], [], [], limit_s or limit())[0]
                if not ready or 0 in ready and told_by_run() == STUCK:
                    raise Failed(HUNG + (": no end of a run within %d s" % (limit_s or limit()) if not ready else
                                         ": no end of a run for minutes of the lab's host"), runs)
                if p.stdout not in ready:
                    continue
                got = p.stdout.read(65536)
                *lines, told = (told + got).split(b"\n")
                for line in lines:
                    name, *numbers = line.decode().split()
                    runs += 1
                    yield name, list(map(int, numbers))
                if not got:
                    break
            if p.wait():
                err.seek(0)
                raise Failed(last_line(err.read()), runs)
        finally:
            p.kill()
            p.stdout.close()
            probes.end_all(before)
            p.wait()


def one(c, argv, *options, limit_s=None):
    """The numbers of a single run."""
    (_, numbers), = spawn([(c.name, argv)], 1, *options, "-p", 0, "-w", 0, limit_s=limit_s)
    return numbers


def pause():
    """Milliseconds before a run: nothing in the lab, where sleeping is free."""
    return ("-p", 200 if PLAN["exact"] else 20)


def leave_out(bench, contender, job, reason, **more):
    emit(kind="left_out", bench=bench, contender=contender, job=job, reason=str(reason), **more)


def in_turn(bench, job, good, rounds, options, limit_s, more):
    """Runs of commands that take turns; who fails is told, and left out from then on; a hang, from the second on."""
    hung = set()
    while good and rounds > 0:
        told = 0
        try:
            for name, numbers in spawn(good, rounds, *options, *pause(), "-w", 0, limit_s=limit_s):
                c, argv = next((BY_NAME[n], a) for n, a in good if n == name)
                record = dict(zip(("ns", "first_ns", "last_ns", "bytes"), numbers))
                emit(kind="run", bench=bench, contender=name, job=job, version=c.version, argv=argv, **record, **more)
                told += 1
                yield name, numbers[0]
            return
        except Failed as e:
            bad = good[e.runs % len(good)]
            leave_out(bench, bad[0], job, "run %d of %d: %s" % (told // len(good) + 1, rounds, e), **more)
            rounds -= e.runs // len(good)
            if HUNG not in str(e) or bad[0] in hung:
                good = [x for x in good if x is not bad]
            hung.add(bad[0])


def measure(bench, job, commands, rounds, options=(), out=None, trial=None, limit_s=None, **more):
    """Runs of all commands in turn; those that fail alone before are left out.

    A command is (contender, argv). With `out` a run must print so many bytes.
    The trial alone, with options of its own if it has some, also warms up; in
    the lab it says how many rounds there is time for, each on its own.
    Returns (contender's name, nanoseconds) of each run.
    """
    good, runs = [], []
    for c, argv in commands:
        try:
            numbers = one(c, argv, *(options if trial is None else trial), limit_s=limit_s)
            if out is not None and numbers[3] != out:
                raise LeftOut("printed %d bytes, not %d" % (numbers[3], out))
            good.append((c.name, argv))
            if PLAN["exact"]:
                n = rounds if PLAN["rounds"] else max(1, min(rounds, int(BUDGET_NS / max(1, numbers[0]))))
                runs += in_turn(bench, job, good[-1:], n, options, limit_s, more)
        except LeftOut as e:
            leave_out(bench, c.name, job, e, **more)
    if not PLAN["exact"]:
        runs += in_turn(bench, job, good, rounds, options, limit_s, more)
    return runs


def each(contenders, bench, job, function):
    """function(contender) for all that can, as a list of (contender, result)."""
    done = []
    for c in contenders:
        try:
            done.append((c, function(c)))
        except (LeftOut, OSError, ValueError, subprocess.TimeoutExpired) as e:
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
    # Much more than it took alone is no speed any more.
    most = max((longest.get(c.name, 0) for c, _ in commands), default=0)
    runs = measure("rate", "true", commands, rounds_of(1, max(2, 20 // at_once)), ["-j", at_once],
                   trial=(), limit_s=limit() / 2 + 1.5 * at_once * most / 1e9, at_once=at_once)
    for name, ns in runs:
        longest[name] = max(ns / at_once, longest.get(name, 0))


# What one idle instance took from the host, and a run of true, by contender.
footprint, longest = {}, {}
# Nanoseconds of the lab that a rate may take, unless asked for by --long.
RATE_NS = 10e9


def fits(c, n):
    """Whether so many at once are worth a try."""
    if n * footprint.get(c.name, 0) > 0.7 * probes.available():
        leave_out("rate", c.name, "true", "%d at a time do not fit into this host's memory" % n, at_once=n)
    elif PLAN["exact"] and not PLAN["long"] and n * longest.get(c.name, 0) > RATE_NS:
        leave_out("rate", c.name, "true", "%d at a time take %s s of the lab: only with --long" % (
            n, round(n * longest[c.name] / 1e9)), at_once=n)
    else:
        return True
    return False


def do_idle(contenders):
    def idle(c):
        # Each instance costs the lab a start.
        slow = PLAN["exact"] and not PLAN["long"] and c.proof_ns > BUDGET_NS / 2
        for found in probes.idle(c.argv(*jobs.IDLE), [n for n in jobs.IDLE_COUNTS if n <= 4 or not slow],
                                 c.name == "husk-pool"):
            # A pool's other machines start and exit at the same time.
            if c.name == "husk-pool":
                found["kvm_exits"] = None
            footprint[c.name] = max(found["more_bytes"] or 0, found["private_bytes"])
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
        rounds = rounds_of(3, 5) if name in ("true", "echo") else 1
        for _ in range(rounds):
            numbers = one(c, argv, "-o", *(("-i", feed) if feed else ()))
            with open(path) as f:
                emit(kind="run", bench="status", contender=c.name, job=name, version=c.version, argv=argv,
                     ns=numbers[0], status=json.load(f))
    each([c for c in contenders if c.is_husk], "status", name, status)


def do_console(contenders):
    """When the guest's kernel says what, in a cold run."""
    def console(c):
        path = os.path.join(c.state, "console")
        argv = c.argv("/bench/true", BENCH_CONSOLE=path)
        one(c, argv)
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
    """The static true with a word to say: T3 without the cost of a dynamic program, or of a large one."""
    commands = each(contenders, "byte", "byte", lambda c: c.argv("/bench/true", "x"))
    measure("byte", "byte", commands, rounds_of(5, 20), ["-o"], 2)


def steps(contenders):
    """(figure, words for people, about how many seconds of the host's clock, function)."""
    exact = PLAN["exact"]

    def runs(rounds, seconds=0.0, who=contenders, trial=1):
        """What so many runs take that each last so much longer than a short one."""
        each_one = [c.proof_ns / 1e9 + seconds for c in who]
        if exact and not PLAN["rounds"]:
            return sum(x * (trial + max(1, min(rounds, int(BUDGET_NS / 1e9 / x)))) for x in each_one)
        return sum(x * (trial + (PLAN["rounds"] or rounds)) for x in each_one)
    husks = [c for c in contenders if c.is_husk]
    starts = sum(c.proof_ns / 1e9 for c in contenders)
    yield "idle", "idle instances", 10 * starts, lambda: do_idle(contenders)
    for at_once in (1, 2, 8, 64):
        yield "rate", "%d at a time" % at_once, starts * at_once / (2 if exact and at_once < 64 else 4), \
            lambda a=at_once: do_rate(contenders, a)
    for name in PLAN["jobs"]:
        job = jobs.JOBS[name]
        yield "jobs", name, runs(job.exact_rounds if exact else job.wall_rounds, job.seconds[exact]), \
            lambda j=name: do_job(contenders, j)
    yield "targets", "ten lines of Python", runs(2 if exact else 20, 0.2), lambda: do_target_python(contenders)
    yield "targets", "first byte", runs(5 if exact else 20), lambda: do_target_byte(contenders)
    for name in PLAN["jobs"]:
        yield "status", "exits of " + name, runs(1, jobs.JOBS[name].seconds[exact], husks), \
            lambda j=name: do_status(contenders, j)
    yield "status", "the kernel's log", runs(1, 0.1, husks, 0), lambda: do_console(contenders)
    # How things grow is counted best where nothing else moves.
    for mib in (128, 512, 1024, 2048) if exact else ():
        yield "growth", "%d MiB of memory" % mib, runs(3, 0.1, husks), lambda m=mib: do_growth_memory(contenders, m)
    for mib in (1, 2, 8) if exact else ():
        yield "growth", "%d MiB through" % mib, runs(1, 0.02 * mib), lambda m=mib: do_growth_stream(contenders, m)
    yield "death", "deadline and SIGKILL", 3 * starts if exact else 1.5 * runs(20, 1), \
        lambda: do_death(contenders)


def prove(c):
    """That it runs anything: `true` prints nothing, and to fail fast must not look fast."""
    numbers = one(c, c.argv("/bench/work", "byte"), "-o")
    if numbers[3] != 2:
        raise LeftOut("a job that prints 2 bytes printed %d" % numbers[3])
    c.proof_ns = numbers[0]


BY_NAME = {}


def find_contenders():
    for name in PLAN["contenders"]:
        try:
            c = Contender(name)
            prove(c)
            BY_NAME[name] = c
            emit(kind="contender", contender=name, version=c.version)
        except (LeftOut, OSError, subprocess.TimeoutExpired) as e:
            leave_out("all", name, "all", e)
    return list(BY_NAME.values())


def groups_of(todo):
    """name -> steps; what fits at once is known from idle instances, so these stay together."""
    groups = {}
    for step in todo:
        name = "idle, rate" if step[0] in ("idle", "rate") else "%s: %s" % step[:2]
        groups.setdefault(name, []).append(step)
    return groups


def do_step(figure, text, function):
    """A step that breaks is told, and the next one goes on."""
    try:
        function()
    except BrokenPipeError:
        raise
    except Exception as e:  # whatever it is
        leave_out(figure, "all", text, "%s: %s" % (type(e).__name__, e))


def main():
    PLAN.update(json.loads(sys.argv[1]))
    probes.PATIENCE_S = limit()
    os.makedirs(PLAN["state"], exist_ok=True)
    emit(kind="host", **probes.host())
    groups = groups_of([s for s in steps(find_contenders()) if s[0] in PLAN["figures"]])
    emit(kind="groups", groups={name: sum(s[2] for s in todo) for name, todo in groups.items()})
    while True:
        line = told_by_run()
        if line == STUCK:
            continue
        for figure, text, seconds, function in groups[line]:
            emit(kind="progress", text=text, seconds=seconds)
            do_step(figure, text, function)
        emit(kind="done", group=line)


if __name__ == "__main__":
    main()
