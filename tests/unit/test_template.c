// SPDX-License-Identifier: MIT
/* LINK: vmm/template/template.c vmm/template/format.c vmm/template/write.c */
/* LINK: vmm/template/gather.c */
/* LINK: vmm/core/gmem.c vmm/machine/measure.c */
/* LINK: vmm/arch/x86_64/words.c */
/* LIBS: -lz */
/*
 * The template's file: what is written comes back, page by page; whatever is
 * changed in it is refused with the reason.
 */
#include "lib/pack.h"
#include "machine/measure.h"
#include "template/format.h"
#include "template/template.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB  1048576u
#define SIZE (32 * MIB)

static char path[64];

static int setup(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/test_template.%d", (int)getpid());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

static struct template_bytes text(const char *s)
{
	return (struct template_bytes){ (const uint8_t *)s, strlen(s) };
}

static void write_memory(const struct gmem *m)
{
	struct template_source s = {
		.id = { .memory = SIZE,
			.cpus = 2,
			.created = 1000000000,
			.image_size = 77,
			.kernel = "/k",
			.image = "/i" },
		.console = text("console"),
		.disk = text("disk state"),
		.board = text("board"),
		.clock = text("clock"),
		.vcpu = { text("vcpu zero"), text("vcpu one") },
	};
	struct template_file f;
	struct err e;

	s.mem = m;
	assert_int_equal(template_begin(&f, path, &e), 0);
	assert_int_equal(template_write(&f, &s, NULL, NULL, &e), 0);
	assert_int_equal(template_finish(&f, true, &e), 0);
}

static void make_memory(struct gmem *m)
{
	struct err e;

	assert_int_equal(gmem_init(m, SIZE, 3ull << 30, 4ull << 30, &e), 0);
}

/* A machine of 32 MiB with a few pages that hold something. */
static void write_one(struct gmem *m)
{
	make_memory(m);
	memset(gmem_ptr(m, 0x1000, 100), 'a', 100);
	memset(gmem_ptr(m, 0x3000, 4096), 'b', 4096);
	memset(gmem_ptr(m, 16 * MIB, 8192), 'c', 8192);
	memset(gmem_ptr(m, SIZE - 1, 1), 'd', 1);
	write_memory(m);
}

static void test_round_trip(void **state)
{
	struct gmem m, copy;
	struct template t;
	struct stat st;
	struct err e;

	(void)state;
	write_one(&m);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0444);
	assert_int_equal(template_open(&t, path, &e), 0);
	assert_int_equal(t.id.memory, SIZE);
	assert_int_equal(t.id.cpus, 2);
	assert_int_equal(t.id.image_size, 77);
	assert_string_equal(t.id.image, "/i");
	assert_int_equal(t.console.len, strlen("console"));
	assert_memory_equal(t.disk.data, "disk state", t.disk.len);
	assert_memory_equal(t.vcpu[1].data, "vcpu one", t.vcpu[1].len);
	assert_int_equal((uintptr_t)t.vcpu[0].data % 8, 0);
	/* 1 and 3 are one run over a page of zeros; two more, far away. */
	assert_int_equal(t.nr_extents, 3);
	assert_int_equal(template_extent(&t, 0).gpa, 0x1000);
	assert_int_equal(template_extent(&t, 0).len, 3 * 4096);
	/* Zeros take no room on the disk. */
	assert_true(st.st_blocks * 512 < MIB);
	assert_int_equal(template_verify(&t, &e), 0);
	assert_int_equal(gmem_init(&copy, SIZE, 3ull << 30, 4ull << 30, &e),
			 0);
	assert_int_equal(template_map(&t, &copy, &e), 0);
	assert_memory_equal(gmem_ptr(&m, 0, SIZE),
			    gmem_ptr(&copy, 0, SIZE), SIZE);
	/* A copy's writes are its own. */
	memset(gmem_ptr(&copy, 0x1000, 4096), 'z', 4096);
	assert_int_equal(template_verify(&t, &e), 0);
	gmem_fini(&copy);
	gmem_fini(&m);
	template_close(&t);
}

