# SPDX-License-Identifier: MIT
"""Templates: a copy is a run like any other, and yet each is new.

Shows of issue 3: same streams, verdicts and limits from a template (all of
suites 10 to 70 run from one with HUSK_E2E_TEMPLATE=1); copies are isolated
from each other and from the file; nothing that should be random comes twice
(HUSK_RUNS=1000 copies, fewer by default; in the lab without RDRAND, see
tests/e2e/run); clocks go on and are right; every copy answers; what is no
whole template of this husk, host and image is refused before the guest runs;
several vCPUs; plain and huge pages; a larger machine costs no more to copy. Warm templates are in
suite 81.
"""

import re

from forge import CPUID, MSRS, SREGS, forge_vcpu
from lib import *

RUNS = int(os.environ.get("HUSK_RUNS") or 20)
made = {}


def template(*options):
    if options not in made:
        made[options] = make_template(*options)
    return made[options]


def copy(*cmd, options=(), of=None, **kw):
    return husk(*cmd, options=["--template", of or template(), *options], **kw)


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def test_streams():
    """all four streams, the arguments, the environment and the exit status"""
    r = copy("sh", "-c", 'cat; echo "$A $1 $(id -u):$(id -g) $(hostname) $(pwd)" >&2; echo r >&3; exit 7', "sh", "a b",
             options=["--env", "A=x", "--user", "5:6", "--hostname", "here", "--workdir", "/tmp"], stdin=pattern(300000))
    eq(r.rc, 7)
    eq(r.out, pattern(300000))
    eq(r.err, b"x a b 5:6 here /tmp\n")
    eq(r.result, b"r\n")
    eq(r.status["verdict"], "exited")
    eq(r.status["kernel"]["path"], os.path.realpath(KERNEL))


def test_verdicts():
    """each verdict and limit in a copy"""
    def verdict(want, rc, *cmd, options=()):
        r = copy(*cmd, options=options)
        eq((r.status["verdict"], r.rc), (want, rc), " ".join(cmd))
        return r
    verdict("signaled", 143, "sh", "-c", "kill -TERM $$")
    verdict("start_failed", 127, "no-such-thing")
    verdict("start_failed", 126, "/etc/passwd")
    verdict("timeout", 124, "sh", "-c", "while :; do :; done", options=["--timeout=4s"])
    verdict("cpu_time", 124, "sh", "-c", "while :; do :; done", options=["--cpu-time=300ms"])
    verdict("oom", 137, "perl", "-e", '$x .= "x" x 1048576 while 1')
    r = verdict("output_limit", 153, "sh", "-c", "while :; do echo y; done",
                options=["--output-limit=10K", "--on-output-limit=kill"])
    eq(len(r.out), 10240)
    r = copy("sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 100 & done; true", options=["--pids=4"])
    check(b"ork" in r.err, "fork failed: %r" % r)
    r = copy("sh", "-c", "head -c 2M /dev/zero >/tmp/x", options=["--tmp-size=1M"])
    check(b"No space" in r.err, "the disk is full: %r" % r)


def test_guest_crash():
    """a guest that resets in a copy is a crash, not a success"""
    r = copy("perl", "-e", 'syscall(169, 0xfee1dead, 672274793, 0x1234567, 0) and exit 9')
    eq((r.status["verdict"], r.rc), ("exited", 9), "a job cannot reboot")


def test_isolation():
    """what a copy writes is in no other copy, and not in the file"""
    path = template()
    before = digest(path), os.stat(path).st_mtime_ns
    eq(os.stat(path).st_mode & 0o777, 0o444)
    # Two at once, each with a nonce in its files and memory.
    hold = [start("sh", "-c", "echo nonce-%d >/tmp/x; cat /tmp/* /work/* 2>/dev/null; read l; cat /tmp/*" % i,
                  options=["--template", path]) for i in range(2)]
    for i, p in enumerate(hold):
        eq(p.stdout.readline(), b"nonce-%d\n" % i)
    for i, p in enumerate(hold):
        out, err = talk(p, b"go\n")
        eq((p.returncode, out, err), (0, b"nonce-%d\n" % i, b""))
    r = copy("sh", "-c", "ls -A /tmp /work /dev/shm /run/lock /var/tmp | grep -v :; echo; date +%Y")
    eq(r.out.split()[:1], [time.strftime("%Y", time.gmtime()).encode()])
    eq((digest(path), os.stat(path).st_mtime_ns), before, "the template")


