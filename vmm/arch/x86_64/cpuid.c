// SPDX-License-Identifier: MIT
/*
 * CPUID for a vCPU: a table of bits to clear and set, then the leaves that
 * depend on the topology, then the sizes of the register save area.
 *
 * Clearing what is unwanted and not keeping what is known: a new instruction
 * set without state of its own should just work for the job, and new state
 * is kept out by the XSAVE mask alone. References: Intel SDM volume 2
 * "CPUID", AMD APM volume 3 appendix E, Linux Documentation/virt/kvm/x86/
 * cpuid.rst.
 */
#include "arch/x86_64/cpuid.h"

#include <asm/kvm_para.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BIT(n) (1u << (n))
#define ALL    (~0u)

enum reg { EAX, EBX, ECX, EDX };

/* Register state that guests may have: x87, SSE, AVX, and AVX-512's three. */
#define XCR0_KEPT 0xe7u

#define LEAF_XSAVE    0xdu
#define LEAF_TOPOLOGY 0xbu
#define XSAVE_LEGACY  576u /* x87 and SSE area, and the header */

/* In every leaf listed all subleafs are meant unless `sub` says one. */
#define ANY_SUB (-1)

static const struct edit {
	uint32_t leaf;
	int sub;
	enum reg reg;
	uint32_t clear, set;
} edits[] = {
	/* DTES64, MONITOR, DS-CPL, VMX, SMX, EST, TM2, PDCM; then x2APIC,
	 * TSC deadline (the kernel wants a PIT without it), hypervisor */
	{ 1, ANY_SUB, ECX,
	  BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) |
		  BIT(15),
	  BIT(21) | BIT(24) | BIT(31) },
	/* DS, ACPI, TM, PBE: no thermal or debug-store hardware */
	{ 1, ANY_SUB, EDX, BIT(21) | BIT(22) | BIT(29) | BIT(31), 0 },
	/* 5: MONITOR; 6: only the APIC timer that never stops */
	{ 5, ANY_SUB, EAX, ALL, 0 },
	{ 5, ANY_SUB, EBX, ALL, 0 },
	{ 5, ANY_SUB, ECX, ALL, 0 },
	{ 5, ANY_SUB, EDX, ALL, 0 },
	{ 6, ANY_SUB, EAX, ALL, BIT(2) },
	{ 6, ANY_SUB, EBX, ALL, 0 },
	{ 6, ANY_SUB, ECX, ALL, 0 },
	{ 6, ANY_SUB, EDX, ALL, 0 },
	/* SGX, MPX, processor trace */
	{ 7, 0, EBX, BIT(2) | BIT(14) | BIT(25), 0 },
	/* PKU, OSPKE, WAITPKG, shadow stack, LA57 (tables have 4 levels),
	 * bus lock detection, ENQCMD, SGX launch control, PKS */
	{ 7, 0, ECX,
	  BIT(3) | BIT(4) | BIT(5) | BIT(7) | BIT(16) | BIT(24) | BIT(29) |
		  BIT(30) | BIT(31),
	  0 },
	/* user interrupts, indirect branch tracking, AMX */
	{ 7, 0, EDX, BIT(5) | BIT(20) | BIT(22) | BIT(24) | BIT(25), 0 },
	/* AMX-FP16, LAM; AMX-COMPLEX, user-timer MSR */
	{ 7, 1, EAX, BIT(21) | BIT(26), 0 },
	{ 7, 1, EDX, BIT(8) | BIT(13), 0 },
	/* SVM, IBS, SKINIT, watchdog, LWP, node id MSR, performance counters,
	 * MWAITX */
	{ 0x80000001, ANY_SUB, ECX,
	  BIT(2) | BIT(10) | BIT(12) | BIT(13) | BIT(15) | BIT(19) | BIT(23) |
		  BIT(24) | BIT(26) | BIT(27) | BIT(28) | BIT(29),
	  0 },
	/* Clocks that need no page shared for stolen time, no I/O delays, and
	 * interrupts that end without an exit. */
	{ KVM_CPUID_FEATURES, ANY_SUB, EAX,
	  ~(BIT(KVM_FEATURE_NOP_IO_DELAY) | BIT(KVM_FEATURE_CLOCKSOURCE2) |
	    BIT(KVM_FEATURE_PV_EOI) | BIT(KVM_FEATURE_PV_SEND_IPI) |
	    BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT)),
	  0 },
	/* no promise that vCPUs are never preempted */
	{ KVM_CPUID_FEATURES, ANY_SUB, EDX, ALL, 0 },
};

