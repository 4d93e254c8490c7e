/* SPDX-License-Identifier: MIT */
/*
 * The filter of a guest's model specific registers, as KVM wants it. Pure.
 */
#ifndef HUSK_ARCH_X86_64_MSR_FILTER_H
#define HUSK_ARCH_X86_64_MSR_FILTER_H

#include <linux/kvm.h>
#include <stdint.h>

#define MSR_WINDOW_MAX 0x200u	/* registers in a window of the filter */

struct msr_range {
	uint32_t first, last;
};

/* What a guest may read and write. Rising and apart; ends with zeros. */
extern const struct msr_range msr_allowed[];

struct msr_filter {
	struct kvm_msr_filter kvm;	/* points into `bits` */
	uint64_t bits[KVM_MSR_FILTER_MAX_RANGES][MSR_WINDOW_MAX / 64];
};

/* Fill *f, which then stays where it is: msr_allowed and nothing else. */
void msr_filter_build(struct msr_filter *f);

#endif
