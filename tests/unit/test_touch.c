// SPDX-License-Identifier: MIT
/* LINK: vmm/arch/x86_64/touch.c */
/*
 * The list that the touching guest walks; tests/raw/raw_touch.c runs it.
 */
#include "arch/arch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIST 32u
#define FIT  507u

static uint8_t page[GMEM_PAGE];

static uint32_t word(unsigned entry, unsigned half)
{
	uint32_t w;

	memcpy(&w, page + LIST + entry * 8 + half * 4, sizeof(w));
	return w;
}

static void addresses_and_an_end(void **unused)
{
	const struct arch_pages p[] = { { 5, 1 }, { 0xbffff, 1 } };

	(void)unused;
	memset(page, 0xff, sizeof(page));
	assert_int_equal(arch_touch_fill(page, p, 2), 2);
	assert_int_equal(word(0, 0), 0x5000);
	assert_int_equal(word(0, 1), 1);
	assert_int_equal(word(1, 0), 0xbffff000);
	assert_int_equal(word(1, 1), 1);
	assert_int_equal(word(2, 1), 0);
	/* It begins with what loads from the list, and is not over yet. */
	assert_int_equal(page[0], 0xad);
	assert_int_equal(arch_touch_fill(page, p, 0), 0);
	assert_int_equal(word(0, 1), 0);
}

static void no_more_than_fit(void **unused)
{
	struct arch_pages *p = calloc(2 * FIT, sizeof(*p));
	unsigned i;

	(void)unused;
	assert_non_null(p);
	for (i = 0; i < 2 * FIT; i++)
		p[i] = (struct arch_pages){ i, i + 1 };
	assert_int_equal(arch_touch_fill(page, p, 2 * FIT), FIT);
	assert_int_equal(word(FIT - 1, 1), FIT);
	assert_int_equal(word(FIT, 1), 0);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_and_an_end),
		cmocka_unit_test(no_more_than_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
