// SPDX-License-Identifier: MIT
/* LINK: */
/*
 * Errors: the return value, the parts of the line, and texts that are too
 * long, which are cut and never overflow.
 */
#include "lib/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

static void test_set(void **state)
{
	struct err e = {.code = 7, .msg = "old"};

	(void)state;
	assert_int_equal(err_set(&e, EINVAL, "read '%s': %d", "f", 3), -EINVAL);
	assert_int_equal(e.code, EINVAL);
	assert_string_equal(e.msg, "read 'f': 3");
}

static void test_sys(void **state)
{
	struct err e;

	(void)state;
	errno = ENOENT;
	assert_int_equal(err_sys(&e, "open '%s'", "f"), -ENOENT);
	assert_string_equal(e.msg, "open 'f': No such file or directory");
	errno = 0; /* an error without errno must still be one */
	assert_int_equal(err_sys(&e, "open"), -EIO);
	assert_int_equal(e.code, EIO);
}

static void test_context(void **state)
{
	struct err e;

	(void)state;
	err_set(&e, ENOSPC, "write 'f': full");
	assert_int_equal(err_prefix(&e, "disk %d: ", 2), -ENOSPC);
	assert_string_equal(e.msg, "disk 2: write 'f': full");
	assert_int_equal(err_hint(&e, "delete %d files", 3), -ENOSPC);
	assert_string_equal(e.msg, "disk 2: write 'f': full (delete 3 files)");
	assert_int_equal(e.code, ENOSPC);
}

static void test_too_long(void **state)
{
	char big[2000];
	struct {
		struct err e;
		char guard[16];
	} s;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	memset(s.guard, 'g', sizeof(s.guard));
	err_set(&s.e, EIO, "%s", big);
	assert_int_equal(strlen(s.e.msg), sizeof(s.e.msg) - 1);
	err_hint(&s.e, "%s", big);
	err_prefix(&s.e, "%s", "front: ");
	assert_int_equal(strlen(s.e.msg), sizeof(s.e.msg) - 1);
	assert_memory_equal(s.e.msg, "front: xxx", 10);
	err_prefix(&s.e, "%s", big);
	errno = EIO;
	err_sys(&s.e, "%s", big);
	assert_int_equal(strlen(s.e.msg), sizeof(s.e.msg) - 1);
	for (size_t i = 0; i < sizeof(s.guard); i++)
		assert_int_equal(s.guard[i], 'g');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_sys),
		cmocka_unit_test(test_context),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
