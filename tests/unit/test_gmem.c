/* LINK: vmm/core/gmem.c */
// SPDX-License-Identifier: MIT
/*
 * The one translation from guest to host addresses: what it gives lies in one
 * region with its whole length, whatever the guest asks for.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "core/gmem.h"

#define MIB  (1ull << 20)
#define HOLE (6 * MIB)
#define HIGH (16 * MIB)

static void one_region_below_the_hole(void **state)
{
	struct gmem m;
	struct err e;

	(void)state;
	assert_int_equal(gmem_init(&m, 4 * MIB, HOLE, HIGH, &e), 0);
	assert_int_equal(m.nr, 1);
	assert_int_equal(gmem_size(&m), 4 * MIB);
	assert_non_null(gmem_ptr(&m, 0, 4 * MIB));
	assert_null(gmem_ptr(&m, 0, 4 * MIB + 1));
	assert_null(gmem_ptr(&m, HIGH, 1));
	/* Huge pages need guest and host to agree modulo 2 MiB. */
	assert_int_equal((uintptr_t)gmem_ptr(&m, 0, 1) % GMEM_HUGE, 0);
	gmem_fini(&m);
	gmem_fini(&m);
}

static void exactly_up_to_the_hole(void **state)
{
	struct gmem m;
	struct err e;

	(void)state;
	assert_int_equal(gmem_init(&m, HOLE, HOLE, HIGH, &e), 0);
	assert_int_equal(m.nr, 1);
	assert_non_null(gmem_ptr(&m, HOLE - 1, 1));
	gmem_fini(&m);
}

static void two_regions_around_the_hole(void **state)
{
	struct gmem m;
	struct err e;

	(void)state;
	assert_int_equal(gmem_init(&m, 8 * MIB, HOLE, HIGH, &e), 0);
	assert_int_equal(m.nr, 2);
	assert_int_equal(gmem_size(&m), 8 * MIB);
	assert_int_equal(m.region[0].len, HOLE);
	assert_int_equal(m.region[1].base, HIGH);
	assert_int_equal(m.region[1].len, 2 * MIB);
	/* Neighbours in host memory, but not one range of the guest's. */
	assert_ptr_equal(m.region[1].hva, m.region[0].hva + HOLE);
	assert_null(gmem_ptr(&m, HOLE - 1, 2));
	assert_null(gmem_ptr(&m, HOLE - 1, HIGH - HOLE + 2));
	gmem_fini(&m);
}

static void every_edge(void **state)
{
	static const struct {
		uint64_t gpa, len;
		bool ok;
	} t[] = {
		{ 0, 0, false },
		{ 0, 1, true },
		{ 0, HOLE, true },
		{ 0, HOLE + 1, false },
		{ 0, UINT64_MAX, false },
		{ 1, HOLE, false },
		{ 1, UINT64_MAX, false },
		{ HOLE - 1, 1, true },
		{ HOLE - 1, 0, false },
		{ HOLE - 1, 2, false },
		{ HOLE - 1, UINT64_MAX, false },
		{ HOLE, 0, false },
		{ HOLE, 1, false },
		{ HIGH - 1, 1, false },
		{ HIGH - 1, 2, false },
		{ HIGH, 1, true },
		{ HIGH, 2 * MIB, true },
		{ HIGH, 2 * MIB + 1, false },
		{ HIGH, UINT64_MAX - HIGH, false },
		{ HIGH, UINT64_MAX - HIGH + 1, false },
		{ HIGH + 2 * MIB - 1, 1, true },
		{ HIGH + 2 * MIB - 1, 2, false },
		{ HIGH + 2 * MIB, 1, false },
		{ UINT64_MAX, 1, false },
		{ UINT64_MAX, 2, false },
		{ UINT64_MAX, UINT64_MAX, false },
		{ 1ull << 63, 1, false },
		{ UINT64_MAX - 15, 16, false },
		{ UINT64_MAX - 15, 32, false },
	};
	struct gmem m;
	struct err e;
	size_t i;

	(void)state;
	assert_int_equal(gmem_init(&m, 8 * MIB, HOLE, HIGH, &e), 0);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if (!!gmem_ptr(&m, t[i].gpa, t[i].len) != t[i].ok)
			fail_msg("%#llx + %#llx", (unsigned long long)t[i].gpa,
				 (unsigned long long)t[i].len);
	gmem_fini(&m);
}

