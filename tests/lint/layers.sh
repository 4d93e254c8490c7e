#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Holds the includes to the layers: an arrow points to the same layer or down,
# there are no circles, each folder sees only what it may see, and KVM's
# interface is known above the devices only. Prints each offending line.
#
#   vmm             its rooms, from below; those of one level do not see each
#                   other (LEVELS)
#   guest-init      include/husk, vmm/lib, itself
#   rootfs-builder  vmm/lib, itself: its folders as in image_objection
#
# One grep and one awk over all files: a loop in the shell took seconds.
set -eu
cd "$(dirname "$0")/../.."
LEVELS='lib : core : devices arch jail : backends template job : machine : run : pool : cli'
files=$(tests/lint/files.sh ch vmm guest-init rootfs-builder include)
[ -n "$files" ] || exit 0

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# shellcheck disable=SC2086 # no name in the tree has a space
grep -HnE '^[[:space:]]*#[[:space:]]*include' $files >"$tmp/includes" || :
printf '%s\n' "$files" >"$tmp/files"

status=0
awk -v edges="$tmp/edges" -v all="$LEVELS" '
function dirname(p) { sub(/\/[^\/]*$/, "", p); return p }
function module(p) { sub(/\.[ch]$/, "", p); return p }
function room(p) {
	sub(/^(vmm|rootfs-builder)\//, "", p)
	sub(/\/.*|^[^\/]*$/, "", p)
	return p
}
function rank(p) { return p ~ /^include\// ? 1 : level[room(p)] }
BEGIN {
	nr = split(all, levels, " *: *")
	for (i = 1; i <= nr; i++) {
		split(levels[i], rooms, " ")
		for (r in rooms)
			level[rooms[r]] = i
	}
}
# Why `from` must not include `to`; empty when it may.
function objection(from, to) {
	if (from ~ /^include\//)
		return to ~ /^include\// ? "" : "the protocol stands alone"
	if (from ~ /^guest-init\//)
		return to ~ /^(include|vmm\/lib|guest-init)\// ? "" : \
			"guest-init sees only include/husk and vmm/lib"
	if (from ~ /^rootfs-builder\//)
		return image_objection(from, to)
	if (to !~ /^(vmm|include)\//)
		return "vmm sees only itself and include/husk"
	if (rank(to) > rank(from))
		return "includes upward"
	if (rank(from) == rank(to) && to !~ /^include/ &&
	    room(from) != room(to))
		return "rooms of one level do not see each other"
	if (room(from) == "backends" && room(to) ~ /^(arch|jail)$/)
		return "a backend sees no architecture and no jail"
	if (from ~ /^vmm\/devices\/virtio\// && to ~ /^vmm\/devices\/virtio\// &&
	    module(from) != module(to) && to !~ /\/(virtq|vdev)\.h$/)
		return "a virtio device sees only virtq.h, vdev.h and itself"
	return ""
}
# The folders of rootfs-builder: what is not listed here they do not see.
BEGIN {
	sees["tar"] = sees["tree"] = " terminal "
	sees["source"] = " terminal tar tree "
	sees["ext4"] = " terminal tree "
	sees["inspect"] = " terminal ext4 "
}
function image_objection(from, to, a, b) {
	if (to ~ /^vmm\/lib\//)
		return ""
	if (to !~ /^rootfs-builder\//)
		return "rootfs-builder sees only vmm/lib"
	a = room(from)
	b = room(to)
	if (a == "" || a == b || index(sees[a], " " b " "))
		return ""
	return a " does not see " (b == "" ? "the command line" : b)
}
function complain(why) {
	print file ":" line ": " why ": " what
	bad = 1
}
FILENAME == ARGV[1] {
	there[$0] = 1
	if (/^vmm\// && !(room($0) in level)) {
		print $0 ": lies in none of the rooms of vmm"
		bad = 1
	}
	next
}
{
	file = $0; sub(/:.*/, "", file)
	line = substr($0, length(file) + 2); sub(/:.*/, "", line)
	what = $0; sub(/^[^:]*:[^:]*:/, "", what)
	if (what ~ /<linux\/kvm\.h>/ &&
	    file !~ /^vmm\/(arch\/.*|(machine\/(kvm|vcpu|vm)|cli\/check(_jail)?|jail\/policy)\.[ch])$/)
		complain("KVM below or beside the files that may know it")
	if (what !~ /"[^"]+"/)
		next
	name = what; sub(/^[^"]*"/, "", name); sub(/".*/, "", name)
	to = ""
	if (file ~ /^rootfs-builder\// && ("rootfs-builder/" name) in there)
		to = "rootfs-builder/" name
	if (("vmm/" name) in there)
		to = "vmm/" name
	if (("include/" name) in there)
		to = "include/" name
	if ((dirname(file) "/" name) in there)
		to = dirname(file) "/" name
	if (to == "") {
		complain("no such header in the tree")
		next
	}
	why = objection(file, to)
	if (why != "")
		complain(why)
	if (module(file) != module(to))
		print module(file), module(to) >edges
}
END { exit bad }
' "$tmp/files" "$tmp/includes" || status=1

# A circle between modules (x.c and x.h are one): tsort names its members.
if [ -s "$tmp/edges" ] && ! tsort "$tmp/edges" >/dev/null 2>"$tmp/loops"; then
	sed 's/^tsort: //; s/^/include circle: /' "$tmp/loops"
	status=1
fi
exit "$status"
