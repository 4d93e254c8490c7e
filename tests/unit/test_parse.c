// SPDX-License-Identifier: MIT
/* LINK: */
/*
 * Numbers: a table for each of the three kinds. A refused text must leave the
 * output alone, so each case starts from a value that no text gives.
 */
#include "lib/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#define UNTOUCHED 0x5a5a5a5a5a5a5a5aull
#define MS	  1000000ull
#define SECOND	  1000000000ull

struct number {
	const char *text;
	int r;
	uint64_t value; /* when r is 0 */
};

typedef int (*parse_fn)(const char *s, uint64_t min, uint64_t max,
			uint64_t *out);

static void run_table(parse_fn parse, const struct number *n, size_t nr)
{
	for (; nr; n++, nr--) {
		uint64_t v = UNTOUCHED;
		int r = parse(n->text, 0, UINT64_MAX, &v);

		if (r != n->r || v != (r ? UNTOUCHED : n->value))
			fail_msg("'%s': %d, %llu", n->text, r,
				 (unsigned long long)v);
	}
}

static const struct number uints[] = {
	{"0", 0, 0},
	{"00", 0, 0},
	{"7", 0, 7},
	{"007", 0, 7},
	{"18446744073709551615", 0, UINT64_MAX},
	{"18446744073709551616", -ERANGE, 0},
	{"99999999999999999999999", -ERANGE, 0},
	{"", -EINVAL, 0},
	{" 1", -EINVAL, 0},
	{"1 ", -EINVAL, 0},
	{"+1", -EINVAL, 0},
	{"-1", -EINVAL, 0},
	{"0x10", -EINVAL, 0},
	{"1.0", -EINVAL, 0},
	{"1e3", -EINVAL, 0},
	{"1K", -EINVAL, 0},
};

static const struct number sizes[] = {
	{"0", 0, 0},
	{"1", 0, 1},
	{"1B", 0, 1},
	{"1K", 0, 1024},
	{"1KB", 0, 1024},
	{"1KiB", 0, 1024},
	{"128M", 0, 128ull << 20},
	{"3G", 0, 3ull << 30},
	{"2TiB", 0, 2ull << 40},
	{"16777215T", 0, 16777215ull << 40},
	{"16777216T", -ERANGE, 0},
	{"18446744073709551616", -ERANGE, 0},
	{"", -EINVAL, 0},
	{"M", -EINVAL, 0},
	{"1m", -EINVAL, 0},
	{"1 M", -EINVAL, 0},
	{"1.5M", -EINVAL, 0},
	{"1MM", -EINVAL, 0},
	{"1P", -EINVAL, 0},
	{"-1M", -EINVAL, 0},
};

static const struct number durations[] = {
	{"0", 0, 0},
	{"1", 0, SECOND},
	{"1s", 0, SECOND},
	{"1.5s", 0, 1500 * MS},
	{"1.5", 0, 1500 * MS},
	{"1.", 0, SECOND},
	{"200ms", 0, 200 * MS},
	{"0.5ms", 0, 500000},
	{"10us", 0, 10000},
	{"7ns", 0, 7},
	{"2m", 0, 120 * SECOND},
	{"1.5m", 0, 90 * SECOND},
	{"1h", 0, 3600 * SECOND},
	{"0.000000001", 0, 1},
	{"0.0000000019", 0, 1},
	{"0.999999999s", 0, SECOND - 1},
	{"0.9ns", 0, 0},
	{"18446744073", 0, 18446744073 * SECOND},
	{"18446744073.709551615", 0, UINT64_MAX},
	{"18446744073.709551616", -ERANGE, 0},
	{"18446744074", -ERANGE, 0},
	{"99999999999999999999s", -ERANGE, 0},
	{"", -EINVAL, 0},
	{".5s", -EINVAL, 0},
	{"s", -EINVAL, 0},
	{"1..5s", -EINVAL, 0},
	{"1.5.5s", -EINVAL, 0},
	{"1d", -EINVAL, 0},
	{"1 s", -EINVAL, 0},
	{"1,5s", -EINVAL, 0},
	{"-1s", -EINVAL, 0},
	{"1S", -EINVAL, 0},
	{"inf", -EINVAL, 0},
};

static void test_uint(void **state)
{
	(void)state;
	run_table(parse_uint, uints, sizeof(uints) / sizeof(uints[0]));
}

static void test_size(void **state)
{
	(void)state;
	run_table(parse_size, sizes, sizeof(sizes) / sizeof(sizes[0]));
}

static void test_duration(void **state)
{
	(void)state;
	run_table(parse_duration, durations,
		  sizeof(durations) / sizeof(durations[0]));
}

/* Both bounds belong to the range. */
static void test_range(void **state)
{
	static const parse_fn parsers[] = {parse_uint, parse_size,
					   parse_duration};
	static const uint64_t unit[] = {1, 1, SECOND};
	static const struct {
		const char *text;
		int r;
	} cases[] = {{"4", -ERANGE}, {"5", 0}, {"9", 0}, {"10", -ERANGE}};

	(void)state;
	for (size_t p = 0; p < 3; p++) {
		for (size_t i = 0; i < 4; i++) {
			uint64_t v = UNTOUCHED;

			assert_int_equal(parsers[p](cases[i].text, 5 * unit[p],
						    9 * unit[p], &v),
					 cases[i].r);
			if (cases[i].r)
				assert_true(v == UNTOUCHED);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uint),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_range),
	};

	return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
