// SPDX-License-Identifier: MIT
/* LINK: rootfs-builder/tar/sparse.c rootfs-builder/tar/pax_codec.c */
/* LINK: rootfs-builder/tar/gunzip.c rootfs-builder/tar/stream.c */
/* LINK: rootfs-builder/terminal/interrupt.c rootfs-builder/terminal/quote.c */
/* LIBS: -lz */
/* What the archive reader is made of: codecs, sparse maps, gzip, quoting. */
#include "tar/pax_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <zlib.h>

#include "tar/gunzip.h"
#include "tar/sparse.h"
#include "terminal/quote.h"

struct time_case {
	const char *text;
	int rc;
	int64_t sec;
	uint32_t ns;
};

static void test_time(void **state)
{
	static const struct time_case cases[] = {
		{ "0", 0, 0, 0 },
		{ "12.5", 0, 12, 500000000 },
		{ "12.", 0, 12, 0 },
		{ "1.000000001", 0, 1, 1 },
		{ "1.0000000019", 0, 1, 1 },
		{ "-1", 0, -1, 0 },
		{ "-1.5", 0, -2, 500000000 },
		{ "-0.25", 0, -1, 750000000 },
		{ "-1.0000000001", 0, -2, 999999999 },
		{ "-0.9999999999", 0, -1, 0 },
		{ "9223372036854775807", 0, INT64_MAX, 0 },
		{ "9223372036854775808", -EINVAL, 7, 7 },
		{ "", -EINVAL, 7, 7 },
		{ "-", -EINVAL, 7, 7 },
		{ ".5", -EINVAL, 7, 7 },
		{ "1.5x", -EINVAL, 7, 7 },
		{ "1e3", -EINVAL, 7, 7 },
		{ " 1", -EINVAL, 7, 7 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct time_case *c = &cases[i];
		uint32_t ns = 7;
		int64_t sec = 7;
		int rc = pax_parse_time(c->text, &sec, &ns);

		if (rc != c->rc || sec != c->sec || ns != c->ns)
			fail_msg("'%s': %d, %lld.%u", c->text, rc,
				 (long long)sec, ns);
	}
}

static void test_url(void **state)
{
	char good[] = "user.%41%7e%c3%BC%";
	char short_one[] = "a%4";
	char zero[] = "a%00b";

	(void)state;
	good[sizeof(good) - 2] = '\0';
	assert_int_equal(pax_decode_url(good), 0);
	assert_string_equal(good, "user.A~\303\274");
	assert_int_equal(pax_decode_url(short_one), -EINVAL);
	assert_int_equal(pax_decode_url(zero), -EINVAL);
}

static void check_base64(const char *text, int rc, const char *want, size_t n)
{
	char buf[64];
	size_t out = 99;

	memcpy(buf, text, strlen(text) + 1);
	assert_int_equal(pax_decode_base64(buf, strlen(text), &out), rc);
	if (rc)
		return;
	assert_int_equal(out, n);
	assert_memory_equal(buf, want, n);
}

static void test_base64(void **state)
{
	(void)state;
	check_base64("", 0, "", 0);
	check_base64("AA==", 0, "\0", 1);
	check_base64("AA", 0, "\0", 1);
	check_base64("aGVsbG8=", 0, "hello", 5);
	check_base64("+/+/", 0, "\373\377\277", 3);
	check_base64("A", -EINVAL, NULL, 0);
	check_base64("aGVs*G8=", -EINVAL, NULL, 0);
	check_base64("aG=sbG8=", -EINVAL, NULL, 0);
}

static void test_sparse_map(void **state)
{
	struct sparse_map m = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sparse_map_add(&m, 10, 5, &e), 0);
	assert_int_equal(sparse_map_add(&m, 15, 0, &e), 0);
	assert_int_equal(m.n, 1);
	assert_int_equal(sparse_map_add(&m, 14, 1, &e), -EINVAL);
	assert_int_equal(sparse_map_add(&m, 20, UINT64_MAX - 10, &e), -EINVAL);
	assert_int_equal(sparse_map_add(&m, 15, 1, &e), 0);
	assert_int_equal(sparse_map_check(&m, 16, 6, &e), 0);
	assert_int_equal(sparse_map_check(&m, 15, 6, &e), -EINVAL);
	assert_int_equal(sparse_map_check(&m, 16, 5, &e), -EINVAL);
	sparse_map_free(&m);
	assert_int_equal(sparse_map_check(&m, 0, 0, &e), 0);
}

