#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Text that somebody else chose reaches a person only through vmm/lib/show.c,
# which cleans it. So everywhere else in the two programs, what is printed to a
# FILE or a descriptor is
#
#   a literal                  fputs("...", f), fputc('\n', f)
#   numbers in a literal       fprintf(f, "...", n), without %s and %c
#
# and show_raw, which cleans nothing, has its few callers named here: what they
# give it is our own text, JSON, or cleaned already. Into memory (struct text,
# struct err, snprintf) anything may go: it has to come out by these doors.
set -eu
cd "$(dirname "$0")/../.."

DOOR='^vmm/lib/show[.]c$'
# help; JSON and colours; help
RAW='^(vmm/cli/main|vmm/cli/check_report|rootfs-builder/main|vmm/lib/show)[.]c$'
# One write of a line that print_line cleaned, or of the timeline.
WRITERS='^vmm/cli/main[.]c$'
files=$(tests/lint/files.sh c vmm rootfs-builder)
[ -n "$files" ] || exit 0

# shellcheck disable=SC2086 # no name in the tree has a space
awk -v door="$DOOR" -v raw="$RAW" -v writers="$WRITERS" '
function complain(why) {
	print FILENAME ":" from ": " why ": " call
	bad = 1
}
# Judge one call, from its name to the semicolon.
function judge() {
	if (call ~ /^show_raw/ && FILENAME !~ raw)
		complain("show_raw is for text of our own")
	if (call ~ /^(dprintf|vdprintf|write)/ && call ~ /STD(OUT|ERR)_FILENO/ \
	    && FILENAME !~ writers)
		complain("prints past vmm/lib/show.c")
	if (FILENAME ~ door)
		return
	if (call ~ /^v|^perror|^fwrite|^put(s|char)|_unlocked/)
		complain("prints past vmm/lib/show.c")
	else if (call ~ /^fput|^putc/ && call !~ /^[a-z]+[ \t]*\([ \t]*["\047]/)
		complain("prints what is no literal")
	else if (call ~ /^printf/ && call !~ /^printf[ \t]*\([ \t]*"/)
		complain("prints with a format that is no literal")
	else if (call ~ /^fprintf/ && call !~ /^fprintf[ \t]*\([^,"]*,[ \t]*"/)
		complain("prints with a format that is no literal")
	else if (call ~ /^f?printf/ && call ~ /%[-+ #0-9.*hlzjt]*[sc]/)
		complain("prints a string past vmm/lib/show.c")
}
FNR == 1 { call = ""; comment = 0 }
{
	line = $0
	if (comment && !sub(/^.*\*\//, "", line))
		next
	comment = 0
	gsub(/\/\*[^*]*\*+([^\/*][^*]*\*+)*\//, "", line)
	sub(/\/\/.*/, "", line)
	if (sub(/\/\*.*/, "", line))
		comment = 1
	if (call == "" && match(line, /(^|[^A-Za-z0-9_.>])(v?f?printf|v?dprintf|fputs|fputc|puts|putchar|putc|fwrite|perror|show_raw|write|f?put[sc]_unlocked|fwrite_unlocked)[ \t]*\(/)) {
		call = substr(line, RSTART)
		sub(/^[^A-Za-z]/, "", call)
		from = FNR
	} else if (call != "") {
		sub(/^[ \t]+/, "", line)
		call = call " " line
	}
	# A semicolon in a string may end it early: then it is short of a bracket.
	if (call != "" && line ~ /;[ \t]*$|[{}][ \t]*$/) {
		judge()
		call = ""
	}
}
END { exit bad }
' $files
