# SPDX-License-Identifier: MIT
"""tests/e2e/diff.py as TAP: each kind of difference is named, none is lost.

Started by test_runner.sh.
"""

import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/e2e"))
sys.dont_write_bytecode = True
from diff import MOST, difference  # noqa: needs the path

LONG = {"n%03d" % i: {"bytes": i, "cut": False} for i in range(100)}
MANY = ["/a/%d" % i for i in range(200)]


def changed(value, **members):
    return dict(json.loads(json.dumps(value)), **members)


class Odd:
    """Unlike anything, and prints like everything."""

    def __repr__(self):
        return "o" * 200


# What it is, got, want, the lines that say so.
CASES = (
    ("equal values, however large", LONG, changed(LONG), []),
    ("small values are shown whole", (1, "a"), (2, "a"), ["got (1, 'a'), want (2, 'a')"]),
    ("a member deep inside", changed(LONG, n042={"bytes": 43, "cut": False}), LONG, [".n042.bytes: got 43, want 42"]),
    ("a member too few and one too many", changed({k: v for k, v in LONG.items() if k != "n007"}, x=1), LONG,
     [".n007: missing, want {'bytes': 7, 'cut': False}", ".x: got 1, want no such member"]),
    ("an item that is new, one that is gone, one that changed",
     MANY[:3] + ["/new"] + MANY[3:100] + ["/other"] + MANY[101:150] + MANY[151:], MANY,
     ["[3]: got '/new', want no such item", "[100]: got '/other', want '/a/100'", "[150]: missing, want '/a/150'"]),
    ("a tuple's member", (LONG, MANY), (LONG, MANY[1:]), ["[1][0]: got '/a/0', want no such item"]),
    ("a set", set(MANY) | {"b"}, set(MANY) | {"c"}, ["set: got 'b', which is not wanted", "set: missing, want 'c'"]),
    ("a line of a text", "\n".join(MANY).replace("/a/77", "/b/77"), "\n".join(MANY),
     [" line 77: got '/b/77', want '/a/77'"]),
    ("a byte among many", b"x" * 5000 + b"y" + b"x" * 99, b"x" * 5100,
     ["value: 5100 long, want 5100; from 4960 on got %r, want %r" % (b"x" * 40 + b"y" + b"x" * 39, b"x" * 80)]),
    ("an end that is missing", "x" * 5000, "x" * 5003,
     ["value: 5000 long, want 5003; from 4960 on got %r, want %r" % ("x" * 40, "x" * 43)]),
    ("another type", MANY, None, ["value: got %s[... %d more ...]%s, want None" % (
        repr(MANY)[:80], len(repr(MANY)) - 160, repr(MANY)[-80:])]),
    ("things that print alike", [Odd()], [Odd()], ["value: got [%s[... 42 more ...]%s], want [%s[... 42 more ...]%s]" % (
        ("o" * 79, "o" * 79) * 2)]),
)


def most():
    """of many differences the first, and how many more there are"""
    lines = difference({i: i for i in range(500)}, {i: -i for i in range(500)})
    return lines[:2] + lines[-1:] + [len(lines)], \
        [".1: got 1, want -1", ".2: got 2, want -2", "and %d more differences" % (499 - MOST), MOST + 1]


def main():
    cases = [(name, difference(got, want), lines) for name, got, want, lines in CASES]
    cases.append((most.__doc__, *most()))
    print("1..%d" % len(cases))
    for i, (name, got, want) in enumerate(cases, 1):
        if got == want:
            print("ok %d - %s" % (i, name))
        else:
            print("not ok %d - %s\n# got  %r\n# want %r" % (i, name, got, want))
    sys.exit(any(got != want for _, got, want in cases))


main()
