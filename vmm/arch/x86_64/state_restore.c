// SPDX-License-Identifier: MIT
/*
 * From the bytes of a state to a vCPU that goes on.
 *
 * This is on the way of every copy: parts go from the buffer into the ioctl
 * as they lie, and what a fresh vCPU has by itself (run state, debug
 * registers, no events) is not written. Nine calls for the usual vCPU.
 *
 * Order:
 *  - CPUID first, since KVM checks all else against it;
 *  - registers before events, since they drop a pending exception;
 *  - system registers (APIC base, CR4) before XCR0, that before the register
 *    file, and before the local APIC, whose mode they set;
 *  - local APIC before MSRs: a deadline is ignored while the timer is not in
 *    that mode;
 *  - of the MSRs the TSC first and the deadline last, since KVM compares the
 *    two at once. KVM writes the MSRs of one call in their order, so one call
 *    does.
 *
 * The TSC: KVM takes a write that is within a second of what it expects for
 * an attempt to bring vCPUs in step, and keeps what it has. For vCPU 1 and up
 * that is just what we want: they get vCPU 0's TSC exactly. But vCPU 0's first
 * write is compared with the zero of its creation (before Linux 6.7), and a
 * template of a guest that is younger than a second would go on with a TSC
 * that went back. So vCPU 0 first gets a value far from both.
 */
#include "arch/arch.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/cpuid_fit.h"
#include "arch/x86_64/msrs.h"
#include "arch/x86_64/state_format.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* Where a TSC of the same frequency may lie: KVM's own tolerance. */
#define TSC_TOLERANCE_PPM 250u
#define TSC_FAR		  (1ull << 62)

/* The state in which a processor leaves reset. */
#define DR6_RESET 0xffff0ff0ull
#define DR7_RESET 0x400ull

/* LFENCE waits for what stands before it. */
#define DE_CFG_LFENCE 2u

static int set(int fd, unsigned long request, const void *arg, const char *name,
	       struct err *e)
{
	return ioctl(fd, request, arg) < 0 ? err_sys(e, "%s", name) : 0;
}

#define SET(fd, request, arg, e) set(fd, request, arg, #request, e)

static int set_mp_state(int fd, unsigned index, const struct kvm_mp_state *mp,
			struct err *e)
{
	/* Others wait for INIT and SIPI when they are new. */
	if (mp->mp_state ==
	    (index ? KVM_MP_STATE_UNINITIALIZED : KVM_MP_STATE_RUNNABLE))
		return 0;
	return SET(fd, KVM_SET_MP_STATE, mp, e);
}

static int set_xcrs(int fd, const struct kvm_xcrs *x, struct err *e)
{
	if (x->nr_xcrs == 1 && x->xcrs[0].xcr == 0 && x->xcrs[0].value == 1)
		return 0;
	return SET(fd, KVM_SET_XCRS, x, e);
}

/* Continued with zeros, "not in use" for every register in there. */
static int set_longer_xsave(int fd, const void *area, uint32_t len, size_t size,
			    struct err *e)
{
	auto_free void *longer = calloc(1, size);

	if (!longer)
		return err_set(e, ENOMEM, "KVM_SET_XSAVE: out of memory");
	memcpy(longer, area, len);
	return SET(fd, KVM_SET_XSAVE, longer, e);
}

/* KVM reads as many bytes as its own area has, whatever we have. */
static int set_xsave(int vm_fd, int fd, const void *area, uint32_t len,
		     struct err *e)
{
	int size = ioctl(vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);

	if (size <= (int)len)
		return SET(fd, KVM_SET_XSAVE, area, e);
	return set_longer_xsave(fd, area, len, (size_t)size, e);
}

static int set_debugregs(int fd, const struct kvm_debugregs *d, struct err *e)
{
	if (!d->db[0] && !d->db[1] && !d->db[2] && !d->db[3] && !d->flags &&
	    d->dr6 == DR6_RESET && d->dr7 == DR7_RESET)
		return 0;
	return SET(fd, KVM_SET_DEBUGREGS, d, e);
}

static int set_events(int fd, const struct kvm_vcpu_events *v, struct err *e)
{
	struct kvm_vcpu_events none = { .flags = v->flags };

	if (!memcmp(v, &none, sizeof(none)))
		return 0;
	return SET(fd, KVM_SET_VCPU_EVENTS, v, e);
}

/* ---- TSC and MSRs ---- */

/*
 * Between two boots of one host the measured frequency differs by a few parts
 * in a million; the guest then runs on this host's, as any virtual machine
 * that was moved does.
 */
