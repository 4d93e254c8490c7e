#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Holds the includes to the layers: an arrow points to the same layer or down,
# there are no circles, each folder sees only what it may see, and KVM's
# interface is known above the devices only. Prints each offending line.
#
#   vmm/lib < vmm/core < vmm/devices < vmm/backends, vmm/arch < vmm
#   guest-init      include/husk, vmm/lib, itself
#   rootfs-builder  vmm/lib, itself
#
# One grep and one awk over all files: a loop in the shell took seconds.
set -eu
cd "$(dirname "$0")/../.."
files=$(tests/lint/files.sh ch vmm guest-init rootfs-builder include)
[ -n "$files" ] || exit 0

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# shellcheck disable=SC2086 # no name in the tree has a space
grep -HnE '^[[:space:]]*#[[:space:]]*include' $files >"$tmp/includes" || :
printf '%s\n' "$files" >"$tmp/files"

status=0
awk -v edges="$tmp/edges" '
function dirname(p) { sub(/\/[^\/]*$/, "", p); return p }
function module(p) { sub(/\.[ch]$/, "", p); return p }
function rank(p) {
	if (p ~ /^include\//) return 0
	if (p ~ /^vmm\/lib\//) return 0
	if (p ~ /^vmm\/core\//) return 1
	if (p ~ /^vmm\/devices\//) return 2
	if (p ~ /^vmm\/(backends|arch)\//) return 3
	return 4
}
# Why `from` must not include `to`; empty when it may.
function objection(from, to) {
	if (from ~ /^include\//)
		return to ~ /^include\// ? "" : "the protocol stands alone"
	if (from ~ /^guest-init\//)
		return to ~ /^(include|vmm\/lib|guest-init)\// ? "" : \
			"guest-init sees only include/husk and vmm/lib"
	if (from ~ /^rootfs-builder\//)
		return to ~ /^(vmm\/lib|rootfs-builder)\// ? "" : \
			"rootfs-builder sees only vmm/lib"
	if (to !~ /^(vmm|include)\//)
		return "vmm sees only itself and include/husk"
	if (rank(to) > rank(from))
		return "includes upward"
	if (rank(from) == 3 && rank(to) == 3 && split_of(from) != split_of(to))
		return "backends and arch do not see each other"
	if (from ~ /^vmm\/devices\/virtio\// && to ~ /^vmm\/devices\/virtio\// &&
	    module(from) != module(to) && to !~ /\/(virtq|vdev)\.h$/)
		return "a virtio device sees only virtq.h, vdev.h and itself"
	return ""
}
function split_of(p) { return p ~ /^vmm\/backends\// ? "backends" : "arch" }
function complain(why) {
	print file ":" line ": " why ": " what
	bad = 1
}
FILENAME == ARGV[1] { there[$0] = 1; next }
{
	file = $0; sub(/:.*/, "", file)
	line = substr($0, length(file) + 2); sub(/:.*/, "", line)
	what = $0; sub(/^[^:]*:[^:]*:/, "", what)
	if (what ~ /<linux\/kvm\.h>/ &&
	    file !~ /^vmm\/(arch\/.*|(machine\/(kvm|vcpu|vm)|cli\/check(_jail)?|jail\/policy)\.[ch])$/)
		complain("KVM below the layers that may know it")
	if (what !~ /"[^"]+"/)
		next
	name = what; sub(/^[^"]*"/, "", name); sub(/".*/, "", name)
	to = ""
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