# Everything random that a process can see of itself, a line each.
RANDOM = r"""
open A, "</proc/self/auxv"; read A, $a, 4096; %a = unpack "(Q2)*", $a;
open M, "</proc/self/mem"; sysseek M, $a{25}, 0; sysread M, $r, 16;
print "at_random ", unpack("H*", $r), "\n";
$b = "\0" x 32; syscall(318, $b, 32, 0) == 32 or die; print "getrandom ", unpack("H*", $b), "\n";
open U, "</dev/urandom"; sysread U, $u, 32; print "urandom ", unpack("H*", $u), "\n";
for (qw(uuid boot_id)) { open F, "</proc/sys/kernel/random/$_"; print "$_ ", scalar <F> }
open F, "</proc/self/maps"; while (<F>) { print "libc $1\n" if /^(\w+)-.* 0{8} .*libc[.-]/; print "text $1\n" if /^(\w+)-.* 0{8} .*perl$/ }
"""


def unique(lines_of_copies):
    seen = {}
    for lines in lines_of_copies:
        for line in set(lines.decode().split("\n")) - {""}:
            name, value = line.split(" ")
            check(value not in seen.setdefault(name, set()), "%s has %s twice" % (name, value))
            seen[name].add(value)
    return seen


def test_unique():
    """in many copies nothing random comes twice, without RDRAND in the lab"""
    if os.environ.get("HUSK_NO_RDRAND"):
        flags = copy("grep", "-c", "-E", "rdrand|rdseed", "/proc/cpuinfo")
        eq(flags.out, b"0\n", "CPUs with RDRAND")
    runs = []
    for _ in range(RUNS):
        r = copy("perl", "-e", RANDOM)
        eq((r.rc, r.err), (0, b""))
        runs.append(r.out)
    seen = unique(runs)
    eq({name: len(values) for name, values in seen.items()},
       dict.fromkeys(("at_random", "getrandom", "urandom", "uuid", "boot_id", "libc", "text"), RUNS))


def test_clocks():
    """the wall clock is right, the monotonic one goes on, sleeping works"""
    p = start("perl", "-MTime::HiRes=time,clock_gettime,CLOCK_MONOTONIC", "-e",
              '$|=1; while (<STDIN>) { printf "%.6f %.6f\\n", time, clock_gettime(CLOCK_MONOTONIC) }',
              options=["--template", template()])
    last = 0
    for _ in range(5):
        t0 = time.time()
        p.stdin.write(b"\n")
        real, mono = map(float, p.stdout.readline().split())
        t1 = time.time()
        check(t0 - 0.010 <= real <= t1 + 0.010, "guest %.3f, host %.3f to %.3f" % (real, t0, t1))
        check(mono > last, "monotonic %.3f after %.3f" % (mono, last))
        last = mono
    # Days that the template lay on disk are not in it; nor does it begin anew.
    check(1e-3 < last < 600, "monotonic %.3f" % last)
    eq(talk(p)[1], b"")
    r = copy("perl", "-MTime::HiRes=clock_gettime,sleep,CLOCK_MONOTONIC", "-e",
             '$a = clock_gettime(CLOCK_MONOTONIC); sleep 0.2; $b = clock_gettime(CLOCK_MONOTONIC); print $b - $a')
    check(0.2 <= float(r.out) < 60, "slept %r" % r.out)


def test_every_copy_answers():
    """many copies in a row: each answers, with a timer and with work"""
    for i in range(RUNS):
        r = copy("sh", "-c", "sleep 0.05; echo $((6 * %d))" % i, options=["--timeout=300s"])
        eq((r.rc, r.out), (0, b"%d\n" % (6 * i)), "copy %d" % i)


def refused(path, words, *options):
    """Refused with these words, with no instruction of a guest."""
    with tempfile.TemporaryDirectory() as d:
        st = os.path.join(d, "st")
        r = husk_raw(["run", "--template", path, "--status", st, *options, "--", "true"])
        eq(r.rc, 125, "exit status: %r" % r)
        one_line(r)
        for word in words if isinstance(words, tuple) else (words,):
            check(word.encode() in r.err, "want %r in %r" % (word, r.err))
        s = json.loads(head_of(st, -1))
        eq(s["verdict"], "error")
        check(not sum(s.get("exits", {}).values()), "the guest ran: %r" % s)


def changed(at, data):
    """A copy of the template's file with other bytes, keeping its date."""
    path = scratch("changed", head_of(template(), -1))
    with open(path, "r+b") as f:
        f.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
        f.write(data)
    return path


