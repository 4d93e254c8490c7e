// SPDX-License-Identifier: MIT
/* LINK: vmm/arch/x86_64/cpuid.c vmm/arch/x86_64/cpuid_rules.c */
/* LINK: vmm/arch/x86_64/cpuid_fit.c */
/*
 * What the guest's CPUID may never say and must always say, whatever the host
 * says: the lists are of an imagined processor with every bit of every leaf
 * set, one with none, and two that are like an Intel and an AMD.
 */
#include "arch/x86_64/cpuid_fit.h"
#include "arch/x86_64/cpuid_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BIT(n) (1u << (n))

static void add(struct cpuid_list *l, uint32_t leaf, uint32_t sub,
		uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx)
{
	assert_true(l->nent < CPUID_MAX);
	l->entry[l->nent++] = (struct kvm_cpuid_entry2){
		.function = leaf,
		.index = sub,
		.eax = eax,
		.ebx = ebx,
		.ecx = ecx,
		.edx = edx,
	};
}

/* Every leaf there is, all registers `v`; leaf 0 always says the maximum. */
static void fill(struct cpuid_list *l, uint32_t v)
{
	*l = (struct cpuid_list){0};
	add(l, 0, 0, 0x24, 0, 0, 0);
	for (uint32_t leaf = 1; leaf <= 0x24; leaf++)
		for (uint32_t sub = 0; sub < (leaf == 0xd ? 32 : 2); sub++)
			add(l, leaf, sub, v, v, v, v);
	add(l, 0x40000000, 0, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d);
	add(l, 0x40000001, 0, v, v, v, v);
	add(l, 0x80000000, 0, 0x80000026, 0, 0, 0);
	for (uint32_t leaf = 0x80000001; leaf <= 0x80000026; leaf++)
		add(l, leaf, 0, v, v, v, v);
}

/* Save areas as processors have them: AVX, MPX, AVX-512, PKRU, AMX. */
static void fill_xsave(struct cpuid_list *l)
{
	*l = (struct cpuid_list){0};
	add(l, 0, 0, 0x1f, 0x756e6547, 0x6c65746e, 0x49656e69);
	add(l, 0xd, 0, 0x602ff, 0x240, 11008, 0);
	add(l, 0xd, 1, 0x1f, 0x240, 0x1900, 0);
	add(l, 0xd, 2, 256, 576, 0, 0);
	add(l, 0xd, 3, 64, 960, 0, 0);
	add(l, 0xd, 4, 64, 1024, 0, 0);
	add(l, 0xd, 5, 64, 1088, 0, 0);
	add(l, 0xd, 6, 512, 1152, 0, 0);
	add(l, 0xd, 7, 1024, 1664, 0, 0);
	add(l, 0xd, 9, 8, 2688, 0, 0);
	add(l, 0xd, 11, 16, 0, 1, 0);
	add(l, 0xd, 17, 64, 2752, 2, 0);
	add(l, 0xd, 18, 8192, 2816, 6, 0);
}

static const struct kvm_cpuid_entry2 *get(const struct cpuid_list *l,
					  uint32_t leaf, uint32_t sub)
{
	static const struct kvm_cpuid_entry2 zero;

	for (unsigned i = 0; i < l->nent; i++)
		if (l->entry[i].function == leaf && l->entry[i].index == sub)
			return &l->entry[i];
	return &zero;
}

static bool is_zero(const struct kvm_cpuid_entry2 *c)
{
	return !c->eax && !c->ebx && !c->ecx && !c->edx;
}

