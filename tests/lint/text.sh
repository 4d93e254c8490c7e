#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Plain text hygiene: no blanks at the end of a line, no carriage return, a
# newline at the end of the file and not two, no marks of unfinished work.
set -eu
cd "$(dirname "$0")/../.."
status=0
files=$(tests/lint/files.sh text)
[ -n "$files" ] || exit 0

# shellcheck disable=SC2086 # no name in the tree has a space
! grep -HnE '[[:blank:]]+$' $files | sed 's/$/<- blank at the end/' | grep . ||
	status=1
cr=$(printf '\r')
# shellcheck disable=SC2086
! grep -Hn "$cr" $files || status=1
# This file names the marks and is left out.
# shellcheck disable=SC2086
! grep -HnwE 'TODO|FIXME|XXX|HACK' $files | grep -v '^tests/lint/text.sh:' ||
	status=1

for f in $files; do
	[ -s "$f" ] || continue
	[ -z "$(tail -c 1 "$f")" ] || {
		echo "$f: no newline at the end"
		status=1
	}
	[ -n "$(tail -n 1 "$f")" ] || {
		echo "$f: an empty line at the end"
		status=1
	}
done
exit "$status"
