#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The base image that the set-up built: what is in it, what must not be, and
# that its recipe does nothing twice. The network is cut off by a proxy that
# is not there, so whatever would be downloaded fails.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/shell/tap.sh
. tests/shell/tap.sh
# shellcheck source=tests/shell/image_lib.sh
. tests/shell/image_lib.sh

build=$(realpath "${BUILD:-build}")
image=$build/base.ext4
export http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9
unset no_proxy

check 'e2fsck finds nothing' clean "$image"
"$tool" ls -l -R "$image" >"$tmp/ls"

# has PATH...: as the image's own links lead.
has() {
	local p
	for p; do
		"$tool" ls "$image" "$p" >/dev/null || return 1
	done
}
check 'a shell and what is essential' has /bin/sh /bin/bash /bin/ls /bin/cat /bin/tar /bin/gzip /usr/bin/env /bin/sed /bin/grep
check 'languages' has /usr/bin/python3 /usr/bin/perl /usr/bin/gcc /usr/bin/make
check 'headers and start files' has /usr/include/stdio.h /usr/include/linux/types.h \
	/usr/lib/x86_64-linux-gnu/crt1.o
check 'folders to mount on' has /work /proc /sys /dev /tmp /run
check 'folders to mount on are empty' is \
	"$(for d in /work /proc /sys /dev /tmp /run; do "$tool" ls "$image" $d; done)" ''
check '/tmp is for all' has_line "$tmp/ls" '^drwxrwxrwt .* tmp$'
check 'python modules are compiled' has_line "$tmp/ls" ' subprocess\.cpython-[0-9]+\.pyc$'

# Bytes 4..7 of a compiled module: 1 says that its source is never looked at.
unchecked() {
	local lib cache
	lib=$("$tool" ls "$image" /usr/lib | grep -E '^python3\.[0-9]+$')
	cache=/usr/lib/$lib/__pycache__
	debugfs -R "cat $cache/$("$tool" ls "$image" "$cache" | grep '^subprocess')" "$image" \
		2>/dev/null >"$tmp/pyc"
	is "$(od -An -tu4 -j4 -N4 "$tmp/pyc" | tr -d ' ')" 1
}
check 'and need not be compared with their source' unchecked

content() { # PATH
	debugfs -R "cat $1" "$image" 2>/dev/null
}
check 'no trace of the machine: name' is "$(content /etc/hostname)" husk
check 'no trace of the machine: resolver' is "$(content /etc/resolv.conf)" ''
check 'no trace of the machine: id' is "$(content /etc/machine-id)" ''
check 'no trace of now: nothing is newer than the epoch' lacks_line "$tmp/ls" ' (2025-01-0[2-9]|2025-01-[1-3]|2025-(0[2-9]|1)|202[6-9]-|20[3-9][0-9]-)'
check 'no package lists, no packages' lacks_line "$tmp/ls" '(^/var/lib/apt|^/var/cache/apt|_Packages|\.deb$)'
check 'no manuals' lacks_line "$tmp/ls" '^/usr/share/(man|info|locale)/.*:$'
check 'but the licences' has_line "$tmp/ls" ' copyright$'

# ---- the recipe ----

recipe() { # IMAGE: log in $tmp/log
	rootfs-builder/base/build "$1" >"$tmp/log" 2>&1 3>"$tmp/progress"
}
again() {
	recipe "$image" && has_line "$tmp/log" '^base image: tree is up to date$' &&
		has_line "$tmp/log" '^base image: up to date$'
}
check 'built again: nothing is done' again

# Without the image, only the image is made, of what is there.
mkdir "$tmp/b"
ln -s "$build/cache" "$build/husk-image" "$tmp/b/"
only_image() {
	BUILD=$tmp/b recipe "$tmp/b/base.ext4" &&
		has_line "$tmp/log" '^base image: tree is up to date$'
}
check 'without the image: nothing is downloaded' only_image
check 'without the image: the same bytes' cmp "$image" "$tmp/b/base.ext4"
check 'progress goes to fd 3' has_line "$tmp/progress" '^progress: 100 image is made$'
rm -r "$tmp/b"

fails() { # LINE [NAME=VALUE...]
	local line=$1 rc=0
	shift
	mkdir -p "$tmp/c"
	ln -sf "$build/husk-image" "$tmp/c/husk-image"
	env -u DISTRO -u SUITE -u MIRROR BUILD="$tmp/c" "$@" \
		rootfs-builder/base/build "$tmp/c/base.ext4" >"$tmp/log" 2>&1 || rc=$?
	is "$rc" 1 && has_line "$tmp/log" "^base image: $line$" && test ! -e "$tmp/c/base.ext4"
}
check 'a wrong DISTRO' fails "DISTRO is 'arch' \(give ubuntu or debian\)" DISTRO=arch
check 'a SUITE of nothing' fails 'SUITE or MIRROR is set without DISTRO \(give ubuntu or debian\)' SUITE=noble
check 'without an answer from Ubuntu it is Debian' fails \
	"debian bookworm \(Ubuntu's archive does not answer\)" no_proxy=

done_testing
