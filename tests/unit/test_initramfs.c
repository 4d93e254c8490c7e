/* LINK: vmm/machine/initramfs.c tests/unit/blob_init.S */
// SPDX-License-Identifier: MIT
/*
 * The archive as the kernel's unpacker reads it: a walk over "newc" headers
 * that trusts nothing, and the archive read back by cpio(1)'s rules. The init
 * in it is a stand-in of odd length (blob_init.S).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "machine/initramfs.h"

extern const char husk_init_start[], husk_init_end[];

struct entry {
	uint32_t field[13];
	const char *name, *data;
	size_t end;		/* offset behind it */
};

enum { INO, MODE, UID, GID, NLINK, MTIME, SIZE, MAJOR, MINOR, RMAJOR, RMINOR,
       NAME_LEN, CHECK };

static size_t pad4(size_t n)
{
	return (n + 3) / 4 * 4;
}

static void padding_is_zero(const struct initramfs *a, size_t from, size_t to)
{
	for (; from < to; from++)
		assert_int_equal(a->data[from], 0);
}

static struct entry read_entry(const struct initramfs *a, size_t off)
{
	struct entry e;
	size_t name_end, data;
	unsigned i;

	assert_true(off % 4 == 0 && off + 110 <= a->len);
	assert_memory_equal(a->data + off, "070701", 6);
	for (i = 0; i < 13; i++) {
		char digits[9] = "", *end;

		memcpy(digits, a->data + off + 6 + 8 * i, 8);
		e.field[i] = (uint32_t)strtoul(digits, &end, 16);
		assert_ptr_equal(end, digits + 8);
	}
	name_end = off + 110 + e.field[NAME_LEN];
	assert_true(e.field[NAME_LEN] && name_end <= a->len);
	e.name = a->data + off + 110;
	assert_int_equal(strlen(e.name) + 1, e.field[NAME_LEN]);
	data = pad4(name_end);
	e.end = pad4(data + e.field[SIZE]);
	assert_true(e.end <= a->len);
	e.data = a->data + data;
	padding_is_zero(a, name_end, data);
	padding_is_zero(a, data + e.field[SIZE], e.end);
	return e;
}

static void holds_init_alone(void **state)
{
	size_t init_len = (size_t)(husk_init_end - husk_init_start);
	struct initramfs a = { 0 };
	struct entry e;
	struct err err;

	(void)state;
	assert_int_equal(init_len % 4, 3);
	assert_int_equal(initramfs_build(&a, &err), 0);
	e = read_entry(&a, 0);
	assert_string_equal(e.name, "init");
	assert_int_equal(e.field[MODE], 0100755);
	assert_int_equal(e.field[UID], 0);
	assert_int_equal(e.field[GID], 0);
	assert_int_equal(e.field[NLINK], 1);
	assert_int_equal(e.field[INO], 1);
	assert_int_equal(e.field[CHECK], 0);
	assert_int_equal(e.field[SIZE], init_len);
	assert_memory_equal(e.data, husk_init_start, init_len);
	e = read_entry(&a, e.end);
	assert_string_equal(e.name, "TRAILER!!!");
	assert_int_equal(e.field[SIZE], 0);
	/* Nothing behind: the kernel would look for another archive. */
	assert_int_equal(e.end, a.len);
	initramfs_fini(&a);
	assert_null(a.data);
	initramfs_fini(&a);
}

static void the_same_every_time(void **state)
{
	struct initramfs a = { 0 }, b = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(initramfs_build(&a, &e), 0);
	assert_int_equal(initramfs_build(&b, &e), 0);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	initramfs_fini(&a);
	initramfs_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_init_alone),
		cmocka_unit_test(the_same_every_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
