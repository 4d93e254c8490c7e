// SPDX-License-Identifier: MIT
/* LINK: */
/*
 * The JSON writer: exact output for structure, numbers, escapes and cuts, and
 * each size of buffer for its end.
 */
#include "lib/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void write_sample(struct json *j, char *buf, size_t size)
{
	json_init(j, buf, size);
	json_begin(j, NULL, '{');
	json_uint(j, "u", UINT64_MAX);
	json_int(j, "i", INT64_MIN);
	json_begin(j, "o", '{');
	json_end(j, '}');
	json_begin(j, "a", '[');
	json_bool(j, NULL, true);
	json_bool(j, NULL, false);
	json_null(j, NULL);
	json_begin(j, NULL, '[');
	json_uint(j, NULL, 0);
	json_end(j, ']');
	json_string(j, NULL, "s", 10);
	json_end(j, ']');
	json_string(j, "n", NULL, 10);
	json_end(j, '}');
}

static const char sample[] = "{\"u\":18446744073709551615,"
			     "\"i\":-9223372036854775808,\"o\":{},"
			     "\"a\":[true,false,null,[0],\"s\"],\"n\":null}";

static void test_structure(void **state)
{
	struct json j;
	char buf[256];

	(void)state;
	write_sample(&j, buf, sizeof(buf));
	assert_string_equal(buf, sample);
	assert_true(text_is_whole(&j.text));
}

static void test_every_size(void **state)
{
	(void)state;
	for (size_t size = 1; size <= sizeof(sample); size++) {
		char *buf = malloc(size);
		struct json j;

		assert_non_null(buf);
		write_sample(&j, buf, size);
		assert_int_equal(strlen(buf), size - 1);
		assert_memory_equal(buf, sample, size - 1);
		assert_int_equal(j.text.wanted, sizeof(sample) - 1);
		free(buf);
	}
}

static const struct {
	const char *value;
	size_t max;
	const char *json;
} strings[] = {
	{"", 3, "\"\""},
	{"plain", 64, "\"plain\""},
	{"\"\\/", 64, "\"\\\"\\\\/\""},
	{"\b\f\n\r\t", 64, "\"\\b\\f\\n\\r\\t\""},
	{"\x01\x1f\x7f", 64, "\"\\u0001\\u001f\\u007f\""},
	{"\xc2\x80\xc2\x9f\xc2\xa0", 64, "\"\\u0080\\u009f\xc2\xa0\""},
	{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 64,
	 "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
	{"\xe2\x80\xae\xf3\xa0\x81\x81", 64, "\"\\u202e\\udb40\\udc41\""},
	{"\xff", 64, "\"\\ufffd\""},
	{"a\xe2\x82", 64, "\"a\\ufffd\\ufffd\""},
	{"\xed\xa0\x80", 64, "\"\\ufffd\\ufffd\\ufffd\""},
	{"\xc0\x80", 64, "\"\\ufffd\\ufffd\""},
	/* Cuts: what just fits is whole, one byte more is not. */
	{"abcdef", 6, "\"abcdef\""},
	{"abcdefg", 6, "\"abc...\""},
	{"abcdefg", 3, "\"...\""},
	{"ab\xe2\x82\xac", 5, "\"ab\xe2\x82\xac\""},
	{"ab\xe2\x82\xac"
	 "c",
	 5, "\"ab...\""},
	{"a\n\n\n\n", 8, "\"a\\n\\n...\""},
	{"\xff\xff\xff", 15, "\"\\ufffd\\ufffd...\""},
	{"\xff\xff\xff", 14, "\"\\ufffd...\""},
};

static void test_strings(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		char buf[100];
		struct json j;

		json_init(&j, buf, sizeof(buf));
		json_string(&j, NULL, strings[i].value, strings[i].max);
		assert_string_equal(buf, strings[i].json);
		assert_true(strlen(buf) <= strings[i].max + 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structure),
		cmocka_unit_test(test_every_size),
		cmocka_unit_test(test_strings),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
