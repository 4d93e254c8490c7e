#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Each header compiles alone, with the project's stricter warnings, so no
# source depends on the order of its includes. Each .c that has a header of
# its name includes it before any other, which proves the same once more.
set -eu
cd "$(dirname "$0")/../.."
CC=${CC:-cc}
status=0

for h in $(tests/lint/files.sh h vmm guest-init rootfs-builder include tests); do
	# For Frama-C, with its own library's headers.
	[ "$h" != tests/prove/model.h ] || continue
	"$CC" -std=gnu17 -D_GNU_SOURCE -Ivmm -Irootfs-builder -Iinclude -I. \
		-I"$(dirname "$h")" -Wall -Wextra -Wstrict-prototypes -Werror \
		-Wno-unused-function -fsyntax-only -x c "$h" || {
		echo "$h: does not compile alone"
		status=1
	}
done

for c in $(tests/lint/files.sh c vmm guest-init rootfs-builder); do
	h=${c%.c}.h
	[ -f "$h" ] || continue
	first=$(sed -n 's/^#include *["<]\([^">]*\)[">].*/\1/p' "$c" | head -n 1)
	case $h in
	*"/$first" | "$first") ;;
	*)
		echo "$c: includes '$first' before its own header"
		status=1
		;;
	esac
done
exit "$status"
