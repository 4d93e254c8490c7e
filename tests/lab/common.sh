# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What up, down, run and push agree on. Sourced with `here` set to this folder.
# LAB names the lab; each has its state in build/lab/NAME. A lab is up exactly
# as long as labd holds the lock on NAME/alive, whatever ended it.

repo=$(cd "$here/../.." && pwd -P)
build=${BUILD:-build}
case $build in
/*) ;;
*) build=$repo/$build ;;
esac
lab_root=$build/lab
lab_bin=$lab_root/bin

lab_die() {
	echo "lab: $*" >&2
	exit 125
}

# lab_select NAME [--icount]. A lab with exact time never shares its name with
# one without: the first that is up would serve both, and its clock is wrong.
lab_select() {
	lab=$1
	[ "${2:-}" != --icount ] || lab=${lab%-icount}-icount
	case $lab in
	*[!A-Za-z0-9_.-]* | '' | .* | -* | share | bin | \
		ready | initrd | make.lock)
		lab_die "LAB '$lab' is not a usable name"
		;;
	esac
	state=$lab_root/$lab
}

# With the lock but without a socket it is starting or ending: ask up.
lab_usable() {
	[ -S "$state/sock" ] && lab_alive
}

lab_alive() {
	[ -e "$state/alive" ] && ! flock -n -s "$state/alive" true
}
