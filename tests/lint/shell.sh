#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every script passes shellcheck, and each that is run is executable and has
# set -u near its top. Its notes (SC2016 and the like) are not held against
# anybody: programs in single quotes for another machine are our daily bread.
# What is only sourced is judged with its reader, whose variables it uses.
set -eu
cd "$(dirname "$0")/../.."
command -v shellcheck >/dev/null || {
	echo "shellcheck is missing (make deps)"
	exit 1
}
status=0
files=$(tests/lint/files.sh sh)
for f in $files; do
	shell=
	case $(head -n 1 "$f") in
	# The lab's first program: packed into its initrd, never run here.
	'#!/bin/busybox sh') shell='-s dash -e SC2187' ;;
	'#!'*)
		[ -x "$f" ] || {
			echo "$f: has #! but is not executable"
			status=1
		}
		;;
	*) continue ;;
	esac
	# shellcheck disable=SC2086 # options
	shellcheck -x -S warning $shell "$f" || status=1
	grep -qE '^set -[a-z]*u' "$f" || {
		echo "$f: no set -u"
		status=1
	}
done
exit "$status"