def test_refusals():
    """changed, truncated, foreign and older templates are refused with a line"""
    whole = head_of(template(), -1)
    path = scratch("whole", whole)
    r = husk("echo", "ok", options=["--template", path])
    eq((r.rc, r.out), (0, b"ok\n"), "a copied file, with another date, is good")
    refused(changed(-5000, b"\x5a\xa5\x5a"), "its memory was changed")
    refused(changed(60, b"\xff"), "its head was changed")
    refused(changed(8, b"\0"), ("it has format", "make the template again"))
    refused(changed(0, b"X"), "it is no template")
    refused(scratch("short", whole[:-4096]), "it is cut short")
    refused(scratch("stump", whole[:100]), "it is cut short")
    refused(scratch("long", whole + b"\0" * 4096), "grown")
    refused(scratch("empty", b""), "it is no template")
    refused(scratch("text", b"not a machine\n" * 1000), "it is no template")
    refused(KERNEL, "it is no template")
    refused("/no/such/file", "No such file")
    refused(FOLDER, "not a file")
    refused("/dev/null", "not a file")
    for name in ("verify", "info"):
        r = husk_raw(["template", name, changed(60, b"\xff")])
        eq(r.rc, 125)
        one_line(r)
    r = husk_raw(["template", "verify", changed(-5000, b"\x5a\xa5\x5a")])
    eq(r.rc, 125)
    one_line(r)


def test_forged_vcpus():
    """each vCPU's state is asked: CPUID, registers and MSRs that no guest has are refused, whichever it is"""
    of = template("--cpus=2")

    def more_cpuid(leaf, reg, bits):
        def change(part):
            for at in range(8, len(part), 40):
                if struct.unpack_from("<II", part, at) == (leaf, 0):
                    part[at + 12 + 4 * reg:at + 16 + 4 * reg] = struct.pack(
                        "<I", struct.unpack_from("<I", part, at + 12 + 4 * reg)[0] | bits)
        return change

    def svm_leaf(part):
        part[8 + 40 * 2:8 + 40 * 2 + 28] = struct.pack("<7I", 0x8000000A, 0, 0, 1, 8, 0, 1)

    def svme(part):
        part[265] |= 0x10

    def save_area(part):
        part[-16:] = struct.pack("<IIQ", 0xC0010117, 0, 0x1000)
    forged = os.path.join(FOLDER, "forged")
    forge_vcpu(of, forged, 1, CPUID, lambda part: None)
    r = husk("echo", "ok", options=["--template", forged])
    eq((r.rc, r.out), (0, b"ok\n"), "with nothing changed")
    for cpu in (0, 1):
        for part, change, words in (
                (CPUID, more_cpuid(0x80000001, 2, 4), ("CPUID 0x80000001.0 ECX bit 2", "make the template again")),
                (CPUID, more_cpuid(7, 3, 1 << 24), "CPUID 0x7.0 EDX bit 24"),
                (CPUID, svm_leaf, "CPUID 0x8000000a.0"),
                (SREGS, svme, "EFER = 0x1d01"),
                (MSRS, save_area, "MSR 0xc0010117")):
            refused(forge_vcpu(of, forged, cpu, part, change), words)


