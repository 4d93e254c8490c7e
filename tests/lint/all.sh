#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `make lint`: every check of this folder, one line for each that holds and
# its complaints for each that does not. Exit status 1 if one does not.
set -eu
cd "$(dirname "$0")"
status=0
for lint in *.sh; do
	case $lint in
	all.sh | files.sh) continue ;;
	esac
	if out=$("./$lint" 2>&1); then
		echo "  ok       ${lint%.sh}"
	else
		status=1
		printf '%s\n' "$out"
		echo "  FAILED   ${lint%.sh}"
	fi
done
exit "$status"
