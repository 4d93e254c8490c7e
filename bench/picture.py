# SPDX-License-Identifier: MIT
"""Pictures by gnuplot, as SVG that reads well on white and on black.

No background, lines and text in a middle grey, colours that stand out on both.
gnuplot comes with Debian's gnuplot-nox; without it bench says so.
"""

import re
import subprocess

COLOURS = ("#3d85c6", "#e0862f", "#45a05a", "#c9504c", "#8e6fc0", "#9a7b4f", "#c75fa5", "#5fa8a8", "#7f7f7f",
           "#a3a33a", "#4f7fd6", "#d0774a")
GREY = "#808080"


class NoGnuplot(Exception):
    """There is no gnuplot, or it did not understand us."""


def quoted(text):
    return '"%s"' % str(text).replace("\\", "\\\\").replace('"', '\\"')


def gnuplot(path, size, lines):
    head = [
        "set terminal svg size %d,%d dynamic font 'sans-serif,13'" % size,
        "set output %s" % quoted(path),
        "set border 3 linecolor rgb '%s'" % GREY,
        "set tics nomirror textcolor rgb '%s'" % GREY,
        "set key textcolor rgb '%s'" % GREY,
        "set grid linecolor rgb '%s' linewidth 0.3" % GREY,
        *("set %slabel textcolor rgb '%s'" % (axis, GREY) for axis in "xy"),
    ]
    try:
        p = subprocess.run(["gnuplot"], input="\n".join(head + lines) + "\n", text=True, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, check=False)
    except FileNotFoundError:
        raise NoGnuplot("gnuplot is missing (package gnuplot-nox)") from None
    if p.returncode or "line 0:" in p.stdout:
        raise NoGnuplot("gnuplot: " + p.stdout.strip())
    # The date and the version would make every picture a change.
    with open(path) as f:
        text = f.read()
    with open(path, "w") as f:
        f.write(re.sub(r"<desc>.*?</desc>", "<desc>made by bench/document</desc>", text, flags=re.S))


def bars(path, label, rows):
    """Horizontal bars on a logarithmic scale: [(name, value, text)], the first on top."""
    lines = [
        "set xlabel %s" % quoted(label), "set logscale x", "unset key", "unset grid", "set style fill solid 0.9",
        "set yrange [-0.6:%g]" % (len(rows) - 0.4), "set lmargin 16", "set rmargin 10",
        "set xrange [%g:%g]" % (min(r[1] for r in rows) / 2, max(r[1] for r in rows) * 1.5),
    ]
    tics = []
    for i, (name, value, text) in enumerate(rows):
        y = len(rows) - 1 - i
        colour = COLOURS[1] if name.startswith("husk") else COLOURS[0]
        tics.append("%s %d" % (quoted(name), y))
        lines.append("set object rect from graph 0, first %g to %g,%g fillcolor rgb '%s' linewidth 0"
                     % (y - 0.35, value, y + 0.35, colour))
        lines.append("set label %s at %g,%g offset 0.5,0 textcolor rgb '%s'" % (quoted(text), value, y, GREY))
    lines += ["set ytics (%s) scale 0" % ", ".join(tics), "plot NaN notitle"]
    gnuplot(path, (760, 70 + 26 * len(rows)), lines)


def timeline(path, label, rows):
    """A bar for each row, cut into named parts: [(name, [(part, from, to)])]."""
    lines = ["set xlabel %s" % quoted(label), "unset grid", "set style fill solid 0.9", "unset key",
             "set yrange [-0.7:%g]" % (len(rows) - 0.1), "set lmargin 16", "set bmargin 3.5"]
    most = max(to for _, parts in rows for _, _, to in parts)
    lines.append("set xrange [0:%g]" % (1.02 * most))
    tics, colour = [], 0
    for i, (name, parts) in enumerate(rows):
        y = len(rows) - 1 - i
        tics.append("%s %g" % (quoted(name), y))
        for k, (part, begin, end) in enumerate(parts):
            lines.append("set object rect from %g,%g to %g,%g fillcolor rgb '%s' linewidth 0"
                         % (begin, y - 0.22, end, y + 0.12, COLOURS[colour % len(COLOURS)]))
            # Where a part is too thin for its name, the name goes up and down in turn.
            at = (begin + end) / 2
            lines.append("set label %s at %g,%g center font ',10' textcolor rgb '%s'"
                         % (quoted(part), at, y + (0.22, 0.36, 0.5)[k % 3], COLOURS[colour % len(COLOURS)]))
            colour += 1
        colour = 0
    lines += ["set ytics (%s) scale 0" % ", ".join(tics), "plot NaN notitle"]
    gnuplot(path, (900, 90 + 110 * len(rows)), lines)


def curves(path, xlabel, ylabel, series):
    """Lines with points: {name: [(x, y)]}, from 0 on."""
    lines = ["set xlabel %s" % quoted(xlabel), "set ylabel %s" % quoted(ylabel), "set key outside right",
             "set xrange [0:*]", "set yrange [0:*]"]
    plots = []
    for i, (name, points) in enumerate(sorted(series.items())):
        lines.append("$d%d << EOD" % i)
        lines += ["%g %g" % point for point in sorted(points)]
        lines.append("EOD")
        plots.append("$d%d with linespoints pointtype 7 pointsize 0.6 linewidth 2 linecolor rgb '%s' title %s"
                     % (i, COLOURS[i % len(COLOURS)], quoted(name)))
    lines.append("plot " + ", ".join(plots))
    gnuplot(path, (760, 360), lines)
