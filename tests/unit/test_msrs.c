// SPDX-License-Identifier: MIT
/* LINK: vmm/arch/x86_64/msrs.c vmm/arch/x86_64/msr_filter.c */
/* LINK: vmm/arch/x86_64/cpuid_fit.c vmm/arch/x86_64/cpuid_rules.c */
/*
 * Which MSRs a template keeps, and on which hosts it may go on: the judgement
 * of two lists, with lists made here.
 */
#include "arch/x86_64/cpuid_fit.h"
#include "arch/x86_64/msr_filter.h"
#include "arch/x86_64/msrs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int has(const uint32_t *list, unsigned nr, uint32_t index)
{
	int found = 0;

	for (unsigned i = 0; i < nr; i++)
		found += list[i] == index;
	return found;
}

static int is_listed(uint32_t index)
{
	const struct msr_range *r = msr_allowed;

	while (r->last && (index < r->first || index > r->last))
		r++;
	return r->last != 0;
}

static void selects_and_sorts(void **unused)
{
	uint32_t list[MSRS_MAX] = { 0xc0000102, 0x174, 0x10,	   0x4b564d01,
				    0x4b564d00, 0x11,  0x12,	   0x174,
				    0x277,	0x800, 0xc0000080, 0x6e0,
				    0x40000000, 0x48f, 0x4b564df1 };
	unsigned nr = msrs_select(list, 15);

	(void)unused;
	for (unsigned i = 1; i < nr; i++)
		assert_true(list[i - 1] < list[i]);
	for (unsigned i = 0; i < nr; i++)
		assert_true(msr_is_kept(list[i]));
	assert_int_equal(has(list, nr, 0x174), 1);
	assert_int_equal(has(list, nr, 0x277), 1);
	assert_int_equal(has(list, nr, 0x2ff), 1);
	assert_int_equal(has(list, nr, 0xda0), 1);
	assert_int_equal(has(list, nr, 0x4b564d01), 1);
	/* KVM learns new ones; no guest of ours writes them. */
	assert_int_equal(has(list, nr, 0x4b564df1), 0);
	assert_int_equal(has(list, nr, 0x4b564d00), 0);
	assert_int_equal(has(list, nr, 0x10), 0);
	assert_int_equal(has(list, nr, 0x6e0), 0);
}

/* What the first run freezes is kept, and no more is than that. */
static void frozen(void **unused)
{
	(void)unused;
	assert_true(msr_is_frozen(0xc0011029) && msr_is_kept(0xc0011029));
	assert_false(msr_is_frozen(0xc0011028));
	assert_false(msr_is_frozen(0x277));
}

static void longest_list_fits(void **unused)
{
	static uint32_t list[MSRS_MAX];
	unsigned nr = MSRS_MAX - MSRS_EXTRA;

	(void)unused;
	for (unsigned i = 0; i < nr; i++)
		list[i] = 0xd0000000 + i;
	/* Those that KVM's list lacks. */
	assert_int_equal(msrs_select(list, nr), 31);
}

