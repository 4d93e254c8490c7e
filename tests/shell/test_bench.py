# SPDX-License-Identifier: MIT
"""The pure part of bench as TAP: statistics, tables, series, choice of words.

No time is measured here; the numbers are made up and the answers known.
Started by test_bench.sh, which has the parts that run programs.
"""

import importlib.machinery
import importlib.util
import json
import os
import sys
import tempfile
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench"))
sys.dont_write_bytecode = True
import figures  # noqa: needs the path
import stats  # noqa


def load_script(name):
    path = os.path.join(ROOT, "bench", name)
    loader = importlib.machinery.SourceFileLoader(name, path)
    spec = importlib.util.spec_from_loader(name, loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def eq(got, want):
    if got != want:
        raise AssertionError("got %r, want %r" % (got, want))


def fails(function, *args):
    try:
        function(*args)
    except (ValueError, SystemExit) as e:
        return str(e)
    raise AssertionError("%r went through" % (args,))


def run(contender="a", ns=1, stamp="20260101T000000", **more):
    return dict({"kind": "run", "host": "exact", "bench": "jobs", "contender": contender, "job": "true", "ns": ns,
                 "stamp": stamp, "version": "a 1", "argv": ["a"], "facts": {}}, **more)


def kept(lines, raw=True):
    """Numbers from lines of a file."""
    n = stats.Numbers()
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as f:
        f.write("".join(json.dumps(x) + "\n" if not isinstance(x, str) else x for x in lines))
        f.flush()
        (n.add_raw if raw else n.add_kept)(f.name)
    return n


def test_percentile():
    """percentiles by nearest rank; of few runs the high ones are the most"""
    eq([stats.percentile(range(1, 101), p) for p in (1, 50, 90, 99, 100)], [1, 50, 90, 99, 100])
    eq([stats.percentile([3, 1, 2], p) for p in (33, 34, 90, 99)], [1, 2, 3, 3])
    for bad in (([], 50), ([1], 0), ([1], 101)):
        fails(stats.percentile, *bad)


def test_median():
    """the median of odd and even numbers of runs, and of none"""
    eq(stats.median([5, 1, 3]), 3)
    eq(stats.median([4, 1, 3, 2]), 2.5)
    fails(stats.median, [])


def test_spread():
    """the spread is half the distance of the quartiles, of the median"""
    eq(stats.spread([100] * 9), 0)
    eq(stats.spread([90, 95, 100, 105, 110]), 5)
    eq(stats.spread([0, 0]), 0)


def test_slope():
    """least squares find a line, and refuse points above each other"""
    eq(stats.slope([(1, 5), (2, 7), (4, 11)]), (3, 2))
    fails(stats.slope, [(1, 1), (1, 2)])


def test_number():
    """numbers have three digits, blanks between thousands, no exponent"""
    eq([stats.number(x) for x in (None, 0, 0.001234, 0.5, 9.999, 12.345, 999.9, 1234.5, 1e7)],
       ["–", "0", "0.00123", "0.500", "10.00", "12.3", "1 000", "1 234", "10 000 000"])
    eq(stats.number(2.0, 2), "2.0")


def test_table():
    """a table is Markdown: text to the left, numbers to the right"""
    eq(stats.table(("x", "ms"), [("a", "1"), ("long", "22")]),
       "| x    | ms |\n| ---- | -: |\n| a    |  1 |\n| long | 22 |\n\n")
    eq(stats.table(("x",), []), "")


def test_newest_series():
    """of series with one key the newest counts, whatever came first; others stay"""
    new, old = run(ns=7, stamp="20260102T000000"), run(ns=1)
    for lines in ([old, new, new], [new, old, new]):
        n = kept(lines + [run("b", 3), run(ns=5, bench="rate", at_once=2), run(ns=6, bench="rate", at_once=8)])
        eq(stats.values(n.one("exact", "jobs", "a", "true")), [7, 7])
        eq(stats.values(n.one("exact", "jobs", "b")), [3])
        eq([s["at_once"] for s in n.find("exact", "rate")], [2, 8])
        eq(n.one("wall", "jobs"), None)


def test_kept_numbers():
    """series written and read again are the same, and raw numbers go over older ones"""
    lines = [{"kind": "begin", "commit": "c0ffee"}, run(ns=1, first_ns=0), run(ns=2, first_ns=1),
             {"kind": "left_out", "host": "exact", "bench": "jobs", "contender": "z", "job": "true", "stamp": "2026",
              "reason": "no z"}]
    n = kept(lines)
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "numbers.jsonl")
        n.write(path, ROOT)
        again = stats.Numbers()
        again.add_kept(path)
        eq((again.series, again.left_out), (n.series, n.left_out))
        eq(again.one("exact", "jobs")["commit"], "c0ffee")
        with open(path) as f:
            eq([sorted(json.loads(line)) != [] for line in f], [True, True])


def test_left_out_and_back():
    """what was left out once and works now is no longer named"""
    out = {"kind": "left_out", "host": "exact", "bench": "all", "contender": "a", "job": "all", "reason": "none here"}
    n = kept([dict(out, stamp="20260101T000000"), run(stamp="20260102T000000")])
    n.settle()
    eq(n.left_out, {})
    n = kept([dict(out, stamp="20260103T000000"), run(stamp="20260102T000000")])
    n.settle()
    eq(len(n.left_out), 1)


