#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws the charts of this folder: docs/pictures/draw.py [FOLDER]

NAME.chart becomes NAME-light.svg and NAME-dark.svg, in FOLDER or beside it;
tests/shell/test_architecture.sh compares. A chart is lines of

    lane KEY "name" "what it is" [PATH...]
    == a part of the story
    KEY -> KEY : function() | words       one calls, tells or gives to the other
    KEY : function() | words              it does so by itself

and # begins a remark. A function stands in the sources of the lane that does
it (PATH...), or the chart is refused: a picture that names what is gone is
wrong. No library and no measure of text: code is in a font of fixed width.
"""

import glob
import os
import re
import sys
from xml.sax.saxutils import escape

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

THEMES = {
    "light": {"paper": "#ffffff", "ink": "#1f2328", "dim": "#59636e", "line": "#d1d9e0", "box": "#eef3f8",
              "edge": "#57708c", "part": "#f3ead9", "arrow": "#0b62b0"},
    "dark": {"paper": "#0d1117", "ink": "#e6edf3", "dim": "#9198a1", "line": "#30363d", "box": "#182433",
             "edge": "#7d97b5", "part": "#2d2618", "arrow": "#6cb2f5"},
}

LANE, HEAD, STEP, PART, EDGE = 152, 64, 44, 34, 12
CODE, WORDS = 7.3, 6.2  # width of a character, of 12 and of 11.5 px


class Wrong(Exception):
    """The chart cannot be drawn; the text says why."""


def read_chart(path):
    """Lanes {key: (name, what, sources)}, and steps (kind, from, to, code, words)."""
    lanes, steps = {}, []
    with open(path, encoding="utf-8") as f:
        lines = f.read().split("\n")
    for nr, line in enumerate(lines, 1):
        line = line.strip()
        lane = re.fullmatch(r'lane (\w+) "([^"]+)" "([^"]+)"(.*)', line)
        part = re.fullmatch(r"== (.+)", line)
        step = re.fullmatch(r"(\w+)(?: -> (\w+))? : (?:(\w+)\(\))?(?: ?\| )?(.*)", line)
        if not line or line.startswith("#"):
            continue
        if lane:
            lanes[lane[1]] = (lane[2], lane[3], lane[4].split())
        elif part:
            steps.append(("part", None, None, "", part[1]))
        elif step and all(k in lanes for k in (step[1], step[2] or step[1])):
            steps.append(("step", step[1], step[2] or step[1], step[3] or "", step[4]))
        else:
            raise Wrong("%s:%d: what is this: %s" % (path, nr, line))
    return lanes, steps


def read_sources(places):
    text = ""
    for place in places:
        for name in sorted(glob.glob(os.path.join(ROOT, place))):
            with open(name, encoding="utf-8") as f:
                text += f.read()
    return text


def check_names(path, lanes, steps):
    texts = {key: read_sources(places) for key, (_, _, places) in lanes.items()}
    for _, _, to, code, _ in steps:
        # Its definition: the name in the first column, or behind its type.
        if code and not re.search(r"^(?:[a-z].*[ *])?%s\([^;]*$" % code, texts[to], re.M):
            raise Wrong("%s: %s() is not defined in %s" % (path, code, " ".join(lanes[to][2]) or "any file"))


def text_at(x, y, text, style, anchor="start"):
    return '<text x="%d" y="%d" class="%s" text-anchor="%s">%s</text>' % (x, y, style, anchor, escape(text))


class Sheet:
    """One picture on its way: shapes from the top down."""

    def __init__(self, lanes, steps):
        self.lanes, self.steps = lanes, steps
        self.width = LANE * len(lanes) + 2 * EDGE
        self.height = HEAD + EDGE + sum(PART if s[0] == "part" else STEP for s in steps) + 2 * EDGE
        self.shapes, self.y = [], HEAD + EDGE

    def at(self, key):
        return EDGE + LANE // 2 + LANE * list(self.lanes).index(key)

    def add_lanes(self):
        for key, (name, what, _) in self.lanes.items():
            x = self.at(key)
            self.shapes += [
                '<line x1="%d" y1="%d" x2="%d" y2="%d" class="life"/>' % (x, HEAD, x, self.height - EDGE),
                '<rect x="%d" y="%d" width="%d" height="%d" rx="4" class="box"/>'
                % (x - LANE // 2 + 5, EDGE, LANE - 10, HEAD - EDGE - 4),
                text_at(x, EDGE + 19, name, "name", "middle"),
                text_at(x, EDGE + 36, what, "small", "middle"),
            ]

    def add_part(self, words):
        self.shapes += [
            '<rect x="%d" y="%d" width="%d" height="22" class="part"/>' % (EDGE, self.y, self.width - 2 * EDGE),
            text_at(EDGE + 10, self.y + 16, words, "name"),
        ]
        self.y += PART

    def add_label(self, x, width, anchor, code, words):
        """Code over words, or one of them in the middle, on paper of their own."""
        left = x if anchor == "start" else x - width
        self.shapes.append('<rect x="%d" y="%d" width="%d" height="%d" class="paper"/>'
                           % (left - 2, self.y + 1, width + 4, STEP - 6))
        if code:
            self.shapes.append(text_at(x, self.y + 14, code + "()", "code", anchor))
        if words:
            self.shapes.append(text_at(x, self.y + 33, words, "small", anchor))

    def add_step(self, source, to, code, words):
        x1, x2 = self.at(source), self.at(to)
        width = int(max(CODE * (len(code) + 2), WORDS * len(words))) + 4
        left = min(x1, x2) + 12
        if left + width <= self.width - EDGE:
            self.add_label(left, width, "start", code, words)
        else:
            self.add_label(max(x1, x2) - 12, width, "end", code, words)
        y = self.y + 20
        if x1 == x2:
            self.shapes.append('<circle cx="%d" cy="%d" r="5" class="dot"/>' % (x1, y - 1))
        else:
            tip = 8 if x2 > x1 else -8
            self.shapes += [
                '<line x1="%d" y1="%d" x2="%d" y2="%d" class="call"/>' % (x1, y, x2 - tip, y),
                '<path d="M%d %dl%d -4v8z" class="dot"/>' % (x2, y, -tip),
            ]
        self.y += STEP

    def draw(self, chart, colours):
        self.add_lanes()
        for kind, source, to, code, words in self.steps:
            if kind == "part":
                self.add_part(words)
            else:
                self.add_step(source, to, code, words)
        style = (
            "text{font:11.5px sans-serif;fill:%(dim)s}.name{font:bold 13px sans-serif;fill:%(ink)s}"
            ".code{font:12px monospace;fill:%(ink)s}.paper{fill:%(paper)s}.part{fill:%(part)s}"
            ".box{fill:%(box)s;stroke:%(edge)s}.life{stroke:%(line)s}.call{stroke:%(arrow)s;stroke-width:1.5}"
            ".dot{fill:%(arrow)s}" % colours)
        return "\n".join([
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d">' % (self.width, self.height),
            "<desc>made by docs/pictures/draw.py from %s</desc>" % escape(chart),
            "<style>%s</style>" % style,
            '<rect width="%d" height="%d" class="paper"/>' % (self.width, self.height),
            *self.shapes, "</svg>", ""])


def main(args):
    folder = args[0] if args else HERE
    charts = args[1:] or sorted(glob.glob(os.path.join(HERE, "*.chart")))
    for chart in charts:
        lanes, steps = read_chart(chart)
        check_names(chart, lanes, steps)
        name = os.path.basename(chart)
        for theme, colours in THEMES.items():
            path = os.path.join(folder, "%s-%s.svg" % (name[:-len(".chart")], theme))
            with open(path, "w", encoding="utf-8") as f:
                f.write(Sheet(lanes, steps).draw(name, colours))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Wrong, OSError) as e:
        sys.exit("docs/pictures/draw.py: %s" % e)
