/* LINK: vmm/core/bus.c */
// SPDX-License-Identifier: MIT
/*
 * Which accesses reach which device, with what offset and value; what nobody
 * takes reads as ones. KVM hands over accesses of any length from 1 to 8: one
 * that crosses a page is cut at the boundary.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "core/bus.h"

struct probe {
	unsigned reads, writes, len;
	uint64_t off, val, answer;
};

static uint64_t on_read(void *dev, uint64_t off, unsigned len)
{
	struct probe *p = dev;

	p->reads++;
	p->off = off;
	p->len = len;
	return p->answer;
}

static void on_write(void *dev, uint64_t off, unsigned len, uint64_t val)
{
	struct probe *p = dev;

	p->writes++;
	p->off = off;
	p->len = len;
	p->val = val;
}

static const struct bus_ops ops = { on_read, on_write };

static int add(struct bus *b, uint64_t base, uint64_t len, unsigned widths,
	       unsigned tag, struct probe *p, struct err *e)
{
	const struct bus_window w = { base, len, widths, tag, &ops, p };

	return bus_add(b, &w, e);
}

static void finds_the_window(void **state)
{
	struct probe p[2] = { { .answer = 0x1122334455667788 } };
	struct bus b = { 0 };
	struct err e;
	uint64_t v;

	(void)state;
	assert_int_equal(add(&b, 0x1000, 0x100, BUS_WIDTH_ANY, 7, &p[0], &e),
			 0);
	assert_int_equal(add(&b, 0x1100, 0x10, BUS_WIDTH_ANY, 8, &p[1], &e), 0);
	assert_int_equal(bus_read(&b, 0x10f8, 8, &v), 7);
	assert_int_equal(p[0].off, 0xf8);
	assert_int_equal(v, 0x1122334455667788);
	/* A device that answers more than was asked for is cut. */
	assert_int_equal(bus_read(&b, 0x1000, 1, &v), 7);
	assert_int_equal(v, 0x88);
	assert_int_equal(bus_read(&b, 0x1002, 2, &v), 7);
	assert_int_equal(v, 0x7788);
	assert_int_equal(bus_write(&b, 0x1104, 4, 0xaabbccddeeff0011), 8);
	assert_int_equal(p[1].off, 4);
	assert_int_equal(p[1].val, 0xeeff0011);
	assert_int_equal(p[0].reads, 3);
	assert_int_equal(p[0].writes, 0);
}

static void nobody_answers(void **state)
{
	static const uint64_t ones[9] = {
		0, 0xff, 0xffff, 0xffffff, 0xffffffff, 0xffffffffff,
		0xffffffffffff, 0xffffffffffffff, UINT64_MAX
	};
	struct probe p = { 0 };
	struct bus b = { 0 };
	struct err e;
	unsigned len;
	uint64_t v;

	(void)state;
	assert_int_equal(add(&b, 0x1000, 0x100, BUS_WIDTH_ANY, 7, &p, &e), 0);
	for (len = 1; len <= 8; len++) {
		assert_int_equal(bus_read(&b, 0x2000, len, &v), 0);
		assert_int_equal(v, ones[len]);
		assert_int_equal(bus_write(&b, 0xfff, len, 1), 0);
	}
	assert_int_equal(bus_read(&b, UINT64_MAX, 8, &v), 0);
	assert_int_equal(bus_read(&b, 0, 1, &v), 0);
	assert_int_equal(p.reads + p.writes, 0);
}

static void widths_alignment_and_ends(void **state)
{
	struct probe p = { 0 };
	struct bus b = { 0 };
	struct err e;
	unsigned widths, len;
	uint64_t v, off;

	(void)state;
	for (widths = 1; widths <= BUS_WIDTH_ANY; widths++) {
		b.nr = 0;
		/* 12 bytes: an access of 8 at offset 8 hangs out. */
		assert_int_equal(add(&b, 0x1000, 12, widths, 1, &p, &e), 0);
		for (len = 0; len <= 9; len++)
			for (off = 0; off < 14; off++) {
				bool power = len && !(len & (len - 1));
				bool ok = power && (widths & len) &&
					  off % len == 0 && off + len <= 12;
				unsigned n = p.reads + p.writes;

				bus_read(&b, 0x1000 + off, len, &v);
				bus_write(&b, 0x1000 + off, len, 0);
				n = p.reads + p.writes - n;
				if (n != (ok ? 2u : 0u))
					fail_msg("width %u in %#x at %llu: %u",
						 len, widths,
						 (unsigned long long)off, n);
			}
	}
}

static void alignment_is_that_of_the_offset(void **state)
{
	struct probe p = { 0 };
	struct bus b = { 0 };
	struct err e;
	uint64_t v;

	(void)state;
	assert_int_equal(add(&b, 0x3f9, 8, BUS_WIDTH_ANY, 1, &p, &e), 0);
	assert_int_equal(bus_read(&b, 0x3fb, 2, &v), 1);
	assert_int_equal(bus_read(&b, 0x3fa, 2, &v), 0);
}

static void refuses_windows(void **state)
{
	static const struct {
		uint64_t base, len;
		int ret;
	} t[] = {
		{ 0x1000, 0, -EINVAL },
		{ UINT64_MAX, 2, -EINVAL },
		{ UINT64_MAX - 7, 9, -EINVAL },
		{ 1, UINT64_MAX, -EEXIST },
		{ 0x2000, 0x1000, -EEXIST },
		{ 0x1fff, 2, -EEXIST },
		{ 0x2fff, 1, -EEXIST },
		{ 0x2800, 1, -EEXIST },
		{ 0x1000, 0x3000, -EEXIST },
		{ 0x1fff, 1, 0 },
		{ 0x3000, 1, 0 },
		{ UINT64_MAX - 7, 8, 0 },
		{ UINT64_MAX, 1, -EEXIST },
		{ 0, 1, 0 },
	};
	struct probe p = { 0 };
	struct bus b = { 0 };
	struct err e;
	size_t i;

	(void)state;
	assert_int_equal(add(&b, 0x2000, 0x1000, 1, 1, &p, &e), 0);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if (add(&b, t[i].base, t[i].len, 1, 1, &p, &e) != t[i].ret)
			fail_msg("%#llx + %#llx", (unsigned long long)t[i].base,
				 (unsigned long long)t[i].len);
}

static void is_full_some_time(void **state)
{
	struct probe p = { 0 };
	struct bus b = { 0 };
	struct err e = { 0 };
	unsigned i;

	(void)state;
	for (i = 0; i < BUS_MAX_WINDOWS; i++)
		assert_int_equal(add(&b, 16 * i, 16, 1, 1, &p, &e), 0);
	assert_int_equal(add(&b, 16 * i, 16, 1, 1, &p, &e), -ENOSPC);
	assert_int_equal(b.nr, BUS_MAX_WINDOWS);
	assert_non_null(strstr(e.msg, "full"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_window),
		cmocka_unit_test(nobody_answers),
		cmocka_unit_test(widths_alignment_and_ends),
		cmocka_unit_test(alignment_is_that_of_the_offset),
		cmocka_unit_test(refuses_windows),
		cmocka_unit_test(is_full_some_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
