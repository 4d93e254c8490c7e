# SPDX-License-Identifier: MIT
"""What runs inside the contenders: one table, the same for all of them.

Each job is a command of the root file system (the base image and bench's own
programs in /bench), perhaps with input, and with what it must print: a
contender that cannot run it must not look fast. Sizes are for the exact lab
and for a real machine; the lab executes about 50 million instructions a second.
"""

MIB = 1 << 20

PYTHON = ["python3", "-c", "print(6 * 7)"]
COMPILE = ["sh", "-c", "gcc -o /tmp/hello /bench/hello.c && /tmp/hello"]

HELLO_C = """#include <stdio.h>
int main(void)
{
\tputs("hello");
\treturn 0;
}
"""

# Ten lines that a data step might be, for an interpreter cold and warm.
WARM_JOB = """import json, re, subprocess, decimal, unittest
rows = json.loads('[{"name": "a1", "cost": "1.10"}, {"name": "b22", "cost": "2.05"}]')
total = decimal.Decimal(0)
for row in rows:
    digits = re.search(r"[0-9]+", row["name"]).group()
    total += decimal.Decimal(row["cost"]) * int(digits)
case = unittest.TestCase()
case.assertEqual(str(total), "46.20")
print(json.dumps({"total": str(total), "rows": len(rows)}))
print(subprocess.__name__)
"""
WARM_OUT = len('{"total": "46.20", "rows": 2}\nsubprocess\n')


class Job:
    """`argv(exact)`, bytes on stdin, bytes that must come out, rounds in the lab."""

    def __init__(self, title, argv, out, exact_rounds, feed=(0, 0), exact=None, seconds=(0.01, 0.01), wall_rounds=20):
        self.title = title
        self.words = (argv, exact or argv)
        self.out = out
        self.exact_rounds = exact_rounds
        self.feed = feed
        self.wall_rounds = wall_rounds
        self.seconds = seconds  # about how long the job itself takes

    def argv(self, exact):
        return self.words[exact]

    def stdin(self, exact):
        return self.feed[exact]

    def stdout(self, exact):
        return self.feed[exact] or self.out


JOBS = {
    "true": Job("a static `true`", ["/bench/true"], 0, 7, wall_rounds=50),
    "echo": Job("echo of one line", ["/bin/echo", "hello"], 6, 5),
    "python": Job("a Python one-liner", PYTHON, 3, 3, seconds=(0.05, 0.08)),
    "compile": Job("a C compile and run", COMPILE, 6, 1, seconds=(0.2, 0.25)),
    "stream": Job("stdin to stdout", ["/bin/cat"], 0, 2, feed=(256 * MIB, 4 * MIB), seconds=(0.8, 0.08)),
    "cpu": Job("a CPU-bound loop", ["/bench/work", "cpu", "100000000"], 2, 2,
               exact=["/bench/work", "cpu", "5000000"], seconds=(0.5, 0.06)),
    "memory": Job("a memory-bound loop", ["/bench/work", "memory", "10"], 2, 2,
                  exact=["/bench/work", "memory", "1"], seconds=(0.7, 0.3)),
    "calls": Job("small system calls and forks", ["/bench/work", "calls", "20000"], 2, 2,
                 exact=["/bench/work", "calls", "20000"], seconds=(0.2, 0.06)),
}

# Kept out of the table above: they do not end.
IDLE_COUNTS = (1, 4, 16)
IDLE = ["/bench/work", "idle"]
SPIN = ["/bench/work", "spin"]
