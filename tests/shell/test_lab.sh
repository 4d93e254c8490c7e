#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Holds tests/lab to its README: a command run in the lab is told apart from
# one run here by nothing but the machine it finds. TAP on stdout.
#
# Nothing here depends on how fast anything is: where something takes a while,
# the test waits for a line, an end of file or a lock. The one time compared is
# instruction-counted and the same on every machine.
set -u

top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top" || exit 1
build=${BUILD:-build}
lab=tests/lab
tmp=$(mktemp -d)
share=$build/lab/share/test_lab.$$
crash=crash-$$
kernel=kernel-$$ kernels='bullseye sid'
n=0

finish() {
	LAB=$crash $lab/down 2>/dev/null
	$lab/down --all "$kernel" 2>/dev/null
	rm -rf "$tmp" "$share" "$build/lab/$crash" "$build/lab/$kernel"*
}
trap finish EXIT

# The last command's status decides; what it said follows when it failed.
result() { # STATUS NAME
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		[ ! -s "$tmp/err" ] || sed 's/^/# /' "$tmp/err"
	fi
	: >"$tmp/err"
}

check() { # NAME COMMAND...
	local name=$1
	shift
	"$@" 2>>"$tmp/err"
	result $? "$name"
}

equal() { # GOT WANTED
	[ "$1" = "$2" ] && return 0
	echo "got '$1', wanted '$2'" >&2
	return 1
}

# status WANTED RUN-ARGUMENTS...
status() {
	local want=$1 got=0
	shift
	"$lab/run" "$@" >"$tmp/out" </dev/null || got=$?
	equal "$got" "$want"
}

# True once no process in the lab has a command line that matches.
gone() {
	$lab/run sh -c 'n=0
		while pgrep -f "$1" >/dev/null; do
			n=$((n + 1))
			[ $n -lt 500 ] || exit 1
			sleep 0.02
		done' sh "$1" </dev/null
}

# Starts RUN-ARGUMENTS in the background and returns when it has said "ready".
# Sets pid; its further output is on descriptor 5.
begin() {
	said=''
	rm -f "$tmp/fifo"
	mkfifo "$tmp/fifo"
	"$lab/run" "$@" >"$tmp/fifo" 2>>"$tmp/err" </dev/null &
	pid=$!
	exec 5<"$tmp/fifo"
	read -r said <&5
}

ended() { # WANTED: status of what begin started
	local got=0
	wait "$pid" || got=$?
	exec 5<&-
	equal "$said $got" "ready $1"
}

# --- the command's status

statuses() {
	local want
	for want in 0 1 42 125 255; do
		status $want sh -c "exit $want" || return 1
	done
}
check "exit statuses come back" statuses
check "a signal is 128 + n" status 137 sh -c 'kill -9 $$'
check "a missing command is 127" status 127 /nonexistent
check "a file that is no program is 126" status 126 /etc/passwd
check "a wrong option is 125" status 125 --nonsense
check "a wrong user is 125" status 125 --user x true

# --- streams

i=0
while [ $i -lt 256 ]; do
	# shellcheck disable=SC2059 # the format is the byte
	printf "\\x$(printf %x $i)"
	i=$((i + 1))
done >"$tmp/all"
head -c 8388608 /dev/urandom >"$tmp/big"

same_out() { "$lab/run" cat <"$1" | cmp - "$1"; }
check "all 256 bytes through stdin and stdout" same_out "$tmp/all"
check "8 MiB through stdin and stdout" same_out "$tmp/big"

both() {
	"$lab/run" sh -c 'tee /dev/fd/2' <"$tmp/big" >"$tmp/o" 2>"$tmp/e" &&
		cmp "$tmp/o" "$tmp/big" && cmp "$tmp/e" "$tmp/big"
}
check "8 MiB on stdout and stderr at once" both

apart() {
	"$lab/run" sh -c 'echo out; echo err >&2' >"$tmp/o" 2>"$tmp/e" </dev/null
	equal "$(cat "$tmp/o")+$(cat "$tmp/e")" "out+err"
}
check "stdout and stderr stay apart" apart

empty() { equal "$("$lab/run" sh -c 'cat; echo end' </dev/null)" end; }
check "an empty stdin ends at once" empty
closed() { equal "$("$lab/run" sh -c 'cat; echo end' <&-)" end; }
check "a closed stdin counts as empty" closed
no_out() { "$lab/run" sh -c 'cat; exit 0' <"$tmp/big" >&-; }
closed_out() {
	local got=0
	no_out || got=$?
	[ $got = 0 ] || equal $got 0
}
check "a closed stdout is a reader that left" closed_out
unread() { "$lab/run" true <"$tmp/big"; }
check "a command may leave its stdin unread" unread

