// SPDX-License-Identifier: MIT
/*
 * vCPUs for a cold boot, by KVM's ioctls.
 *
 * Only what differs from the state in which KVM creates a vCPU is written.
 * A new vCPU has its system call and SYSENTER MSRs at zero, the FPU as FNINIT
 * leaves it, LVT0 as ExtINT, and a TSC that starts at zero together with the
 * other vCPUs' (writing 0 to it later would only risk that); the kernel sets
 * up all of these by itself. Rejected for that reason: KVM_SET_FPU,
 * KVM_GET_LAPIC and KVM_SET_LAPIC, and a long list of zero MSRs, which would
 * double the calls and change nothing (read back from new vCPUs with the GET
 * calls on kvm-amd 6.1; software KVM 6.18 differs in the TSC, which does not
 * start at zero there).
 *
 * Order matters: CPUID first, since KVM checks MSRs and CR4 against it.
 * vCPUs other than 0 wait for INIT and SIPI, which is how KVM creates them
 * when the local APIC is in the kernel, so they get no registers.
 */
#include "arch/x86_64/cpu.h"

#include "arch/arch.h"
#include "arch/x86_64/layout.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#define NR_MSRS 2

static const struct {
	uint32_t index;
	const char *name;
	uint64_t value;
	bool optional; /* a KVM that doesn't know it can do without */
} msrs[NR_MSRS] = {
	/* Fast string operations; no debug store, no PEBS. Linux takes REP
	 * MOVS for slow on Intel when bit 0 is clear. */
	{ 0x1a0, "IA32_MISC_ENABLE", 0x1801, false },
	/* Caching on, write-back where no other range says so: memory types
	 * are then the page tables' alone. */
	{ 0x2ff, "IA32_MTRR_DEF_TYPE", 0x806, true },
};

_Static_assert(offsetof(struct cpuid_list, entry) ==
		       sizeof(struct kvm_cpuid2),
	       "cpuid_list is a kvm_cpuid2");

/*
 * XCR0 as the kernel will set it. Hardware starts with x87 alone and leaves
 * the rest to XSETBV, but QEMU's emulation of SVM (the lab) runs that without
 * an exit, so KVM never hears of it and puts the old value back at each entry
 * and AVX is gone. On real hardware this changes nothing.
 */
static int set_xcr0(int vcpu_fd, uint64_t xcr0, struct err *e)
{
	struct kvm_xcrs x = {
		.nr_xcrs = 1,
		.xcrs[0] = { .xcr = 0, .value = xcr0 },
	};

	if (xcr0 <= 1)
		return 0;
	if (ioctl(vcpu_fd, KVM_SET_XCRS, &x) < 0)
		return err_sys(e, "KVM_SET_XCRS to 0x%llx",
			       (unsigned long long)xcr0);
	return 0;
}

/* A host has 40 to 70; KVM makes room for as many as it is asked for. */
#define CPUID_USUAL 100u

int cpu_ask_cpuid(int kvm_fd, struct cpuid_list *l, struct err *e)
{
	l->nent = CPUID_USUAL;
	l->padding = 0;
	if (!ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, l))
		return 0;
	l->nent = CPUID_MAX;
	if (errno == E2BIG && !ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, l))
		return 0;
	return err_sys(e, "KVM_GET_SUPPORTED_CPUID");
}

static int set_cpuid(int kvm_fd, int vcpu_fd, unsigned index,
		     unsigned nr_cpus, struct err *e)
{
	struct cpuid_list l;
	int r = cpu_ask_cpuid(kvm_fd, &l, e);

	if (r)
		return r;
	cpuid_edit(&l, index, nr_cpus);
	if (ioctl(vcpu_fd, KVM_SET_CPUID2, &l) < 0)
		return err_sys(e, "KVM_SET_CPUID2 with %u entries",
			       l.nent);
	return set_xcr0(vcpu_fd, cpuid_xcr0(&l), e);
}

/* Write all; after the one that KVM refuses, go on if that one may fail. */
static int set_msrs(int vcpu_fd, struct err *e)
{
	struct {
		uint32_t nmsrs, pad; /* a struct kvm_msrs with a length */
		struct kvm_msr_entry entry[NR_MSRS];
	} m = { 0 };
	unsigned done = 0;

	while (done < NR_MSRS) {
		int n;

		m.nmsrs = NR_MSRS - done;
		for (unsigned i = done; i < NR_MSRS; i++) {
			m.entry[i - done].index = msrs[i].index;
			m.entry[i - done].data = msrs[i].value;
		}
		n = ioctl(vcpu_fd, KVM_SET_MSRS, &m);
		if (n < 0)
			return err_sys(e, "KVM_SET_MSRS");
		done += (unsigned)n;
		if (done < NR_MSRS && !msrs[done].optional)
			return err_set(e, EINVAL,
				       "KVM_SET_MSRS: KVM refuses %s = 0x%llx",
				       msrs[done].name,
				       (unsigned long long)msrs[done].value);
		done += done < NR_MSRS;
	}
	return 0;
}

/* 64-bit mode on the identity map, flat segments, no IDT, interrupts off. */
static void fill_sregs(struct kvm_sregs *s)
{
	const struct kvm_segment code = {
		.limit = 0xffffffff, .selector = LAYOUT_BOOT_CS, .type = 11,
		.present = 1, .s = 1, .l = 1, .g = 1,
	};
	const struct kvm_segment data = {
		.limit = 0xffffffff, .selector = LAYOUT_BOOT_DS, .type = 3,
		.present = 1, .s = 1, .db = 1, .g = 1,
	};
	const struct kvm_segment task = {
		.limit = 0xffff, .selector = LAYOUT_BOOT_TR, .type = 11,
		.present = 1,
	};

	s->cs = code;
	s->ds = s->es = s->fs = s->gs = s->ss = data;
	s->tr = task;
	s->gdt.base = LAYOUT_GDT;
	s->gdt.limit = 5 * 8 - 1;
	s->idt.base = 0;
	s->idt.limit = 0;
	s->cr0 = 0x80000031; /* PG, NE, ET, PE */
	s->cr3 = LAYOUT_PML4;
	s->cr4 = 0x20;	 /* PAE */
	s->efer = 0x500; /* LME, LMA */
}

static int set_regs(int vcpu_fd, const struct arch_entry *entry,
		    struct err *e)
{
	struct kvm_regs regs = {
		.rip = entry->start,
		.rsi = entry->arg,
		.rflags = 2, /* the bit that is always set */
	};
	struct kvm_sregs sregs;

	/* For the APIC base, which says that this CPU is the first. */
	if (ioctl(vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return err_sys(e, "KVM_GET_SREGS");
	fill_sregs(&sregs);
	if (ioctl(vcpu_fd, KVM_SET_SREGS, &sregs) < 0)
		return err_sys(e, "KVM_SET_SREGS");
	if (ioctl(vcpu_fd, KVM_SET_REGS, &regs) < 0)
		return err_sys(e, "KVM_SET_REGS");
	return 0;
}

int arch_vcpu_init(int kvm_fd, int vcpu_fd, unsigned index, unsigned nr_cpus,
		   const struct arch_entry *entry, struct err *e)
{
	int r;

	r = set_cpuid(kvm_fd, vcpu_fd, index, nr_cpus, e);
	if (!r)
		r = set_msrs(vcpu_fd, e);
	if (!r && !index)
		r = set_regs(vcpu_fd, entry, e);
	return r ? err_prefix(e, "set up vCPU %u: ", index) : 0;
}
