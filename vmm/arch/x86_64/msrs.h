/* SPDX-License-Identifier: MIT */
/*
 * Which model specific registers are part of a vCPU's state. Pure.
 *
 * KVM lists those that it can save; a few that matter are not in its list,
 * and a few in it must not be written to another vCPU. TSC and TSC deadline
 * are neither here nor there: they have a part of their own in the state.
 */
#ifndef HUSK_ARCH_X86_64_MSRS_H
#define HUSK_ARCH_X86_64_MSRS_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#define MSR_TSC		 0x10u
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_DE_CFG	 0xc0011029u

/* KVM's list has about a hundred, MSRS_EXTRA come on top. */
#define MSRS_MAX   512u
#define MSRS_EXTRA 32u

/* May it be in a state, to be written by arch_vcpu_restore? */
bool msr_is_kept(uint32_t index);

/* Must it be written before a vCPU's first KVM_RUN, or never? */
bool msr_is_frozen(uint32_t index);

/*
 * Make KVM's list of `nr` (at most MSRS_MAX - MSRS_EXTRA) ours: without those
 * not kept, with the extra ones, rising, each once. Returns the new number.
 */
unsigned msrs_select(uint32_t *list, unsigned nr);

/*
 * Of `now`, keep in place what differs from `fresh`, what `fresh` hasn't, and
 * the few whose first value depends on KVM's version. Both rising. Returns
 * how many stay.
 */
unsigned msrs_keep_changed(struct kvm_msr_entry *now, unsigned nr,
			   const struct kvm_msr_entry *fresh,
			   unsigned nr_fresh);

#endif