reader_leaves() {
	"$lab/run" sh -c 'exec yes' </dev/null | head -c 3 >"$tmp/o"
	equal "${PIPESTATUS[0]} $(wc -c <"$tmp/o")" "141 3"
}
check "a reader that leaves ends the writer by SIGPIPE" reader_leaves

dialogue() {
	local in out a='' b=''
	coproc talk { "$lab/run" sh -c 'while read -r l; do echo "<$l>"; done'; }
	in=${talk[1]} out=${talk[0]}
	echo one >&"$in"
	read -r a <&"$out"
	echo two >&"$in"
	read -r b <&"$out"
	exec {in}>&-
	# shellcheck disable=SC2154 # set by coproc
	wait "$talk_PID"
	equal "$a$b" "<one><two>"
}
check "a dialogue line by line" dialogue

# --- where it runs

in_cwd() { (cd "$build/lab/share" && equal "$("$top/$lab/run" pwd)" "$PWD"); }
check "the working directory is the caller's" in_cwd
environment() {
	export LAB_TEST_A='from here'
	equal "$("$lab/run" --env LAB_TEST_A --env LAB_TEST_B=b --env HOME=/x \
		sh -c 'echo "$LAB_TEST_A,$LAB_TEST_B,$HOME,$LAB_TEST_C"')" \
		"from here,b,/x,"
}
LAB_TEST_C=c check "the environment is what --env says" environment
mkdir -p "$share" && chmod 777 "$share"
shared() {
	cp "$tmp/big" "$share/in" &&
		"$lab/run" --cwd "$top" sh -c 'cat "$1/in" >"$1/out"' sh \
			"$share" &&
		cmp "$share/out" "$tmp/big" &&
		"$lab/run" --user 1000 sh -c 'echo user >"$1/user"' sh \
			"$share" &&
		equal "$(cat "$share/user")" user
}
check "files of the share are seen on both sides" shared
readonly_host() {
	! "$lab/run" touch "$top/tests/lab/x" 2>/dev/null &&
		[ ! -e "$top/tests/lab/x" ]
}
check "the rest of this machine is read-only" readonly_host

pushed() {
	local a b
	echo 'echo first' >"$tmp/lab_test_tool"
	chmod 755 "$tmp/lab_test_tool"
	"$lab/push" "$tmp/lab_test_tool" || return 1
	a=$("$lab/run" lab_test_tool </dev/null)
	echo 'echo second' >"$tmp/lab_test_tool"
	b=$("$lab/run" --ram "$tmp/lab_test_tool" lab_test_tool </dev/null)
	"$lab/run" rm /tmp/lab/bin/lab_test_tool </dev/null
	# Unchanged, so nothing is sent and the file stays away.
	"$lab/push" "$tmp/lab_test_tool"
	equal "$a $b $("$lab/run" ls /tmp/lab/bin/lab_test_tool 2>/dev/null)" \
		"first second "
}
check "push replaces what changed and only that" pushed

# --- signals and what is left behind

begin sh -c 'trap "echo caught; exit 7" TERM; echo ready
	while :; do sleep 0.1; done'
kill -TERM "$pid"
check "SIGTERM reaches the command" equal "$(cat <&5)" caught
check "and its status comes back" ended 7

begin sh -c 'trap "" TERM; echo ready; while :; do sleep 0.1; done'
kill -TERM "$pid"
kill -INT "$pid"
check "a second signal kills" ended 137

begin sh -c 'echo ready; setsid sleep 98761 & exec sleep 98762'
kill -KILL "$pid"
check "run killed: bash sees 137" ended 137
check "and nothing of the command is left" gone '[s]leep 9876[12]'

check "what a command leaves running" status 0 sh -c \
	'setsid sleep 98763 & (sleep 98764 &) ; exit 0'
check "is gone when run returns" status 1 pgrep -f '[s]leep 9876[34]'

# shellcheck disable=SC2016 # expanded there
check "the lab's clock is the TSC, whatever its watchdog would say" status 0 grep -qEx 'tsc(-early)?' \
	/sys/devices/system/clocksource/clocksource0/current_clocksource

check "while a command runs, something interrupts the lab" status 0 \
	--timeout 60 sh -c 'n() { grep "virtio.*-virtqueues" /proc/interrupts; }
		sleep 0.5; was=$(n); while [ "$(n)" = "$was" ]; do sleep 0.2; done'

check "--timeout ends it with 124" status 124 --timeout 1 sh -c \
	'setsid sleep 98765 & trap "" TERM; sleep 98766'
check "with everything it started" status 1 pgrep -f '[s]leep 9876[56]'