def test_gaps():
    """a cell without a figure says why, and what only was not asked for again keeps its old one"""
    out = {"kind": "left_out", "host": "exact", "bench": "rate", "job": "true", "stamp": "20260103T000000"}
    n = kept([run("a", 5 * 10**6, bench="rate", at_once=2),
              dict(out, contender="a", at_once=8, reason="8 at a time take 9 s of the lab: " + stats.LONG),
              dict(out, contender="a", at_once=64, reason="64 at a time do not fit into this host's memory"),
              run("b", 10**9, bench="rate", at_once=64), run("b", 10**6, bench="rate", at_once=8),
              dict(out, contender="b", at_once=64, reason=stats.LONG),
              dict(out, contender="c", reason="hung: no end of a run within 8 s")])
    n.settle()
    eq(n.why("exact", "rate", "b", "true", at_once=64), None)
    text = figures.Figures(n, "/nonexistent").make("rate exact")
    rows = [line.replace(" ", "") for line in text.split("\n")]
    assert "|a|400|toolong|noroom|" in rows and "|b|notmeasured|8000|64.0|" in rows, text
    assert "* c without true: hung: no end of a run within 8 s." in text, text


def test_sentences():
    """how a run grows with memory comes from the series, and is not measured without them"""
    gib = 1 << 30
    n = kept([run("husk", 10**6 * (7 + 3 * k), bench="growth-memory", memory=k * gib) for k in (1, 2, 4)])
    f = figures.Figures(n, "/nonexistent")
    eq((f.make("value cold-gib"), f.make("value template-gib")), ("3.00", "(not measured)"))


def test_broken_numbers():
    """a line that is no JSON object is named by file and line"""
    for bad in ("{", "[]\n", "progress\n"):
        text = fails(kept, [run(), bad])
        assert "line 2: no JSON object" in text, text


def test_choice():
    """words of BENCH choose by kind, with patterns; an unknown one is refused"""
    choose = load_script("run").choose
    c = choose(["husk*", "exact", "rate"])
    eq((c["host"], c["figure"]), (["exact"], ["rate"]))
    assert set(c["contender"]) == {"husk", "husk-pool", "husk-template"}, c
    c = choose(["true", "echo"])
    eq((c["job"], c["figure"], c["host"]), (["true", "echo"], ["jobs", "status"], ["wall", "exact", "tuned"]))
    assert "plain" in c["contender"] and "rate" in choose([])["figure"]
    assert "'nonsense' is no contender" in fails(choose, ["true", "nonsense"])


def test_choice_on_a_tuned_host():
    """a tuned host has what tuning changes, unless words say more"""
    run = load_script("run")
    everything = run.choose([])
    eq(run.on_host(everything, "exact"), everything)
    less = run.on_host(everything, "tuned")
    assert "husk-pool" in less["contender"] and "gvisor" not in less["contender"], less
    assert set(less["figure"]) < set(everything["figure"]) and set(less["job"]) < set(everything["job"]), less
    more = run.on_host(run.choose(["tuned", "growth", "gvisor"]), "tuned")
    eq((more["host"], more["figure"], more["contender"], more["job"]),
       (["tuned"], ["growth"], ["gvisor"], less["job"]))
    eq([run.part_of(h, run.HOSTS) for h in run.HOSTS], [(0, 0.2), (0.2, 0.6), (0.8, 0.2)])
    eq(run.part_of("tuned", ["tuned"]), (0, 1))


def test_kept_without_a_folder():
    """numbers that are kept do not name the folder that was measured in"""
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "numbers.jsonl")
        kept([run(argv=["/there/build/husk", "--image=/there/build/x", "/bin/there/x"])]).write(path, "/there")
        with open(path) as f:
            eq(json.loads(f.read())["argv"], ["build/husk", "--image=build/x", "/bin/there/x"])


def test_page_of_little():
    """a page from a few numbers says what is missing, and judges a target by its ratio"""
    ms = 1000000
    n = kept([run("bwrap", 16 * ms), run("husk-template", 20 * ms), run("plain", ms)])
    f = figures.Figures(n, "/nonexistent")
    assert "**missed**" in f.make("targets") and "not measured" in f.make("targets")
    n = kept([run("bwrap", 16 * ms), run("husk-template", 8 * ms),
              run("husk-template", 2 * ms, bench="python", job="ten lines, warm"),
              run("plain", 9 * ms, bench="python", job="ten lines")])
    met = [line for line in figures.Figures(n, "/nonexistent").make("targets").split("\n") if " met " in line]
    eq(len(met), 1)
    f = figures.Figures(n, "/nonexistent")
    for name in ("streams exact", "rate wall", "growth-memory", "exits", "timeline", "host wall", "spread wall"):
        assert "not measured" in f.make(name), name
    eq(f.make("value cold"), "(not measured)")
    eq(f.make("value template"), "8.00")


def test_page_names():
    """each {{NAME}} of bench/page.md is a part that figures.py can make"""
    import re
    with open(os.path.join(ROOT, "bench/page.md")) as f:
        names = re.findall(r"\{\{(.*?)\}\}", f.read())
    assert len(names) > 30, names
    f = figures.Figures(stats.Numbers(), "/nonexistent")
    for name in names:
        f.make(name)


def main():
    tests = [(name, t) for name, t in sorted(globals().items()) if name.startswith("test_")]
    print("1..%d" % len(tests))
    bad = 0
    for i, (name, t) in enumerate(tests, 1):
        try:
            t()
            print("ok %d - %s" % (i, t.__doc__))
        except Exception:
            bad = 1
            print("not ok %d - %s" % (i, t.__doc__))
            print("# " + traceback.format_exc().replace("\n", "\n# "))
    sys.exit(bad)


main()
