# SPDX-License-Identifier: MIT
"""What `husk run -- /bin/true` may cost, in things that can be counted.

Shows of issue 2: "exact budgets as tests, with today's value and a ceiling in
one file" (tests/budgets.txt): exits by kind, guest pages touched, private
memory of husk, bytes of husk, guest-init and vmlinux, system calls.

A value above its ceiling fails. One that has moved by more than a tenth from
what the file says of today is remarked on: `tests/e2e/run 90 --update` writes
today's values anew and leaves the ceilings, which are for people to move.

The counts are taken in the lab with exact time, where two runs differ only in
the random bytes that husk gives its guest; tests/e2e/run sees to that.
"""

import ctypes
import re

from lib import *

FILE = os.path.join(ROOT, "tests/budgets.txt")
PRODUCTS = {"husk_bytes": "husk", "guest_init_bytes": "guest-init", "vmlinux_bytes": "vmlinux"}


def count_system_calls():
    """From strace's table: how many different ones, and how many."""
    table = os.path.join(FOLDER, "strace")
    subprocess.run(["strace", "-f", "-c", "-o", table, *argv("/bin/true")],
                   env=ENV, stdin=subprocess.DEVNULL, check=True, timeout=PATIENCE)
    calls = {}
    for line in head_of(table, -1).decode().split("\n"):
        word = line.split()
        if len(word) >= 5 and word[0][0].isdigit() and word[-1] != "total":
            calls[word[-1]] = int(word[3])
    # What started husk is not husk's.
    check(calls.pop("execve") == 1, "strace's table: %r" % calls)
    return calls


STATIC_TRUE = "void _start(void) { __asm__ volatile(\"syscall\" : : \"a\"(60), \"D\"(0)); }"


def measure_static():
    """A cold run of a static program: what husk and the kernel cost by themselves."""
    image = static_image("true", STATIC_TRUE, "-nostdlib")
    husk("/bin/true", options=["--image", image])
    s = husk("/bin/true", options=["--image", image]).status
    eq(s["verdict"], "exited")
    return {"static_exits": s["exits"]["total"], "static_guest_pages": s["guest_pages"]}


PR_SET_THP_DISABLE = 41
TRACING = "/sys/kernel/tracing"


def fault_pages(of):
    """Guest pages for which a copy of a static true faulted in KVM: all that it touched, if each is mapped alone."""
    def put(name, text):
        with open(os.path.join(TRACING, name), "w") as f:
            f.write(text)
    if not os.path.exists(os.path.join(TRACING, "trace")):
        subprocess.run(["mount", "-t", "tracefs", "none", TRACING], check=True)
    put("trace", "")
    put("events/kvm/kvm_page_fault/enable", "1")
    s = husk("/bin/true", options=["--template", of]).status
    put("events/kvm/kvm_page_fault/enable", "0")
    eq(s["verdict"], "exited")
    with open(os.path.join(TRACING, "trace")) as f:
        trace = f.read()
    # Which device answers above RAM is a fault, too.
    pages = {int(a, 16) >> 12 for a in re.findall(r"kvm_page_fault: .*?\baddress (?:0x)?([0-9a-f]+)", trace)}
    return len([p for p in pages if p < s["options"]["memory"] >> 12])


def measure_pages(image):
    """What a copy touches, in small pages only and with those that nobody writes to in huge ones."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    eq(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0)
    small = make_template("--image", image)
    eq(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0), 0)
    return {"copy_pages": fault_pages(small), "copy_faults": fault_pages(make_template("--image", image))}


def measure_copy():
    """The same in a copy of a template, and for a static program, too."""
    def run(*options):
        of = make_template(*options)
        husk("/bin/true", options=["--template", of])
        s = husk("/bin/true", options=["--template", of]).status
        eq(s["verdict"], "exited")
        return s, sum(n for kind, n in s["exits"].items() if kind not in ("signal", "total"))
    _, exits = run()
    image = static_image("true", STATIC_TRUE, "-nostdlib")
    s, static_exits = run("--image", image)
    return {
        "copy_exits": exits,
        "copy_exits_static": static_exits,
        "copy_private_bytes": s["private_bytes"],
        **measure_pages(image),
    }


def measure_stdin():
    """Exits for each MiB of input from a file, beyond those of a run without."""
    def run(size):
        path, status = scratch("input", pattern(size)), os.path.join(FOLDER, "input-status")
        with open(path) as f:
            subprocess.run(argv("sh", "-c", "cat >/dev/null", options=["--status", status]), stdin=f, env=ENV,
                           check=True, timeout=PATIENCE)
        return json.loads(head_of(status, -1))["exits"]["total"]
    return {"stdin_exits": (run(4 << 20) - run(1)) // 4}


def measure():
    husk("/bin/true")  # so that files are in memory
    s = husk("/bin/true").status
    eq(s["verdict"], "exited")
    values = {"exits_" + kind: n for kind, n in s["exits"].items() if kind != "signal"}
    values["guest_pages"] = s["guest_pages"]
    values["private_bytes"] = s["private_bytes"]
    values.update(measure_static())
    values.update(measure_copy())
    values.update(measure_stdin())
    for name, product in PRODUCTS.items():
        values[name] = os.stat(os.path.join(ROOT, "build", product)).st_size
    calls = count_system_calls()
    values["syscall_kinds"] = len(calls)
    values["syscalls"] = sum(calls.values())
    return values, calls


def read_budgets():
    """The lines of the file: name -> (today, ceiling, why)."""
    budgets = {}
    with open(FILE) as f:
        for line in f:
            text, _, why = line.partition("#")
            if text.strip():
                name, today, ceiling = text.split()
                check(name not in budgets, "%s is there twice" % name)
                budgets[name] = (int(today), int(ceiling), why.strip())
    return budgets


def print_table(values):
    """The file as it is, with the values of today in place."""
    with open(FILE) as f:
        for line in f:
            name = line.split()[0] if line.split() else ""
            if name in values:
                _, _, why = line.partition("#")
                ceiling = line.split()[2]
                line = "%-18s %10d %10s  # %s\n" % (name, values[name], ceiling, why.strip())
            sys.stdout.write(line)


def budget_test(name, values, budget):
    today, ceiling, why = budget

    def test():
        value = values[name]
        check(value <= ceiling, "%d is above the ceiling of %d" % (value, ceiling))
        if abs(value - today) * 10 > today:
            print("# %s is %d and was %d: tests/e2e/run 90 --update" % (name, value, today))
    test.__doc__ = "%s: %d, at most %d (%s)" % (name, values[name], ceiling, why)
    return test


def prepare():
    values, calls = measure()
    if "--table" in sys.argv[1:]:
        print_table(values)
        sys.exit(0)
    print("# system calls: " + ", ".join("%s %d" % c for c in sorted(calls.items())))
    budgets = read_budgets()

    def test_complete():
        eq(sorted(budgets), sorted(values), "names in tests/budgets.txt")
    test_complete.__doc__ = "each thing that is counted has its budget, and the reverse"
    globals()["test_complete"] = test_complete
    for name in budgets:
        if name in values:
            globals()["test_" + name] = budget_test(name, values, budgets[name])


prepare()
main()
