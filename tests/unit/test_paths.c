// SPDX-License-Identifier: MIT
/* LINK: vmm/cli/paths.c */
/*
 * paths_find looks beside the running program, which here is this test: files
 * are made there and found, or not.
 */
#include "cli/paths.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define NAME "paths-test-file"

/* The path of NAME beside this program. */
static void own_path(char *path, size_t size)
{
	char exe[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	assert_true(len > 0);
	exe[len] = '\0';
	*strrchr(exe, '/') = '\0';
	assert_true(snprintf(path, size, "%s/" NAME, exe) < (int)size);
}

static void test_beside(void **state)
{
	char path[PATH_MAX + 100];
	auto_free char *found = NULL;
	auto_file f = NULL;
	struct err e;

	(void)state;
	own_path(path, sizeof(path));
	f = fopen(path, "w");
	assert_non_null(f);
	found = paths_find(NAME, "kernel", &e);
	unlink(path);
	assert_non_null(found);
	assert_string_equal(found, path);
}

static void test_nowhere(void **state)
{
	char path[PATH_MAX + 100];
	struct err e;

	(void)state;
	own_path(path, sizeof(path));
	assert_null(paths_find(NAME, "kernel", &e));
	assert_int_equal(e.code, ENOENT);
	assert_memory_equal(e.msg, "find '" NAME "': not in '/", 33);
	assert_non_null(strstr(e.msg, "/../share/husk', '"));
	assert_non_null(strstr(e.msg, "/share/husk' (run 'make', or say where "
				      "it is with --kernel=FILE)"));
}

/* A folder of that name is not what anybody means. */
static void test_directory(void **state)
{
	char path[PATH_MAX + 100];
	struct err e;
	char *found;

	(void)state;
	own_path(path, sizeof(path));
	assert_int_equal(mkdir(path, 0700), 0);
	found = paths_find(NAME, "image", &e);
	rmdir(path);
	assert_null(found);
	assert_non_null(strstr(e.msg, "--image=FILE"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_beside),
		cmocka_unit_test(test_nowhere),
		cmocka_unit_test(test_directory),
	};

	return cmocka_run_group_tests_name("paths", tests, NULL, NULL);
}
