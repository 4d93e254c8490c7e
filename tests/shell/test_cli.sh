#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The command line of the real binary: wrong input ends with 125, nothing on
# stdout and one line on stderr, before /dev/kvm is even opened (so this runs
# anywhere); what is asked for comes out whole or the exit status says so. The
# parser itself is tested in tests/unit/test_cli.c. TAP on stdout.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/shell/tap.sh
. tests/shell/tap.sh
husk=${BUILD:-build}/husk
unset HUSK_KERNEL HUSK_IMAGE

# Files of every wrong kind, and two that pass a first look.
mkdir "$tmp/dir"
: >"$tmp/empty"
head -c 65536 /dev/zero >"$tmp/zero"
printf 'MZ\220\0 a bzImage begins like this' >"$tmp/bzimage"
{ head -c 1080 /dev/zero; printf '\123\357'; head -c 8192 /dev/zero; } >"$tmp/ext4"
{ printf '\177ELF\2\1\1'; head -c 9 /dev/zero; printf '\2\0\76\0'; head -c 64 /dev/zero; } >"$tmp/elf"

# run_husk ARG...: status in $rc, output in $tmp/out and $tmp/err.
run_husk() {
	rc=0
	"$husk" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || rc=$?
}

# refused LINE ARG...: status 125, exactly this line (a glob) on stderr.
refused() {
	local line=$1 got
	shift
	run_husk "$@"
	is "$rc" 125 || return 1
	is "$(cat "$tmp/out")" "" || return 1
	is "$(wc -l <"$tmp/err")" 1 || return 1
	got=$(cat "$tmp/err")
	# shellcheck disable=SC2053 # the right side is a pattern
	[[ $got == $line ]] || {
		echo "got '$got', wanted '$line'"
		return 1
	}
}

### words that husk does not understand

check "nothing to do" refused \
	"husk: nothing to do (write 'husk run -- COMMAND', or see 'husk --help')"
check "a command for husk to run, without run" refused \
	"husk: unknown command 'ls' (to run it, write 'husk run -- ls')" ls
check "a slip in an option" refused \
	"husk: unknown option '--memroy' (did you mean '--memory'?)" run --memroy=1G x
check "an unknown option of one letter" refused \
	"husk: unknown option '-v' (see 'husk --help')" run -v x
check "no command" refused \
	"husk: no command to run (write 'husk run \[OPTION...] -- COMMAND \[ARGUMENT...]')" run
check "an empty command" refused \
	"husk: the command to run is empty (write its name after '--')" run -- ''
check "a value left out" refused \
	"husk: option '--image' needs a value (write --image=FILE)" run --image -- x
check "no number" refused \
	"husk: --cpus 'many': not a number (write digits only)" run --cpus=many x
check "a number out of range" refused \
	"husk: --memory '1M': out of range (48M to 1T)" run --memory=1M x
check "a variable without a name" refused \
	"husk: --env '=x': no name (write NAME=VALUE)" run --env==x x
check "both kinds of result" refused \
	"husk: --result and --result-fd exclude each other (give one of them)" \
	run --result=/dev/null --result-fd=3 x
check "an option of the other command" refused \
	"husk: option '--memory' belongs to 'husk run'" check --memory=1G
check "check with a command" refused \
	"husk: 'husk check' runs no command, but 'x' was given" check x
check "control characters do not reach the terminal" refused \
	"husk: unknown option '--a\\\\012\\\\033\[31mb\\\\377' (see 'husk --help')" run $'--a\n\e[31mb\xff' x
check "a word of 100,000 bytes still gives one line with its hint" refused \
	"husk: --user 'xxx*xxx': not UID or UID:GID (*)" \
	run --user "$(head -c 100000 /dev/zero | tr '\0' x)" x

### files that are not what they should be

image() { # LINE FILE
	refused "$1" run --kernel="$tmp/elf" --image="$2" -- /bin/true
}
check "an image that is not there" image \
	"husk: open image '$tmp/none': No such file or directory*" "$tmp/none"
check "a folder as image" image "husk: open image '$tmp/dir': *directory*(*)" "$tmp/dir"
check "a device as image" image "husk: open image '/dev/null': *(*)" /dev/null
check "an empty image" image "husk: open image '$tmp/empty': *(*)" "$tmp/empty"
check "an image of zeros" image "husk: open image '$tmp/zero': *(*)" "$tmp/zero"
check "more memory than the host has" refused \
	"husk: give the machine 1048576 MiB: the host has * MiB (give a smaller --memory)" \
	run --memory=1T --kernel="$tmp/elf" --image="$tmp/ext4" -- x
check "a status file that cannot be made" refused \
	"husk: open status '$tmp/no/such': No such file or directory" \
	run --status="$tmp/no/such" x
