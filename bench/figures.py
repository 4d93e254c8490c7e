# SPDX-License-Identifier: MIT
"""The tables and pictures of docs/benchmarks.md, each from the series it needs.

make(NAME) gives a part as Markdown. A part whose series are missing says so in
a line. Tables are of one host each, named above them; a table never mixes two.
"""

import os
import re

import jobs
import picture
from stats import LONG, median, number, percentile, slope, spread, table, values

MS = 1e-6
MIB = 1 << 20
HOSTS = {"exact": "Lab, exact time", "tuned": "Tuned lab, exact time", "wall": "Wall time"}
# The order of rows: what is plain first, then by how much there is of a wall.
ORDER = ("plain", "bwrap", "nsjail", "minijail", "crun", "runc", "podman", "systemd-run", "gvisor",
         "husk-pool", "husk-template", "husk", "qemu-microvm", "firecracker", "cloud-hypervisor", "kvmtool")


def rank(name):
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def ms(ns):
    return number(ns * MS)


class Figures:
    def __init__(self, numbers, folder):
        self.n = numbers
        self.folder = folder

    def make(self, name):
        word, *args = name.split()
        text = getattr(self, "make_" + word.replace("-", "_"))(*args)
        host = args[0] if args and args[0] in HOSTS else "exact"
        if word in ("host", "value", "contenders", "left-out"):
            return text
        if not text:
            return "*%s: not measured yet.*" % HOSTS[host]
        return text if word.endswith("picture") else "*%s:*\n\n%s" % (self.label(host), text)

    def label(self, host):
        """What stands above a table."""
        facts = self.facts(host)
        return HOSTS[host] + (" (%s, %d CPUs)" % (facts["cpu"], facts["cpus"]) if host == "wall" and facts else "")

    def facts(self, host):
        found = [s for s in self.n.series.values() if s["host"] == host and s.get("facts")]
        return max(found, key=lambda s: s["stamp"])["facts"] if found else None

    def by(self, host, bench, **kw):
        """The series of a figure in the order of rows."""
        return sorted(self.n.find(host, bench, **kw), key=lambda s: rank(s["contender"]))

    def names(self, host, bench, **kw):
        return list(dict.fromkeys(s["contender"] for s in self.by(host, bench, **kw)))

    def picture(self, name, alt, draw, *args):
        os.makedirs(self.folder, exist_ok=True)
        draw(os.path.join(self.folder, name + ".svg"), *args)
        return "![%s](bench/%s.svg)\n" % (alt, name)

    def gaps(self, host, bench, what=None):
        """Below a table: why a contender has nothing there, for each reason once."""
        whys = {}
        for r in sorted(self.n.left_out.values(), key=lambda r: (rank(r["contender"]), r["job"])):
            if r["host"] != host or r["bench"] != bench or what and r["job"] not in what:
                continue
            if not self.n.find(host, bench, r["contender"], r["job"]):
                whys.setdefault((r["contender"], r["reason"]), []).append(r["job"])
        lines = ["%s without %s: %s" % (name, ", ".join(dict.fromkeys(done)), reason)
                 for (name, reason), done in whys.items()]
        return "".join("* %s.\n" % re.sub(r"\s+", " ", line.rstrip(".")) for line in lines) + "\n" * bool(lines)

    def mid(self, *args, column="ns", **kw):
        """The median of a series, or None."""
        vs = values(self.n.one(*args, **kw), column)
        return median(vs) if vs else None

    # ---- the hosts ----

    def make_host(self, host):
        f = self.facts(host)
        if not f:
            return "**%s**: not measured." % HOSTS[host]
        stamps = sorted(s["stamp"] for s in self.n.series.values() if s["host"] == host)
        husks = sorted({s["version"] for s in self.n.series.values() if s["host"] == host
                        and s["contender"].startswith("husk")})
        return "**%s**: %s, %d CPU%s, %s GiB, Linux %s%s; %s to %s UTC; %s.\n" % (
            HOSTS[host], f["cpu"], f["cpus"], "s" * (f["cpus"] > 1), number(f["memory"] / (1 << 30), 2), f["kernel"],
            self.load(host, f), self.day(stamps[0]), self.day(stamps[-1]), ", ".join(husks) or "without husk")

    @staticmethod
    def load(host, facts):
        """What else a real machine had to do when measuring began."""
        if host != "wall" or facts.get("load") is None:
            return ""
        return "; load average before: %s%s" % (number(facts["load"], 2), ", **so it was busy with other things**"
                                                if facts["load"] > 0.3 * facts["cpus"] else "")

    @staticmethod
    def day(stamp):
        return re.sub(r"(....)(..)(..)T(..)(..)..", r"\1-\2-\3 \4:\5", stamp)

    def make_contenders(self):
        rows = []
        for name in sorted({s["contender"] for s in self.n.series.values()}, key=rank):
            found = [s for s in self.n.series.values() if s["contender"] == name]
            newest = max(found, key=lambda s: s["stamp"])
            true = next((s for s in found if s["bench"] == "jobs" and s["job"] == "true"), None)
            argv = " ".join(true["argv"]) if true else ""
            hosts = sorted({s["host"] for s in found})
            rows.append("* **%s**: %s (%s)%s\n" % (name, newest["version"], ", ".join(hosts),
                                                 "; a `true` is\n  `%s`" % argv if argv else ""))
        return "".join(rows)

    def make_left_out(self):
        rows, seen = [], set()
        for r in sorted(self.n.left_out.values(), key=lambda r: (r["host"], rank(r["contender"]), r["bench"])):
            what = "everything" if r["job"] == "all" else "%s: %s" % (r["bench"], r["job"])
            what += "".join(", %d %s" % (r[k], words) for k, words in (
                ("at_once", "at a time"), ("memory", "bytes of memory"), ("size", "bytes")) if r.get(k))
            row = (r["contender"], r["host"], what, re.sub(r"\s+", " ", r["reason"]).replace("|", "/"))
            if row not in seen:
                rows.append(row)
            seen.add(row)
        return table(("contender", "host", "left out of", "why"), rows) or "Nothing was left out."

    # ---- start and end ----

    def make_start(self, host):
        short = [j for j in ("true", "echo", "python", "compile") if self.n.find(host, "jobs", job=j)]
        rows = []
        for name in self.names(host, "jobs"):
            row = [name]
            for job in short:
                row.append(self.cell(self.mid(host, "jobs", name, job)))
            for job in short[1:]:
                row.append(self.cell(self.mid(host, "jobs", name, job, column="first_ns")))
            rows.append(row)
        return table(["ms, median", *short, *(j + ", first byte" for j in short[1:])], rows) + \
            self.gaps(host, "jobs", short)

    @staticmethod
    def cell(ns):
        return "–" if ns is None else ms(ns)

    def make_spread(self, host):
        out = ""
        for job in jobs.JOBS:
            rows = []
            for s in self.by(host, "jobs", job=job):
                vs, first = values(s), [v for v in values(s, "first_ns") if v]
                rows.append((s["contender"], len(vs), ms(median(vs)), ms(percentile(vs, 90)), ms(percentile(vs, 99)),
                             ms(min(vs)), ms(max(vs)), "±%s %%" % number(spread(vs), 2),
                             ms(median(first)) if first else "–",
                             ms(percentile(first, 90)) if first else "–"))
            if rows:
                out += "*%s*\n\n" % jobs.JOBS[job].title + table(
                    ("ms", "runs", "median", "p90", "p99", "least", "most", "spread", "first byte", "its p90"), rows)
        return out

    def make_start_picture(self, host):
        rows = [(s["contender"], median(values(s)) * MS, ms(median(values(s)))) for s in self.by(host, "jobs", job="true")]
        if not rows:
            return ""
        rows.sort(key=lambda r: r[1])
        return self.picture("start-" + host, "from start to reaped, a static true, by contender", picture.bars,
                            "milliseconds from start to reaped, a static true (%s)" % HOSTS[host], rows)

    def make_ratio(self, host):
        rows = []
        listed = [j for j in jobs.JOBS if self.mid(host, "jobs", "bwrap", j)]
        for name in self.names(host, "jobs"):
            row = [name]
            for job in listed:
                own = self.mid(host, "jobs", name, job)
                row.append(number(own / self.mid(host, "jobs", "bwrap", job)) if own else "–")
            rows.append(row)
        return table(["times bwrap", *listed], rows) if listed else ""

    # ---- streams and steady state ----

    def make_streams(self, host):
        rows = []
        for s in self.by(host, "jobs", job="stream"):
            total, size = median(values(s)), median(values(s, "bytes"))
            flow = [last - first for last, first in zip(values(s, "last_ns"), values(s, "first_ns"))]
            rows.append((s["contender"], number(size / MIB), ms(total), number(size / MIB / (total * 1e-9)),
                         number(size / MIB / (median(flow) * 1e-9)) if median(flow) else "–"))
        return table(("", "MiB", "ms in all", "MiB/s in all", "MiB/s between first and last byte"), rows) + \
            self.gaps(host, "jobs", ("stream",))

    def loop(self, host, name, job):
        s = self.n.one(host, "jobs", name, job)
        flow = [last - first for last, first in zip(values(s, "last_ns"), values(s, "first_ns"))]
        return median(flow) if flow else None

    def make_steady(self, host):
        rows = []
        loops = ("cpu", "memory", "calls")
        for name in self.names(host, "jobs"):
            row = [name]
            for job in loops:
                own, plain = self.loop(host, name, job), self.loop(host, "plain", job)
                row += [self.cell(own), number(own / plain) if own and plain else "–"]
            if any(c != "–" for c in row[1:]):
                rows.append(row)
        return table(["", *(h for j in loops for h in (j + ", ms", "of plain"))], rows) + self.gaps(host, "jobs", loops)

    # ---- memory, rate, death ----

    def make_memory(self, host):
        rows = []
        for name in self.names(host, "idle"):
            found = sorted(self.by(host, "idle", contender=name), key=lambda s: s["instances"])
            most = found[-1]
            own, each = (median(values(most, column) or [0]) for column in ("private_bytes", "more_bytes"))
            # The host cannot need less than that; if it seems so, other things have come and gone.
            rest = (number(each / MIB) if each >= own else "unseen", int((1 << 30) / max(own, each, 1)))
            exits = values(found[0], "kvm_exits")
            rows.append((name, self.mib(found[0], "private_bytes"), most["instances"], self.mib(most, "private_bytes"),
                         *rest, number(values(most, "processes")[0]), exits[0] if exits and exits[0] else "–"))
        return table(("MiB for each", "private, of 1", "of so many", "private", "of the host, each more", "fit into 1 GiB",
                      "processes", "VM exits by then"), rows) + self.gaps(host, "idle")

    @staticmethod
    def mib(s, column):
        vs = values(s, column)
        return number(median(vs) / MIB) if vs else "–"

    def make_rate(self, host):
        counts = sorted({s["at_once"] for s in self.n.find(host, "rate")})
        rows = []
        for name in self.names(host, "rate"):
            row = [name]
            for count in counts:
                ns = self.mid(host, "rate", name, at_once=count)
                row.append(number(count / (ns * 1e-9)) if ns else self.no_rate(host, name, count))
            rows.append(row)
        return table(["jobs a second", *("%d at a time" % c for c in counts)], rows) + self.gaps(host, "rate")

    def no_rate(self, host, name, count):
        """What stands where there is no rate."""
        why = self.n.why(host, "rate", name, "true", at_once=count) or self.n.why(host, "rate", name, "true")
        if not why:
            return "not measured"
        return "too long" if LONG in why else "no room" if "not fit" in why else "failed"

    def make_death(self, host):
        rows = []
        for name in self.names(host, "death"):
            s = self.n.one(host, "death", name)
            vs, left = values(s), self.n.one(host, "leftovers", name)
            late = "not within 10 s" if not vs else "0" if median(vs) <= 0 else ms(median(vs))
            most = "–" if not vs else ms(max(vs))
            counts = [values(left, key)[-1] if left else "–" for key in ("processes", "mounts", "cgroups", "files")]
            rows.append((name, "its own" if s.get("own_deadline") else "SIGKILL", late, most, *counts))
        return table(("", "deadline by", "ms to death", "most", "left: processes", "mounts", "cgroups", "files"), rows) + \
            self.gaps(host, "death")

    # ---- where husk's time goes ----

    def make_exits(self):
        rows = []
        for job in jobs.JOBS:
            for s in self.by("exact", "status", job=job):
                status = s["runs"]["status"][-1]
                e = status["exits"]
                rows.append(("%s, %s" % (s["contender"], job), *(e.get(k, "–") for k in (
                    "total", "notify", "virtio", "ioapic", "pio", "signal", "other")),
                    status["guest_pages"], number(status["private_bytes"] / MIB)))
        return table(("VM exits", "all", "notify", "virtio", "ioapic", "pio", "signal", "other", "guest pages",
                      "husk's MiB"), rows)

    def points(self, contender, job):
        """T1 to T5 in ms, medians; None where there is none."""
        s = self.n.one("exact", "status", contender, job)
        if not s:
            return None
        lines = [r["timeline_ns"] for r in s["runs"]["status"]]
        out = {}
        for key, point in (("t1_run", "T1"), ("t2_init", "T2"), ("t3_first_byte", "T3"), ("t4_exit", "T4")):
            vs = [x[key] for x in lines if x.get(key) is not None]
            out[point] = median(vs) * MS if vs else None
        end = self.mid("exact", "status", contender, job) or self.mid("exact", "jobs", contender, job)
        # Numbers of two runs may contradict each other.
        out["T5"] = end * MS if end and end * MS >= (out["T4"] or 0) else None
        return out

    def make_points(self):
        rows = []
        for name in ("husk", "husk-template", "husk-pool"):
            for job in ("true", "echo"):
                p = self.points(name, job)
                if p:
                    rows.append(("%s, %s" % (name, job), *(number(p[k]) for k in ("T1", "T2", "T3", "T4", "T5"))))
        return table(("ms from T0", "T1 first instruction", "T2 init ready", "T3 first byte", "T4 status there",
                      "T5 reaped"), rows)

    # What the guest's kernel says when a phase of its is over.
    PHASES = (("early set-up", r"Dentry cache hash"), ("memory", r"SLUB:"),
              ("timers, CPU", r"devtmpfs: initialized|smp: Brought up"), ("subsystems", r"clocksource: Switched"),
              ("drivers", r"Freeing unused kernel|Run /init"))

    def phases(self):
        """[(name, ms)] of the guest kernel's own log: when each phase was over, without the log.

        Writing a line takes as long for each: what a boot with the log takes
        longer than one without, divided by the lines.
        """
        s, p = self.n.one("exact", "console", "husk"), self.points("husk", "true")
        if not s or not p:
            return []
        stamps = [(float(t) * 1e3, text) for t, text in
                  re.findall(r"^\f?\[ *([0-9.]+)\] (.*)$", s["runs"]["log"][-1], flags=re.M)]
        seen = [t for t, _ in stamps if t > 0]
        line = max(0, seen[-1] - (p["T2"] - p["T1"])) / len(seen)
        done, last = [], 0.0
        for name, pattern in self.PHASES:
            at = next((t for t, text in stamps if re.search(pattern, text)), None)
            if at is None:
                continue
            at -= line * sum(1 for t in seen if t <= at)
            if at > last:
                done.append((name, at))
                last = at
        return done

    def make_phases(self):
        done = self.phases()
        rows = [(name, number(at - before), number(at))
                for (name, at), before in zip(done, [0.0] + [a for _, a in done])]
        return table(("phase of the guest's kernel", "ms", "until, on its clock"), rows)

    def make_timeline(self):
        rows = []
        for name, title in (("husk", "cold"), ("husk-template", "template"), ("husk-pool", "pool")):
            p = self.points(name, "echo")
            if not p or p["T5"] is None:
                continue
            parts = [("husk", 0.0, p["T1"])]
            if name == "husk" and self.phases():
                at = p["T1"]
                for phase, until in self.phases():
                    parts.append((phase, at, p["T1"] + until))
                    at = p["T1"] + until
                parts.append(("init", at, p["T2"]))
            elif p["T2"] and p["T2"] > p["T1"]:
                parts.append(("resume", p["T1"], p["T2"]))
            begin = max(p["T2"] or 0, p["T1"])
            parts += [("job's start", begin, p["T3"]), ("its end", p["T3"], p["T4"]), ("teardown", p["T4"], p["T5"])]
            rows.append(("%s, %s ms" % (title, number(p["T5"])), [x for x in parts if x[2] > x[1]]))
        if not rows:
            return ""
        out = ""
        # Each has a scale of its own: a copy would be a dot beside a boot.
        for title, parts in rows:
            word = title.split(",")[0]
            out += self.picture("timeline-" + word, "timeline of a %s run" % word, picture.timeline,
                                "milliseconds of the lab, echo of one line", [(title, parts)])
        return out

    # ---- growth ----

    def make_growth_memory(self):
        series = {}
        for name in ("husk", "husk-template"):
            for s in self.by("exact", "growth-memory", contender=name):
                series.setdefault(name, []).append((s["memory"] / MIB, median(values(s)) * MS))
        if not series:
            return ""
        sizes = sorted({x for points in series.values() for x, _ in points})
        rows = [(name, *(number(dict(points).get(x)) for x in sizes),
                 number(slope(points)[1] * 1024) if len(points) > 1 else "–") for name, points in series.items()]
        return table(["ms, a static true", *("%d MiB" % x for x in sizes), "each GiB more"], rows) + self.picture(
            "growth-memory", "time of a run by memory of the machine", picture.curves, "MiB of the machine",
            "ms of the lab", series)

    def make_growth_instances(self):
        counts = sorted({s["instances"] for s in self.n.find("exact", "idle")})
        rows = []
        for name in self.names("exact", "idle"):
            row = [name]
            for count in counts:
                row.append(self.mib(self.n.one("exact", "idle", name, instances=count), "private_bytes"))
            rows.append(row)
        return table(["private MiB, each", *("of %d" % c for c in counts)], rows)

    def each_gib(self, name):
        """ms for each GiB more of a machine, or None."""
        points = [(s["memory"] / MIB / 1024, median(values(s)) * MS) for s in self.by("exact", "growth-memory", contender=name)]
        return slope(points)[1] if len(points) > 1 else None

    def each_mib(self, name):
        """ms for each MiB streamed, or None."""
        points = [(s["size"] / MIB, median(values(s)) * MS) for s in self.by("exact", "growth-stream", contender=name)]
        return slope(points)[1] if len(points) > 1 else None

    def idle_mib(self, name):
        """Private MiB of each of the most idle instances, or None."""
        found = sorted(self.by("exact", "idle", contender=name), key=lambda s: s["instances"])
        return median(values(found[-1], "private_bytes")) / MIB if found else None

    def make_growth_stream(self):
        series = {}
        for s in self.by("exact", "growth-stream"):
            series.setdefault(s["contender"], []).append((median(values(s, "bytes")) / MIB, median(values(s)) * MS))
        series = {name: points for name, points in series.items() if len(points) > 1}
        if not series:
            return ""
        rows = []
        for name, points in sorted(series.items(), key=lambda item: rank(item[0])):
            start, each = slope(points)
            rows.append((name, number(start), number(each), number(each / slope(series["plain"])[1])
                         if "plain" in series else "–"))
        return table(("ms, stdin to stdout", "at 0 MiB", "each MiB", "of plain"), rows) + self.picture(
            "growth-stream", "time of a run by bytes streamed", picture.curves, "MiB through stdin and stdout",
            "ms of the lab", series)

    # ---- the targets of issue 3 ----

    def make_targets(self, host="exact"):
        bwrap = self.mid(host, "jobs", "bwrap", "true")
        rows = []
        for what, own, other, name, times in (
                ("template, static true, T0 to T5", self.mid(host, "jobs", "husk-template", "true"), bwrap,
                 "bwrap, the same", 1.0),
                ("pool, a static program, T0 to T3", self.mid(host, "byte", "husk-pool", column="first_ns"), bwrap,
                 "bwrap, static true", 3.0),
                ("warm Python, ten lines", self.mid(host, "python", "husk-template", "ten lines, warm"),
                 self.mid(host, "python", "plain", "ten lines"), "plain python3, cold", 5.0)):
            if own is None or other is None:
                rows.append((what, "–" if own is None else ms(own), "–" if other is None else ms(other), name,
                             number(times, 2), "–", "not measured"))
                continue
            ratio = other / own
            good = ratio >= times if times > 1 else ratio > times
            rows.append((what, ms(own), ms(other), name, number(times, 2), number(ratio), "met" if good else "**missed**"))
        return table(("target", "husk, ms", "other, ms", "other", "wanted, times faster", "is", ""), rows)

    def make_python(self, host):
        rows = []
        for s in self.by(host, "python", job="ten lines, warm") + self.by(host, "python", job="ten lines"):
            plain = self.mid(host, "python", "plain", "ten lines")
            vs = values(s)
            rows.append((s["contender"] + (", warm" if "warm" in s["job"] else ""), ms(median(vs)),
                         number(plain / median(vs)) if plain else "–"))
        return table(("ten lines of Python", "ms", "times faster than plain"), rows) + self.gaps(host, "python")

    # ---- numbers inside sentences ----

    def make_value(self, what):
        """A number for a sentence; a word where there is none, so that nobody reads a gap as a result."""
        def true(name):
            return self.mid("exact", "jobs", name, "true")

        def cold(point):
            return self.points("husk", "true")[point]
        one = {
            "cold": lambda: true("husk") * MS,
            "template": lambda: true("husk-template") * MS,
            "pool": lambda: true("husk-pool") * MS,
            "bwrap": lambda: true("bwrap") * MS,
            "plain": lambda: true("plain") * MS,
            "qemu": lambda: true("qemu-microvm") * MS,
            "cold-of-bwrap": lambda: true("husk") / true("bwrap"),
            "template-of-bwrap": lambda: true("husk-template") / true("bwrap"),
            "pool-of-bwrap": lambda: true("husk-pool") / true("bwrap"),
            "boot-share": lambda: 100 * (cold("T2") - cold("T1")) / cold("T5"),
            "teardown": lambda: cold("T5") - cold("T4"),
            "cold-gib": lambda: self.each_gib("husk"),
            "template-gib": lambda: self.each_gib("husk-template"),
            "idle-cold": lambda: self.idle_mib("husk"),
            "idle-template": lambda: self.idle_mib("husk-template"),
            "idle-bwrap": lambda: self.idle_mib("bwrap"),
            "stream-of-plain": lambda: self.each_mib("husk") / self.each_mib("plain"),
        }
        try:
            found = one[what]()
        except TypeError:
            found = None
        return "(not measured)" if found is None else number(found)
