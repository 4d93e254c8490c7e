// SPDX-License-Identifier: MIT
/*
 * What sealed threads ask an x86 KVM for: the maker for the state of its
 * vCPUs, a waiting machine for its time.
 */
#include "arch/arch.h"

#include <linux/audit.h>
#include <linux/kvm.h>
#include <sys/syscall.h>

#define M (1u << JAIL_MAKER)
#define W (1u << JAIL_WAITER)

/* A request on whatever descriptor. */
#define ASK(request, threads, why)                                            \
	{ "ioctl", SYS_ioctl, threads,                                         \
	  { { POLICY_VALUE, 1, ~0u, (uint32_t)request },                       \
	    { POLICY_NONE, 0, 0, 0 } },                                        \
	  why }
#define SAVE(request) ASK(request, M, "saves the machine")
#define LOOK(request) ASK(request, M | W, "saves the machine; what is its time")

#define TIME "has the guest's time go on when its job comes"

const struct policy_arch arch_policy = {
	.audit = AUDIT_ARCH_X86_64,
	.layer = "msrs",
	.what = "the guest has the MSRs that Linux uses",
	.row = {
		ASK(KVM_SET_MSRS, W, TIME),
		{ "ioctl", SYS_ioctl, W,
		  { { POLICY_VALUE, 1, ~0u, (uint32_t)KVM_SET_CLOCK },
		    { POLICY_VM, 0, ~0u, 0 } },
		  TIME },
		SAVE(KVM_CHECK_EXTENSION),
		SAVE(KVM_GET_MP_STATE),
		SAVE(KVM_GET_REGS),
		SAVE(KVM_GET_SREGS),
		SAVE(KVM_GET_XCRS),
		SAVE(KVM_GET_XSAVE),
		SAVE(KVM_GET_XSAVE2),
		SAVE(KVM_GET_DEBUGREGS),
		LOOK(KVM_GET_TSC_KHZ),
		LOOK(KVM_GET_MSRS),
		SAVE(KVM_GET_LAPIC),
		SAVE(KVM_GET_CPUID2),
		SAVE(KVM_GET_VCPU_EVENTS),
		SAVE(KVM_GET_CLOCK),
	},
};