static int set_tsc_khz(int vm_fd, int fd, uint32_t khz, struct err *e)
{
	int here = ioctl(fd, KVM_GET_TSC_KHZ, 0);
	uint64_t off;

	if (here <= 0 || !khz)
		return 0;
	off = khz > (uint32_t)here ? khz - (uint32_t)here
				   : (uint32_t)here - khz;
	if (off * 1000000 <= (uint64_t)khz * TSC_TOLERANCE_PPM)
		return 0;
	if (ioctl(vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) <= 0)
		return err_set(e, ENOTSUP,
			       "the template's TSC runs at %u kHz, this host's "
			       "at %d kHz, and its CPU cannot scale it (make "
			       "the template on this host)",
			       khz, here);
	if (ioctl(fd, KVM_SET_TSC_KHZ, (unsigned long)khz) < 0)
		return err_sys(e, "KVM_SET_TSC_KHZ to %u", khz);
	return 0;
}

/* A struct kvm_msrs with room for all and the TSC's three. */
struct msr_values {
	uint32_t nmsrs, pad;
	struct kvm_msr_entry entry[STATE_MAX_MSRS + 3];
};

static void add_msr(struct msr_values *m, uint32_t index, uint64_t value)
{
	m->entry[m->nmsrs++] = (struct kvm_msr_entry){
		.index = index,
		.data = value,
	};
}

static int write_msrs(int fd, struct msr_values *m, struct err *e)
{
	int n = ioctl(fd, KVM_SET_MSRS, m);

	if (n < 0)
		return err_sys(e, "KVM_SET_MSRS");
	if ((uint32_t)n < m->nmsrs)
		return err_set(e, ENOTSUP,
			       "KVM_SET_MSRS: this KVM refuses MSR 0x%x = "
			       "0x%llx (make the template on this host)",
			       m->entry[n].index,
			       (unsigned long long)m->entry[n].data);
	return 0;
}

static int set_msrs(int fd, unsigned index, const struct vcpu_tsc *tsc,
		    const struct kvm_msrs *saved, struct err *e)
{
	struct msr_values m;

	m.nmsrs = m.pad = 0;
	if (!index)
		add_msr(&m, MSR_TSC, tsc->value ^ TSC_FAR);
	add_msr(&m, MSR_TSC, tsc->value);
	for (uint32_t i = 0; i < saved->nmsrs; i++)
		add_msr(&m, saved->entries[i].index, saved->entries[i].data);
	if (tsc->deadline)
		add_msr(&m, MSR_TSC_DEADLINE, tsc->deadline);
	return write_msrs(fd, &m, e);
}

/* ---- all of it ---- */

static int restore(int vm_fd, int fd, unsigned index,
		   const struct vcpu_state *s, struct err *e)
{
	const struct vcpu_tsc *tsc = s->part[VCPU_TSC].data;
	int r;

	r = set_mp_state(fd, index, s->part[VCPU_MP_STATE].data, e);
	if (!r)
		r = SET(fd, KVM_SET_REGS, s->part[VCPU_REGS].data, e);
	if (!r)
		r = SET(fd, KVM_SET_SREGS, s->part[VCPU_SREGS].data, e);
	if (!r)
		r = set_xcrs(fd, s->part[VCPU_XCRS].data, e);
	if (!r)
		r = set_xsave(vm_fd, fd, s->part[VCPU_XSAVE].data,
			      s->part[VCPU_XSAVE].len, e);
	if (!r)
		r = set_debugregs(fd, s->part[VCPU_DEBUGREGS].data, e);
	if (!r)
		r = SET(fd, KVM_SET_LAPIC, s->part[VCPU_LAPIC].data, e);
	if (!r)
		r = set_msrs(fd, index, tsc, s->part[VCPU_MSRS].data, e);
	if (!r)
		r = set_events(fd, s->part[VCPU_EVENTS].data, e);
	return r;
}

static int read_state(struct vcpu_state *s, unsigned index, const void *buf,
		      size_t len, struct err *e)
{
	int r = vcpu_state_read(s, buf, len, e);

	if (!r && vcpu_state_index(s) != index)
		r = err_set(e, EPROTO, "the state is of vCPU %u",
			    vcpu_state_index(s));
	return r;
}

