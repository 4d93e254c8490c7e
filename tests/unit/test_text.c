// SPDX-License-Identifier: MIT
/* LINK: */
/*
 * Bounded text and UTF-8. The buffers are exactly as long as they say, on the
 * heap, so that the address sanitizer sees a byte too many.
 */
#include "lib/text.h"

#include "lib/cleanup.h"
#include "lib/show.h"

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

static void test_numbers(void **state)
{
	static const struct {
		uint64_t value;
		const char *text;
	} rows[] = {
		{0, "0"},
		{10, "10"},
		{999, "999"},
		{UINT64_MAX, "18446744073709551615"},
	};
	char buf[24];
	struct text t;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		text_init(&t, buf, sizeof(buf));
		text_add_uint(&t, rows[i].value);
		assert_string_equal(buf, rows[i].text);
	}
	text_init(&t, buf, 3);
	text_add_uint(&t, 1234);
	assert_string_equal(buf, "12");
	assert_int_equal(t.wanted, 4);
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
	static const char dirty[] = "a\tb\nc\033[31md\x7f\xc2\x9b\x9b"
				    "e\xc3\xa9\xff\xe2\x82\\ "
				    "\xe2\x80\xaeoff\xe2\x80\xa8";
	static const char clean[] =
		"a\\011b\\012c\\033[31md\\177\\302\\233\\233"
		"e\xc3\xa9\\377\\342\\202\\ "
		"\\342\\200\\256off\\342\\200\\250";
	char buf[200];
	struct text t;

	(void)state;
	text_init(&t, buf, sizeof(buf));
	text_add_clean(&t, dirty);
	assert_string_equal(buf, clean);
	/* What is clean stays, so that a line may quote names. */
	text_init(&t, buf, sizeof(buf));
	text_add_clean(&t, clean);
	assert_string_equal(buf, clean);
	text_init(&t, buf, sizeof(buf));
	text_add_name(&t, "a\\\n\xc3\xa9");
	assert_string_equal(buf, "a\\134\\012\xc3\xa9");
}

/* Neither half a character nor half an escape at the end of a buffer. */
static void test_clean_cut(void **state)
{
	static const char *const ends[] = {
		"", "", ".", "..", "...", "\\233", "\\233.", "\\233\xc3\xa9",
	};

	(void)state;
	for (size_t size = 1; size < sizeof(ends) / sizeof(ends[0]); size++) {
		char *buf = malloc(size);
		struct text t;

		assert_non_null(buf);
		text_init(&t, buf, size);
		text_add_clean(&t, "\x9b\xc3\xa9");
		assert_string_equal(buf, ends[size]);
		assert_int_equal(text_len(&t), size - 1);
		assert_int_equal(t.wanted, 6);
		free(buf);
	}
}

static const char *const unsafe[] = {
	"\n", "\x7f", "\xc2\x80", "\xc2\x9b", "\xc2\x9f",
	"\xc2\xad",		/* soft hyphen */
	"\xd8\x9c",		/* Arabic letter mark */
	"\xe2\x80\x8b",	/* zero width space */
	"\xe2\x80\x8f",	/* right-to-left mark */
	"\xe2\x80\xa8",	/* line separator */
	"\xe2\x80\xae",	/* right-to-left override */
	"\xe2\x81\xa6",	/* left-to-right isolate */
	"\xef\xbb\xbf",	/* byte order mark */
	"\xf3\xa0\x81\x81",	/* a tag */
};

static const char *const safe[] = {
	" ", "~", "\xc2\xa0", "\xc3\x80",
	"\xd8\xa7",		/* alef */
	"\xe2\x80\x8d",	/* joins the parts of an emoji */
	"\xe2\x80\xaf", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
};

static void test_unsafe(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(unsafe) / sizeof(unsafe[0]); i++)
		if (!text_is_unsafe(unsafe[i], strlen(unsafe[i])))
			fail_msg("unsafe %zu", i);
	for (i = 0; i < sizeof(safe) / sizeof(safe[0]); i++)
		if (text_is_unsafe(safe[i], strlen(safe[i])))
			fail_msg("safe %zu", i);
	assert_int_equal(text_utf8_code("\xf3\xa0\x81\x81", 4), 0xe0041);
	assert_int_equal(text_utf8_code("\xe2\x80\xae", 3), 0x202e);
	assert_int_equal(text_utf8_code("\xc2\x9b", 2), 0x9b);
}

/* The doors to people: each line has one newline, its own. */
static void test_show(void **state)
{
	static const char want[] = "a\\033\\012b \\302\\233\n"
				   "<x\\134\\000\\233>\n\033[m";
	auto_free char *got = NULL;
	size_t len;
	FILE *f = open_memstream(&got, &len);

	(void)state;
	assert_non_null(f);
	show(f, "%s", "a\033\n");
	show_line(f, "b %s", "\xc2\x9b");
	show(f, "<");
	show_name(f, "x\\\0\x9b", 4);
	show_line(f, ">");
	show_raw(f, "\033[m");
	fclose(f);
	assert_int_equal(len, sizeof(want) - 1);
	assert_memory_equal(got, want, len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_size),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_clean_cut),
		cmocka_unit_test(test_unsafe),
		cmocka_unit_test(test_show),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