/* Bits that stay clear whatever the host has. */
static const struct {
	uint32_t leaf, sub;
	char reg;
	uint32_t bits;
	const char *what;
} hidden[] = {
	{1, 0, 'c', BIT(3), "MONITOR"},
	{1, 0, 'c', BIT(5), "VMX"},
	{1, 0, 'c', BIT(6), "SMX"},
	{1, 0, 'c', BIT(15), "PDCM"},
	{1, 0, 'd', BIT(21), "DS"},
	{7, 0, 'b', BIT(2), "SGX"},
	{7, 0, 'b', BIT(14), "MPX"},
	{7, 0, 'b', BIT(25), "PT"},
	{7, 0, 'c', BIT(3) | BIT(4), "PKU"},
	{7, 0, 'c', BIT(5), "WAITPKG"},
	{7, 0, 'c', BIT(7), "SHSTK"},
	{7, 0, 'c', BIT(16), "LA57"},
	{7, 0, 'c', BIT(30), "SGX_LC"},
	{7, 0, 'd', BIT(20), "IBT"},
	{7, 0, 'd', BIT(22) | BIT(24) | BIT(25), "AMX"},
	{7, 1, 'a', BIT(21), "AMX_FP16"},
	{7, 1, 'a', BIT(17) | BIT(18), "FRED"},
	{7, 1, 'a', BIT(26), "LAM"},
	{7, 1, 'd', BIT(8), "AMX_COMPLEX"},
	{7, 1, 'd', BIT(13), "user MSRs"},
	{7, 1, 'd', BIT(19), "AVX10"},
	{7, 1, 'd', BIT(21), "APX"},
	{0xd, 0, 'a', ~0xe7u, "XCR0"},
	{0xd, 0, 'd', ~0u, "XCR0 high"},
	{0xd, 1, 'a', BIT(4), "XFD"},
	{0xd, 1, 'c', ~0u, "XSS"},
	{0xd, 1, 'd', ~0u, "XSS high"},
	{0x40000001, 0, 'a', BIT(4) | BIT(10) | BIT(14), "async PF"},
	{0x40000001, 0, 'a', BIT(5), "steal time"},
	{0x40000001, 0, 'a', BIT(7), "PV unhalt"},
	{0x40000001, 0, 'a', BIT(9), "PV TLB flush"},
	{0x40000001, 0, 'a', BIT(12), "poll control"},
	{0x40000001, 0, 'a', BIT(17), "migration control"},
	{0x40000001, 0, 'd', ~0u, "hints"},
	{0x80000001, 0, 'c', BIT(2), "SVM"},
	{0x80000001, 0, 'c', BIT(10), "IBS"},
	{0x80000001, 0, 'c', BIT(23) | BIT(24) | BIT(28), "counters"},
	{0x80000001, 0, 'c', BIT(29), "MWAITX"},
	{0x80000021, 0, 'a', BIT(7), "upper address ignore"},
};

static void test_hidden(void **state)
{
	static struct cpuid_list l;

	(void)state;
	fill(&l, ~0u);
	cpuid_edit(&l, 0, 1);
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		const struct kvm_cpuid_entry2 *c;
		uint32_t v;

		c = get(&l, hidden[i].leaf, hidden[i].sub);
		v = hidden[i].reg == 'a'   ? c->eax
		    : hidden[i].reg == 'b' ? c->ebx
		    : hidden[i].reg == 'c' ? c->ecx
					   : c->edx;
		if (v & hidden[i].bits)
			fail_msg("%s is visible", hidden[i].what);
	}
}

/* Leaves that read as zero. */
static void test_dropped(void **state)
{
	static const uint32_t leaves[] = {
		0x5,	    0xa,	0x12,	    0x14,	0x1d,
		0x1e,	    0x1f,	0x23,	    0x8000000a, 0x8000001b,
		0x8000001f, 0x80000022, 0x80000026, 0x3,	0xf,
		0x10,	    0x19,	0x1b,	    0x1c,	0x20,
		0x24,	    0x8000001c, 0x80000020, 0x80000025,
	};
	static struct cpuid_list l;

	(void)state;
	fill(&l, ~0u);
	cpuid_edit(&l, 0, 1);
	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
		for (uint32_t sub = 0; sub < 2; sub++)
			if (!is_zero(get(&l, leaves[i], sub)))
				fail_msg("leaf 0x%x.%u is visible", leaves[i],
					 sub);
}

/* Bits the kernel boots by, even when KVM doesn't list them. */
static void test_forced(void **state)
{
	static struct cpuid_list l;

	(void)state;
	fill(&l, 0);
	cpuid_edit(&l, 0, 1);
	assert_int_equal(get(&l, 1, 0)->ecx, BIT(21) | BIT(24) | BIT(31));
	assert_int_equal(get(&l, 6, 0)->eax, BIT(2));
	/* And nothing that is not there is made up. */
	assert_int_equal(get(&l, 7, 0)->ebx, 0);
	assert_int_equal(get(&l, 0x40000001, 0)->eax, 0);
	assert_int_equal(cpuid_xcr0(&l), 0);
}

