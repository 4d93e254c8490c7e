// SPDX-License-Identifier: MIT
/*
 * From a stopped vCPU to the bytes of its state.
 *
 * Order of the KVM_GET calls: the run state first, for asking may complete an
 * INIT and change the local APIC; the MSRs before the local APIC, for a timer
 * that expires between the two is then in both (one interrupt too many, which
 * every kernel bears) instead of in neither (a guest that waits for ever).
 *
 * MSRs are stored where they differ from those of a vCPU that was just made
 * with the same CPUID, in a VM that exists for this only, before the guest
 * runs: making a template may take a while, starting a copy may not.
 * Rejected: a list of the MSRs that Linux writes, which other monitors have
 * had to mend again and again.
 */
#include "arch/arch.h"
#include "arch/x86_64/cpuid.h"
#include "arch/x86_64/cpuid_fit.h"
#include "arch/x86_64/msrs.h"
#include "arch/x86_64/state_format.h"
#include "lib/cleanup.h"

#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* As kvm_create_vm of the upper layer does, so that the vCPUs are alike. */
#define SCRATCH_TSS_ADDR 0xfffbd000ul
#define SCRATCH_PINS	 24u

/* What a task register may be: a free task state segment, a busy one. */
#define TSS_AVAILABLE 9u
#define TSS_BUSY      11u

struct msr_list {
	uint32_t nmsrs;
	uint32_t index[MSRS_MAX];
};

/* A struct kvm_msrs whose array has a length. */
struct msr_values {
	uint32_t nmsrs, pad;
	struct kvm_msr_entry entry[MSRS_MAX];
};

_Static_assert(offsetof(struct msr_list, index) == sizeof(struct kvm_msr_list),
	       "msr_list is a kvm_msr_list");
_Static_assert(offsetof(struct msr_values, entry) == sizeof(struct kvm_msrs),
	       "msr_values is a kvm_msrs");

/* Of all that there are, those of a vCPU that has never run. */
struct arch_fresh {
	struct msr_list list;
	struct msr_values msrs;
};

/* All parts of one vCPU, where the state's views point to. On the heap. */
struct parts {
	struct cpuid_list cpuid;
	struct kvm_mp_state mp;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xcrs xcrs;
	_Alignas(8) uint8_t xsave[STATE_XSAVE_MAX];
	uint32_t xsave_len;
	struct kvm_debugregs debug;
	struct kvm_lapic_state lapic;
	struct vcpu_tsc tsc;
	struct msr_values msrs;
	struct kvm_vcpu_events events;
};

static int get(int fd, unsigned long request, void *arg, const char *name,
	       struct err *e)
{
	return ioctl(fd, request, arg) < 0 ? err_sys(e, "%s", name) : 0;
}

#define GET(fd, request, arg, e) get(fd, request, arg, #request, e)

/* ---- MSRs ---- */

static int get_msr_list(int kvm_fd, struct msr_list *l, struct err *e)
{
	l->nmsrs = MSRS_MAX - MSRS_EXTRA;
	if (ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, l) < 0)
		return err_sys(e, "KVM_GET_MSR_INDEX_LIST of up to %u",
			       MSRS_MAX - MSRS_EXTRA);
	l->nmsrs = msrs_select(l->index, l->nmsrs);
	return 0;
}

/*
 * Values of those in the list that this vCPU has. KVM_GET_MSRS ends at the
 * first that it refuses; that one is left out and the rest asked for again.
 */
static int get_msrs(int vcpu_fd, const struct msr_list *l,
		    struct msr_values *out, struct err *e)
{
	uint32_t kept = 0, at = 0;
	struct msr_values *m;
	auto_free void *room = calloc(1, sizeof(*m));

	m = room;
	if (!m)
		return err_set(e, ENOMEM, "save MSRs: out of memory");
	while (at < l->nmsrs) {
		int n;

		m->nmsrs = l->nmsrs - at;
		for (uint32_t i = 0; i < m->nmsrs; i++)
			m->entry[i].index = l->index[at + i];
		n = ioctl(vcpu_fd, KVM_GET_MSRS, m);
		if (n < 0)
			return err_sys(e, "KVM_GET_MSRS");
		for (int i = 0; i < n; i++)
			out->entry[kept++] = m->entry[i];
		at += (uint32_t)n + 1;
	}
	out->nmsrs = kept;
	return 0;
}

/* The same of a vCPU that has never run. */
static int get_fresh_msrs(int kvm_fd, const struct cpuid_list *cpuid,
			  struct arch_fresh *f, struct err *e)
{
	struct kvm_enable_cap split = {
		.cap = KVM_CAP_SPLIT_IRQCHIP,
		.args = { SCRATCH_PINS },
	};
	auto_fd vm_fd = -1;
	auto_fd vcpu_fd = -1;

