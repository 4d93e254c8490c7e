/* SPDX-License-Identifier: MIT */
/*
 * Can a guest that was told one CPUID go on where another is offered? Pure.
 *
 * Yes, when maker and register file are the same and every feature that it
 * was told of is there. Model and stepping may differ: the guest goes on
 * seeing those of the template.
 */
#ifndef HUSK_ARCH_X86_64_CPUID_FIT_H
#define HUSK_ARCH_X86_64_CPUID_FIT_H

#include "arch/x86_64/cpuid.h"
#include "lib/err.h"

/*
 * What a guest was told, from what KVM_GET_CPUID2 says: without what KVM
 * derives from the guest's registers, and without leaves of zeros (those read
 * as zero anyway, and before Linux 6.11 KVM doesn't say where its list ends).
 * In place; returns the new number.
 */
unsigned cpuid_clean(struct kvm_cpuid_entry2 *entry, unsigned nr);

/*
 * -EPROTO for a list that no guest of husk is told: a leaf that the rules do
 * not have, a bit that they do not allow, a leaf twice. Then, for another vCPU
 * of the same machine, that it differs in its id only.
 */
int cpuid_check(const struct kvm_cpuid_entry2 *entry, unsigned nr,
		struct err *e);
int cpuid_same(const struct kvm_cpuid_entry2 *a, unsigned nr_a,
	       const struct kvm_cpuid_entry2 *b, unsigned nr_b, struct err *e);

/* -ENOTSUP with the first difference that matters. */
int cpuid_fit(const struct kvm_cpuid_entry2 *told, unsigned nr_told,
	      const struct kvm_cpuid_entry2 *here, unsigned nr_here,
	      struct err *e);

#endif
