// SPDX-License-Identifier: MIT
/* LINK: rootfs-builder/tar/tar.c rootfs-builder/tar/header.c */
/* LINK: rootfs-builder/tar/sparse.c rootfs-builder/tar/pax.c */
/* LINK: rootfs-builder/tar/pax_codec.c rootfs-builder/tar/stream.c */
/* LINK: rootfs-builder/terminal/interrupt.c rootfs-builder/terminal/quote.c */
/*
 * The archive reader by what it tells its handler: each archive is read once
 * whole and once byte by byte, and both must give the same words.
 */
#include "tar/tar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>

#include "lib/text.h"
#include "tar/header.h"
#include "tar_make.h"

#define MAX 65536

struct record {
	char words[MAX];
	struct text t;
	struct err e;
	int rc;
};

static int on_entry(void *ctx, const struct tar_entry *t, struct err *e)
{
	static const char kinds[] = "flscbdp";
	struct record *r = ctx;
	size_t i;

	(void)e;
	text_printf(&r->t, "%c %s %s %llu %o %u:%u %lld.%09u %u,%u",
		    kinds[t->type], t->path, t->target,
		    (unsigned long long)t->size, t->mode, t->uid, t->gid,
		    (long long)t->mtime, t->mtime_ns, t->dev_major,
		    t->dev_minor);
	for (i = 0; i < t->xattr_n; i++)
		text_printf(&r->t, " %s=%.*s", t->xattrs[i].name,
			    (int)t->xattrs[i].len,
			    (const char *)t->xattrs[i].value);
	text_printf(&r->t, "\n");
	return 0;
}

/* Bytes with their offset, so that how they were cut does not show. */
static int on_data(void *ctx, uint64_t off, const void *buf, size_t len,
		   uint64_t pos, struct err *e)
{
	const char *p = buf;
	struct record *r = ctx;
	size_t i;

	(void)e;
	for (i = 0; i < len; i++)
		text_printf(&r->t, "%llu/%llu:%c ",
			    (unsigned long long)(off + i),
			    (unsigned long long)(pos + i), p[i]);
	return 0;
}

static int on_finish(void *ctx, struct err *e)
{
	struct record *r = ctx;

	(void)e;
	text_printf(&r->t, "end\n");
	return 0;
}

static const struct tar_handler handler = { on_entry, on_data, on_finish };

/* A stream that gives one byte at a time. */
struct drip {
	struct stream base;
	struct stream *from;
};

static ssize_t drip_read(struct stream *s, void *buf, size_t n, struct err *e)
{
	(void)n;
	return stream_read(((struct drip *)s)->from, buf, 1, e);
}

static void drip_close(struct stream *s)
{
	stream_close(((struct drip *)s)->from);
}

static const struct stream_ops drip_ops = { drip_read, drip_close };

static void read_archive(const void *p, size_t n, bool drip, struct record *r)
{
	struct stream *s = stream_open_mem(p, n, &r->e);

	if (drip) {
		struct drip *d = calloc(1, sizeof(*d));

		d->base.ops = &drip_ops;
		d->from = s;
		s = &d->base;
	}
	r->e = (struct err){ 0 };
	text_init(&r->t, r->words, sizeof(r->words));
	r->rc = tar_read(s, &handler, r, &r->e);
	assert_true(text_is_whole(&r->t));
	stream_close(s);
}

static struct tarmake tm;

/* The archive in tm gives these words, or ends with this error. */
static void expect(const char *words, const char *error)
{
	static struct record whole, drip;

	read_archive(tm.b, tm.n, false, &whole);
	read_archive(tm.b, tm.n, true, &drip);
	tm.n = 0;
	assert_string_equal(whole.e.msg, error ? error : "");
	assert_int_equal(whole.rc, -whole.e.code);
	assert_string_equal(whole.words, words);
	assert_string_equal(drip.words, words);
	assert_string_equal(drip.e.msg, whole.e.msg);
}

struct number {
	const char *field;
	size_t len;
	int rc;
	int64_t value;
};

