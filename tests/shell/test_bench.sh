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

### monitors that Debian 12 does not have: at least they would be asked in their language

mkdir "$tmp/monitors"
cat >"$tmp/monitors/any" <<'END'
#!/usr/bin/python3
"""A monitor's command line, judged by its manual: prints the kernel's, or says what is wrong."""
import json, os, sys
name, words = os.path.basename(sys.argv[0]), sys.argv[1:]
if words in (["version"], ["--version"]):
    sys.exit(print(name, "0.1"))
known = {
    "lkvm": "--name --kernel --disk --mem --cpus --console --network --params",
    "cloud-hypervisor": "--kernel --cmdline --disk --cpus --memory --serial --console",
    "firecracker": "--no-api --level --config-file",
}[name].split()
words = words[1:] if name == "lkvm" and words[0] == "run" else words
options = {}
while words:
    word = words.pop(0)
    if word not in known:
        sys.exit("%s knows no '%s'" % (name, word))
    options[word] = None if word == "--no-api" else words.pop(0)
if name == "firecracker":
    with open(options["--config-file"]) as f:
        config = json.load(f)
    (disk,), boot = config["drives"], config["boot-source"]
    assert disk["is_read_only"] and not disk["is_root_device"] and config["machine-config"]["mem_size_mib"] == 256
    kernel, image, line = boot["kernel_image_path"], disk["path_on_host"], boot["boot_args"]
else:
    kernel, line = options["--kernel"], options.get("--params") or options["--cmdline"]
    image = options["--disk"].split(",")[0].replace("path=", "")
print(kernel, image, line[line.index("init="):])
END
chmod +x "$tmp/monitors/any"
for monitor in lkvm cloud-hypervisor firecracker; do
	ln -s any "$tmp/monitors/$monitor"
done
printf '#!/bin/sh\n' >"$tmp/monitors/husk"
chmod +x "$tmp/monitors/husk"

asked() { # ADAPTOR VERB [CMD...]
	PATH=$tmp/monitors:$PATH BENCH_STATE=$tmp BENCH_IMAGE=/i BENCH_PVH=/k BENCH_BZIMAGE=/dev/null \
		BENCH_HUSK=$tmp/monitors/husk BENCH_KERNEL=/k "bench/contenders/$1" "${@:2}" 2>&1
}
started() { # ADAPTOR CMD...: the command line that it prints, run
	local words
	mapfile -d '' -t words < <(BENCH_PCI_KERNEL=/k asked "$1" run "${@:2}")
	"${words[@]}" 2>&1
}
for adaptor in kvmtool cloud-hypervisor firecracker; do
	check "$adaptor is asked for a kernel, a disk and the job" \
		is "$(started "$adaptor" sh -c 'a "b%')" '/k /i init=/bench/guest -- sh -c a%20%22b%25'
	check "$adaptor cannot feed a job its input, and says so" \
		is "$(BENCH_PCI_KERNEL=/k BENCH_INPUT=1 asked "$adaptor" run cat)" \
		"$adaptor: a console has no end of file for the job's input"
done
for adaptor in kvmtool cloud-hypervisor; do
	check "$adaptor without a kernel for it says so" is "$(asked "$adaptor" available)" \
		"$adaptor: husk's kernel has no PCI (name one in BENCH_PCI_KERNEL)"
done
check "firecracker says its version" is "$(asked firecracker available)" "firecracker 0.1"

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
	shift
	program=$root\$1
	shift
	exec "\$program" "\$@"
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
lacks_process() { # COMMAND LINE
	! pgrep -f -x -- "$1"
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

adaptor sleeper <<-'END'
	available() { echo 1; }
	prepare() { :; }
	# It proves itself, and is then never done.
	run() { if [ "$1" = /bench/true ]; then argv sleep 100000; else argv "chroot=$BENCH_ROOT" "$@"; fi; }
END
adaptor stutter <<-'END'
	available() { echo 1; }
	prepare() { :; }
	run() { # The second of its runs is never done.
		if [ "$1" = /bench/true ]; then
			argv sh -c 'echo >>"$0"; [ "$(wc -l <"$0")" != 2 ] || sleep 100000' "$BENCH_STATE/n"
		else
			argv "chroot=$BENCH_ROOT" "$@"
		fi
	}
END
check "one that hangs does not stop the others" run_bench --limit 10 stutter plain sleeper bwrap true jobs
check "it is named with its reason" says \
	"wall: sleeper left out (jobs, true): hung: no end of a run within 10 s"
check "one that hangs once is told and has its runs" is "$(runs_of stutter)" 2
check "with the reason" says "wall: stutter left out (jobs, true): run 1 of 2: hung: no end of a run within 10 s"
check "the others have their runs all the same" is "$(runs_of plain) $(runs_of bwrap) $(runs_of sleeper)" "2 2 0"
check "nothing of it is left" lacks_process "sleep 100000"
check "what is done is not done again" run_bench --continue plain bwrap true jobs
check "so there are no more runs than before" is "$(runs_of plain) $(runs_of bwrap)" "2 2"
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
