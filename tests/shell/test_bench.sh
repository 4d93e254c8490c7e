#!/bin/bash
# SPDX-License-Identifier: MIT
#
# bench, as far as it can be tested without a clock: the form of each adaptor;
# the frame with two contenders and one job, on this machine; what it says of
# adaptors that are wrong; that husk takes part by itself where `husk check` is
# content (a husk of a few lines plays it); the page from such numbers. The
# pure part is test_bench.py, which this runs, too. TAP on stdout.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/shell/tap.sh
. tests/shell/tap.sh

### adaptors

adaptor_form() { # FILE
	[ -x "$1" ] || { echo "not executable"; return 1; }
	local verb
	for verb in available prepare run; do
		has_line "$1" "^$verb\(\) \{" || return 1
	done
	has_line "$1" '^# WALL: .' || return 1
	[ "$(tail -n 1 "$1")" = '. "${0%/*}/../verbs.sh"' ] || {
		echo "its last line does not source verbs.sh"
		return 1
	}
	shellcheck -x -S warning "$1"
}
for adaptor in bench/contenders/*; do
	check "adaptor ${adaptor##*/} has three verbs and passes shellcheck" \
		adaptor_form "$adaptor"
done

words_of_run() { # a word with a blank, a quote and a newline comes out whole
	BENCH_ROOT=/r BENCH_STATE=$tmp bench/contenders/plain run sh -c $'a "b"\nc' |
		tr '\0\n' '|_'
}
check "run prints the words of a command line, each ended by NUL" \
	is "$(words_of_run)" 'chroot=/r|sh|-c|a "b"_c|'
bundle() {
	BENCH_ROOT=/r BENCH_STATE=$tmp bench/contenders/runc run sh -c $'a "b"\nc\\' >/dev/null
	python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["process"]["args"])' \
		"$tmp"/bundle-*/config.json
}
check "an OCI bundle has the job's words" is "$(bundle)" "['sh', '-c', 'a \"b\"\\nc\\\\']"

### a world of bench's own: a copy of it, a small root, a husk that is none

tree=$tmp/tree
root=$tmp/build/bench/root
mkdir -p "$tree" "$root/bench" "$root/proc" "$root/dev" "$root/tmp"
cp -r bench "$tree/bench"
for program in true work spawn; do
	gcc -std=gnu17 -D_GNU_SOURCE -O2 -static -o "$tmp/$program" "bench/$program.c"
done
mv "$tmp/true" "$tmp/work" "$root/bench/"
mv "$tmp/spawn" "$tmp/build/bench/"
: >"$tmp/build/vmlinux"

adaptor() { # NAME, the functions on stdin
	{
		printf '#!/bin/bash\n# WALL: none\nset -eu\n'
		cat
		# shellcheck disable=SC2016 # the adaptor's
		echo '. "${0%/*}/../verbs.sh"'
	} >"$tree/bench/contenders/$1"
	chmod +x "$tree/bench/contenders/$1"
}
adaptor verbless <<<'available() { echo 1; }; prepare() { :; }'
adaptor wordless <<<'available() { echo 1; }; prepare() { :; }; run() { :; }'
adaptor liar <<<'available() { echo 1; }; prepare() { :; }; run() { argv /bin/echo done; }'
adaptor failing <<<'available() { echo 1; }; prepare() { die "no room"; }; run() { argv x; }'
adaptor absent <<<'available() { echo 1; }; prepare() { :; }; run() { argv x; }'
sed -i '2i # NEEDS: no-such-program-at-all' "$tree/bench/contenders/absent"

cat >"$tmp/build/husk" <<END
#!/bin/sh
# check, --version, run [OPTION...] -- CMD: as much of husk as its adaptor calls.
case \$1 in
check) [ -e "$tmp/fit" ] || { echo "no kvm_hardware software KVM"; exit 1; } ;;
--version) echo "husk 9.9" ;;
run)
	while [ "\$1" != -- ]; do shift; done
	exec "$root\$2" "\$3"
	;;
esac
END
chmod +x "$tmp/build/husk"

run_bench() { # WORD...
	BUILD=$tmp/build "$tree/bench/run" --rounds 2 wall "$@" >"$tmp/out" 2>&1
}
runs_of() { # CONTENDER: lines of raw numbers
	cat "$tmp"/build/bench/*.jsonl | grep '"kind": "run"' | grep -c "\"contender\": \"$1\""
}
says() { grep -qxF -- "$1" "$tmp/out" || { cat "$tmp/out"; return 1; }; }

check "two contenders and one job" run_bench plain bwrap true jobs
check "each has two runs" is "$(runs_of plain) $(runs_of bwrap)" "2 2"
full_line() {
	python3 - "$tmp"/build/bench/*.jsonl <<-'END'
	import json, sys
	runs = [r for r in map(json.loads, open(sys.argv[1])) if r["kind"] == "run"]
	for r in runs:
	    assert r["host"] == "wall" and r["ns"] > 0 and r["version"] and r["argv"] and r["facts"]["kernel"], r
	assert [r["contender"] for r in runs] == ["plain", "bwrap"] * 2, "not in turn"
	END
}
check "each line has host, version and command line, and they took turns" full_line
rm "$tmp"/build/bench/*.jsonl

check "wrong adaptors do not stop the others" \
	run_bench plain verbless wordless liar failing absent husk true jobs
check "the others have their runs" is "$(runs_of plain)" 2
check "a verb is missing: one clear line" says \
	"wall: verbless left out (all, all): verbless: the adaptor has no verb 'run' (see bench/README.md)"
check "no command line: one clear line" says \
	"wall: wordless left out (all, all): the adaptor's verb 'run' printed no command line"
check "other output than the job's does not count" says \
	"wall: liar left out (all, all): a job that prints 2 bytes printed 5"
check "what prepare says is the reason" says \
	"wall: failing left out (all, all): failing: no room"
check "an absent program is named" says \
	"absent: left out, no no-such-program-at-all here"
check "husk check's reason is why husk has no rows" says \
	"wall: husk left out (all, all): husk: no kvm_hardware software KVM"

: >"$tmp/fit"
check "on a host that is fit husk takes part" run_bench husk bwrap true jobs
check "husk's runs are among the wall numbers" is "$(runs_of husk)" 2

check "a page comes of it" env BUILD="$tmp/build" "$tree/bench/document" "$tmp/docs"
check "with husk in a wall table" has_line "$tmp/docs/benchmarks.md" '^\| husk +\| +[0-9.]+ \|$'
check "with the host above it" has_line "$tmp/docs/benchmarks.md" '^\*Wall time \(.*:\*$'
check "with what was left out" has_line "$tmp/docs/benchmarks.md" '^\| liar .*printed 5 \|$'
check "without a hole" lacks_line "$tmp/docs/benchmarks.md" '\{\{'
nothing_new() {
	cp "$tmp/docs/benchmarks.md" "$tmp/before"
	rm "$tmp"/build/bench/*.jsonl
	BUILD=$tmp/build "$tree/bench/document" "$tmp/docs" && cmp "$tmp/before" "$tmp/docs/benchmarks.md"
}
check "the same page comes from the numbers that it kept" nothing_new
unknown_word() {
	! BUILD=$tmp/build bench/run nonsense >"$tmp/out" 2>&1 && says \
		"bench: 'nonsense' is no contender, job, figure or host (try --list)"
}
check "a word that means nothing is refused" unknown_word

### the pure part

check "test_bench.py" python3 tests/shell/test_bench.py
done_testing
