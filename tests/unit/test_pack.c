// SPDX-License-Identifier: MIT
/*
 * Packing: what goes in comes out, and the end of a buffer is never passed.
 */
#include "lib/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_round_trip(void **state)
{
	uint8_t buf[32];
	struct pack p;
	struct unpack u;
	char text[3];

	(void)state;
	pack_init(&p, buf, sizeof(buf));
	pack_u8(&p, 0xfe);
	pack_u16(&p, 0xfedc);
	pack_u32(&p, 0xfedcba98);
	pack_u64(&p, 0xfedcba9876543210);
	pack_bool(&p, true);
	pack_bytes(&p, "abc", 3);
	assert_false(p.failed);
	assert_int_equal(p.len, 1 + 2 + 4 + 8 + 1 + 3);
	unpack_init(&u, buf, p.len);
	assert_int_equal(unpack_u8(&u), 0xfe);
	assert_int_equal(unpack_u16(&u), 0xfedc);
	assert_int_equal(unpack_u32(&u), 0xfedcba98);
	assert_true(unpack_u64(&u) == 0xfedcba9876543210);
	assert_false(unpack_is_done(&u));
	assert_true(unpack_bool(&u));
	unpack_bytes(&u, text, sizeof(text));
	assert_memory_equal(text, "abc", 3);
	assert_true(unpack_is_done(&u));
}

static void test_full(void **state)
{
	uint8_t buf[4] = { 0 };
	struct pack p;

	(void)state;
	pack_init(&p, buf, 3);
	pack_u16(&p, 1);
	pack_u16(&p, 2);
	assert_true(p.failed);
	assert_int_equal(p.len, 2);
	/* What came after a failure is not written, even where it would fit. */
	pack_u8(&p, 7);
	assert_int_equal(buf[2], 0);
}

static void test_short(void **state)
{
	const uint8_t buf[3] = { 1, 2, 3 };
	struct unpack u;

	(void)state;
	unpack_init(&u, buf, sizeof(buf));
	assert_int_equal(unpack_u32(&u), 0);
	assert_true(u.failed);
	assert_int_equal(unpack_u8(&u), 0);
	assert_false(unpack_is_done(&u));
}

static void test_bad_bool(void **state)
{
	const uint8_t buf[1] = { 2 };
	struct unpack u;

	(void)state;
	unpack_init(&u, buf, sizeof(buf));
	assert_false(unpack_bool(&u));
	assert_true(u.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_bad_bool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
