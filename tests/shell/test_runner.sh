#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/run: what it counts. Its suites here are scripts of a few lines, in a
# build folder of their own. TAP on stdout.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/shell/tap.sh
. tests/shell/tap.sh

mkdir -p "$tmp/build/test/unit"

suite() { # NAME, its script on stdin
	{
		echo '#!/bin/sh'
		cat
	} >"$tmp/build/test/unit/test_$1"
	chmod +x "$tmp/build/test/unit/test_$1"
}

# The last line of a run of the suites NAME..., and of no others.
count_of() { # NAME...
	local name
	mkdir -p "$tmp/one/test/unit"
	rm -f "$tmp/one/test/unit"/*
	for name; do
		cp "$tmp/build/test/unit/test_$name" "$tmp/one/test/unit/"
	done
	BUILD=$tmp/one LAB=none tests/run unit >"$tmp/out" 2>&1
	status=$?
	tail -n 1 "$tmp/out"
}

suite good <<-'END'
	printf '1..2\nok 1 - a\nok 2 - b\n'
END
suite bad <<-'END'
	printf '1..2\nok 1 - a\nnot ok 2 - b: why\n# and more\n'
END
suite skips <<-'END'
	printf '1..2\nok 1 - a\nok 2 - b # SKIP no time\n'
END
suite short <<-'END'
	printf '1..5\nok 1 - a\n'
END
suite silent <<-'END'
	exit 0
END
suite planless <<-'END'
	printf 'ok 1 - a\n'
END
suite dies <<-'END'
	printf '1..1\nok 1 - a\n'
	kill -SEGV $$
END
suite hangs <<-'END'
	printf '1..1\n'
	exec sleep 1000
END

check "what passed is counted" is "$(count_of good)" "2 passed, 0 failed"
check "all suites are summed up" is "$(count_of good bad)" "3 passed, 1 failed"
count_of bad >"$tmp/last"
check "a failure is shown with what was said of it" has_line "$tmp/out" 'not ok 2 - b: why'
check "and with the comment below it" has_line "$tmp/out" '# and more'
check "a skip is a failure" is "$(count_of skips)" "1 passed, 1 failed"
check "what was announced and did not come is a failure" is "$(count_of short)" "1 passed, 4 failed"
check "no plan is a failure" is "$(count_of planless)" "1 passed, 1 failed"
check "silence is a failure" is "$(count_of silent)" "0 passed, 1 failed"
check "a bad end is a failure" is "$(count_of dies)" "1 passed, 1 failed"
TESTS_UNTIL=1
export TESTS_UNTIL
check "when the time for all is over, nothing passes" is "$(count_of good bad)" "0 passed, 2 failed"
TESTS_UNTIL=$(($(date +%s) + 2))
check "a suite that hangs ends with the time for all" is "$(count_of hangs)" "0 passed, 1 failed"
unset TESTS_UNTIL
no_suite() {
	local status
	count_of >"$tmp/last"
	[ "$status" = 1 ] && is "$(cat "$tmp/last")" "0 passed, 1 failed"
}
check "a run without a suite fails" no_suite

# Two runs at once in one checkout: each waits until the other is at it, too.
meeting() { # TAP
	cat <<-END
		mkdir -p "$tmp/meet/\${LAB%-*}"
		until [ "\$(ls "$tmp/meet" | wc -l)" = 2 ]; do sleep 0.1; done
		printf '1..1\n$1 1 - a\n'
	END
}
meeting ok | suite meets
meeting 'not ok' | suite meets_badly
mkdir -p "$tmp/two/test/unit" "$tmp/two/log/test-0" "$tmp/two/lab/test-0"
cp "$tmp"/build/test/unit/test_meets* "$tmp/two/test/unit/"
run_beside() { # OUT
	(
		unset LAB
		BUILD=$tmp/two tests/run unit >"$tmp/$1" 2>&1
	)
}
run_beside first &
run_beside second
wait
for run in first second; do
	check "a run beside another counts its own suites ($run)" \
		is "$(tail -n 1 "$tmp/$run")" "1 passed, 1 failed"
done
logs_of() { sed -n 's,.*: \(.*\)/test_meets_badly.log$,\1,p' "$tmp/$1"; }
own_logs() {
	[ "$(logs_of first)" != "$(logs_of second)" ] &&
		has_line "$(logs_of first)/test_meets_badly.log" '^not ok' &&
		has_line "$(logs_of second)/test_meets_badly.log" '^not ok'
}
check "each has logs of its own" own_logs
check "one of which is build/log/test" \
	has_line "$tmp/two/log/test/test_meets_badly.log" '^not ok'
check "what a killed run left is gone" \
	is "$(ls -d "$tmp"/two/*/test-0 2>/dev/null)" ""

