#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Nothing grows past what a reader can hold: a file at most 600 lines, a C
# function at most 60, a line of C at most 80 columns (a tab is 8) unless it
# ends in a string, which must stay whole for grep.
#
# What is longer for a reason is named here with the reason, file by file:
#   (none)
set -eu
cd "$(dirname "$0")/../.."
FILE_MAX=600
FUNCTION_MAX=60
COLUMNS_MAX=80
LONG_FILES=''

status=0
for f in $(tests/lint/files.sh text); do
	case $f in
	*.md | *.1) continue ;;
	esac
	case " $LONG_FILES " in
	*" $f "*) continue ;;
	esac
	n=$(wc -l <"$f")
	[ "$n" -le "$FILE_MAX" ] || {
		echo "$f: $n lines, at most $FILE_MAX"
		status=1
	}
done

# In kernel style a function, and nothing else, has its braces in column 1.
files=$(tests/lint/files.sh ch)
# shellcheck disable=SC2086 # no name in the tree has a space
[ -z "$files" ] || awk -v max="$FUNCTION_MAX" -v cols="$COLUMNS_MAX" '
function width(s,    i, w) {
	if (index(s, "\t") == 0)
		return length(s)
	w = 0
	for (i = 1; i <= length(s); i++)
		w = substr(s, i, 1) == "\t" ? w - w % 8 + 8 : w + 1
	return w
}
FNR == 1 { start = 0 }
/^{$/ { start = FNR; head = before }
/^}/ && start {
	if (FNR - start - 1 > max) {
		printf "%s:%d: %d lines, at most %d: %s\n", FILENAME, start,
			FNR - start - 1, max, head
		bad = 1
	}
	start = 0
}
width($0) > cols && !/"[,;)\\ ]*$/ {
	printf "%s:%d: wider than %d columns\n", FILENAME, FNR, cols
	bad = 1
}
{ if ($0 !~ /^[{ \t]/) before = $0 }
END { exit bad }
' $files || status=1
exit "$status"
