/* LINK: vmm/machine/measure.c vmm/core/gmem.c */
// SPDX-License-Identifier: MIT
/*
 * Pages of guest memory are counted exactly; what the process holds besides
 * does not count them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "machine/measure.h"

#define MIB (1ull << 20)

static void measure_now(const struct gmem *m, uint64_t *pages, uint64_t *bytes)
{
	struct measure t;

	measure_open(&t);
	measure_memory(&t, m, pages, bytes);
	measure_close(&t);
}

static void counts_touched_pages(void **state)
{
	struct gmem m;
	struct err e;
	uint64_t pages, private, before;
	unsigned i;

	(void)state;
	assert_int_equal(gmem_init(&m, 8 * MIB, 6 * MIB, 16 * MIB, &e), 0);
	madvise(m.map, m.map_len, MADV_NOHUGEPAGE);
	measure_now(&m, &pages, &before);
	assert_int_equal(pages, 0);
	assert_true(before > 0);
	/* First and last page of each region, and every other of the first. */
	for (i = 0; i < 6 * 256; i += 2)
		*(char *)gmem_ptr(&m, i * GMEM_PAGE, 1) = 1;
	*(char *)gmem_ptr(&m, 6 * MIB - 1, 1) = 1;
	*(char *)gmem_ptr(&m, 16 * MIB, 1) = 1;
	*(char *)gmem_ptr(&m, 18 * MIB - 1, 1) = 1;
	measure_now(&m, &pages, &private);
	assert_int_equal(pages, 3 * 256 + 3);
	/* 3 MiB of guest memory are not in it (page tables of it may be). */
	assert_true(private < before + MIB);
	gmem_fini(&m);
}

/* Which page, and how many of them. */
static void sum_up(void *opaque, gpa_t gpa, bool written)
{
	if (written)
		*(gpa_t *)opaque += gpa + 1;
	else
		assert_true(gpa / GMEM_PAGE < MIB / GMEM_PAGE);
}

static void a_file_mapped_into_the_guest(void **state)
{
	struct gmem m;
	struct err e;
	gpa_t written = 0;
	struct measure t;
	uint64_t pages, private;
	volatile char *p;
	FILE *f = tmpfile();

	(void)state;
	assert_non_null(f);
	assert_int_equal(ftruncate(fileno(f), 2 * MIB), 0);
	assert_int_equal(gmem_init(&m, 2 * MIB, 2 * MIB, 4 * MIB, &e), 0);
	madvise(m.map, m.map_len, MADV_NOHUGEPAGE);
	p = mmap(gmem_ptr(&m, 0, MIB), MIB, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_FIXED, fileno(f), 0);
	assert_true(p != MAP_FAILED);
	/* One page of our own, the others as the kernel maps them around. */
	p[2 * GMEM_PAGE] = 1;
	assert_int_equal(p[5 * GMEM_PAGE], 0);
	measure_open(&t);
	measure_touched(&t, &m, 0, MIB, sum_up, &written);
	measure_close(&t);
	assert_int_equal(written, 2 * GMEM_PAGE + 1);
	measure_now(&m, &pages, &private);
	assert_true(pages >= 1 && pages <= 256);
	assert_true(private > 0);
	gmem_fini(&m);
	fclose(f);
}

static void nothing_to_count(void **state)
{
	struct gmem m = { 0 };
	uint64_t pages = 1, private = 0;

	(void)state;
	measure_now(&m, &pages, &private);
	assert_int_equal(pages, 0);
	assert_true(private > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_touched_pages),
		cmocka_unit_test(a_file_mapped_into_the_guest),
		cmocka_unit_test(nothing_to_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