check "a folder as result" refused \
	"husk: open result '$tmp/dir': Is a directory" run --result="$tmp/dir" x
check "a folder as console" refused \
	"husk: open console '$tmp/dir': Is a directory" run --console="$tmp/dir" x
check "a result descriptor that is closed" refused \
	"husk: use descriptor 9 *: Bad file descriptor*" run --result-fd=9 x

cp "$husk" "$tmp/dir/husk"
# alone NAME OPTION OTHER-OPTION: a binary with neither kernel nor image beside
# it. Where husk is installed under its prefix it finds those, and the other
# file, which is no good, is what it complains about.
alone() {
	local husk=$tmp/dir/husk line
	line="husk: find '$1': not in '$tmp/dir', '$tmp/dir/../share/husk', '*/share/husk' (run 'make', or say where it is with --$2=FILE)"
	[ ! -e "/usr/local/share/husk/$1" ] || line="husk: *"
	refused "$line" run "--$3=$tmp/elf" x
}
check "no kernel anywhere" alone vmlinux kernel image
check "no image anywhere" alone base.ext4 image kernel

### descriptors

# std REDIRECTION LINE [OPTION...]: `husk run` with that redirection on top.
std() {
	rc=0
	bash -c "exec \"\$0\" run --kernel=\"\$1\" --image=\"\$2\" ${*:3} -- x $1" \
		"$husk" "$tmp/elf" "$tmp/ext4" >"$tmp/out" 2>"$tmp/err" </dev/null || rc=$?
	is "$rc" 125 && is "$(cat "$tmp/out")" "" && is "$(cat "$tmp/err")" "$2"
}
# /dev/null in their place, so what comes next is what is wrong.
check "stdin closed: goes on" std '<&-' "husk: open image '$tmp/zero': no ext4 file system in it (build one with husk-image build)" \
	--image="$tmp/zero"
check "stdout closed: goes on" std '>&-' "husk: open image '$tmp/zero': no ext4 file system in it (build one with husk-image build)" \
	--image="$tmp/zero"
check "stderr closed: only the status is left" std '2>&-' "" \
	--image="$tmp/zero"
check "stdout open for reading only" std '1</dev/null' \
	"husk: use descriptor 1 as stdout: open for reading only (redirect it, for example to /dev/null)"
check "stdin open for writing only" std '0>/dev/null' \
	"husk: use descriptor 0 as stdin: open for writing only (redirect it, for example to /dev/null)"
check "status open for reading only" std '7</dev/null' \
	"husk: use descriptor 7 for the status: open for reading only" --status-fd=7

### an error still has its status object

check "an error in the status: refused" refused "husk: open image '$tmp/zero': no ext4 file system in it (build one with husk-image build)" \
	run --status="$tmp/status" --kernel="$tmp/elf" --image="$tmp/zero" -- x
check "an error in the status: object" python3 -c '
import json, sys
o = json.load(open(sys.argv[1]))
assert o["verdict"] == "error" and o["exit_status"] == 125, o
assert o["reason"] == sys.argv[2], o["reason"]
assert o["image"]["path"] == sys.argv[3], o["image"]
' "$tmp/status" "$(sed 's/^husk: //' "$tmp/err")" "$tmp/zero"
printf 'as it was' >"$tmp/kept"
check "an output file keeps its content when the run cannot start" refused \
	"husk: open image *" run --result="$tmp/kept" --image="$tmp/zero" --kernel="$tmp/elf" -- x
check "... and it does" is "$(cat "$tmp/kept")" "as it was"

### what is asked for

asked() { # FILE ARG...
	local want=$1
	shift
	run_husk "$@"
	is "$rc" 0 && is "$(cat "$tmp/err")" "" && diff "$want" "$tmp/out"
}
check "--help" asked tests/golden/help.txt --help
check "run --help" asked tests/golden/help.txt run --help
check "check --help" asked tests/golden/help.txt check --help
run_husk --version
check "--version: status" is "$rc" 0
check "--version: one line" has_line "$tmp/out" '^husk [0-9]+\.[0-9]+\.[0-9]+ \([0-9a-z]+\)$'

full() { # ARG...: stdout is full
	rc=0
	"$husk" "$@" >/dev/full 2>"$tmp/err" || rc=$?
	is "$rc" 125 && is "$(cat "$tmp/err")" "husk: write stdout: No space left on device"
}
check "--help on a full disk" full --help
check "--version on a full disk" full --version
check "check on a full disk" full check
check "check --json on a full disk" full check --json
closed() { # ARG...: stdout is closed
	rc=0
	"$husk" "$@" >&- 2>"$tmp/err" || rc=$?
	is "$rc" 125 && is "$(cat "$tmp/err")" "husk: write stdout: Bad file descriptor"
}
check "--help with stdout closed" closed --help

