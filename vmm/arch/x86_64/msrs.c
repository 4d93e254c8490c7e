// SPDX-License-Identifier: MIT
/*
 * See msrs.h. A template keeps what a guest can write, which is what the filter
 * lets through, but for what is kept elsewhere or is the host's. Rejected: all
 * that KVM lists. It learns new registers with each version, and whoever
 * writes a template could set them past the filter.
 */
#include "arch/x86_64/msrs.h"

#include "arch/x86_64/msr_filter.h"

#include <stddef.h>
#include <stdlib.h>

/* Of those that guests may touch; ranges, both ends included. */
static const struct msr_range left_out[] = {
	{ 0x10, 0x10 },		    /* TSC: in a part of its own */
	{ 0x1b, 0x1b },		    /* APIC base: kvm_sregs */
	{ 0x8b, 0x8b },		    /* microcode revision: the host's */
	{ 0xce, 0xce },		    /* PLATFORM_INFO: read-only */
	{ 0x10a, 0x10a },	    /* ARCH_CAPABILITIES: read-only */
	{ 0x179, 0x179 },	    /* MCG_CAP: read-only */
	{ 0x6e0, 0x6e0 },	    /* TSC deadline: with the TSC */
	{ 0x4b564d00, 0x4b564d00 }, /* wall clock: writes to guest memory */
	{ 0xc0000080, 0xc0000080 }, /* EFER: kvm_sregs */
	{ 0xc0000100, 0xc0000101 }, /* FS and GS base: kvm_sregs */
	{ 0, 0 },
};

/* Ranges that KVM's list lacks, though guests write them. */
static const struct msr_range extra[] = {
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
static const uint32_t frozen[] = { MSR_DE_CFG };

/* What KVM's versions do not agree on: MISC_ENABLE, PAT, MTRR default. */
static const uint32_t always[] = { 0x1a0, 0x277, 0x2ff };

static bool is_in(const struct msr_range *r, uint32_t index)
{
	while (r->last && index > r->last)
		r++;
	return r->last && index >= r->first;
}

bool msr_is_kept(uint32_t index)
{
	return is_in(msr_allowed, index) && !is_in(left_out, index);
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
