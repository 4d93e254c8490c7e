# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# The last line of each adaptor sources this: it checks that the adaptor has
# its three verbs and calls the one that was asked for.
#
#	available	prints the contender's version; or fails, and the last
#			line on stderr says why it cannot run here
#	prepare		makes once what its runs need, in $BENCH_STATE
#	run [CMD...]	prints the words of the command that runs CMD inside,
#			with `argv`; the timer starts them, with no shell between
#
# What an adaptor finds in its environment stands in bench/README.md.
set -eu

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

argv() { printf '%s\0' "$@"; }

for verb in available prepare run; do
	[ "$(type -t "$verb")" = function ] ||
		die "the adaptor has no verb '$verb' (see bench/README.md)"
done
case ${1:-} in
available | prepare | run) "$@" ;;
*) die "unknown verb '${1:-}' (available, prepare or run)" ;;
esac