/* What jobs use stays as the host has it. */
static void test_kept(void **state)
{
	static struct cpuid_list l;

	(void)state;
	fill(&l, ~0u);
	cpuid_edit(&l, 0, 1);
	/* SSE3, SSSE3, FMA, SSE4.1, SSE4.2, AES, XSAVE, AVX, RDRAND */
	assert_int_equal(~get(&l, 1, 0)->ecx &
				 (BIT(0) | BIT(9) | BIT(12) | BIT(19) |
				  BIT(20) | BIT(25) | BIT(26) | BIT(28) |
				  BIT(30)),
			 0);
	/* BMI1, AVX2, SMEP, BMI2, ERMS, AVX-512 F, SMAP, SHA */
	assert_int_equal(~get(&l, 7, 0)->ebx &
				 (BIT(3) | BIT(5) | BIT(7) | BIT(8) | BIT(9) |
				  BIT(16) | BIT(20) | BIT(29)),
			 0);
	/* kvm-clock 2 and stable, PV EOI, no I/O delay */
	assert_int_equal(~get(&l, 0x40000001, 0)->eax &
				 (BIT(1) | BIT(3) | BIT(6) | BIT(24)),
			 0);
	assert_int_equal(get(&l, 0x80000007, 0)->edx, BIT(8));
	assert_int_equal(get(&l, 0x40000000, 0)->ebx, 0x4b4d564b);
	assert_int_equal(cpuid_xcr0(&l), 0xe7);
}

static void test_xsave(void **state)
{
	static struct cpuid_list l;

	(void)state;
	fill_xsave(&l);
	cpuid_edit(&l, 0, 1);
	assert_int_equal(cpuid_xcr0(&l), 0xe7);
	/* The largest area is now that of AVX-512's last part. */
	assert_int_equal(get(&l, 0xd, 0)->ecx, 2688);
	assert_int_equal(get(&l, 0xd, 2)->eax, 256);
	assert_int_equal(get(&l, 0xd, 7)->ebx, 1664);
	for (uint32_t sub = 3; sub < 32; sub++)
		if (sub < 5 || sub > 7)
			assert_true(is_zero(get(&l, 0xd, sub)));
	/* Without AVX-512, and with x87 and SSE alone. */
	fill_xsave(&l);
	l.entry[1].eax = 0x7;
	cpuid_edit(&l, 0, 1);
	assert_int_equal(get(&l, 0xd, 0)->ecx, 832);
	fill_xsave(&l);
	l.entry[1].eax = 0x3;
	cpuid_edit(&l, 0, 1);
	assert_int_equal(get(&l, 0xd, 0)->ecx, 576);
}

