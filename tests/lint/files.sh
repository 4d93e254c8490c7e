#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Lists the project's files of one kind, one per line, for the other lints:
#   files.sh c|h|ch|sh|text [FOLDER...]
# From git where there is a repository, so that what somebody built or keeps
# beside the sources is not judged; a source archive has only sources anyway.
# A folder that is not there is no error.
set -eu
cd "$(dirname "$0")/../.."

kind=${1:-}
[ $# -eq 0 ] || shift
all() {
	if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
		git ls-files --cached --others --exclude-standard -- "$@"
	else
		find "${@:-.}" -name .git -prune -o -path ./build -prune -o \
			-type f -print 2>/dev/null | sed 's,^\./,,'
	fi
}

# Scripts are known by their first line, or by a name that is only sourced.
is_script() {
	case $1 in
	*.sh) return 0 ;;
	*.*) return 1 ;;
	esac
	line=
	IFS= read -r line <"$1" 2>/dev/null || :
	case $line in
	'#!'*/sh | '#!'*/sh\ * | '#!'*/bash* | '#!'*'env bash'*) return 0 ;;
	'#!'*busybox\ sh*) return 0 ;;
	esac
	return 1
}

all "$@" | sort -u | while IFS= read -r f; do
	# Deleted but not yet committed.
	[ -f "$f" ] || continue
	case $kind:$f in
	c:*.c | h:*.h | ch:*.[ch]) echo "$f" ;;
	# Seeds and expected outputs are bytes, not prose.
	text:tests/fuzz/corpus/*) ;;
	text:*.[chS] | text:*.md | text:*.mk | text:*.py | text:*.1 | \
		text:*.config | text:*/Makefile | text:Makefile) echo "$f" ;;
	sh:* | text:*) ! is_script "$f" || echo "$f" ;;
	c:* | h:* | ch:*) ;;
	*)
		echo "files.sh: unknown kind '$kind'" >&2
		exit 2
		;;
	esac
done