many() {
	local i pids=() bad=0
	for i in 1 2 3 4 5 6 7 8; do
		"$lab/run" sh -c 'cat; exit "$1"' sh $i <"$tmp/big" \
			>"$tmp/many.$i" &
		pids+=($!)
	done
	for i in 1 2 3 4 5 6 7 8; do
		wait "${pids[i - 1]}"
		equal $? $i || bad=1
		cmp "$tmp/many.$i" "$tmp/big" || bad=1
	done
	return $bad
}
check "eight commands at once" many

# --- the machine it is

for probe in vm smp ioeventfd irqfd msi-smp; do
	check "kvm: probe $probe" status 0 --timeout 60 \
		--ram "$build/lab/bin/probe" probe $probe
done
amd() {
	equal "$("$lab/run" cat /sys/module/kvm_amd/parameters/npt)" Y ||
		equal "$("$lab/run" cat /sys/module/kvm_amd/parameters/npt)" 1
}
check "kvm-amd with nested paging" amd
check "an ordinary user may use /dev/kvm" status 0 --user 1000 probe vm
ids() { equal "$("$lab/run" --user 1000 sh -c 'id -u; id -g' | tr '\n' ' ')" \
	"1000 1000 "; }
check "and is an ordinary user" ids
denied() {
	local got=0
	"$lab/run" --user 1000 --no-kvm probe vm 2>"$tmp/e" || got=$?
	equal "$got $(cat "$tmp/e")" \
		"1 probe: open '/dev/kvm': Permission denied"
}
check "unless --no-kvm" denied
userns() {
	equal "$("$lab/run" --user 1000 unshare -Urmpf --mount-proc \
		sh -c 'id -u; echo $$' | tr '\n' ' ')" "0 1 "
}
check "an ordinary user may make namespaces" userns
if command -v bwrap >/dev/null; then
	check "bubblewrap works" status 0 --user 1000 bwrap --unshare-all \
		--ro-bind / / --proc /proc --dev /dev --tmpfs /tmp true
fi

# --- exact time

# Beside a lab of the same name without: its clock is no use here.
icount() {
	local a b
	a=$("$lab/run" --icount --ram "$build/lab/bin/probe" probe forkexec)
	b=$("$lab/run" --icount probe forkexec)
	echo "fork and exec: $a ns, then $b ns" >&2
	[ "$a" -gt 0 ] && [ "$b" -gt 0 ] &&
		[ $(((a > b ? a - b : b - a) * 100)) -lt "$a" ]
}
check "--icount: the same work takes the same time within 1 %" icount </dev/null
check "--icount: an interrupt comes to a guest once" \
	status 0 --icount --timeout 60 probe once
unknown() {
	local said
	said=$(LD_PRELOAD=$build/lab/bin/mend.so /bin/true 2>&1) &&
		equal "${said%%:*}, ${said#*: }" "lab, not mended, an unknown QEMU: \
with --icount, guests may hang (tests/lab/mend.c)"
}
check "a program that mend.so does not know is left alone" unknown

# --- kernels

kernel_runs() { # SUITE
	equal "$(LAB=$kernel LAB_KERNEL=$1 "$lab/run" uname -r </dev/null)" \
		"$(cat "$build/cache/lab-kernel/$1/version")"
}
ends() { flock -n "$build/lab/$kernel@$1/alive" true; }
each_own() {
	local k
	for k in $kernels; do
		kernel_runs "$k" || return
	done
	! ends bullseye && ! ends sid
}
check "LAB_KERNEL chooses, and two of one name are up at once" each_own
one_ends() {
	LAB=$kernel LAB_KERNEL=sid "$lab/down" && ends sid && ! ends bullseye
}
check "down ends the one of this kernel" one_ends
# What an operator may set, and what a host has by itself.
settings() {
	"$lab/run" sh -c 'grep -c "cgroup2.*favordynmods" /proc/mounts
		cat /sys/module/kvm/parameters/tdp_mmu; nproc' </dev/null | tr '\n' ' '
}
check "a lab is as its distribution has it" equal "$(settings)" "0 Y 1 "
tuned_two() {
	equal "$(LAB=$kernel LAB_CPUS=2 LAB_TUNED=1 settings)" "1 N 2 " &&
		[ -S "$build/lab/$kernel@2@tuned/sock" ]
}
check "LAB_TUNED and LAB_CPUS make another one, in its own place" tuned_two
all_end() {
	"$lab/down" --all "$kernel" && ends bullseye && ends "2@tuned"
}
check "down --all ends those of a name" all_end

