// SPDX-License-Identifier: MIT
/*
 * CPUID for a vCPU: what the host has of what the rules allow, then the leaves
 * that depend on the topology, then the sizes of the register save area.
 *
 * Rejected: to clear what is unwanted and let pass what is new. Instruction
 * sets without state of their own would work at once, but so would whatever
 * else KVM learns, and a template could claim all of it.
 */
#include "arch/x86_64/cpuid.h"

#include "arch/x86_64/cpuid_rules.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BIT(n) (1u << (n))

#define XSAVE_LEGACY  576u /* x87 and SSE area, and the header */

/* Said in any case: x2APIC, TSC deadline (the kernel wants a PIT without it),
 * hypervisor; an APIC timer that never stops. */
#define LEAF1_ECX_SET (BIT(21) | BIT(24) | BIT(31))
#define LEAF6_EAX_SET BIT(2)

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

/* What the rule leaves; false: the guest has no such leaf. */
static bool apply_rule(struct kvm_cpuid_entry2 *c)
{
	const struct cpuid_rule *r = cpuid_find_rule(c->function, c->index);

	if (!r)
		return false;
	c->flags = r->indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;
	c->eax &= r->may[CPUID_EAX];
	c->ebx &= r->may[CPUID_EBX];
	c->ecx &= r->may[CPUID_ECX];
	c->edx &= r->may[CPUID_EDX];
	if (c->function == 1)
		c->ecx |= LEAF1_ECX_SET;
	if (c->function == 6)
		c->eax |= LEAF6_EAX_SET;
	/* Rebuilt below. */
	return c->function != CPUID_LEAF_TOPOLOGY;
}

static void apply_rules(struct cpuid_list *l)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < l->nent; i++)
		if (apply_rule(&l->entry[i]))
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
		.function = CPUID_LEAF_TOPOLOGY,
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

	if (!max || max->eax < CPUID_LEAF_TOPOLOGY)
		return;
	add_level(l, 0, 0, 1, 1, index);
	add_level(l, 1, id_width(nr_cpus), nr_cpus, 2, index);
	add_level(l, 2, 0, 0, 0, index);
}

/* Leaf 0xd: components and the largest area they need, uncompacted. */
static void edit_xsave(struct cpuid_list *l)
{
	struct kvm_cpuid_entry2 *base = find(l, CPUID_LEAF_XSAVE, 0);
	uint32_t size = XSAVE_LEGACY;

	if (!base)
		return;
	for (uint32_t i = 2; i < 32; i++) {
		struct kvm_cpuid_entry2 *c = find(l, CPUID_LEAF_XSAVE, i);

		if (c && base->eax & BIT(i) && c->ebx + c->eax > size)
			size = c->ebx + c->eax;
	}
	base->ecx = size;
	/* EBX follows the guest's XCR0; KVM keeps it up to date. */
}

void cpuid_edit(struct cpuid_list *l, unsigned index, unsigned nr_cpus)
{
	apply_rules(l);
	for (unsigned i = 0; i < l->nent; i++)
		edit_topology(&l->entry[i], index, nr_cpus);
	edit_xsave(l);
	add_topology(l, index, nr_cpus);
}

uint64_t cpuid_xcr0(const struct cpuid_list *l)
{
	unsigned i = find_at(l, CPUID_LEAF_XSAVE, 0);

	return i < l->nent ? l->entry[i].eax : 0;
}