static void change(off_t at, char c)
{
	int fd;

	chmod(path, 0644);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

static void refused(const char *word)
{
	struct template t;
	struct err e;

	assert_true(template_open(&t, path, &e) < 0);
	if (!strstr(e.msg, word) || !strstr(e.msg, path))
		fail_msg("want '%s' in: %s", word, e.msg);
	assert_int_equal(t.fd, -1);
}

static void test_changed(void **state)
{
	struct template t;
	struct gmem m;
	struct err e;
	off_t memory;

	(void)state;
	write_one(&m);
	assert_int_equal(template_open(&t, path, &e), 0);
	memory = (off_t)template_extent(&t, 0).offset;
	template_close(&t);
	change(memory + 5, 'x');
	refused("memory was changed");
	change(memory + 5, 'a');
	/* Whole again, though with another date: read through and taken. */
	assert_int_equal(template_open(&t, path, &e), 0);
	template_close(&t);
	change(60, 'x');
	refused("head was changed");
	change(40, 'y');
	refused("architecture 'y86_64'");
	change(8, 9);
	refused("format 9");
	change(0, 'x');
	refused("no template");
	gmem_fini(&m);
}

/* From somebody who has opened it: the head is checked, the memory not. */
static void test_adopted(void **state)
{
	struct template t;
	struct gmem m;
	struct err e;

	(void)state;
	write_one(&m);
	assert_int_equal(template_open(&t, path, &e), 0);
	change((off_t)template_extent(&t, 0).offset + 5, 'x');
	template_close(&t);
	assert_int_equal(template_adopt(&t, open(path, O_RDONLY), path, &e),
			 0);
	assert_int_equal(t.id.image_size, 77);
	template_close(&t);
	change(60, 'x');
	assert_true(template_adopt(&t, open(path, O_RDONLY), path, &e) < 0);
	assert_non_null(strstr(e.msg, "head was changed"));
	assert_int_equal(t.fd, -1);
	assert_true(template_adopt(&t, -1, path, &e) < 0);
	gmem_fini(&m);
}

static void count_own(void *opaque, gpa_t gpa, bool written)
{
	unsigned *own = opaque;

	if (!written)
		return;
	assert_true(gpa == 0x1000 || gpa == 0x2000);
	++*own;
}

/* Of the three pages from 0x1000 on those that are the copy's own. */
static unsigned own_pages(const struct gmem *copy)
{
	struct measure own;
	unsigned n = 0;

	measure_open(&own);
	measure_touched(&own, copy, 0x1000, 3 * 4096, count_own, &n);
	measure_close(&own);
	return n;
}

static void add_touched(const struct template_run *runs, unsigned nr)
{
	struct template_file f = { .out.fd = -1 };
	struct template t;
	struct err e;

	assert_int_equal(template_open(&t, path, &e), 0);
	assert_int_equal(chmod(path, 0600), 0);
	f.out.fd = open(path, O_RDWR);
	assert_int_equal(template_add_touched(&f, &t, runs, nr, &e), 0);
	close(f.out.fd);
	template_close(&t);
}

/* Pages that a copy gets before it runs: the list comes back. */
static void test_touched(void **state)
{
	const struct template_run runs[] = { { 1, 2, true },
					     { 3, 1, false },
					     { 256, 2, false } };
	const struct template_run outside[] = { { 1, 1, true },
						{ 1 << 20, 1, true },
						{ 1 << 21, 1, true } };
	struct template t;
	struct gmem m, copy;
	struct err e;

	(void)state;
	write_one(&m);
	assert_int_equal(template_open(&t, path, &e), 0);
	assert_int_equal(t.nr_runs, 0);
	template_close(&t);
	add_touched(runs, 3);
	assert_int_equal(template_open(&t, path, &e), 0);
	assert_int_equal(t.nr_runs, 3);
	assert_true(template_touched(&t, 0).written);
	assert_int_equal(template_touched(&t, 2).page, 256);
	assert_int_equal(template_touched(&t, 2).count, 2);
	assert_false(template_touched(&t, 2).written);
	assert_string_equal(t.id.image, "/i");
	assert_memory_equal(t.vcpu[1].data, "vcpu one", t.vcpu[1].len);
	assert_int_equal(gmem_init(&copy, SIZE, 3ull << 30, 4ull << 30, &e),
			 0);
	assert_int_equal(template_map(&t, &copy, &e), 0);
	assert_int_equal(own_pages(&copy), 0);
	template_prefault(&t, &copy, 1);
	assert_int_equal(own_pages(&copy), 1);
	template_prefault(&t, &copy, UINT64_MAX);
	assert_int_equal(own_pages(&copy), 2);
	assert_memory_equal(gmem_ptr(&m, 0, SIZE),
			    gmem_ptr(&copy, 0, SIZE), SIZE);
	template_close(&t);
	/* A second list takes the place of the first. */
	add_touched(runs + 1, 2);
	assert_int_equal(template_open(&t, path, &e), 0);
	assert_int_equal(t.nr_runs, 2);
	assert_int_equal(template_touched(&t, 0).page, 3);
	assert_memory_equal(t.vcpu[1].data, "vcpu one", t.vcpu[1].len);
	template_close(&t);
	/* Pages outside RAM are left alone. */
	unlink(path);
	gmem_fini(&m);
	write_one(&m);
	add_touched(outside, 3);
	assert_int_equal(template_open(&t, path, &e), 0);
	template_prefault(&t, &copy, UINT64_MAX);
	template_close(&t);
	gmem_fini(&copy);
	gmem_fini(&m);
}

/* Huge pages or not, as the file system has it: the same bytes. */
static void test_gather(void **state)
{
	const struct template_run runs[] = { { 6 * MIB / 4096, 20, false } };
	struct template_extent x;
	struct gmem m, copy;
	struct template t;
	struct err e;
	gpa_t at;

	(void)state;
	make_memory(&m);
	for (at = 5 * MIB; at < 9 * MIB; at += 4096)
		*(uint8_t *)gmem_ptr(&m, at, 1) = (uint8_t)(at / 4096) | 1;
	write_memory(&m);
	add_touched(runs, 1);
	assert_int_equal(template_open(&t, path, &e), 0);
	assert_int_equal(t.nr_extents, 1);
	x = template_extent(&t, 0);
	assert_int_equal(x.gpa, 5 * MIB);
	assert_int_equal(x.offset % GMEM_HUGE, x.gpa % GMEM_HUGE);
	template_gather(&t);
	assert_int_equal(template_verify(&t, &e), 0);
	make_memory(&copy);
	assert_int_equal(template_map(&t, &copy, &e), 0);
	assert_memory_equal(gmem_ptr(&m, 0, SIZE), gmem_ptr(&copy, 0, SIZE),
			    SIZE);
	gmem_fini(&copy);
	gmem_fini(&m);
	template_close(&t);
}

/* A stranger's file has holes without end, and says that all is read. */
static void test_gather_ends(void **state)
{
	uint8_t extent[TEMPLATE_EXTENT_LEN], run[TEMPLATE_RUN_LEN];
	struct template t = { .fd = -1, .nr_extents = 1, .nr_runs = 1 };
	struct pack p;

	(void)state;
	pack_init(&p, extent, sizeof(extent));
	pack_u64(&p, 0);
	pack_u64(&p, 1ull << 62);
	pack_u64(&p, 0);
	pack_init(&p, run, sizeof(run));
	pack_u32(&p, 0);
	pack_u32(&p, INT32_MAX);
	t.extents = (struct template_bytes){ extent, sizeof(extent) };
	t.touched = (struct template_bytes){ run, sizeof(run) };
	template_gather(&t);
}

static void touched_refused(const struct template_run *runs, unsigned nr)
{
	struct gmem m;

	unlink(path);
	write_one(&m);
	add_touched(runs, nr);
	refused("list of touched pages");
	gmem_fini(&m);
}

static void test_touched_refused(void **state)
{
	const struct template_run empty[] = { { 1, 0, true } };
	const struct template_run reverse[] = { { 5, 1, true },
						{ 4, 1, true } };
	const struct template_run meeting[] = { { 5, 2, true },
						{ 6, 1, false } };
	const struct template_run wraps[] = { { 0xffffffff, 0x7fffffff, true },
					      { 5, 1, true } };

	(void)state;
	touched_refused(empty, 1);
	touched_refused(reverse, 2);
	touched_refused(meeting, 2);
	touched_refused(wraps, 2);
}

static void test_cut(void **state)
{
	struct gmem m;

	(void)state;
	write_one(&m);
	chmod(path, 0644);
	assert_int_equal(truncate(path, 8192), 0);
	refused("cut short");
	assert_int_equal(truncate(path, 20), 0);
	refused("no template");
	assert_int_equal(truncate(path, 0), 0);
	refused("no template");
	gmem_fini(&m);
}

static void test_not_a_file(void **state)
{
	struct template t;
	struct err e;

	(void)state;
	assert_true(template_open(&t, "/tmp", &e) < 0);
	assert_non_null(strstr(e.msg, "not a file"));
	assert_true(template_open(&t, "/no/such/template", &e) < 0);
	assert_non_null(strstr(e.msg, "No such file"));
	assert_true(template_open(&t, "/dev/zero", &e) < 0);
}

static void test_no_write(void **state)
{
	struct template_file f;
	char part[300];
	struct err e;

	(void)state;
	assert_true(template_begin(&f, "/no/such/dir/t", &e) < 0);
	assert_non_null(strstr(e.msg, "/no/such/dir/t"));
	/* A folder stands for a file in it; what failed leaves nothing. */
	assert_int_equal(template_begin(&f, "/tmp", &e), 0);
	assert_string_equal(f.path, "/tmp/template.husk");
	assert_int_equal(faccessat(f.out.dir, f.out.temp, F_OK, 0), 0);
	snprintf(part, sizeof(part), "/tmp/%s", f.out.temp);
	assert_int_equal(template_finish(&f, false, &e), 0);
	assert_int_equal(access(part, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_changed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_adopted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_touched, setup, teardown),
		cmocka_unit_test_setup_teardown(test_touched_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_gather, setup, teardown),
		cmocka_unit_test(test_gather_ends),
		cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
		cmocka_unit_test(test_not_a_file),
		cmocka_unit_test(test_no_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
