/* SPDX-License-Identifier: MIT */
/*
 * Is this KVM one that husk can use? Asked by `husk check`, and by a run that
 * went wrong early.
 *
 * There are KVMs without hardware support (kvm_pvm): guest user mode is fast
 * there, but the kernel mode of an unmodified Linux is emulated, incompletely.
 * Such a KVM answers every capability question like a real one, so a guest of
 * a few instructions finds out by doing what each Linux kernel does.
 */
#ifndef HUSK_ARCH_PROBE_H
#define HUSK_ARCH_PROBE_H

#include "lib/err.h"

#include <stdbool.h>

/* What the guest of a few instructions showed. */
struct probe_result {
	bool kernel_works;   /* an exception in ring 0 came to its handler */
	bool user_works;     /* ring 3 ran to its last instruction */
	bool cpuid_honoured; /* ring 3 saw the CPUID that it was given */
};

/*
 * Run that guest on an open /dev/kvm (borrowed). Fails only when no guest
 * can be made at all.
 */
int probe_guest(int kvm_fd, struct probe_result *out, struct err *e);

/* The quick answer from sysfs: true when software KVM is what is loaded. */
bool probe_is_software_kvm(void);

#endif
