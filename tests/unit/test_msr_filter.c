// SPDX-License-Identifier: MIT
/* LINK: vmm/arch/x86_64/msr_filter.c */
/*
 * The filter that KVM gets lets through what the list allows: each register
 * is looked up as KVM does it, and in the list.
 */
#include "arch/x86_64/msr_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

static bool is_listed(uint32_t index)
{
	const struct msr_range *r;

	for (r = msr_allowed; r->last; r++)
		if (index >= r->first && index <= r->last)
			return true;
	return false;
}

/* KVM: the first window that has it decides, else the default. */
static bool is_let_through(const struct msr_filter *f, uint32_t index)
{
	for (unsigned w = 0; w < KVM_MSR_FILTER_MAX_RANGES; w++) {
		const struct kvm_msr_filter_range *r = &f->kvm.ranges[w];
		uint32_t i = index - r->base;

		if (i < r->nmsrs)
			return r->bitmap[i / 8] >> i % 8 & 1;
	}
	return !(f->kvm.flags & KVM_MSR_FILTER_DEFAULT_DENY);
}

static void check(const struct msr_filter *f, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		if (is_let_through(f, i) != is_listed(i))
			fail_msg("MSR %#x: filter %d, list %d", i,
				 is_let_through(f, i), is_listed(i));
}

static void filter_is_the_list(void **unused)
{
	struct msr_filter f;

	(void)unused;
	msr_filter_build(&f);
	check(&f, 0, 0x20000);
	check(&f, 0x40000000, 0x40010000);
	check(&f, 0x4b560000, 0x4b570000);
	check(&f, 0xc0000000, 0xc0020000);
	assert_true(is_let_through(&f, 0x10));
	assert_true(is_let_through(&f, 0xc0000102));
	assert_true(is_let_through(&f, 0x47f));
	assert_false(is_let_through(&f, 0xc1)); /* a counter of the PMU */
	assert_false(is_let_through(&f, 0xc0010117)); /* VM_HSAVE_PA */
	assert_false(is_let_through(&f, 0x9c0));
}

/* Both ends of each row: none lies outside the windows. */
static void each_row_is_in_it(void **unused)
{
	const struct msr_range *r;
	struct msr_filter f;

	(void)unused;
	msr_filter_build(&f);
	for (r = msr_allowed; r->last; r++) {
		assert_true(is_let_through(&f, r->first));
		assert_true(is_let_through(&f, r->last));
		assert_true(!r[1].last || r[1].first > r->last);
	}
}

/* What KVM asks of each window, or it refuses the filter. */
static void kvm_would_take_it(void **unused)
{
	struct msr_filter f;

	(void)unused;
	msr_filter_build(&f);
	for (unsigned w = 0; w < KVM_MSR_FILTER_MAX_RANGES; w++) {
		const struct kvm_msr_filter_range *r = &f.kvm.ranges[w];

		assert_in_range(r->nmsrs, 0, MSR_WINDOW_MAX);
		assert_int_equal(!!r->nmsrs, !!r->bitmap);
		assert_int_equal(r->flags, r->nmsrs ? KVM_MSR_FILTER_READ |
				 KVM_MSR_FILTER_WRITE : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filter_is_the_list),
		cmocka_unit_test(each_row_is_in_it),
		cmocka_unit_test(kvm_would_take_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