### husk check

# The answers agree with each other in both forms, and with the exit status.
run_husk check --json --kernel="$tmp/elf" --image="$tmp/ext4"
rc_json=$rc
check "check --json: an object that agrees with the exit status" python3 -c '
import json, sys
o = json.load(open(sys.argv[1]))
assert o["husk_check"] == 1
q = {q["name"]: q for q in o["questions"]}
assert o["fit"] == (sys.argv[2] == "0")
assert o["fit"] == all(x["ok"] is not False for x in q.values())
assert q["kernel"]["ok"] and q["image"]["ok"] and "kvm_hardware" in q
assert all(x["hint"] for x in q.values() if x["ok"] is False)
' "$tmp/out" "$rc_json"
run_husk check --kernel="$tmp/elf" --image="$tmp/ext4"
check "check: same exit status" is "$rc" "$rc_json"
check "check: kernel ok" has_line "$tmp/out" "^ok kernel +'$tmp/elf' \(ELF, 0 KiB\)\$"
check "check: no escape sequences on a pipe" lacks_line "$tmp/out" "$(printf '\033')"
run_husk check --kernel="$tmp/bzimage" --image="$tmp/dir"
check "check: unfit" is "$rc" 1
check "check: a bzImage is no kernel" has_line "$tmp/out" "^no kernel .*is not an x86-64 vmlinux"
check "check: a folder is no image" has_line "$tmp/out" "^no image .*is a directory"
HUSK_KERNEL=$tmp/elf HUSK_IMAGE=$tmp/ext4 run_husk check
check "HUSK_KERNEL is heard" has_line "$tmp/out" "^ok kernel +'$tmp/elf'"
check "HUSK_IMAGE is heard" has_line "$tmp/out" "^ok image +'$tmp/ext4'"

### files that are written

mkdir -m 1777 "$tmp/shared"
chmod 1777 "$tmp/shared"
echo precious >"$tmp/precious"
planted() { # OPTION WHAT
	rm -f "$tmp/shared/file"
	ln -s "$tmp/precious" "$tmp/shared/file"
	refused "husk: open $2 '$tmp/shared/file': a link, in a folder that others may write to (remove it, or name what it leads to)" \
		run --kernel="$tmp/elf" --image="$tmp/zero" "$1=$tmp/shared/file" x && is "$(cat "$tmp/precious")" precious
}
check "a planted link as status" planted --status status
check "a planted link as result" planted --result result
check "a planted link as console" planted --console console
planted_template() {
	run_husk template create --kernel="$tmp/elf" --image="$tmp/zero" -o "$tmp/shared/file"
	is "$rc" 125 && is "$(cat "$tmp/precious")" precious && is "$(ls -A "$tmp/shared")" file
}
check "a planted link as template: nothing is touched" planted_template
check "a device as template" refused "husk: write template '/dev/null': exists and is no regular file" \
	template create --kernel="$tmp/elf" --image="$tmp/zero" -o /dev/null
status_of() { # FILE: an error before /dev/kvm has a status object there
	run_husk run --kernel="$tmp/elf" --image="$tmp/zero" --status="$1" x
	is "$rc" 125
}
check "status to /dev/stdout" status_of /dev/stdout
check "status to /dev/stdout: is there" has_line "$tmp/out" '^.*"verdict":"error"'
ln -s target "$tmp/mine"
check "status through a link of one's own" status_of "$tmp/mine"
check "status through a link of one's own: is there" has_line "$tmp/target" '"verdict":"error"'
listen_link() {
	rm -f "$tmp/shared/file"
	ln -s "$tmp/precious" "$tmp/shared/file"
	run_husk pool --template="$tmp/zero" --listen="$tmp/shared/file"
	is "$rc" 125 && is "$(cat "$tmp/precious")" precious && test -L "$tmp/shared/file"
}
check "a planted link as a pool's socket: stays" listen_link

### before /dev/kvm

# opens ARG...: does husk touch /dev/kvm on its way to this refusal?
opens() {
	strace -f -o "$tmp/trace" -e trace=openat,open "$husk" "$@" \
		>/dev/null 2>&1 </dev/null
	[ -s "$tmp/trace" ] || { echo "no trace"; return 1; }
	lacks_line "$tmp/trace" /dev/kvm
}
check "wrong usage does not open /dev/kvm" opens run --memory=1M x
check "a wrong image does not open /dev/kvm" opens run --kernel="$tmp/elf" --image="$tmp/zero" x
check "--help does not open /dev/kvm" opens --help

done_testing
