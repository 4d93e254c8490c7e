// SPDX-License-Identifier: MIT
/*
 * See msrs.h. A list of what must stay out rather than of what goes in: KVM
 * learns new registers with each version (software KVM has some of its own),
 * and one that is missing in a template is a bug that shows up as a guest
 * that hangs once in a thousand copies.
 */
#include "arch/x86_64/msrs.h"

#include <stddef.h>
#include <stdlib.h>

/* Ranges, both ends included. */
static const struct {
	uint32_t first, last;
} left_out[] = {
	{ 0x10, 0x10 },		    /* TSC: in a part of its own */
	{ 0x11, 0x12 },		    /* KVM's old clock pages */
	{ 0x1b, 0x1b },		    /* APIC base: kvm_sregs */
	{ 0x34, 0x34 },		    /* SMI count */
	{ 0x8b, 0x8b },		    /* microcode revision: the host's */
	{ 0x9e, 0x9e },		    /* SMBASE: no SMM */
	{ 0xce, 0xce },		    /* PLATFORM_INFO: read-only */
	{ 0x10a, 0x10a },	    /* ARCH_CAPABILITIES: read-only */
	{ 0x179, 0x179 },	    /* MCG_CAP: read-only */
	{ 0x345, 0x345 },	    /* PERF_CAPABILITIES: read-only */
	{ 0x480, 0x491 },	    /* VMX capabilities: read-only */
	{ 0x6e0, 0x6e0 },	    /* TSC deadline: with the TSC */
	{ 0x800, 0x8ff },	    /* x2APIC: kvm_lapic_state */
	{ 0x40000000, 0x400001ff }, /* Hyper-V: not offered */
	{ 0x4b564d00, 0x4b564d00 }, /* wall clock: writes to guest memory */
	{ 0xc0000080, 0xc0000080 }, /* EFER: kvm_sregs */
	{ 0xc0000100, 0xc0000101 }, /* FS and GS base: kvm_sregs */
};

/* Ranges that KVM's list lacks, though guests write them. */
static const struct {
	uint32_t first, last;
} extra[] = {
	{ 0x200, 0x20f },	    /* MTRR, variable */
	{ 0x250, 0x250 },	    /* MTRR, fixed */
	{ 0x258, 0x259 },	    /* " */
	{ 0x268, 0x26f },	    /* " */
	{ 0x277, 0x277 },	    /* PAT */
	{ 0x2ff, 0x2ff },	    /* MTRR, default type */
	{ 0xda0, 0xda0 },	    /* XSS */
	{ 0xc0011029, 0xc0011029 }, /* DE_CFG: LFENCE waits */
};

/*
 * KVM's "feature MSRs" of those kept: since Linux 6.4 the first KVM_RUN
 * freezes them as it does CPUID, and KVM_SET_MSRS may only repeat what is
 * there. tests/raw/raw_touch.c compares with what KVM lists as such.
 */
static const uint32_t frozen[] = { 0xc0011029 };

/* What KVM's versions do not agree on: MISC_ENABLE, PAT, MTRR default. */
static const uint32_t always[] = { 0x1a0, 0x277, 0x2ff };

bool msr_is_kept(uint32_t index)
{
	for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
		if (index >= left_out[i].first && index <= left_out[i].last)
			return false;
	return true;
}

bool msr_is_frozen(uint32_t index)
{
	for (size_t i = 0; i < sizeof(frozen) / sizeof(frozen[0]); i++)
		if (frozen[i] == index)
			return true;
	return false;
}

static int compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

unsigned msrs_select(uint32_t *list, unsigned nr)
{
	unsigned kept = 0;

	for (size_t i = 0; i < sizeof(extra) / sizeof(extra[0]); i++)
		for (uint32_t m = extra[i].first; m <= extra[i].last; m++)
			list[nr++] = m;
	qsort(list, nr, sizeof(*list), compare);
	for (unsigned i = 0; i < nr; i++)
		if (msr_is_kept(list[i]) &&
		    (!kept || list[kept - 1] != list[i]))
			list[kept++] = list[i];
	return kept;
}

static bool is_always(uint32_t index)
{
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		if (always[i] == index)
			return true;
	return false;
}

unsigned msrs_keep_changed(struct kvm_msr_entry *now, unsigned nr,
			   const struct kvm_msr_entry *fresh, unsigned nr_fresh)
{
	unsigned kept = 0, f = 0;

	for (unsigned i = 0; i < nr; i++) {
		while (f < nr_fresh && fresh[f].index < now[i].index)
			f++;
		if (f == nr_fresh || fresh[f].index != now[i].index ||
		    fresh[f].data != now[i].data || is_always(now[i].index))
			now[kept++] = now[i];
	}
	return kept;
}