	do
		vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	while (vm_fd < 0 && errno == EINTR);
	if (vm_fd < 0)
		return err_sys(e, "KVM_CREATE_VM to compare with");
	if (ioctl(vm_fd, KVM_SET_TSS_ADDR, SCRATCH_TSS_ADDR) ||
	    ioctl(vm_fd, KVM_ENABLE_CAP, &split))
		return err_sys(e, "set up a VM to compare with");
	vcpu_fd = ioctl(vm_fd, KVM_CREATE_VCPU, 0);
	if (vcpu_fd < 0)
		return err_sys(e, "KVM_CREATE_VCPU to compare with");
	if (ioctl(vcpu_fd, KVM_SET_CPUID2, cpuid) < 0)
		return err_sys(e, "KVM_SET_CPUID2 to compare with");
	return get_msrs(vcpu_fd, &f->list, &f->msrs, e);
}

static int save_msrs(const struct arch_fresh *fresh, int vcpu_fd,
		     struct parts *p, struct err *e)
{
	int r = get_msrs(vcpu_fd, &fresh->list, &p->msrs, e);

	if (r)
		return r;
	p->msrs.nmsrs = msrs_keep_changed(p->msrs.entry, p->msrs.nmsrs,
					  fresh->msrs.entry,
					  fresh->msrs.nmsrs);
	if (p->msrs.nmsrs > STATE_MAX_MSRS)
		return err_set(e, EOVERFLOW,
			       "save MSRs: the guest changed %u, at most %u "
			       "fit",
			       p->msrs.nmsrs, STATE_MAX_MSRS);
	for (uint32_t i = 0; i < p->msrs.nmsrs; i++)
		p->msrs.entry[i].reserved = 0;
	return 0;
}

/* Frequency, and value and deadline of one moment. */
static int save_tsc(int vcpu_fd, struct vcpu_tsc *tsc, struct err *e)
{
	struct {
		uint32_t nmsrs, pad;
		struct kvm_msr_entry entry[2];
	} m = {
		.nmsrs = 2,
		.entry = { { .index = MSR_TSC },
			   { .index = MSR_TSC_DEADLINE } },
	};
	int khz = ioctl(vcpu_fd, KVM_GET_TSC_KHZ, 0);

	if (ioctl(vcpu_fd, KVM_GET_MSRS, &m) != 2)
		return err_sys(e, "KVM_GET_MSRS of the TSC");
	*tsc = (struct vcpu_tsc){
		.value = m.entry[0].data,
		.deadline = m.entry[1].data,
		.khz = khz > 0 ? (uint32_t)khz : 0,
	};
	return 0;
}

uint64_t arch_vcpu_timer(int vcpu_fd)
{
	struct vcpu_tsc tsc;
	struct err e;

	if (save_tsc(vcpu_fd, &tsc, &e) || !tsc.khz || !tsc.deadline)
		return UINT64_MAX;
	return tsc.deadline > tsc.value ?
		       (tsc.deadline - tsc.value) / tsc.khz * 1000000u : 0;
}

/* ---- the rest ---- */

static int save_cpuid(int vcpu_fd, struct cpuid_list *l, struct err *e)
{
	l->nent = CPUID_MAX;
	if (ioctl(vcpu_fd, KVM_GET_CPUID2, l) < 0)
		return err_sys(e, "KVM_GET_CPUID2");
	l->nent = cpuid_clean(l->entry, l->nent);
	return 0;
}

static int save_xsave(int vm_fd, int vcpu_fd, struct parts *p, struct err *e)
{
	int size = ioctl(vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);

	p->xsave_len = size > 0 ? (uint32_t)size : STATE_XSAVE_MIN;
	if (p->xsave_len > STATE_XSAVE_MAX)
		return err_set(e, ENOTSUP,
			       "save register state: it has %u bytes, at most "
			       "%u fit",
			       p->xsave_len, STATE_XSAVE_MAX);
	return size > 0 ? GET(vcpu_fd, KVM_GET_XSAVE2, p->xsave, e)
			: GET(vcpu_fd, KVM_GET_XSAVE, p->xsave, e);
}

/*
 * QEMU's emulation of SVM (the lab) keeps the task register's type as LTR
 * found it, "available", and looks for just that when it checks the I/O
 * permission map; KVM reports "busy", which is right for hardware, and with
 * that in the register every IN and OUT of user space faults. Nobody else may
 * have it so: VMX refuses to enter such a guest.
 */
static bool is_emulated_svm(void)
{
	static const char tcg[] = "TCGTCGTCGTCG";
	unsigned eax, ebx, ecx, edx;
	unsigned found[3];

	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx >> 31))
		return false;
	__cpuid(0x40000000, eax, found[0], found[1], found[2]);
	return !memcmp(found, tcg, sizeof(found));
}

static void mend_task_register(struct kvm_segment *tr)
{
	if (tr->type == TSS_BUSY && is_emulated_svm())
		tr->type = TSS_AVAILABLE;
}

