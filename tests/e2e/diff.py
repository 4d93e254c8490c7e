# SPDX-License-Identifier: MIT
"""What two values differ in, for assertions over large ones.

Always a few short lines: each names a place (a member, an index, a line, a
byte) and what is there on both sides. Small values are shown whole. Rejected:
both values cut at some length, since the difference is what the cut leaves
out; difflib's ndiff, which takes cubic time for long texts.
"""

import difflib

SMALL = 160     # characters of a value that is shown whole
AROUND = 40     # characters of text shown on each side of a difference
MOST = 30       # lines; how many more there are is said


def shown(value):
    """Its repr, with the middle left out when long."""
    text = repr(value)
    if len(text) <= SMALL:
        return text
    return "%s[... %d more ...]%s" % (text[:SMALL // 2], len(text) - SMALL, text[-SMALL // 2:])


def _unlike(at, got, want):
    return ["%s: got %s, want %s" % (at or "value", shown(got), shown(want))]


def _dicts(at, got, want):
    out = []
    for key in [*want, *(k for k in got if k not in want)]:
        here = "%s.%s" % (at, key)
        if key not in got:
            out.append("%s: missing, want %s" % (here, shown(want[key])))
        elif key not in want:
            out.append("%s: got %s, want no such member" % (here, shown(got[key])))
        else:
            out += _lines(here, got[key], want[key])
    return out


def _lists(at, got, want, item="%s[%d]"):
    """Items side by side where as many were replaced by as many, else those that came and went."""
    keys = [[repr(x) for x in side] for side in (got, want)]
    out = []
    for op, g0, g1, w0, w1 in difflib.SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        if op == "replace" and g1 - g0 == w1 - w0:
            for i in range(g1 - g0):
                out += _lines(item % (at, w0 + i), got[g0 + i], want[w0 + i])
        elif op != "equal":
            out += ["%s: got %s, want no such item" % (item % (at, i), shown(got[i])) for i in range(g0, g1)]
            out += ["%s: missing, want %s" % (item % (at, i), shown(want[i])) for i in range(w0, w1)]
    return out


def _texts(at, got, want):
    end = "\n" if isinstance(got, str) else b"\n"
    lines = got.split(end), want.split(end)
    if 2 < max(map(len, lines)) < 3000:
        return _lists(at, *lines, item="%s line %d")
    if max(len(repr(got)), len(repr(want))) <= SMALL:
        return _unlike(at, got, want)
    first = next((i for i, (g, w) in enumerate(zip(got, want)) if g != w), min(len(got), len(want)))
    begin = max(0, first - AROUND)
    return ["%s: %d long, want %d; from %d on got %r, want %r" % (
        at or "value", len(got), len(want), begin, got[begin:first + AROUND], want[begin:first + AROUND])]


def _lines(at, got, want):
    if got == want:
        return []
    if type(got) is not type(want):
        return _unlike(at, got, want)
    if isinstance(got, dict):
        return _dicts(at, got, want)
    if isinstance(got, (list, tuple)):
        return _lists(at, got, want)
    if isinstance(got, (str, bytes)):
        return _texts(at, got, want)
    if isinstance(got, (set, frozenset)):
        return ["%s: got %s, which is not wanted" % (at or "set", shown(x)) for x in sorted(got - want, key=repr)] + \
               ["%s: missing, want %s" % (at or "set", shown(x)) for x in sorted(want - got, key=repr)]
    return _unlike(at, got, want)


def difference(got, want):
    """Lines that say where got is not want; none where they are equal."""
    if got == want:
        return []
    if len(repr(got)) + len(repr(want)) <= 2 * SMALL:
        return ["got %r, want %r" % (got, want)]
    # Unlike and of the same form: objects that print alike.
    out = _lines("", got, want) or _unlike("", got, want)
    if len(out) > MOST:
        out[MOST:] = ["and %d more differences" % (len(out) - MOST)]
    return out
