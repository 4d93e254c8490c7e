#!/bin/bash
# SPDX-License-Identifier: MIT
# The merge and check steps of kernel-config, on the real tree's Kconfig but
# without compiling: what a wrong fragment is told, and that the product's own
# fragments are whole. TAP on stdout.
#
# What holds: each failing case must fail for its own reason, so the message is
# compared and not only the status.
set -u

top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top" || exit 1
merge=kernel-config/merge
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n=0
failed=0

result() # STATUS NAME
{
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		sed 's/^/# /' "$tmp/err" 2>/dev/null
		failed=1
	fi
}

# refused NAME PATTERN COMMAND...: it must fail and say PATTERN, on each line
# a prefix that names the program.
refused()
{
	local name=$1 pattern=$2 status
	shift 2
	"$@" >"$tmp/out" 2>"$tmp/err"
	status=$?
	[ "$status" != 0 ] && grep -q -- "$pattern" "$tmp/err"
	result $? "$name"
}

fragment() # LINES
{
	printf '%b' "$1" >"$tmp/own.config"
}

tree=$(kernel-config/build --tree 2>"$tmp/err") || {
	echo "Bail out! $(cat "$tmp/err")"
	exit 1
}

echo "1..14"

fragment 'CONFIG_HUSK_NO_SUCH=y\t# test\n'
refused "a stale symbol is named" \
	"own.config:1: CONFIG_HUSK_NO_SUCH is unknown" \
	"$merge" "$tree" "$tmp/o" "$tmp/own.config"

fragment 'CONFIG_HUSK_NO_SUCH=n\t# test\n'
refused "a stale symbol asked to be off is named" \
	"own.config:1: CONFIG_HUSK_NO_SUCH is unknown" \
	"$merge" "$tree" "$tmp/o" "$tmp/own.config"

# ARM_THUMB is a symbol of the tree, but not on this machine.
fragment 'CONFIG_PRINTK=y\t# test\nCONFIG_ARM_THUMB=n\t# test\n'
refused "a symbol of another architecture is named" \
	"own.config:2: CONFIG_ARM_THUMB is unknown" \
	"$merge" "$tree" "$tmp/o" "$tmp/own.config"

# UNIX needs NET, which nobody asked for.
fragment '# test\n\nCONFIG_UNIX=y\t# test\n'
refused "an unmet dependency is named" \
	"own.config:3: CONFIG_UNIX=y did not take, the tree gives n" \
	"$merge" "$tree" "$tmp/o" "$tmp/own.config"

# x86 selects PERF_EVENTS.
fragment 'CONFIG_PERF_EVENTS=n\t# test\n'
refused "a symbol that is selected anyway is named" \
	"CONFIG_PERF_EVENTS=n did not take, the tree gives y" \
	"$merge" "$tree" "$tmp/o" "$tmp/own.config"

fragment 'CONFIG_LOG_BUF_SHIFT=99\t# test\nCONFIG_PRINTK=y\t# test\n'
refused "a value out of range is named" \
	"CONFIG_LOG_BUF_SHIFT=99 did not take" \
	"$merge" "$tree" "$tmp/o" "$tmp/own.config"

fragment 'CONFIG_PRINTK=y\n'
refused "a line without a reason is refused" \
	"own.config:1: CONFIG_PRINTK has no reason" \
	"$merge" "$tree" "$tmp/o" "$tmp/own.config"

fragment '# test\nPRINTK=y\n'
refused "a line of another form is refused" \
	"own.config:2: expected CONFIG_NAME=VALUE" \
	"$merge" "$tree" "$tmp/o" "$tmp/own.config"

refused "a folder that is no Linux tree is refused" \
	"'$tmp' is not a Linux tree" \
	env KERNEL_SRC="$tmp" BUILD="$tmp/b" kernel-config/build
refused "a missing tree is named" "no Linux tree at '/nonexistent'" \
	env KERNEL_SRC=/nonexistent BUILD="$tmp/b" kernel-config/build
mkdir -p "$tmp/old"
touch "$tmp/old/Kconfig"
printf 'VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 7\n' >"$tmp/old/Makefile"
refused "an older tree is refused" "is Linux 6.1.7, husk needs 6.12" \
	env KERNEL_SRC="$tmp/old" BUILD="$tmp/b" kernel-config/build

product=(kernel-config/base.config kernel-config/virtio.config
	kernel-config/x86_64.config)
"$merge" "$tree" "$tmp/o" "${product[@]}" >"$tmp/out" 2>"$tmp/err"
result $? "the product's fragments take, every line"

cp -p "$tmp/o/.config" "$tmp/first"
touch -d '2001-01-01' "$tmp/o/.config"
"$merge" "$tree" "$tmp/o" "${product[@]}" >"$tmp/out" 2>"$tmp/err" &&
	cmp -s "$tmp/first" "$tmp/o/.config" &&
	[ "$(stat -c %y "$tmp/o/.config" | cut -c1-4)" = 2001 ]
result $? "the same fragments leave the .config untouched"

"$merge" "$tree" "$tmp/o" "${product[@]}" kernel-config/debug.config \
	>"$tmp/out" 2>"$tmp/err"
result $? "the debug fragment takes, every line"

exit "$failed"
