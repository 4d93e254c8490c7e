# SPDX-License-Identifier: MIT
"""From raw numbers to series, and from series to text: the pure part of bench.

A series is what one contender did at one thing on one host: its runs, in
columns. Of series with the same key the newest counts, so that a part can be
measured again. Nothing here knows what a figure means.
"""

import json
import re

# What tells series apart, beside host, bench, contender and job.
COORDINATES = ("at_once", "memory", "instances", "size")
KEY = ("host", "bench", "contender", "job")
# In a reason: it can be measured, and was not asked for.
LONG = "only with --long"
# What holds for all runs of a series.
COMMON = ("version", "argv", "own_deadline", "stamp", "commit", "facts")


def percentile(values, percent):
    """The least value that so many percent of all do not exceed (nearest rank)."""
    if not values or not 0 < percent <= 100:
        raise ValueError("percentile %r of %d values" % (percent, len(values)))
    rank = -(-percent * len(values) // 100)
    return sorted(values)[int(rank) - 1]


def median(values):
    """The middle one, of two middle ones their mean."""
    if not values:
        raise ValueError("median of nothing")
    s = sorted(values)
    return (s[(len(s) - 1) // 2] + s[len(s) // 2]) / 2


def spread(values):
    """Half of the runs lie within so many percent of the median: the quartiles' distance."""
    middle = median(values)
    if not middle:
        return 0.0
    return 50 * (percentile(values, 75) - percentile(values, 25)) / middle


def slope(points):
    """Least squares: (intercept, slope) of [(x, y)]; at least two different x."""
    n = len(points)
    mx, my = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    over = sum((x - mx) ** 2 for x, _ in points)
    if not over:
        raise ValueError("slope of points with one x")
    b = sum((x - mx) * (y - my) for x, y in points) / over
    return my - b * mx, b


def key_of(record):
    return tuple(record.get(k) for k in KEY + COORDINATES)


def add_run(series, record):
    """Puts a run into its series; a newer stamp starts the series anew."""
    key = key_of(record)
    s = series.get(key)
    if s is None or record["stamp"] > s["stamp"]:
        s = {k: record[k] for k in KEY + COORDINATES + COMMON if k in record}
        s["runs"] = {}
        series[key] = s
    elif record["stamp"] < s["stamp"]:
        return
    for name, value in record.items():
        if name not in KEY + COORDINATES + COMMON and name not in ("kind", "runs"):
            s["runs"].setdefault(name, []).append(value)


def read_lines(path):
    """The JSON objects of a file; ValueError with the line's number."""
    with open(path) as f:
        for number, line in enumerate(f, 1):
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict):
                raise ValueError("%s line %d: no JSON object" % (path, number))
            yield record


class Numbers:
    """All series, and what was left out and why."""

    def __init__(self):
        self.series = {}
        self.left_out = {}

    def add_raw(self, path):
        """A file of bench/run: one line for each run."""
        commit = None
        for record in read_lines(path):
            kind = record.get("kind")
            if kind == "begin":
                commit = record["commit"]
            elif kind == "run":
                add_run(self.series, dict(record, commit=commit))
            elif kind == "left_out" and record.get("stamp"):
                self.leave_out(record)

    def leave_out(self, record):
        key = key_of(record)
        if key not in self.left_out or record["stamp"] >= self.left_out[key]["stamp"]:
            self.left_out[key] = {k: record[k] for k in (*KEY, *COORDINATES, "stamp", "reason") if k in record}

    def add_kept(self, path):
        """A file of write(): one line for each series."""
        for record in read_lines(path):
            if "reason" in record:
                self.leave_out(record)
                continue
            key = key_of(record)
            if key not in self.series or record["stamp"] > self.series[key]["stamp"]:
                self.series[key] = record

    def settle(self):
        """Forgets what was left out once and works now, or was only not measured again."""
        newest, nowhere = {}, (None,) * len(COORDINATES)
        for key, s in self.series.items():
            for k in (key, key[:4] + nowhere, (s["host"], "all", s["contender"], "all") + nowhere):
                newest[k] = max(newest.get(k, ""), s["stamp"])
        self.left_out = {k: r for k, r in self.left_out.items() if r["stamp"] >= newest.get(k, "") and
                         not (LONG in r["reason"] and k in self.series)}

    def why(self, host, bench, contender, job, **coordinates):
        """Why there is no series, or None."""
        want = {"host": host, "bench": bench, "contender": contender, "job": job, **coordinates}
        r = self.left_out.get(key_of(want))
        return r["reason"] if r else None

    def write(self, path, root):
        """All of it as lines, in which the checkout that was measured, `root`, has no name."""
        here = re.compile(r"(?<![\w.-])" + re.escape(root) + "/")
        with open(path, "w") as f:
            for rows in (self.series, self.left_out):
                for _, row in sorted(rows.items(), key=lambda item: repr(item[0])):
                    f.write(here.sub("", json.dumps(row, separators=(",", ":"))) + "\n")

    def find(self, host, bench, contender=None, job=None, **coordinates):
        """The series that match, in the order of their keys."""
        want = {"host": host, "bench": bench, **coordinates}
        want.update({k: v for k, v in (("contender", contender), ("job", job)) if v is not None})
        return [s for _, s in sorted(self.series.items(), key=lambda item: repr(item[0]))
                if all(s.get(k) == v for k, v in want.items())]

    def one(self, *args, **kw):
        found = self.find(*args, **kw)
        return found[0] if found else None


def values(s, name="ns"):
    """A column of a series without what is unknown; [] for no series."""
    return [v for v in (s["runs"].get(name, []) if s else []) if v is not None]


def number(value, digits=3):
    """Three significant digits, no exponent, blanks between thousands."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    decimals, size = digits - 1, abs(value)
    while size >= 10 and decimals > 0:
        size /= 10
        decimals -= 1
    while size < 1 and decimals < 6:
        size *= 10
        decimals += 1
    return format(round(value, decimals), ",.%df" % decimals).replace(",", " ")


def table(head, rows):
    """A Markdown table: the first column is text, the others are numbers."""
    if not rows:
        return ""
    wide = [max(len(str(r[i])) for r in [head, *rows]) for i in range(len(head))]

    def line(cells):
        texts = [str(c).ljust(w) if i == 0 else str(c).rjust(w) for i, (c, w) in enumerate(zip(cells, wide))]
        return "| " + " | ".join(texts) + " |\n"
    rule = ["-" * wide[0]] + ["-" * (w - 1) + ":" for w in wide[1:]]
    return line(head) + line(rule) + "".join(map(line, rows)) + "\n"
