# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What up, down, run and push agree on. Sourced with `here` set to this folder.
# LAB names the lab; each has its state in build/lab/NAME. LAB_KERNEL, LAB_CPUS
# and LAB_TUNED say what machine it is: another one than the default is another
# lab, NAME@KERNEL@CPUS@tuned, so that no two of them ever share one. A lab is up
# exactly as long as labd holds the lock on alive in that folder, whatever ended
# it.

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

lab_default=$(sed '/^[a-z]/!d; q' "$here/kernels")

# lab_select NAME [--icount]. A lab with exact time never shares its name with
# one without: the first that is up would serve both, and its clock is wrong.
lab_select() {
	lab=$1
	[ "${2:-}" != --icount ] || lab=${lab%-icount}-icount
	case $lab in
	*[!A-Za-z0-9_.-]* | '' | .* | -* | share | bin | boot | \
		ready | initrd)
		lab_die "LAB '$lab' is not a usable name"
		;;
	esac
	kernel=${LAB_KERNEL:-$lab_default}
	case $kernel in
	*[!A-Za-z0-9_.+-]* | .* | -*)
		lab_die "LAB_KERNEL '$kernel' is no suite and no package"
		;;
	esac
	[[ ${LAB_CPUS:-1} =~ ^[1-9][0-9]?$ ]] ||
		lab_die "LAB_CPUS '$LAB_CPUS' is not 1 to 99"
	state=$lab_root/$lab
	[ "$kernel" = "$lab_default" ] || state+=@$kernel
	[ "${LAB_CPUS:-1}" = 1 ] || state+=@$LAB_CPUS
	[ "${LAB_TUNED:-0}" = 0 ] || state+=@tuned
	initrd=$lab_root/boot/$kernel
	vmlinuz=$build/cache/lab-kernel/$kernel/vmlinuz
}

# With the lock but without a socket it is starting or ending: ask up.
lab_usable() {
	[ -S "$state/sock" ] && lab_alive
}

lab_alive() {
	[ -e "$state/alive" ] && ! flock -n -s "$state/alive" true
}

# Sets qemu, the program and its first arguments, and qemu_version: what LAB_QEMU
# names, else what fetch-qemu put beside this machine's if that runs here, else
# this machine's.
lab_qemu() {
	local root=$build/cache/lab-qemu/root
	qemu=("$root/usr/bin/qemu-system-x86_64")
	qemu+=(-L "$root/usr/share/qemu" -L "$root/usr/share/seabios")
	[ -z "${LAB_QEMU:-}" ] && lab_qemu_runs && return
	qemu=("${LAB_QEMU:-qemu-system-x86_64}")
	lab_qemu_runs ||
		lab_die "${qemu[0]} is missing (package qemu-system-x86)"
}

lab_qemu_runs() {
	qemu_version=$("${qemu[0]}" --version 2>/dev/null |
		sed -n '1s/.* version \([0-9][0-9.]*\).*/\1/p')
	[ -n "$qemu_version" ]
}