static void test_sparse_limit(void **state)
{
	struct sparse_map m = { 0 };
	struct err e = { 0 };
	uint64_t i;

	(void)state;
	for (i = 0; i < SPARSE_MAX; i++)
		assert_int_equal(sparse_map_add(&m, i * 2, 1, &e), 0);
	assert_int_equal(sparse_map_add(&m, i * 2, 1, &e), -EINVAL);
	sparse_map_free(&m);
}

/* One gzip member of n bytes; returns its length. */
static size_t pack(const void *p, size_t n, uint8_t *out, size_t max)
{
	z_stream z = { 0 };

	assert_int_equal(
		deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY),
		Z_OK);
	z.next_in = (Bytef *)(uintptr_t)p;
	z.avail_in = (uInt)n;
	z.next_out = out;
	z.avail_out = (uInt)max;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return max - z.avail_out;
}

/* Unpacks all; what came out is in buf, its length or the error returned. */
static ssize_t unpack(const uint8_t *p, size_t n, char *buf, size_t max,
		      struct err *e)
{
	struct stream *s = gunzip_open(stream_open_mem(p, n, e), e);
	ssize_t got = stream_read_full(s, buf, max, e);

	stream_close(s);
	return got;
}

static void test_gunzip(void **state)
{
	uint8_t gz[256] = { 0 };
	struct err e = { 0 };
	char out[64];
	size_t a, b, i;

	(void)state;
	a = pack("hello ", 6, gz, sizeof(gz));
	b = a + pack("world", 5, gz + a, sizeof(gz) - a);
	assert_int_equal(unpack(gz, a, out, sizeof(out), &e), 6);
	assert_int_equal(unpack(gz, b, out, sizeof(out), &e), 11);
	assert_memory_equal(out, "hello world", 11);
	/* Zeros behind it are tape padding. */
	assert_int_equal(unpack(gz, b + 20, out, sizeof(out), &e), 11);
	/* Cut anywhere but between members it is an error. */
	for (i = 1; i < b; i++) {
		ssize_t got = unpack(gz, i, out, sizeof(out), &e);

		assert_int_equal(got, i == a ? 6 : -EINVAL);
	}
	assert_string_equal(e.msg, "gzip: data is truncated");
	gz[b + 3] = 'x';
	assert_int_equal(unpack(gz, b + 4, out, sizeof(out), &e), -EINVAL);
	assert_string_equal(e.msg, "gzip: garbage after the compressed data");
}

/* Each changed byte of the data or its check sums is noticed. */
static void test_gunzip_corrupt(void **state)
{
	uint8_t gz[256] = { 0 };
	struct err e = { 0 };
	char out[64];
	size_t n, i;

	(void)state;
	n = pack("hello hello hello", 17, gz, sizeof(gz));
	/* Behind the header: time, flags and system may be anything. */
	for (i = 10; i < n; i++) {
		gz[i] ^= 0x55;
		assert_int_equal(unpack(gz, n, out, sizeof(out), &e), -EINVAL);
		gz[i] ^= 0x55;
	}
}

static void test_quote(void **state)
{
	char long_name[600];
	struct quoted q;

	(void)state;
	assert_string_equal(quote_name("plain name").s, "plain name");
	assert_string_equal(quote_name("a\nb\033[31m\\\x7f").s,
			    "a\\012b\\033[31m\\134\\177");
	assert_string_equal(quote_name("\303\274").s, "\303\274");
	memset(long_name, '\n', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	q = quote_name(long_name);
	assert_true(strlen(q.s) < sizeof(q.s));
	assert_string_equal(q.s + strlen(q.s) - 7, "\\012...");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_url),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_sparse_map),
		cmocka_unit_test(test_sparse_limit),
		cmocka_unit_test(test_gunzip),
		cmocka_unit_test(test_gunzip_corrupt),
		cmocka_unit_test(test_quote),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
