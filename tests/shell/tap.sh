# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# TAP for tests in the shell; sourced, with `set -u` but not `set -e`: a
# failing check is a result here. The plan comes last, from what really ran,
# and a script that ends early prints none, which counts as a failure.
#
#   check NAME CMD...   ok when CMD ends with 0; its output is shown otherwise
#   done_testing        prints the plan and ends with 1 if anything failed
# shellcheck disable=SC2034 # tmp is for the readers

tap_n=0
tap_failed=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

check() {
	local name=$1 status=0
	shift
	tap_n=$((tap_n + 1))
	"$@" >"$tmp/.tap" 2>&1 || status=$?
	if [ "$status" -eq 0 ]; then
		echo "ok $tap_n - $name"
	else
		echo "not ok $tap_n - $name"
		echo "# $*: status $status"
		sed 's/^/# /' "$tmp/.tap"
		tap_failed=1
	fi
}

# Helpers for checks: each says what it saw when it does not hold.
is() { # GOT WANTED
	[ "$1" = "$2" ] || {
		echo "got '$1', wanted '$2'"
		return 1
	}
}

has_line() { # FILE EXTENDED-REGEX
	grep -qE -- "$2" "$1" || {
		echo "no line like '$2' in:"
		cat "$1"
		return 1
	}
}

lacks_line() { # FILE EXTENDED-REGEX
	! grep -nE -- "$2" "$1"
}

done_testing() {
	echo "1..$tap_n"
	exit "$tap_failed"
}
