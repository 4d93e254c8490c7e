#!/bin/bash
# SPDX-License-Identifier: MIT
#
# docs/architecture.md has the levels that the lint holds, and its pictures are
# what docs/pictures/draw.py makes of the charts, which refuses those that say
# what is not so. TAP on stdout.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/shell/tap.sh
. tests/shell/tap.sh
draw=docs/pictures/draw.py

told() {
	sed -nE 's,^\| ([0-9]) \| `vmm/([a-z]+)`.*,\1 \2,p' docs/architecture.md
}
held() {
	sed -n "s/^LEVELS='\(.*\)'/\1/p" tests/lint/layers.sh | tr ':' '\n' |
		awk '{ for (i = 1; i <= NF; i++) print NR, $i }'
}
check "its rooms and their levels are the lint's" \
	diff <(told | sort) <(held | sort)
check "... and they are twelve" is "$(told | wc -l)" 12
headers() {
	awk -F '`' '/^\| [0-9] \| `vmm/ { print $2, $4 }' docs/architecture.md |
		while read -r room header; do
			[ -n "$(find "$room" -name "$header")" ] ||
				echo "$room has no $header"
		done
}
check "each has the header that it names" is "$(headers)" ''

mkdir "$tmp/new"
check "the charts can be drawn, and say what is in the code" "$draw" "$tmp/new"
for svg in "$tmp"/new/*.svg; do
	check "$(basename "$svg") is what is committed" \
		diff -q "docs/pictures/$(basename "$svg")" "$svg"
done
check "all pictures are made so" diff \
	<(cd docs/pictures && ls -- *.svg) <(cd "$tmp/new" && ls -- *.svg)
shown() { grep -oE 'pictures/[a-z-]+\.svg' docs/architecture.md | sort; }
check "each is in docs/architecture.md" \
	is "$(shown)" "$(printf '%s\n' docs/pictures/*.svg | sed 's,^docs/,,')"
check "they are whole as XML" python3 -c '
import sys, xml.dom.minidom
for path in sys.argv[1:]:
    xml.dom.minidom.parse(path)' "$tmp"/new/*.svg

# refused PATTERN LINE...: a chart of these lines
refused() {
	local want=$1 rc=0
	shift
	printf '%s\n' "$@" >"$tmp/bad.chart"
	"$draw" "$tmp" "$tmp/bad.chart" >"$tmp/out" 2>&1 || rc=$?
	is "$rc" 1 && has_line "$tmp/out" "$want"
}
lane='lane core "core" "memory" vmm/core/*.c'
check "a function that is gone" refused 'core_gone\(\) is not defined in vmm' \
	"$lane" 'core : core_gone() | does what it did'
check "a function of another room" refused 'run_job\(\) is not defined' \
	"$lane" 'core : run_job() | runs'
check "one that is only called there" refused 'clock_gettime\(\) is not def' \
	"$lane" 'core : clock_gettime() | time'
check "a lane that is not there" refused 'bad.chart:2: what is this' \
	"$lane" 'core -> moon : gmem_ptr()'
good() {
	printf '%s\n' "$lane" 'core : gmem_ptr() | <translates>' >"$tmp/a.chart"
	"$draw" "$tmp" "$tmp/a.chart" && has_line "$tmp/a-dark.svg" '&lt;transl'
}
check "what is right is drawn, its words cleaned" good

done_testing