int arch_vcpu_prepare(int vm_fd, int vcpu_fd, unsigned index, const void *buf,
		      size_t len, struct err *e)
{
	const struct vcpu_tsc *tsc;
	struct vcpu_state s;
	int r = read_state(&s, index, buf, len, e);

	if (!r) {
		tsc = s.part[VCPU_TSC].data;
		r = set_tsc_khz(vm_fd, vcpu_fd, tsc->khz, e);
	}
	if (!r)
		r = SET(vcpu_fd, KVM_SET_CPUID2, s.part[VCPU_CPUID].data, e);
	return r ? err_prefix(e, "restore vCPU %u: ", index) : 0;
}

int arch_vcpu_restore(int vm_fd, int vcpu_fd, unsigned index, const void *buf,
		      size_t len, struct err *e)
{
	struct vcpu_state s;
	int r = read_state(&s, index, buf, len, e);

	if (!r)
		r = restore(vm_fd, vcpu_fd, index, &s, e);
	return r ? err_prefix(e, "restore vCPU %u: ", index) : 0;
}

int arch_touch_prepare(int vcpu_fd, const void *buf, size_t len, struct err *e)
{
	struct msr_values m = { .nmsrs = 0 };
	const struct kvm_msrs *saved;
	struct vcpu_state s;
	int r = vcpu_state_read(&s, buf, len, e);

	if (r)
		return r;
	saved = s.part[VCPU_MSRS].data;
	for (uint32_t i = 0; i < saved->nmsrs; i++)
		if (msr_is_frozen(saved->entries[i].index))
			add_msr(&m, saved->entries[i].index,
				saved->entries[i].data);
	return m.nmsrs ? write_msrs(vcpu_fd, &m, e) : 0;
}

void arch_vcpu_freeze(int vcpu_fd)
{
	struct msr_values m = { .nmsrs = 0 };

	/* KVM refuses it for other makers' CPUs. */
	add_msr(&m, MSR_DE_CFG, DE_CFG_LFENCE);
	ioctl(vcpu_fd, KVM_SET_MSRS, &m);
}

int arch_vcpu_rewind(int vcpu_fd, unsigned index, const void *buf, size_t len,
		     struct err *e)
{
	static const struct kvm_msrs none;
	struct vcpu_state s;
	int r = read_state(&s, index, buf, len, e);

	if (!r)
		r = set_msrs(vcpu_fd, index, s.part[VCPU_TSC].data, &none, e);
	return r ? err_prefix(e, "rewind vCPU %u: ", index) : 0;
}

static int fit_host(int kvm_fd, const struct kvm_cpuid2 *told, struct err *e)
{
	/* Not on the stack: a quarter of it is ever touched. */
	auto_free struct cpuid_list *here = malloc(sizeof(*here));
	int r;

	if (!here)
		return err_set(e, ENOMEM, "KVM_GET_SUPPORTED_CPUID: out of "
			       "memory");
	r = cpu_ask_cpuid(kvm_fd, here, e);
	if (r)
		return r;
	/* As many CPUs as there may be: more than one adds features only. */
	cpuid_edit(here, 0, ARCH_MAX_CPUS);
	return cpuid_fit(told->entries, told->nent, here->entry, here->nent, e);
}

int arch_vcpu_check(int kvm_fd, const struct arch_state *vcpu, unsigned nr,
		    struct err *e)
{
	const struct kvm_cpuid2 *first = NULL, *told;
	struct vcpu_state s;
	int r = 0;

	for (unsigned i = 0; !r && i < nr; i++) {
		r = vcpu_state_read(&s, vcpu[i].buf, vcpu[i].len, e);
		if (!r)
			r = vcpu_state_check(&s, e);
		if (r)
			return r;
		told = s.part[VCPU_CPUID].data;
		if (!first)
			first = told;
		r = cpuid_same(first->entries, first->nent, told->entries,
			       told->nent, e);
	}
	return r ? r : fit_host(kvm_fd, first, e);
}

int arch_clock_restore(int vm_fd, const void *buf, size_t len, struct err *e)
{
	/* No flags: go on from that value, whatever time passed since. */
	struct kvm_clock_data clock = { 0 };
	uint64_t ns;
	int r;

	r = clock_state_read(&ns, buf, len, e);
	if (r)
		return r;
	clock.clock = ns;
	if (ioctl(vm_fd, KVM_SET_CLOCK, &clock) < 0)
		return err_sys(e, "restore the guest's clock: KVM_SET_CLOCK");
	return 0;
}

int arch_vcpu_resume(int vcpu_fd, struct err *e)
{
	/* EINVAL: the guest has no clock page. */
	if (ioctl(vcpu_fd, KVM_KVMCLOCK_CTRL, 0) < 0 && errno != EINVAL)
		return err_sys(e, "resume a vCPU: KVM_KVMCLOCK_CTRL");
	return 0;
}