def test_image_changed():
    """an image that is another one, or was written since, is refused"""
    image = scratch("image", b"")
    tree = os.path.join(FOLDER, "tree")
    os.makedirs(tree + "/bin", exist_ok=True)
    shutil.copy("/bin/true", tree + "/bin/true")
    subprocess.run([os.path.join(ROOT, "build/husk-image"), "build", "--from", tree, "-o", image], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    refused(template(), "another image", "--image", image)
    of = make_template("--image", image)
    data = bytearray(head_of(image, -1))
    data[1024 + 0x30:1024 + 0x34] = b"\1\2\3\4"  # when it was last written
    with open(image, "wb") as f:
        f.write(data)
    refused(of, "another image")
    os.unlink(image)
    refused(of, "No such file")


def test_fixed_options():
    """what the guest has booted with cannot change in a copy"""
    for option in ("--memory=1G", "--cpus=2", "--kernel=" + KERNEL):
        r = husk_raw(["run", "--template", template(), option, "--", "true"])
        eq(r.rc, 125)
        one_line(r)
        check(b"cannot change in a copy" in r.err, "%r" % r)
    refused(template(), "tmp-size", "--tmp-size=2G")
    r = husk_raw(["run", "--template", template()])
    eq(r.rc, 125)
    check(b"give a command after '--'" in r.err, "%r" % r)


def test_create():
    """making one: a folder as output, info, verify, and a clear end when it fails"""
    with tempfile.TemporaryDirectory(dir=FOLDER) as d:
        r = husk_raw(["template", "create", "--output", d, "--memory=64M"])
        eq((r.rc, r.out, r.err), (0, b"", b""))
        eq(os.listdir(d), ["template.husk"])
        path = os.path.join(d, "template.husk")
        r = husk_raw(["template", "info", path])
        eq(r.rc, 0)
        check(b"64 MiB, 1 CPU\n" in r.out and os.path.realpath(KERNEL).encode() in r.out, "%r" % r)
        r = husk_raw(["template", "verify", path])
        eq(r.rc, 0)
        check(b"whole" in r.out, "%r" % r)
        # Zero pages are not in it.
        check(os.stat(path).st_blocks * 512 < 40 << 20, "blocks: %d" % os.stat(path).st_blocks)
        r = husk_raw(["template", "create", "-o", os.path.join(d, "no/such/folder")])
        eq(r.rc, 125)
        one_line(r)
        r = husk_raw(["template", "create", "-o", os.path.join(d, "x"), "--kernel", elf_guest(RESET)])
        eq(r.rc, 125)
        one_line(r)
        eq(os.listdir(d), ["template.husk"], "nothing half-made stays")
        r = husk_raw(["template", "create", "--output", d, "--memory=64M", "--jail=off"])
        eq((r.rc, r.out, os.listdir(d)), (0, b"", ["template.husk"]), "without a jail: %r" % r)
        r = husk("echo", "ok", options=["--template", path])
        eq((r.rc, r.out), (0, b"ok\n"))


def test_cpus():
    """a template of four CPUs: all of them work in each copy"""
    of = template("--cpus=4")
    for _ in range(3):
        r = copy("sh", "-c", "nproc; for i in 0 1 2 3; do taskset -c $i sh -c 'sleep 0.02; echo $((2 * 21))' & done; wait", of=of)
        eq((r.rc, r.out), (0, b"4\n42\n42\n42\n42\n"))


def huge_kib(p):
    with open("/proc/%d/smaps_rollup" % machine(p.pid)) as f:
        return int(next(line for line in f if line.startswith("AnonHugePages")).split()[1])


def test_huge_pages():
    """made and copied with huge pages behind the memory and without, in each combination"""
    knob = "/sys/kernel/mm/transparent_hugepage/enabled"
    before = re.search(r"\[(\w+)\]", head_of(knob, -1).decode()).group(1)
    of = {}

    def choose(mode):
        if os.environ.get("HUSK_IN_LAB"):  # elsewhere the host is not ours
            with open(knob, "w") as f:
                f.write(mode)
    try:
        for mode in ("never", "always"):
            choose(mode)
            p = start("sh", "-c", "echo; read l")
            p.stdout.readline()
            if os.environ.get("HUSK_IN_LAB"):
                eq(huge_kib(p) > 0, mode == "always", "huge pages with '%s'" % mode)
            talk(p)
            of[mode] = make_template("--cpus=%d" % (1 + len(of)))
        for mode in ("never", "always"):
            choose(mode)
            for made_with, path in of.items():
                r = copy("sh", "-c", "head -c 8M /dev/zero >/tmp/x; wc -c </tmp/x; sha256sum </usr/bin/perl", of=path)
                eq((r.rc, r.err), (0, b""), "made with %s, copied with %s" % (made_with, mode))
                want = "8388608\n%s  -\n" % perl_sum()
                eq(r.out.decode(), want, "made with %s, copied with %s" % (made_with, mode))
    finally:
        choose(before)


def perl_sum():
    return husk("sha256sum", "/usr/bin/perl").out.split()[0].decode()


def test_cost_by_memory():
    """a copy of 1 GiB costs the system calls and exits of one of 128 MiB"""
    def cost(option):
        of = template(option)
        s = [sum(copy("/bin/true", of=of).status["exits"].values()) for _ in range(5)]
        table = os.path.join(FOLDER, "strace")
        subprocess.run(["strace", "-f", "-c", "-o", table, HUSK, "run", "--template", of, "/bin/true"],
                       env=ENV, stdin=subprocess.DEVNULL, check=True, timeout=PATIENCE)
        words = [line.split() for line in head_of(table, -1).decode().split("\n")]
        calls = {w[-1]: int(w[3]) for w in words if len(w) >= 5 and w[0][0].isdigit() and w[-1] != "total"}
        return sorted(s)[2], calls
    small, small_calls = cost("--memory=128M")
    large, large_calls = cost("--memory=1G")
    print("# exits %d and %d, system calls %d and %d" % (
        small, large, sum(small_calls.values()), sum(large_calls.values())))
    check(abs(large - small) <= 10, "exits: %d for 128 MiB, %d for 1 GiB" % (small, large))
    check(abs(sum(large_calls.values()) - sum(small_calls.values())) <= 40,
          "system calls: %r for 128 MiB, %r for 1 GiB" % (small_calls, large_calls))


main()
