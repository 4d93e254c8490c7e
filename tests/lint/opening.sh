#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every file of ours opens with its licence and a few words on what it is: the
# SPDX line among the first six (a unit test's LINK and LIBS may come before
# it), then a comment in words.
set -eu
cd "$(dirname "$0")/../.."
status=0
for f in $(tests/lint/files.sh text); do
	case $f in
	*.md | *.1 | *.config) continue ;; # prose opens with itself
	esac
	awk -v f="$f" '
	NR <= 6 && /SPDX-License-Identifier: MIT/ { spdx = 1; next }
	# The comment block goes on until the first line of code.
	!over && /^(#!|\/\/ clang-format|# shellcheck )/ { next }
	!over && /^[ \t]*(\/\*|\*|\/\/|#)/ && !/^#[ \t]*(include|define|if|ifndef|pragma)/ {
		if ($0 ~ /[A-Za-z][A-Za-z]/)
			words++
		next
	}
	!over && /^("""|\.\\")/ { words++; doc = !/""".*"""/; next }
	doc && /"""/ { doc = 0; over = 1 }
	doc { words++; next }
	!over && /^[ \t]*$/ && !words { next }
	{ over = 1 }
	END {
		if (!spdx) {
			print f ": no SPDX-License-Identifier: MIT in the first lines"
			exit 1
		}
		if (!words) {
			print f ": no opening comment on what it is"
			exit 1
		}
	}' "$f" || status=1
done
exit "$status"