static void test_numbers(void **state)
{
	static const struct number numbers[] = {
		{ "0000644\0", 8, 0, 0644 },
		{ "   644 \0", 8, 0, 0644 },
		{ "77777777", 8, 0, 077777777 },
		{ "\0\0\0\0\0\0\0\0", 8, 0, 0 },
		{ "        ", 8, 0, 0 },
		{ "0000648\0", 8, -EINVAL, 0 },
		{ "-000001\0", 8, -EINVAL, 0 },
		{ "0x10\0\0\0\0", 8, -EINVAL, 0 },
		{ "12 34\0\0\0", 8, 0, 012 },
		{ "\x80\0\0\0\0\0\1\2", 8, 0, 0x102 },
		{ "\xff\xff\xff\xff\xff\xff\xff\xff", 8, 0, -1 },
		{ "\xff\xff\xff\xff\xff\xff\xff\0", 8, 0, -256 },
		{ "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12, 0,
		  INT64_MAX },
		{ "\x80\0\0\0\x80\0\0\0\0\0\0\0", 12, -EINVAL, 0 },
		{ "\x80\0\0\1\0\0\0\0\0\0\0\0", 12, -EINVAL, 0 },
		{ "\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", 12, 0, INT64_MIN },
		{ "\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 12,
		  -EINVAL, 0 },
		{ "777777777777", 12, 0, 0777777777777 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		const struct number *n = &numbers[i];
		int64_t v = 42;
		int rc = tar_number((const uint8_t *)n->field, n->len, &v);

		if (rc != n->rc || v != (rc ? 42 : n->value))
			fail_msg("number %zu: %d, %lld", i, rc, (long long)v);
	}
}

static void test_types(void **state)
{
	uint8_t *h;

	(void)state;
	tm_file(&tm, "a/file", "hi");
	tm_head(&tm, '\0', "v7/", 0);
	tm_head(&tm, '7', "contiguous", 0);
	tm_head(&tm, '5', "dir/", 512); /* POSIX: no data all the same */
	memcpy(tm_head(&tm, '1', "hard", 77) + 157, "a/file", 6);
	tm_sum(tm.b + tm.n - 512);
	memcpy(tm_head(&tm, '2', "soft", 0) + 157, "../x", 4);
	tm_sum(tm.b + tm.n - 512);
	h = tm_head(&tm, '3', "char", 0);
	tm_octal(h + 329, 8, 4);
	tm_octal(h + 337, 8, 64);
	tm_sum(h);
	tm_head(&tm, '4', "block", 0);
	tm_head(&tm, '6', "fifo", 0);
	tm_head(&tm, 'V', "volume", 0);
	tm_head(&tm, 'D', "dump", 3);
	tm_data(&tm, "Yx\0", 3);
	h = tm_head(&tm, '0', "name", 0);
	memcpy(h + 345, "in/prefix", 9);
	tm_sum(h);
	tm_end(&tm);
	expect("f a/file  2 644 1:2 100.000000000 0,0\n"
	       "0/512:h 1/513:i end\n"
	       "d v7/  0 644 1:2 100.000000000 0,0\n"
	       "f contiguous  0 644 1:2 100.000000000 0,0\nend\n"
	       "d dir/  0 644 1:2 100.000000000 0,0\n"
	       "l hard a/file 0 644 1:2 100.000000000 0,0\n"
	       "s soft ../x 0 644 1:2 100.000000000 0,0\n"
	       "c char  0 644 1:2 100.000000000 4,64\n"
	       "b block  0 644 1:2 100.000000000 0,0\n"
	       "p fifo  0 644 1:2 100.000000000 0,0\n"
	       "d dump  0 644 1:2 100.000000000 0,0\n"
	       "f in/prefix/name  0 644 1:2 100.000000000 0,0\nend\n",
	       NULL);
}

static void test_pax_values(void **state)
{
	(void)state;
	TM_PAX(&tm, 'g', "comment", "none", "uid", "7", "SCHILY.xattr.user.g",
	       "all");
	TM_PAX(&tm, 'x', "path", "long/name", "mtime", "-1.25", "gid",
	       "4000000000", "unknown.key", "x", "SCHILY.xattr.user.a", "one");
	tm_head(&tm, '0', "short", 0);
	tm_head(&tm, '0', "next", 0);
	TM_PAX(&tm, 'x', "uid", "", "mtime", "1.0000000009", "size", "1",
	       "LIBARCHIVE.xattr.user.b%20c", "aGk=", "SCHILY.xattr.user.g",
	       "mine");
	tm_head(&tm, '0', "last", 99);
	tm_data(&tm, "z", 1);
	tm_end(&tm);
	expect("f long/name  0 644 7:4000000000 -2.750000000 0,0 user.g=all "
	       "user.a=one\nend\n"
	       "f next  0 644 7:2 100.000000000 0,0 user.g=all\nend\n"
	       "f last  1 644 1:2 1.000000000 0,0 user.b c=hi user.g=mine\n"
	       "0/4608:z end\n",
	       NULL);
}

static void test_gnu_long(void **state)
{
	char name[300], target[400];
	static char words[2048];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	memset(target, 't', sizeof(target));
	target[sizeof(target) - 1] = '\0';
	tm_head(&tm, 'K', "././@LongLink", sizeof(target));
	tm_data(&tm, target, sizeof(target));
	tm_head(&tm, 'L', "././@LongLink", sizeof(name));
	tm_data(&tm, name, sizeof(name));
	tm_head(&tm, '2', "cut", 0);
	memcpy(tm.b + tm.n - 512 + 157, "x", 1);
	tm_sum(tm.b + tm.n - 512);
	tm_head(&tm, '5', "after", 0);
	tm_end(&tm);
	snprintf(words, sizeof(words),
		 "s %s %s 0 644 1:2 100.000000000 0,0\n"
		 "d after  0 644 1:2 100.000000000 0,0\n",
		 name, target);
	expect(words, NULL);
}

static void test_sparse_pax(void **state)
{
	(void)state;
	TM_PAX(&tm, 'x', "GNU.sparse.size", "10", "GNU.sparse.numblocks", "2",
	       "GNU.sparse.offset", "1", "GNU.sparse.numbytes", "2",
	       "GNU.sparse.offset", "6", "GNU.sparse.numbytes", "3");
	tm_file(&tm, "s", "abcde");
	tm_end(&tm);
	expect("f s  10 644 1:2 100.000000000 0,0\n"
	       "1/1536:a 2/1537:b 6/1538:c 7/1539:d 8/1540:e end\n",
	       NULL);
	TM_PAX(&tm, 'x', "GNU.sparse.size", "10", "GNU.sparse.name", "s",
	       "GNU.sparse.map", "1,2,6,3,10,0");
	tm_file(&tm, "GNUSparseFile.1/s", "abcde");
	tm_end(&tm);
	expect("f s  10 644 1:2 100.000000000 0,0\n"
	       "1/1536:a 2/1537:b 6/1538:c 7/1539:d 8/1540:e end\n",
	       NULL);
	TM_PAX(&tm, 'x', "GNU.sparse.major", "1", "GNU.sparse.minor", "0",
	       "GNU.sparse.name", "s", "GNU.sparse.realsize", "10");
	tm_head(&tm, '0', "GNUSparseFile.1/s", 512 + 5);
	tm_data(&tm, "2\n1\n2\n6\n3\n", 10);
	tm_data(&tm, "abcde", 5);
	tm_end(&tm);
	expect("f s  10 644 1:2 100.000000000 0,0\n"
	       "1/2048:a 2/2049:b 6/2050:c 7/2051:d 8/2052:e end\n",
	       NULL);
	TM_PAX(&tm, 'x', "GNU.sparse.size", "4096", "GNU.sparse.numblocks",
	       "0");
	tm_file(&tm, "holes", "");
	tm_end(&tm);
	expect("f holes  4096 644 1:2 100.000000000 0,0\nend\n", NULL);
}

/* A 1.0 map that goes on in a second block. */
static void test_sparse_long_map(void **state)
{
	static char map[4096];
	struct text t;
	int i;

	(void)state;
	text_init(&t, map, sizeof(map));
	text_printf(&t, "200\n");
	for (i = 0; i < 200; i++)
		text_printf(&t, "%d\n%d\n", i * 10, i == 199);
	TM_PAX(&tm, 'x', "GNU.sparse.major", "1", "GNU.sparse.minor", "0",
	       "GNU.sparse.name", "s", "GNU.sparse.realsize", "5000");
	tm_head(&tm, '0', "x", ((text_len(&t) + 511) & ~511ull) + 1);
	tm_data(&tm, map, text_len(&t));
	tm_data(&tm, "E", 1);
	tm_end(&tm);
	expect("f s  5000 644 1:2 100.000000000 0,0\n1990/3072:E end\n", NULL);
}

static void put_pair(uint8_t *p, uint64_t off, uint64_t len)
{
	tm_octal(p, 12, off);
	tm_octal(p + 12, 12, len);
}

/* Old GNU: four ranges in the header, the rest in a block behind it. */
static void test_sparse_old(void **state)
{
	uint8_t *h, *more;
	int i;

	(void)state;
	h = tm_head(&tm, 'S', "old", 6);
	memcpy(h + 257, "ustar  ", 8);
	for (i = 0; i < 4; i++)
		put_pair(h + 386 + 24 * i, (uint64_t)i * 100, 1);
	h[482] = 1;
	tm_octal(h + 483, 12, 1000);
	tm_sum(h);
	more = tm_more(&tm, 512);
	put_pair(more, 400, 1);
	put_pair(more + 24, 500, 1);
	tm_data(&tm, "abcdef", 6);
	tm_end(&tm);
	expect("f old  1000 644 1:2 100.000000000 0,0\n"
	       "0/1024:a 100/1025:b 200/1026:c 300/1027:d 400/1028:e "
	       "500/1029:f end\n",
	       NULL);
}

static void one_file(const char *key, const char *value, const char *error)
{
	TM_PAX(&tm, 'x', key, value);
	tm_file(&tm, "s", "abcde");
	tm_end(&tm);
	expect("", error);
}

static void sparse_file(const char *map, const char *error)
{
	TM_PAX(&tm, 'x', "GNU.sparse.size", "10", "GNU.sparse.map", map);
	tm_file(&tm, "s", "abcde");
	tm_end(&tm);
	expect("", error);
}

static void test_bad_pax(void **state)
{
	static const char eight_e[] = "9223372036854775808";

	(void)state;
	one_file("uid", "x", "extended header: bad value of 'uid'");
	one_file("uid", "-1", "extended header: bad value of 'uid'");
	one_file("uid", "4294967295", "entry 's': uid is out of range");
	one_file("size", eight_e, "extended header: bad value of 'size'");
	TM_PAX(&tm, 'x', "size", "9223372036854775807");
	tm_head(&tm, '0', "s", 0);
	expect("f s  9223372036854775807 644 1:2 100.000000000 0,0\n",
	       "entry 's': archive is truncated");
	one_file("mtime", "1e9", "extended header: bad value of 'mtime'");
	one_file("LIBARCHIVE.xattr.a%2", "aGk=",
		 "extended header: bad value of 'LIBARCHIVE.xattr.a%2'");
	one_file("GNU.sparse.major", "2",
		 "entry 's': unknown sparse format 2.0");
	one_file("GNU.sparse.offset", "1",
		 "extended header: sparse map is incomplete");
	sparse_file("1,2,2,3", "extended header: sparse map is out of order");
	sparse_file("1", "extended header: bad value of 'GNU.sparse.map'");
	sparse_file("1,2,6,5", "entry 's': sparse map goes past the end of "
			       "the file");
	sparse_file("1,2,6,2", "entry 's': sparse map does not match the "
			       "stored size");
}

/* Both forms have one name for those who refuse it; empty is none. */
static void test_acls(void **state)
{
	(void)state;
	TM_PAX(&tm, 'g', "SCHILY.acl.default", "d");
	TM_PAX(&tm, 'x', "SCHILY.acl.access", "a");
	tm_head(&tm, '0', "text", 0);
	TM_PAX(&tm, 'x', "SCHILY.xattr.system.posix_acl_access", "a",
	       "SCHILY.acl.default", "");
	tm_head(&tm, '0', "attribute", 0);
	tm_end(&tm);
	expect("f text  0 644 1:2 100.000000000 0,0 "
	       "system.posix_acl_default=d system.posix_acl_access=a\nend\n"
	       "f attribute  0 644 1:2 100.000000000 0,0 "
	       "system.posix_acl_access=a\nend\n",
	       NULL);
}

/* As GNU tar and as pax have them, one byte less, and far too long. */
static void test_long_names(void **state)
{
	static const size_t over[] = { PATH_MAX, PATH_MAX + 1, 9000 };
	static char name[9001], want[sizeof(name) + 128];
	size_t i;

	(void)state;
	memset(name, 'n', PATH_MAX - 1);
	snprintf(want, sizeof(want), "f %s  0 644 1:2 100.000000000 0,0\nend\n",
		 name);
	TM_PAX(&tm, 'x', "path", name);
	tm_head(&tm, '0', "s", 0);
	tm_end(&tm);
	expect(want, NULL);
	for (i = 0; i < 3; i++) {
		memset(name, 'n', over[i]);
		snprintf(want, sizeof(want),
			 "entry '%.256s...': name is longer than 4095 bytes "
			 "(no system call takes a longer one; make the archive "
			 "without it)",
			 name);
		TM_PAX(&tm, 'x', "path", name);
		tm_head(&tm, '0', "s", 0);
		expect("", want);
		tm_head(&tm, 'L', "long", over[i] + 1);
		tm_data(&tm, name, over[i] + 1);
		tm_head(&tm, '0', "s", 0);
		expect("", want);
	}
}

static void bad_record(const char *text, size_t n)
{
	tm_head(&tm, 'x', "pax", n);
	tm_data(&tm, text, n);
	tm_file(&tm, "s", "abcde");
	tm_end(&tm);
	expect("", "extended header: malformed record");
}

static void test_malformed_records(void **state)
{
	(void)state;
	bad_record("hello\n", 6);
	bad_record("0 a=b\n", 6);
	bad_record("5 a=b\n", 6);
	bad_record("7 a=b\n", 6);
	bad_record("99999999999999999999999 a=b\n", 28);
	bad_record("6 =ab\n", 6);
	bad_record("6 abc\n", 6);
	bad_record("6 a=bc", 6);
	bad_record("7 a\0=b\n", 7);
	bad_record("6", 1);
}

static void test_bad_headers(void **state)
{
	uint8_t *h;

	(void)state;
	tm_file(&tm, "ok", "");
	h = tm_head(&tm, '0', "bad", 0);
	h[0] ^= 1;
	expect("f ok  0 644 1:2 100.000000000 0,0\nend\n",
	       "header at byte 512: wrong check sum (not a tar archive, or "
	       "corrupt)");
	h = tm_head(&tm, '0', "neg", 0);
	memset(h + 124, 0xff, 12);
	tm_sum(h);
	expect("", "header at byte 0: size is negative");
	h = tm_head(&tm, '0', "num", 0);
	memcpy(h + 100, "rwxr-xr-x", 8);
	tm_sum(h);
	expect("", "header at byte 0: mode is not a number");
	tm_head(&tm, 'Z', "odd", 0);
	expect("", "entry 'odd': unknown entry type 'Z'");
	tm_head(&tm, 'M', "part", 0);
	expect("", "entry 'part': multi-volume archives are not supported");
	tm_head(&tm, '0', "", 0);
	expect("", "entry '': name is empty");
	tm_head(&tm, '2', "soft", 0);
	expect("", "entry 'soft': link target is empty");
	tm_head(&tm, 'x', "pax", 1ull << 32);
	expect("", "extended header of 4294967296 bytes is too long");
	tm_head(&tm, 'L', "long", (8u << 20) + 1);
	expect("", "extended header of 8388609 bytes is too long");
	TM_PAX(&tm, 'x', "path", "p");
	tm_end(&tm);
	expect("", "archive is truncated");
	TM_PAX(&tm, 'x', "path", "p");
	TM_PAX(&tm, 'g', "path", "p");
	expect("", "global extended header out of place");
}

static void test_end(void **state)
{
	(void)state;
	expect("", "archive is truncated");
	tm_more(&tm, 512);
	expect("", NULL);
	tm_more(&tm, 10240);
	expect("", NULL);
	tm_end(&tm);
	tm_file(&tm, "more", "");
	expect("", "data after the end of the archive (tar --concatenate "
		   "joins archives, cat does not)");
}

/* Cut anywhere before its end mark, an archive is never taken for whole. */
static void test_truncation(void **state)
{
	static struct record r;
	size_t n, end;

	(void)state;
	TM_PAX(&tm, 'g', "comment", "c");
	TM_PAX(&tm, 'x', "path", "p");
	tm_file(&tm, "a", "some data");
	tm_head(&tm, 'L', "l", 6);
	tm_data(&tm, "longer", 6);
	tm_head(&tm, '5', "b", 0);
	end = tm.n;
	tm_end(&tm);
	for (n = 0; n < end + 512; n++) {
		read_archive(tm.b, n, false, &r);
		assert_int_equal(r.rc, -EINVAL);
		assert_non_null(strstr(r.e.msg, "truncated"));
	}
	read_archive(tm.b, end + 512, false, &r);
	assert_int_equal(r.rc, 0);
	tm.n = 0;
}

static int refuse(void *ctx, const struct tar_entry *t, struct err *e)
{
	(void)ctx;
	(void)t;
	return err_set(e, EPERM, "no");
}

static void test_handler_refuses(void **state)
{
	const struct tar_handler no = { refuse, on_data, on_finish };
	struct err e = { 0 };
	struct stream *s;

	(void)state;
	tm_file(&tm, "a\nb", "x");
	tm_end(&tm);
	s = stream_open_mem(tm.b, tm.n, &e);
	assert_int_equal(tar_read(s, &no, NULL, &e), -EPERM);
	assert_string_equal(e.msg, "entry 'a\\012b': no");
	stream_close(s);
	tm.n = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_pax_values),
		cmocka_unit_test(test_gnu_long),
		cmocka_unit_test(test_sparse_pax),
		cmocka_unit_test(test_sparse_long_map),
		cmocka_unit_test(test_sparse_old),
		cmocka_unit_test(test_bad_pax),
		cmocka_unit_test(test_acls),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_malformed_records),
		cmocka_unit_test(test_bad_headers),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_handler_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
