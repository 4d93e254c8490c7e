#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Nothing of an architecture is outside its folder: all else compiles for arm64,
# and the names that stay open there, of those that vmm/arch/x86_64 has, are
# the ones that vmm/arch/arch.h and host.h list. TAP on stdout.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/shell/tap.sh
. tests/shell/tap.sh
build=${BUILD:-build}
cross=${CROSS:-aarch64-linux-gnu-}

compile() { # [ALSO=FILE]
	make --no-print-directory DEPS=0 BUILD="$build" CROSS="$cross" \
		compile-check "$@" 2>&1
}
check "what is no architecture's compiles for another one" compile

names() { # KIND FOLDER...: symbols of the objects there
	local kind=$1
	shift
	find "$@" -name '*.o' -exec "${cross}nm" -P "--$kind" {} + |
		awk 'NF > 1 { print $1 }' | sort -u
}
open_names() { # what they need and none of them has
	comm -23 <(names undefined-only "$@") <(names defined-only "$@")
}
open_names "$build/cross/vmm" >"$tmp/open"
open_names "$build/cross/guest-init" "$build/cross/vmm/lib" >"$tmp/open-guest"

# What the headers list: functions and constants, in any form of declaration.
sed -E '/^ ?\*|^\/\*|^struct [a-z_]+;/d' vmm/arch/arch.h vmm/arch/host.h |
	grep -oE '\b(arch|host)_[a-z_0-9]+(\(|;|,|\[)' | tr -d '(;,[' |
	sort -u >"$tmp/listed"
grep -oE '\barch_[a-z]+\(' guest-init/arch.h | tr -d '(' |
	sort -u >"$tmp/listed-guest"

check "arch.h and host.h list what a port brings, and nothing else" \
	diff <(grep -E '^(arch|host)_' "$tmp/open") "$tmp/listed"
check "guest-init/arch.h does so" \
	diff <(grep '^arch_' "$tmp/open-guest") "$tmp/listed-guest"
check "... and they are not empty" \
	is "$(grep -c . "$tmp/listed-guest"), $(grep -cE '^arch_load$|^host_probe$' "$tmp/listed")" '2, 2'

# By other names nothing of x86_64 is called.
nm -P --defined-only -A "$build"/obj/vmm/arch/x86_64/*.o |
	awk '$3 ~ /^[A-Z]$/ { print $2 }' | grep -vE '^(arch|host)_' |
	sort -u >"$tmp/own"
check "no other name of x86_64 is used outside" \
	is "$(comm -12 "$tmp/open" "$tmp/own")" ''
check "... which has some" has_line "$tmp/own" '^elf_read$'

# A leak of each kind is seen.
also() { # LINE...: a source of these compiles like the others
	mkdir -p "$build/test"
	printf '%s\n' "$@" >"$build/test/leak.c"
	compile "ALSO=$build/test/leak.c"
}
leaks() { ! also "$@"; }
check "a leak: an instruction" \
	leaks 'long f(void);' 'long f(void) { return __builtin_ia32_rdtsc(); }'
check "a leak: a register of KVM's" leaks '#include <linux/kvm.h>' \
	'int f(struct kvm_regs *r);' \
	'int f(struct kvm_regs *r) { return r->rax == 0; }'
check "a leak: a header" leaks '#include <asm/bootparam.h>'
check "a leak: a system call that only x86 has" leaks '#include <sys/syscall.h>' \
	'extern const int nr;' 'const int nr = SYS_open;'
check "no leak" also 'int f(void);' 'int f(void) { return 0; }'
rm -f "$build/test/leak.c"

done_testing