/* Nothing that the filter would not let a guest write. */
static void kept_is_what_guests_write(void **unused)
{
	static const uint32_t never[] = {
		0x3a0,	    0x38f,	0x480,	    0x9c0,	0x570,
		0xc0010114, 0xc0010117, 0xc0010200, 0xc0010104, 0x1c4,
		0x6a0,	    0x4b564d02, 0x4b564d03, 0x40000000, 0x9e,
	};
	unsigned kept = 0;

	(void)unused;
	for (uint32_t i = 0; i < 0x2000; i++) {
		assert_true(!msr_is_kept(i) || is_listed(i));
		assert_true(!msr_is_kept(0xc0010000 + i) ||
			    is_listed(0xc0010000 + i));
		kept += msr_is_kept(i);
	}
	assert_true(kept > 100);
	for (unsigned i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		assert_false(msr_is_kept(never[i]));
}

static void keeps_what_changed(void **unused)
{
	struct kvm_msr_entry now[] = {
		{ .index = 0x100, .data = 1 }, /* same */
		{ .index = 0x110, .data = 2 }, /* changed */
		{ .index = 0x120, .data = 0 }, /* not in a fresh one */
		{ .index = 0x1a0, .data = 5 }, /* same, but always */
		{ .index = 0x300, .data = 6 }, /* same */
		{ .index = 0x400, .data = 7 }, /* changed back to 7 */
	};
	const struct kvm_msr_entry fresh[] = {
		{ .index = 0x050, .data = 9 }, { .index = 0x100, .data = 1 },
		{ .index = 0x110, .data = 1 }, { .index = 0x130, .data = 0 },
		{ .index = 0x1a0, .data = 5 }, { .index = 0x300, .data = 6 },
		{ .index = 0x400, .data = 0 },
	};
	const uint32_t want[] = { 0x110, 0x120, 0x1a0, 0x400 };
	unsigned nr = msrs_keep_changed(now, 6, fresh, 7);

	(void)unused;
	assert_int_equal(nr, 4);
	for (unsigned i = 0; i < nr; i++)
		assert_int_equal(now[i].index, want[i]);
	assert_int_equal(now[3].data, 7);
	assert_int_equal(msrs_keep_changed(now, 4, fresh, 0), 4);
	assert_int_equal(msrs_keep_changed(now, 0, fresh, 7), 0);
}

/* ---- CPUID ---- */

enum { LEAF0, LEAF1, LEAF7, XSAVE0, XSAVE1, AVX, KVM, EXT1, EXT7, EXT8, NR };

static struct kvm_cpuid_entry2 told[NR], here[NR];
static struct err e;

static int set_up(void **unused)
{
	const struct kvm_cpuid_entry2 cpu[NR] = {
		[LEAF0] = { .function = 0,
			    .ebx = 0x68747541,
			    .ecx = 0x444d4163,
			    .edx = 0x69746e65 },
		[LEAF1] = { .function = 1,
			    .ebx = 0x800,
			    .ecx = 0x80202000,
			    .edx = 0x178bfbff },
		[LEAF7] = { .function = 7, .ebx = 0x20, .edx = 0x10 },
		[XSAVE0] = { .function = 0xd, .eax = 7, .ecx = 832 },
		[XSAVE1] = { .function = 0xd, .index = 1, .eax = 7 },
		[AVX] = { .function = 0xd, .index = 2, .eax = 256, .ebx = 576 },
		[KVM] = { .function = 0x40000001, .eax = 0x100084a },
		[EXT1] = { .function = 0x80000001, .ecx = 0x23, .edx = 0x8 },
		[EXT7] = { .function = 0x80000007, .edx = 0x100 },
		[EXT8] = { .function = 0x80000008, .eax = 0x3030 },
	};

	(void)unused;
	memcpy(told, cpu, sizeof(cpu));
	memcpy(here, cpu, sizeof(cpu));
	memset(&e, 0, sizeof(e));
	return 0;
}

static int fit(void)
{
	return cpuid_fit(told, NR, here, NR, &e);
}

static void misfit(const char *word)
{
	assert_true(fit() < 0);
	if (!strstr(e.msg, word))
		fail_msg("'%s' does not say '%s'", e.msg, word);
	assert_null(strchr(e.msg, '\n'));
	assert_non_null(strstr(e.msg, "(make"));
}

static void same_host_fits(void **unused)
{
	(void)unused;
	assert_int_equal(fit(), 0);
}

static void newer_host_fits(void **unused)
{
	(void)unused;
	here[LEAF0].eax = 0x20;
	here[LEAF1].eax = 0xa20f12;
	here[LEAF1].ebx = 0x3010800;
	here[LEAF1].ecx |= 1u << 28;
	here[LEAF7].ebx |= 1u << 16;
	here[XSAVE0].eax = 0xe7;
	here[KVM].eax |= 1u << 14;
	here[EXT8].eax = 0x3934;
	here[EXT8].ebx = 0x1000;
	assert_int_equal(fit(), 0);
}

static void other_maker(void **unused)
{
	(void)unused;
	here[LEAF0].edx ^= 1;
	misfit("another maker");
}

/* Every bit of every register that counts. */
static void any_feature_less(void **unused)
{
	static const struct {
		unsigned leaf;
		uint32_t eax, ebx, ecx, edx;
	} parts[] = {
		{ LEAF1, 0, 0, ~0u, ~0u },  { LEAF7, 0, ~0u, ~0u, ~0u },
		{ XSAVE0, ~0u, 0, 0, ~0u }, { XSAVE1, ~0u, 0, ~0u, ~0u },
		{ KVM, ~0u, 0, 0, 0 },	    { EXT1, 0, 0, ~0u, ~0u },
		{ EXT7, 0, 0, 0, ~0u },	    { EXT8, 0, ~0u, 0, 0 },
	};

	(void)unused;
	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		for (unsigned bit = 0; bit < 128; bit++) {
			const uint32_t mask[4] = { parts[i].eax, parts[i].ebx,
						   parts[i].ecx, parts[i].edx };
			uint32_t *reg[4];
			struct kvm_cpuid_entry2 *t, *h;

			set_up(NULL);
			t = &told[parts[i].leaf];
			h = &here[parts[i].leaf];
			reg[0] = &t->eax;
			reg[1] = &t->ebx;
			reg[2] = &t->ecx;
			reg[3] = &t->edx;
			*reg[bit / 32] |= 1u << bit % 32;
			if (!(mask[bit / 32] & 1u << bit % 32) ||
			    !memcmp(t, h, sizeof(*t)))
				continue;
			misfit("CPUID 0x");
		}
	}
}