# fails_with TEXT COMMAND...: one line that has it, and no kernel.
fails_with() {
	local want=$1 got=0
	shift
	"$@" >"$tmp/o" 2>"$tmp/e" || got=$?
	[ $got != 0 ] && [ ! -e "$tmp/cache/version" ] &&
		equal "$(cat "$tmp/o")$(wc -l <"$tmp/e")" 1 &&
		grep -qF "$want" "$tmp/e" && return
	cat "$tmp/e" >&2
	return 1
}
check "a kernel that cannot be had" fails_with "its lists cannot be" env \
	"DEBIAN_MIRROR=file:$tmp/no-mirror" $lab/fetch-kernel "$tmp/cache" sid
check "a kernel's name that is none" fails_with "no suite and no package" \
	$lab/fetch-kernel "$tmp/cache" ../x
check "LAB_CPUS that is no number" fails_with "is not 1 to 99" \
	env LAB_CPUS=x $lab/up
check "a lab's kernel that is none" fails_with "is no suite and no package" \
	env LAB_KERNEL=a/b $lab/up

# --- starting and failing

mkdir "$tmp/bin"
ln -s /usr/bin/* /bin/* "$tmp/bin/" 2>/dev/null
rm -f "$tmp/bin/qemu-system-x86_64"
no_qemu() {
	local got=0
	LAB_QEMU=qemu-system-x86_64 PATH=$tmp/bin LAB=$crash "$lab/up" \
		2>"$tmp/e" || got=$?
	equal "$got $(cat "$tmp/e")" \
		"125 lab: qemu-system-x86_64 is missing (package qemu-system-x86)"
}
check "no QEMU: one line and 125" no_qemu

# A machine whose QEMU is VERSION, as far as it is asked for that.
old_qemu() { # VERSION
	printf '#!/bin/sh\necho "QEMU emulator version %s (test)"\n' "$1" \
		>"$tmp/bin/qemu-system-x86_64"
	chmod 755 "$tmp/bin/qemu-system-x86_64"
}
fetch_qemu() { PATH=$tmp/bin DEBIAN_MIRROR=file:///nonexistent \
	"$lab/fetch-qemu" "$tmp/qemu"; }
new_enough() {
	old_qemu 10.0.2
	equal "$(fetch_qemu)" "" && [ ! -e "$tmp/qemu" ]
}
check "QEMU 10 of the machine is taken, nothing fetched" new_enough
too_old() {
	local said
	old_qemu 7.2.22
	said=$(fetch_qemu) && grep -q "^lab: QEMU 7.2.22 of this machine has to \
do, with more than one CPU labs may hang: " <<<"$said" &&
		[ ! -e "$tmp/qemu/version" ]
}
check "QEMU 7 where no other can be had: taken, and a line" too_old
warns() {
	LAB_QEMU=$tmp/bin/qemu-system-x86_64 LAB=$crash "$lab/up" --cpus 2 \
		2>"$tmp/e"
	equal "$(head -n 1 "$tmp/e")" \
		"lab: QEMU 7.2.22 may hang with more than one CPU"
}
check "and a lab with two CPUs warns of it" warns
no_boot() {
	local got=0
	LAB_BOOT_TIMEOUT=1 LAB=$crash "$lab/up" 2>"$tmp/e" || got=$?
	equal "$got" 125 && grep -q "boot in time.*$crash/console.log" "$tmp/e"
}
check "no boot in time: 125, the log is named" no_boot

export LAB=$crash
begin sh -c 'echo ready; sleep 98767'
if [ "$said" = ready ]; then
	daemon=$(cat "$build/lab/$crash/pid")
	qemu=$(pgrep -P "$daemon")
	kill -KILL "$daemon"
fi
check "a lab that dies under a command is 125" ended 125
tail_qemu() { [ -n "${qemu:-}" ] && tail --pid="$qemu" -f /dev/null; }
check "QEMU dies with its keeper" tail_qemu
# The first of them starts it, the other has to wait for that.
both_start() {
	local other got=0
	"$lab/run" sh -c 'exit 4' </dev/null 2>>"$tmp/err" &
	other=$!
	status 3 sh -c 'exit 3' || return 1
	wait $other || got=$?
	equal $got 4
}
check "and the next two runs start a new one together" both_start
check "down ends it" "$lab/down"
check "twice is no error" "$lab/down"

check "a lab with two CPUs starts" "$lab/up" --cpus 2
check "and has them" equal "$("$lab/run" nproc </dev/null)" 2
for probe in smp msi-smp once; do
	check "two CPUs: probe $probe" status 0 --timeout 60 \
		--ram "$build/lab/bin/probe" probe $probe
done
"$lab/down"
unset LAB

echo "1..$n"
