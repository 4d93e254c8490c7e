# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# A shell that has prepared something: the warm command of a template.
#
#	husk template create -o words.husk --warm sh -c "$(cat examples/warm.sh)"
#	echo gcc | husk run --template words.husk
#
# What is slow happens once: here, a list of all commands of the image. Then one
# byte to HUSK_READY_FD, and what follows happens in each copy.
set -eu

find /usr/bin /usr/sbin -type f -o -type l >/tmp/commands 2>/dev/null
known=$(wc -l </tmp/commands)
echo >&"$HUSK_READY_FD"

while read -r word; do
	echo "$word: $(grep -c "/$word" /tmp/commands || :) of $known"
done