static void copies(void **state)
{
	struct gmem m;
	struct err e;
	char buf[8] = "1234567";

	(void)state;
	assert_int_equal(gmem_init(&m, 8 * MIB, HOLE, HIGH, &e), 0);
	assert_int_equal(gmem_write(&m, HOLE - 8, buf, 8), 0);
	assert_int_equal(gmem_write(&m, HOLE - 7, buf, 8), -EFAULT);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(gmem_read(&m, HOLE - 7, buf, 8), -EFAULT);
	assert_int_equal(buf[0], 0);
	assert_int_equal(gmem_read(&m, HOLE - 8, buf, 8), 0);
	assert_string_equal(buf, "1234567");
	/* Fresh memory is zero. */
	assert_int_equal(gmem_read(&m, HIGH, buf, 8), 0);
	assert_memory_equal(buf, "\0\0\0\0\0\0\0", 8);
	gmem_fini(&m);
}

/* Does the mapping at `p` have this flag (hg, nh) in the kernel's list? */
static bool has_flag(const void *p, const char *flag)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long long from, to;
	bool here = false, found = false;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
			here = (uintptr_t)p >= from && (uintptr_t)p < to;
		else if (here && !strncmp(line, "VmFlags:", 8))
			found = strstr(line, flag) != NULL;
	}
	fclose(f);
	return found;
}

static void huge_pages_where_wanted(void **state)
{
	struct gmem m;
	struct err e;
	uint8_t *low;

	(void)state;
	assert_int_equal(gmem_init(&m, 8 * MIB, HOLE, HIGH, &e), 0);
	low = gmem_ptr(&m, 0, 1);
	assert_true(has_flag(low, " hg"));
	assert_true(has_flag(gmem_ptr(&m, HIGH, 1), " hg"));
	gmem_use_small(&m, MIB, 2 * MIB);
	assert_true(has_flag(low, " hg"));
	assert_true(has_flag(low + MIB, " nh"));
	assert_true(has_flag(low + 2 * MIB, " hg"));
	/* Cut at the region's end; nothing when it begins behind it. */
	gmem_use_small(&m, 3 * MIB, UINT64_MAX);
	assert_true(has_flag(low + HOLE - 1, " nh"));
	assert_false(has_flag(gmem_ptr(&m, HIGH, 1), " nh"));
	gmem_use_small(&m, HOLE, HIGH + MIB);
	assert_false(has_flag(gmem_ptr(&m, HIGH, 1), " nh"));
	gmem_fini(&m);
}

static void refuses_sizes(void **state)
{
	static const uint64_t bad[] = { 0, 1, 2 * MIB - 1, 3 * MIB };
	struct gmem m;
	struct err e = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(gmem_init(&m, bad[i], HOLE, HIGH, &e),
				 -EINVAL);
		assert_non_null(strstr(e.msg, "2 MiB"));
		gmem_fini(&m);
	}
	/* More than an address space has, and one that wraps. */
	assert_true(gmem_init(&m, 1ull << 60, HOLE, HIGH, &e) < 0);
	assert_non_null(strstr(e.msg, "smaller --memory"));
	assert_null(gmem_ptr(&m, 0, 1));
	assert_true(gmem_init(&m, -GMEM_HUGE, HOLE, HIGH, &e) < 0);
	gmem_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_region_below_the_hole),
		cmocka_unit_test(exactly_up_to_the_hole),
		cmocka_unit_test(two_regions_around_the_hole),
		cmocka_unit_test(every_edge),
		cmocka_unit_test(copies),
		cmocka_unit_test(huge_pages_where_wanted),
		cmocka_unit_test(refuses_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
