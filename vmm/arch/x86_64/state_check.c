// SPDX-License-Identifier: MIT
/*
 * See state_format.h. What a state may hold beside its shape: a vCPU that a
 * guest of husk could have made of itself. KVM checks what it is given for its
 * own sake, but from the host's side it takes more than from a guest: MSRs past
 * the filter, and EFER.SVME without SVM.
 */
#include "arch/x86_64/cpuid_fit.h"
#include "arch/x86_64/msrs.h"
#include "arch/x86_64/state_format.h"

#include <errno.h>

/* SCE, LME, LMA, NXE, FFXSR, AUTOIBRS; not SVME. */
#define EFER_MAY 0x204d01ull
/* All up to UMIP, FSGSBASE, PCIDE, OSXSAVE, SMEP, SMAP; not VMXE, LA57. */
#define CR4_MAY 0x370fffull
/* Where it always is; enabled, x2APIC, the first CPU. */
#define APIC_BASE	0xfee00000ull
#define APIC_BASE_FLAGS 0xd00ull

#define EVENTS_MAY                                                             \
	((uint32_t)(KVM_VCPUEVENT_VALID_NMI_PENDING |                          \
		    KVM_VCPUEVENT_VALID_SHADOW))

static int refuse(const char *what, uint64_t value, struct err *e)
{
	return err_set(e, EPROTO,
		       "a vCPU of the template has %s = 0x%llx, which no guest "
		       "of this husk has (make the template again)",
		       what, (unsigned long long)value);
}

static int check_sregs(const struct kvm_sregs *s, struct err *e)
{
	if (s->efer & ~EFER_MAY)
		return refuse("EFER", s->efer, e);
	if (s->cr4 & ~CR4_MAY)
		return refuse("CR4", s->cr4, e);
	if ((s->apic_base & ~APIC_BASE_FLAGS) != APIC_BASE)
		return refuse("APIC base", s->apic_base, e);
	return 0;
}

static int check_msrs(const struct kvm_msrs *m, struct err *e)
{
	for (uint32_t i = 0; i < m->nmsrs; i++)
		if (!msr_is_kept(m->entries[i].index))
			return err_set(e, EPROTO,
				       "a vCPU of the template has MSR 0x%x, "
				       "which does not belong in one (make the "
				       "template again)",
				       m->entries[i].index);
	return 0;
}

int vcpu_state_check(const struct vcpu_state *s, struct err *e)
{
	const struct kvm_cpuid2 *cpuid = s->part[VCPU_CPUID].data;
	const struct kvm_mp_state *mp = s->part[VCPU_MP_STATE].data;
	const struct kvm_vcpu_events *events = s->part[VCPU_EVENTS].data;
	int r = cpuid_check(cpuid->entries, cpuid->nent, e);

	if (!r)
		r = check_sregs(s->part[VCPU_SREGS].data, e);
	if (!r)
		r = check_msrs(s->part[VCPU_MSRS].data, e);
	if (!r && mp->mp_state > KVM_MP_STATE_SIPI_RECEIVED)
		r = refuse("run state", mp->mp_state, e);
	if (!r && events->flags & ~EVENTS_MAY)
		r = refuse("events of kind", events->flags, e);
	return r;
}