/* Leaves of features the guest does not have. They read as zero. */
static const uint32_t dropped[] = {
	0x3,	    /* serial number */
	0xa,	    /* performance counters */
	0xf,  0x10, /* cache monitoring and allocation */
	0x12,	    /* SGX */
	0x14,	    /* processor trace */
	0x18,	    /* TLB geometry of the host */
	0x19,	    /* key locker */
	0x1b,	    /* PCONFIG */
	0x1c,	    /* last branch records */
	0x1d, 0x1e, /* AMX tiles */
	0x1f,	    /* topology, version 2: 0xb says it */
	0x23,	    /* performance counters, extended */
	0x8000000a, /* SVM */
	0x8000001b, /* IBS */
	0x8000001c, /* LWP */
	0x8000001f, /* SEV */
	0x80000020, /* AMD's cache allocation */
	0x80000022, /* AMD's performance counters, version 2 */
	0x80000026, /* AMD's topology, version 2: 0xb says it */
	LEAF_TOPOLOGY, /* rebuilt below */
};

static uint32_t *reg_of(struct kvm_cpuid_entry2 *c, enum reg r)
{
	switch (r) {
	case EAX:
		return &c->eax;
	case EBX:
		return &c->ebx;
	case ECX:
		return &c->ecx;
	default:
		return &c->edx;
	}
}

/* Index of an entry, or nent when there is none. */
static unsigned find_at(const struct cpuid_list *l, uint32_t leaf,
			uint32_t sub)
{
	unsigned i = 0;

	while (i < l->nent && (l->entry[i].function != leaf ||
			       l->entry[i].index != sub))
		i++;
	return i;
}

static struct kvm_cpuid_entry2 *find(struct cpuid_list *l, uint32_t leaf,
				     uint32_t sub)
{
	unsigned i = find_at(l, leaf, sub);

	return i < l->nent ? &l->entry[i] : NULL;
}

static void apply_edits(struct kvm_cpuid_entry2 *c)
{
	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		const struct edit *d = &edits[i];
		uint32_t *r;

		if (d->leaf != c->function ||
		    (d->sub != ANY_SUB && (uint32_t)d->sub != c->index))
			continue;
		r = reg_of(c, d->reg);
		*r = (*r & ~d->clear) | d->set;
	}
}

static bool is_dropped(const struct kvm_cpuid_entry2 *c)
{
	/* Save areas of register state that the guest does not get. */
	if (c->function == LEAF_XSAVE && c->index > 1)
		return c->index > 31 || !(XCR0_KEPT & BIT(c->index));
	for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++)
		if (c->function == dropped[i])
			return true;
	return false;
}

static void drop_leaves(struct cpuid_list *l)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < l->nent; i++)
		if (!is_dropped(&l->entry[i]))
			l->entry[kept++] = l->entry[i];
	memset(l->entry + kept, 0,
	       (l->nent - kept) * sizeof(l->entry[0]));
	l->nent = kept;
}

/* Bits of APIC id that tell the CPUs apart. */
static uint32_t id_width(unsigned nr_cpus)
{
	uint32_t w = 0;

	while (1u << w < nr_cpus)
		w++;
	return w;
}

/* Cores that a cache of `level` serves: the last level all, others one. */
static uint32_t cache_sharing(uint32_t eax, unsigned nr_cpus)
{
	uint32_t level = eax >> 5 & 7;
	uint32_t ids = level >= 3 ? 1u << id_width(nr_cpus) : 1;

	return (eax & ~(0xfffu << 14)) | (ids - 1) << 14;
}

