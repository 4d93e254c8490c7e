#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Manual pages against programs: the same options in --help and in the page,
# for husk and husk-image; for husk also each member of the status object, each
# verdict with its number, and each variable of the environment, as the sources
# and golden files have them. TAP on stdout.
#
# What is compared are whole sets, in both directions: neither a documented
# option that does not exist nor a silent one passes.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/shell/tap.sh
. tests/shell/tap.sh
build=${BUILD:-build}

# Options in a text, one a line.
options() {
	grep -oE -- '(^|[^a-z0-9-])--[a-z][a-z0-9-]*' | sed 's/^[^-]//' | sort -u
}

# The words of a manual page: "Fl Fl name" and "Fl -name" are --name.
page_text() { # PAGE
	sed -E 's/^\.\\".*//; s/\\-/-/g; s/Fl Fl ([a-z])/--\1/g; s/Fl -([a-z])/--\1/g' "$1"
}

same_options() { # PROGRAM PAGE
	"$1" --help >"$tmp/help" || return 1
	options <"$tmp/help" >"$tmp/in_help"
	page_text "$2" | options >"$tmp/in_page"
	[ "$(wc -l <"$tmp/in_help")" -ge 5 ] || { echo "few options found"; return 1; }
	diff "$tmp/in_help" "$tmp/in_page" >"$tmp/diff" || {
		sed -n "s|^<|only in $1 --help:|p; s|^>|only in $2:|p" "$tmp/diff"
		return 1
	}
}

# Options that a page defines: the items of its lists.
defined_options() { # PAGE
	page_text "$1" | sed -nE 's/^\.It //p' | grep -oE -- '--[a-z][a-z0-9-]*' | sort -u
}

each_defined() { # PROGRAM PAGE
	"$1" --help | options >"$tmp/in_help"
	defined_options "$2" >"$tmp/defined"
	diff "$tmp/in_help" "$tmp/defined"
}

for program in husk husk-image; do
	page=docs/$program.1
	check "$page is there" test -s "$page"
	check "$page has no warning of mandoc" mandoc -T lint -W warning "$page"
	check "$page and --help have the same options" \
		same_options "$build/$program" "$page"
	check "$page defines each option in a list" each_defined "$build/$program" "$page"
	check "$page has a NAME that starts with $program" \
		has_line "$page" "^\.Nm $program\$"
	for section in NAME SYNOPSIS DESCRIPTION 'EXIT STATUS' EXAMPLES 'SEE ALSO'; do
		check "$page has a section $section" has_line "$page" "^\.Sh (.* )?$section\$"
	done
done

# The comparison itself must be able to fail, either way.
notices() { # SED-SCRIPT
	sed "$1" docs/husk.1 >"$tmp/mutant.1"
	! same_options "$build/husk" "$tmp/mutant.1"
}
check "an option missing in the page is noticed" notices 's/Fl Fl workdir/workdir/'
check "an option too many in the page is noticed" notices 's/Fl Fl memory/& Fl Fl memo/'

### husk(1) and the status object

# Names in a page that are marked as members, one a line.
members_in_page() {
	sed -nE 's/^\.(It )?Va //p' docs/husk.1 | tr ' ' '\n' |
		grep -E '^[a-z][a-z0-9_]+$' | sort -u
}
all_members() { # every key of the golden objects
	python3 - tests/golden/status-*.json <<-'END' | sort -u
	import json, sys
	def walk(o):
	    for k, v in o.items():
	        print(k)
	        if isinstance(v, dict):
	            walk(v)
	for name in sys.argv[1:]:
	    walk(json.load(open(name)))
	END
}
same_members() {
	all_members >"$tmp/members"
	members_in_page >"$tmp/in_page"
	[ "$(wc -l <"$tmp/members")" -ge 50 ] || { echo "few members found"; return 1; }
	# What check --json has is explained at that option.
	printf '%s\n' husk_check fit strict questions name ok found hint \
		system_calls why loop vcpu maker waiter |
		sort -u - "$tmp/members" >"$tmp/wanted"
	diff "$tmp/wanted" "$tmp/in_page"
}
check "husk.1 explains exactly the members that there are" same_members

# The table of verdicts in the source against that of the page.
verdicts_in_source() {
	grep -oE '\[VERDICT_[A-Z_]+\] = \{"[a-z_]+"' vmm/job/outcome.c |
		sed 's/.*"\(.*\)"/\1/' | grep -vx none | sort
}
verdicts_in_page() {
	sed -nE 's/^\.It Cm ([a-z_]+) Ta .*/\1/p' docs/husk.1 | sort
}
check "husk.1 has the verdicts of outcome.c" \
	is "$(verdicts_in_page)" "$(verdicts_in_source)"
check "... of which there are 10" is "$(verdicts_in_source | wc -l)" 10
while read -r verdict number; do
	check "husk.1: $verdict is $number" has_line docs/husk.1 \
		"^\.It (Cm $verdict )?Ta $number(,| Ta)"
done <<-'END'
	timeout 124
	cpu_time 124
	oom 137
	output_limit 153
	interrupted 130, 143
	start_failed 127
	start_failed 126
	guest_crash 125
	error 125
END

### husk(1) and the environment

variables() {
	{
		grep -ohE 'find_env\(envp, "[A-Z_]+"' vmm/cli/cli.c
		grep -ohE 'getenv\("[A-Z_]+"' vmm/*/*.c
	} | grep -oE '"[A-Z_]+"' | tr -d '"' | sort -u
}
variables_in_page() {
	sed -n '/^\.Sh ENVIRONMENT/,/^\.Sh FILES/p' docs/husk.1 |
		sed -nE 's/^\.It Ev //p' | tr -d ',' | tr ' ' '\n' | grep . | sort -u
}
check "husk.1 has the environment that husk reads" \
	is "$(variables_in_page)" "$(variables)"
check "... which is not empty" has_line <(variables) '^HUSK_KERNEL$'

done_testing