/* Reads leaf 0xb as Linux does and checks what comes out. */
static void check_topology(const struct cpuid_list *l, unsigned index,
			   unsigned nr)
{
	const struct kvm_cpuid_entry2 *thread = get(l, 0xb, 0);
	const struct kvm_cpuid_entry2 *core = get(l, 0xb, 1);
	const struct kvm_cpuid_entry2 *end = get(l, 0xb, 2);

	assert_int_equal(thread->eax, 0);
	assert_int_equal(thread->ebx, 1);
	assert_int_equal(thread->ecx, 0 | 1 << 8);
	assert_int_equal(core->ebx, nr);
	assert_int_equal(core->ecx, 1 | 2 << 8);
	assert_true(1u << core->eax >= nr);
	assert_true(!core->eax || 1u << (core->eax - 1) < nr);
	assert_int_equal(end->ebx, 0);
	assert_int_equal(end->ecx, 2);
	assert_int_equal(thread->edx, index);
	assert_int_equal(core->edx, index);
	assert_int_equal(thread->flags, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
	assert_int_equal(core->flags, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
	/* all in one package */
	assert_int_equal(index >> core->eax, 0);
}

static void check_legacy(const struct cpuid_list *l, unsigned index,
			 unsigned nr)
{
	const struct kvm_cpuid_entry2 *c = get(l, 1, 0);
	unsigned ids = c->ebx >> 16 & 0xff;

	assert_int_equal(c->ebx >> 24, index);
	assert_true(ids >= nr && ids < 2 * nr && !(ids & (ids - 1)));
	assert_int_equal(c->ebx & 0xff00, 0x800);
	assert_int_equal(!!(c->edx & BIT(28)), nr > 1);
	c = get(l, 0x80000008, 0);
	assert_int_equal(c->ecx & 0xff, nr - 1);
	assert_int_equal(1u << (c->ecx >> 12 & 0xf), ids);
	c = get(l, 0x8000001e, 0);
	assert_int_equal(c->eax, index);
	assert_int_equal(c->ebx, index);
	assert_int_equal(c->ecx, 0);
}

static void check_caches(const struct cpuid_list *l, unsigned nr)
{
	static const uint32_t leaves[] = {4, 0x8000001d};

	for (unsigned i = 0; i < 2; i++) {
		const struct kvm_cpuid_entry2 *own = get(l, leaves[i], 0);
		const struct kvm_cpuid_entry2 *all = get(l, leaves[i], 3);

		assert_int_equal((own->eax >> 14 & 0xfff) + 1, 1);
		assert_true((all->eax >> 14 & 0xfff) + 1 >= nr);
		assert_true((all->eax >> 14 & 0xfff) + 1 < 2 * nr);
		assert_int_equal(own->eax & 0x3fff, 0x121);
		assert_true(is_zero(get(l, leaves[i], 4)));
	}
	assert_true((get(l, 4, 0)->eax >> 26) + 1 >= nr);
	assert_int_equal(get(l, 0x8000001d, 0)->eax >> 26, 0);
}

/* A processor of 64 cores and 128 threads, as KVM of old lists it. */
static void fill_big(struct cpuid_list *l)
{
	*l = (struct cpuid_list){0};
	add(l, 0, 0, 0x1f, 0x756e6547, 0x6c65746e, 0x49656e69);
	add(l, 1, 0, 0x606a6, 0x37800800, 0x7ffefbff, 0xbfebfbff);
	for (uint32_t leaf = 4; leaf; leaf = leaf == 4 ? 0x8000001d : 0) {
		uint32_t cores = leaf == 4 ? 0xfc000000 : 0;

		add(l, leaf, 0, cores | 1 << 14 | 0x121, 7, 63, 0);
		add(l, leaf, 1, cores | 1 << 14 | 0x122, 7, 63, 0);
		add(l, leaf, 2, cores | 1 << 14 | 0x143, 7, 63, 0);
		add(l, leaf, 3, cores | 127 << 14 | 0x163, 7, 63, 0);
		add(l, leaf, 4, 0, 0, 0, 0);
	}
	for (uint32_t leaf = 0xb; leaf; leaf = leaf == 0xb ? 0x1f : 0) {
		add(l, leaf, 0, 1, 2, 0x100, 55);
		add(l, leaf, 1, 7, 128, 0x201, 55);
		add(l, leaf, 2, 0, 0, 2, 55);
	}
	add(l, 0x80000000, 0, 0x8000001e, 0, 0, 0);
	add(l, 0x80000008, 0, 0x3934, 0, 0x707f, 0);
	add(l, 0x8000001e, 0, 55, 0x11b, 0x700, 0);
}

static void test_topology(void **state)
{
	static struct cpuid_list l;

	(void)state;
	for (unsigned nr = 1; nr <= 8; nr++) {
		for (unsigned index = 0; index < nr; index++) {
			fill_big(&l);
			cpuid_edit(&l, index, nr);
			check_topology(&l, index, nr);
			check_legacy(&l, index, nr);
			check_caches(&l, nr);
			assert_true(is_zero(get(&l, 0x1f, 0)));
		}
	}
}

/* A processor without leaf 0xb gets none: the leaf would be out of range. */
static void test_old(void **state)
{
	static struct cpuid_list l;

	(void)state;
	add(&l, 0, 0, 0xa, 0, 0, 0);
	add(&l, 1, 0, 0, 0, 0, 0);
	cpuid_edit(&l, 1, 2);
	assert_int_equal(l.nent, 2);
	assert_int_equal(get(&l, 1, 0)->ebx, 1 << 24 | 2 << 16);
}

static void test_twice(void **state)
{
	static struct cpuid_list once, twice;

	(void)state;
	fill_big(&once);
	cpuid_edit(&once, 2, 4);
	twice = once;
	cpuid_edit(&twice, 2, 4);
	assert_memory_equal(&once, &twice, sizeof(once));
	fill_xsave(&once);
	cpuid_edit(&once, 0, 1);
	twice = once;
	cpuid_edit(&twice, 0, 1);
	assert_memory_equal(&once, &twice, sizeof(once));
}

/* A full list loses leaf 0xb rather than anything beside it. */
static void test_full(void **state)
{
	static struct {
		struct cpuid_list l;
		uint8_t guard[64];
	} v;

	(void)state;
	memset(v.guard, 0x5a, sizeof(v.guard));
	add(&v.l, 0, 0, 0x1f, 0, 0, 0);
	while (v.l.nent < CPUID_MAX - 1)
		add(&v.l, 0x80000002, 0, 1, 2, 3, 4);
	cpuid_edit(&v.l, 0, 1);
	assert_int_equal(v.l.nent, CPUID_MAX);
	for (size_t i = 0; i < sizeof(v.guard); i++)
		assert_int_equal(v.guard[i], 0x5a);
}

/* ---- what a template may say ---- */

static struct cpuid_list told, other;
static struct err e;

static void tell(unsigned index, unsigned nr)
{
	fill(&told, ~0u);
	cpuid_edit(&told, index, nr);
	e = (struct err){ 0 };
}

static void refused(const char *word)
{
	assert_true(cpuid_check(told.entry, told.nent, &e) < 0);
	if (!strstr(e.msg, word))
		fail_msg("'%s' does not say '%s'", e.msg, word);
	assert_null(strchr(e.msg, '\n'));
}

static void check_made(void)
{
	if (cpuid_check(told.entry, told.nent, &e))
		fail_msg("%s", e.msg);
}

/* Whatever the host has, what is made of it is what may be said. */
static void test_made_is_allowed(void **state)
{
	(void)state;
	tell(3, 4);
	check_made();
	fill_big(&told);
	cpuid_edit(&told, 0, 8);
	check_made();
	fill_xsave(&told);
	cpuid_edit(&told, 0, 1);
	check_made();
	fill(&told, 0);
	cpuid_edit(&told, 0, 1);
	check_made();
}

/* Each bit of each register that a rule clears. */
static void test_no_other_bit(void **state)
{
	(void)state;
	tell(0, 1);
	for (unsigned i = 0; i < told.nent; i++) {
		struct kvm_cpuid_entry2 *c = &told.entry[i], was = *c;
		uint32_t *reg[4] = { &c->eax, &c->ebx, &c->ecx, &c->edx };
		const struct cpuid_rule *r;

		r = cpuid_find_rule(c->function, c->index);
		for (unsigned bit = 0; bit < 128; bit++) {
			*reg[bit / 32] |= BIT(bit % 32);
			if (r->may[bit / 32] & BIT(bit % 32))
				check_made();
			else
				refused("which no guest of this husk has");
			*c = was;
		}
	}
}

static void test_no_other_leaf(void **state)
{
	static const uint32_t leaves[][2] = {
		{ 0x3, 0 },	   { 0xa, 0 },	      { 0x12, 1 },
		{ 0x1c, 0 },	   { 0x24, 0 },	      { 0xd, 9 },
		{ 0xd, 11 },	   { 0x7, 3 },	      { 0x1, 1 },
		{ 0x40000002, 0 }, { 0x8000000a, 0 }, { 0x80000022, 0 },
		{ 0xc0000001, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
		char word[40];

		tell(0, 1);
		add(&told, leaves[i][0], leaves[i][1], 1, 0, 0, 0);
		snprintf(word, sizeof(word), "CPUID 0x%x.%u,", leaves[i][0],
			 leaves[i][1]);
		refused(word);
	}
}

/* Which entry KVM takes is not to be guessed. */
static void test_ambiguous(void **state)
{
	(void)state;
	tell(0, 1);
	add(&told, 0x80000001, 0, 0, 0, 1, 0);
	refused("0x80000001.0 twice");
	tell(0, 1);
	told.entry[told.nent - 1].flags ^= KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
	refused("CPUID 0xb.2");
	tell(0, 1);
	told.entry[0].flags |= KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
	refused("CPUID 0x0.0");
}

static int same(void)
{
	return cpuid_same(told.entry, told.nent, other.entry, other.nent, &e);
}

static void test_one_machine(void **state)
{
	(void)state;
	tell(1, 4);
	other = told;
	tell(0, 4);
	assert_int_equal(same(), 0);
	for (unsigned i = 0; i < other.nent; i++) {
		other.entry[i].ecx ^= 4;
		assert_true(same() < 0);
		assert_non_null(strstr(e.msg, "differ in CPUID 0x"));
		other.entry[i].ecx ^= 4;
	}
	other.nent--;
	assert_true(same() < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_forced),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_xsave),
		cmocka_unit_test(test_topology),
		cmocka_unit_test(test_old),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_made_is_allowed),
		cmocka_unit_test(test_no_other_bit),
		cmocka_unit_test(test_no_other_leaf),
		cmocka_unit_test(test_ambiguous),
		cmocka_unit_test(test_one_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