static void says_the_name(void **unused)
{
	(void)unused;
	here[LEAF7].ebx = 0;
	misfit("lacks avx2 (CPUID 0x7.0 EBX bit 5)");
	set_up(NULL);
	here[EXT7].edx = 0;
	misfit("lacks invariant TSC (CPUID 0x80000007.0 EDX bit 8)");
	set_up(NULL);
	told[LEAF7].edx |= 1u << 24;
	misfit("lacks CPUID 0x7.0 EDX bit 24,");
}

static void leaf_that_is_not_there(void **unused)
{
	(void)unused;
	here[LEAF7].function = 0x99;
	misfit("CPUID 0x7.0");
	set_up(NULL);
	told[LEAF7].function = 0x99;
	assert_int_equal(fit(), 0);
}

static void registers_saved_elsewhere(void **unused)
{
	(void)unused;
	here[AVX].ebx = 640;
	misfit("register state 2");
	here[AVX].ebx = 576;
	here[AVX].eax = 128;
	misfit("register state 2");
}

static void narrower_addresses(void **unused)
{
	(void)unused;
	here[EXT8].eax = 0x302e;
	misfit("46 bits");
}

static void cleaning(void **unused)
{
	struct kvm_cpuid_entry2 l[] = {
		{ .function = 0, .eax = 7 },
		{ .function = 1, .ecx = 0x88000000, .edx = 1 },
		{ .function = 2 },
		{ .function = 7, .ecx = 0x18 },
		{ .function = 0xd, .eax = 7, .ebx = 832, .ecx = 832 },
		{ .function = 0xd, .index = 2, .eax = 256, .ebx = 576 },
		{ .function = 0 },
		{ .function = 0 },
	};

	(void)unused;
	assert_int_equal(cpuid_clean(l, 8), 5);
	assert_int_equal(l[1].ecx, 0x80000000);
	assert_int_equal(l[2].function, 7);
	assert_int_equal(l[2].ecx, 8);
	assert_int_equal(l[3].ebx, 0);
	assert_int_equal(l[3].ecx, 832);
	assert_int_equal(l[4].ebx, 576);
	assert_int_equal(cpuid_clean(l, 5), 5);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, set_up)
	const struct CMUnitTest tests[] = {
		TEST(selects_and_sorts),      TEST(longest_list_fits),
		TEST(keeps_what_changed),     TEST(same_host_fits),
		TEST(newer_host_fits),	      TEST(other_maker),
		TEST(any_feature_less),	      TEST(says_the_name),
		TEST(leaf_that_is_not_there), TEST(registers_saved_elsewhere),
		TEST(narrower_addresses),     TEST(cleaning),
		TEST(frozen),		      TEST(kept_is_what_guests_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
