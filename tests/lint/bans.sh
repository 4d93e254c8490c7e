#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Functions that are not to be used, and where. Comments and strings are taken
# out first, so that they may speak about them.
#
#   everywhere        no bounds: gets sprintf vsprintf strcpy strcat stpcpy
#                     alloca; errors lost: atoi atol atof; races: tmpnam mktemp
#   not in libraries  exit, and printing to stdout or stderr: only a program's
#                     main file, the command line and guest-init's console
#                     report do that; exit also who makes a process
#   pure layers       vmm/lib, core and devices open nothing, start nothing;
#                     what both programs write is opened by vmm/lib/outfile.c
set -eu
cd "$(dirname "$0")/../.."

# What may print or exit, as an extended regular expression of paths.
SPEAKERS='^(vmm/(cli/(main|cli|check|check_jail)|job/version|jail/supervisor)\.c|guest-init/|rootfs-builder/(main|cli|terminal/progress)\.c|tests/|examples/|bench/)'
OPENERS='^vmm/lib/outfile\.c$'
FORKERS='^vmm/pool/start\.c$'
files=$(tests/lint/files.sh ch vmm guest-init rootfs-builder include tests \
	examples bench)
[ -n "$files" ] || exit 0

# shellcheck disable=SC2086 # no name in the tree has a space
awk -v openers="$OPENERS" -v speakers="$SPEAKERS" -v forkers="$FORKERS" '
function complain(why) {
	print FILENAME ":" FNR ": " why ": " $0
	bad = 1
}
# calls(CODE, NAMES): is one of a|b|c called in CODE?
function calls(code, names) {
	return code ~ ("(^|[^A-Za-z0-9_.>])(" names ")[ \t]*\\(")
}
# The line without strings, character constants and comments.
function bare(s,    out, c, i, n) {
	out = ""
	n = length(s)
	for (i = 1; i <= n; i++) {
		c = substr(s, i, 1)
		if (comment) {
			if (substr(s, i, 2) == "*/") { comment = 0; i++ }
			continue
		}
		if (substr(s, i, 2) == "/*") { comment = 1; i++; continue }
		if (substr(s, i, 2) == "//")
			break
		if (c == "\"" || c == "\047") {
			quote = c
			for (i++; i <= n && substr(s, i, 1) != quote; i++)
				if (substr(s, i, 1) == "\\")
					i++
			out = out quote quote
			continue
		}
		out = out c
	}
	return out
}
FNR == 1 { comment = 0 }
{
	code = bare($0)
	if (calls(code, "gets|v?sprintf|strcpy|strcat|stpcpy|alloca"))
		complain("knows no bounds")
	if (calls(code, "ato[ilf]|atoll"))
		complain("loses errors")
	if (calls(code, "tmpnam|mktemp|tempnam"))
		complain("leaves a race")
	if (FILENAME !~ speakers) {
		if (calls(code, "v?printf|puts|putchar|perror|errx?|warnx?") ||
		    code ~ /(f(printf|puts|putc)|vfprintf|fputs)[ \t]*\(.*std(out|err)/ ||
		    calls(code, "v?dprintf"))
			complain("only a main file prints")
		if (FILENAME !~ forkers && calls(code, "_?exit|_Exit"))
			complain("only a main file exits")
	}
	if (FILENAME ~ /^vmm\/(lib|core|devices|arch\/x86_64\/(ioapic|legacy|board))(\/|[.])/ && FILENAME !~ openers &&
	    calls(code, "open|openat|socket|v?fork|execv[a-z]*|system|popen|fopen"))
		complain("a pure layer opens and starts nothing")
}
END { exit bad }
' $files