/* Only what is meant: KVM leaves numbers of events long gone in there. */
static int clean_events(struct kvm_vcpu_events *v, struct err *e)
{
	const uint32_t kept =
		KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
	struct kvm_vcpu_events clean = { .flags = v->flags & kept };

	if (v->smi.smm || v->smi.pending)
		return err_set(e, EBUSY,
			       "save a vCPU: it is in system management mode");
	if (v->exception.injected || v->exception.pending)
		clean.exception = v->exception;
	if (v->interrupt.injected) {
		clean.interrupt.injected = 1;
		clean.interrupt.nr = v->interrupt.nr;
		clean.interrupt.soft = v->interrupt.soft;
	}
	clean.interrupt.shadow = v->interrupt.shadow;
	clean.nmi.injected = v->nmi.injected;
	clean.nmi.pending = v->nmi.pending;
	clean.nmi.masked = v->nmi.masked;
	*v = clean;
	return 0;
}

static int save_parts(const struct arch_fresh *fresh, int vm_fd, int fd,
		      struct parts *p, struct err *e)
{
	int r;

	r = GET(fd, KVM_GET_MP_STATE, &p->mp, e);
	if (!r)
		r = GET(fd, KVM_GET_REGS, &p->regs, e);
	if (!r)
		r = GET(fd, KVM_GET_SREGS, &p->sregs, e);
	if (!r)
		r = GET(fd, KVM_GET_XCRS, &p->xcrs, e);
	if (!r)
		r = save_xsave(vm_fd, fd, p, e);
	if (!r)
		r = GET(fd, KVM_GET_DEBUGREGS, &p->debug, e);
	if (!r)
		r = save_tsc(fd, &p->tsc, e);
	if (!r)
		r = GET(fd, KVM_GET_LAPIC, &p->lapic, e);
	if (!r)
		r = save_cpuid(fd, &p->cpuid, e);
	if (!r)
		r = save_msrs(fresh, fd, p, e);
	if (!r)
		r = GET(fd, KVM_GET_VCPU_EVENTS, &p->events, e);
	if (!r)
		r = clean_events(&p->events, e);
	mend_task_register(&p->sregs.tr);
	return r;
}

static void view(struct vcpu_state *s, enum vcpu_part part, const void *data,
		 size_t len)
{
	s->part[part].data = data;
	s->part[part].len = (uint32_t)len;
}

static void set_views(struct vcpu_state *s, const struct parts *p)
{
	view(s, VCPU_CPUID, &p->cpuid,
	     offsetof(struct cpuid_list, entry[p->cpuid.nent]));
	view(s, VCPU_MP_STATE, &p->mp, sizeof(p->mp));
	view(s, VCPU_REGS, &p->regs, sizeof(p->regs));
	view(s, VCPU_SREGS, &p->sregs, sizeof(p->sregs));
	view(s, VCPU_XCRS, &p->xcrs, sizeof(p->xcrs));
	view(s, VCPU_XSAVE, p->xsave, p->xsave_len);
	view(s, VCPU_DEBUGREGS, &p->debug, sizeof(p->debug));
	view(s, VCPU_LAPIC, &p->lapic, sizeof(p->lapic));
	view(s, VCPU_TSC, &p->tsc, sizeof(p->tsc));
	view(s, VCPU_MSRS, &p->msrs,
	     offsetof(struct msr_values, entry[p->msrs.nmsrs]));
	view(s, VCPU_EVENTS, &p->events, sizeof(p->events));
}

struct arch_fresh *arch_fresh_ask(int kvm_fd, int vcpu_fd, struct err *e)
{
	auto_free struct arch_fresh *f = calloc(1, sizeof(*f));
	auto_free struct cpuid_list *cpuid = calloc(1, sizeof(*cpuid));
	struct arch_fresh *out = f;
	int r;

	if (!f || !cpuid) {
		err_set(e, ENOMEM, "save a vCPU: out of memory");
		return NULL;
	}
	r = save_cpuid(vcpu_fd, cpuid, e);
	if (!r)
		r = get_msr_list(kvm_fd, &f->list, e);
	if (!r)
		r = get_fresh_msrs(kvm_fd, cpuid, f, e);
	if (r) {
		err_prefix(e, "save a vCPU: ");
		return NULL;
	}
	f = NULL;
	return out;
}

int arch_vcpu_save(const struct arch_fresh *fresh, int vm_fd, int vcpu_fd,
		   void *buf, size_t *len, struct err *e)
{
	auto_free void *room = calloc(1, sizeof(struct parts));
	struct vcpu_state s;
	int r;

	if (!room)
		return err_set(e, ENOMEM, "save a vCPU: out of memory");
	r = save_parts(fresh, vm_fd, vcpu_fd, room, e);
	if (r)
		return err_prefix(e, "save a vCPU: ");
	set_views(&s, room);
	r = vcpu_state_write(&s, buf, ARCH_VCPU_STATE_MAX, len, e);
	/* What cannot be read back is better found now. */
	return r ? r : vcpu_state_read(&s, buf, *len, e);
}

int arch_clock_save(int vm_fd, void *buf, size_t *len, struct err *e)
{
	struct kvm_clock_data clock = { 0 };

	if (ioctl(vm_fd, KVM_GET_CLOCK, &clock) < 0)
		return err_sys(e, "save the guest's clock: KVM_GET_CLOCK");
	return clock_state_write(clock.clock, buf, ARCH_CLOCK_STATE_MAX, len,
				 e);
}
