// SPDX-License-Identifier: MIT
/* LINK: */
/*
 * Bounded text and UTF-8. The buffers are exactly as long as they say, on the
 * heap, so that the address sanitizer sees a byte too many.
 */
#include "lib/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* For each size: the beginning that fits, the length that was wanted. */
static void test_every_size(void **state)
{
	static const char whole[] = "abc-42-def";

	(void)state;
	for (size_t size = 1; size < 20; size++) {
		char *buf = malloc(size), expected[sizeof(whole)];
		struct text t;

		assert_non_null(buf);
		text_init(&t, buf, size);
		assert_string_equal(buf, "");
		text_add(&t, "abc", 3);
		text_printf(&t, "-%d-", 42);
		text_add_clean(&t, "def");
		snprintf(expected,
			 size < sizeof(expected) ? size : sizeof(expected),
			 "%s", whole);
		assert_string_equal(buf, expected);
		assert_int_equal(text_len(&t), strlen(expected));
		assert_int_equal(t.wanted, sizeof(whole) - 1);
		assert_int_equal(text_is_whole(&t), size >= sizeof(whole));
		free(buf);
	}
}

static const struct {
	const char *bytes;
	size_t n, len;
} sequences[] = {
	{"a", 1, 1},
	{"", 1, 1}, /* NUL is a character */
	{"a", 0, 0},
	{"\xc3\xa9", 2, 2},
	{"\xc3\xa9", 1, 0}, /* cut */
	{"\xc3(", 2, 0},
	{"\x80", 1, 0},
	{"\xbf", 1, 0},
	{"\xc0\x80", 2, 0}, /* overlong */
	{"\xc1\xbf", 2, 0},
	{"\xc2\x80", 2, 2},
	{"\xdf\xbf", 2, 2},
	{"\xe0\x80\x80", 3, 0},
	{"\xe0\x9f\xbf", 3, 0},
	{"\xe0\xa0\x80", 3, 3},
	{"\xe2\x82\xac", 3, 3},
	{"\xe2\x82\xac", 2, 0},
	{"\xed\x9f\xbf", 3, 3},
	{"\xed\xa0\x80", 3, 0}, /* surrogate */
	{"\xed\xbf\xbf", 3, 0},
	{"\xee\x80\x80", 3, 3},
	{"\xef\xbf\xbf", 3, 3},
	{"\xf0\x80\x80\x80", 4, 0},
	{"\xf0\x8f\xbf\xbf", 4, 0},
	{"\xf0\x90\x80\x80", 4, 4},
	{"\xf4\x8f\xbf\xbf", 4, 4},
	{"\xf4\x90\x80\x80", 4, 0}, /* above U+10FFFF */
	{"\xf5\x80\x80\x80", 4, 0},
	{"\xf8\x88\x80\x80", 4, 0},
	{"\xff", 1, 0},
};

static void test_utf8(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++)
		if (text_utf8_len(sequences[i].bytes, sequences[i].n) !=
		    sequences[i].len)
			fail_msg("sequence %zu", i);
}

static void test_clean(void **state)
{
	static const char dirty[] = "a\tb\nc\033[31md\x7f\xc2\x9b"
				    "e\xc3\xa9\xff\xe2\x82";
	char buf[64];
	struct text t;

	(void)state;
	text_init(&t, buf, sizeof(buf));
	text_add_clean(&t, dirty);
	assert_string_equal(buf, "a?b?c?[31md??e\xc3\xa9???");
}

static void test_control(void **state)
{
	(void)state;
	assert_true(text_is_control("\n", 1));
	assert_true(text_is_control("\x7f", 1));
	assert_true(text_is_control("\xc2\x80", 2));
	assert_true(text_is_control("\xc2\x9f", 2));
	assert_false(text_is_control(" ", 1));
	assert_false(text_is_control("\xc2\xa0", 2));
	assert_false(text_is_control("\xc3\x80", 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_size),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_control),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
