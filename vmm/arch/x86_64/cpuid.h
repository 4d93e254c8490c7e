/* SPDX-License-Identifier: MIT */
/*
 * What the guest's CPUID says. Pure: from the list of what KVM supports to
 * the list that one vCPU gets.
 *
 * The guest sees a package of nr_cpus cores with one thread each, APIC id =
 * index, and every instruction set of the host whose state a template can
 * carry: x87, SSE, AVX, AVX-512. It does not see nested virtualisation,
 * performance counters, SGX, AMX, protection keys, shadow stacks, MONITOR,
 * processor trace, nor the paravirtual features that share memory with the
 * host (asynchronous page faults, stolen time).
 */
#ifndef HUSK_ARCH_X86_64_CPUID_H
#define HUSK_ARCH_X86_64_CPUID_H

#include <linux/kvm.h>
#include <stdint.h>

/* KVM_MAX_CPUID_ENTRIES of the kernel, and what cpuid_edit may grow to. */
#define CPUID_MAX 256u

/* A struct kvm_cpuid2 whose array has a length. */
struct cpuid_list {
	uint32_t nent;
	uint32_t padding;
	struct kvm_cpuid_entry2 entry[CPUID_MAX];
};

/*
 * Edit `l` in place for vCPU `index` of `nr_cpus` (1 to 255, index below).
 * Doing it twice is the same as once.
 */
void cpuid_edit(struct cpuid_list *l, unsigned index, unsigned nr_cpus);

/* Register state that an edited list offers; 0 without XSAVE. */
uint64_t cpuid_xcr0(const struct cpuid_list *l);

#endif