/* What depends on the number of CPUs, or on which one it is. */
static void edit_topology(struct kvm_cpuid_entry2 *c, unsigned index,
			  unsigned nr_cpus)
{
	uint32_t width = id_width(nr_cpus);

	switch (c->function) {
	case 1: /* id, ids in the package, flush size kept, brand 0 */
		c->ebx = index << 24 | (1u << width) << 16 |
			 (c->ebx & 0xff00u);
		c->edx &= ~BIT(28); /* HTT: more than one id */
		c->edx |= nr_cpus > 1 ? BIT(28) : 0;
		break;
	case 4: /* no such cache: type 0 ends the list */
		if (!(c->eax & 0x1f))
			break;
		c->eax = cache_sharing(c->eax, nr_cpus) & ~(0x3fu << 26);
		c->eax |= ((1u << width) - 1) << 26;
		break;
	case 0x8000001d:
		if (c->eax & 0x1f)
			c->eax = cache_sharing(c->eax, nr_cpus);
		break;
	case 0x80000001: /* CmpLegacy goes with HTT */
		c->ecx &= ~BIT(1);
		c->ecx |= nr_cpus > 1 ? BIT(1) : 0;
		break;
	case 0x80000008: /* width of the id, CPUs - 1 */
		c->ecx = (c->ecx & 0xffff0f00u) | width << 12 | (nr_cpus - 1);
		break;
	case 0x8000001e: /* id, core with one thread, node 0 of one */
		c->eax = index;
		c->ebx = index;
		c->ecx = 0;
		c->edx = 0;
		break;
	default:
		break;
	}
}

static void add_level(struct cpuid_list *l, uint32_t sub, uint32_t shift,
		      uint32_t cpus, uint32_t type, uint32_t id)
{
	if (l->nent == CPUID_MAX)
		return;
	l->entry[l->nent++] = (struct kvm_cpuid_entry2){
		.function = LEAF_TOPOLOGY,
		.index = sub,
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = shift,
		.ebx = cpus,
		.ecx = sub | type << 8,
		.edx = id,
	};
}

/* Leaf 0xb: threads, cores, end. KVM leaves it to us since Linux 6.2. */
static void add_topology(struct cpuid_list *l, unsigned index,
			 unsigned nr_cpus)
{
	struct kvm_cpuid_entry2 *max = find(l, 0, 0);

	if (!max || max->eax < LEAF_TOPOLOGY)
		return;
	add_level(l, 0, 0, 1, 1, index);
	add_level(l, 1, id_width(nr_cpus), nr_cpus, 2, index);
	add_level(l, 2, 0, 0, 0, index);
}

/* Leaf 0xd: components and the largest area they need, uncompacted. */
static void edit_xsave(struct cpuid_list *l)
{
	struct kvm_cpuid_entry2 *base = find(l, LEAF_XSAVE, 0);
	struct kvm_cpuid_entry2 *ext = find(l, LEAF_XSAVE, 1);
	uint32_t size = XSAVE_LEGACY;

	if (!base)
		return;
	base->eax &= XCR0_KEPT;
	base->edx = 0;
	for (uint32_t i = 2; i < 32; i++) {
		struct kvm_cpuid_entry2 *c = find(l, LEAF_XSAVE, i);

		if (c && base->eax & BIT(i) && c->ebx + c->eax > size)
			size = c->ebx + c->eax;
	}
	base->ecx = size;
	/* EBX follows the guest's XCR0; KVM keeps it up to date. */
	if (!ext)
		return;
	ext->eax &= ~BIT(4); /* XFD, for AMX */
	ext->ecx = 0;	     /* no supervisor state */
	ext->edx = 0;
}

void cpuid_edit(struct cpuid_list *l, unsigned index, unsigned nr_cpus)
{
	drop_leaves(l);
	for (unsigned i = 0; i < l->nent; i++) {
		apply_edits(&l->entry[i]);
		edit_topology(&l->entry[i], index, nr_cpus);
	}
	edit_xsave(l);
	add_topology(l, index, nr_cpus);
}

uint64_t cpuid_xcr0(const struct cpuid_list *l)
{
	unsigned i = find_at(l, LEAF_XSAVE, 0);

	return i < l->nent ? l->entry[i].eax : 0;
}