# A suite beside another that has files and a husk of its own.
cat >"$tmp/beside.py" <<-'END'
	from lib import *

	def test_beside():
	    """what another suite has is not seen"""
	    before = host_state(), huskies()
	    other = subprocess.Popen([sys.executable, sys.argv[0], "other"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
	    eq(other.stdout.readline(), b"up\n")
	    eq((host_state(), huskies()), before)
	    eq(other.communicate(), (b"[] 1\n", None))
	    mine = scratch("mine")
	    eq([f for f in host_state()[2] if f not in before[0][2]], [mine])

	def be_the_other():
	    before = host_state()[2]
	    os.unlink(HUSK)
	    shutil.copy("/bin/sleep", HUSK)
	    with subprocess.Popen([HUSK, "1000"]) as p, tempfile.TemporaryDirectory(prefix="husk-e2e-"):
	        print("up", flush=True)
	        sys.stdin.read()
	        n = huskies()
	        p.kill()
	    print([f for f in host_state()[2] if f not in before], n)

	be_the_other() if sys.argv[1:] else main()
END
PYTHONPATH=tests/e2e python3 "$tmp/beside.py" >"$tmp/out" 2>&1
check "suites beside each other do not take the other's for a leak" \
	has_line "$tmp/out" '^ok 1 '

# A suite of the end-to-end tests that loses its patience says what runs.
cat >"$tmp/hangs.py" <<-'END'
	import ctypes
	import lib
	lib.PATIENCE = 5
	from lib import *

	def test_child():
	    """waits for a child"""
	    child().wait()

	def test_deaf():
	    """waits with no alarm and no other thread of Python"""
	    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
	    it = child()
	    ctypes.PyDLL(None).usleep(int(1e9))

	def child():
	    return subprocess.Popen(["cat"], stdin=subprocess.PIPE)

	main()
END
PYTHONPATH=tests/e2e python3 "$tmp/hangs.py" >"$tmp/out" 2>/dev/null
status=$?
check "a test that hangs fails" has_line "$tmp/out" 'not ok 1 - waits for a child: no end in sight'
check "with where the kernel has its child" has_line "$tmp/out" '\(cat\) of .*: S,'
check "so does one that hears no alarm" has_line "$tmp/out" 'not ok 2 - waits with .* nor does its alarm'
check "with where it is" has_line "$tmp/out" 'hangs.py", line .* in test_deaf'
check "and that is its suite's end" is "$status" 137

### what a failed test of tests/e2e says

cat >"$tmp/unlike.py" <<-'END'
	from lib import *

	def test_state():
	    """compares a state"""
	    eq({n: str(n) for n in range(999)}, {n: str(n - n // 998) for n in range(999)}, "the state")

	main()
END
PYTHONPATH=tests/e2e python3 "$tmp/unlike.py" >"$tmp/out" 2>/dev/null
check "a state that is not as it was: the member that differs" \
	is "$(cat "$tmp/out")" $'1..1\nnot ok 1 - compares a state: the state: .998: got \'998\', want \'997\''
check "test_diff.py" python3 tests/shell/test_diff.py

done_testing
