/* LINK: guest-init/user.c */
// SPDX-License-Identifier: MIT
/* Who a number is, by passwd files with and without sense. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../guest-init/user.h"

/* By a text of its exact size on the heap. */
static void is_called(const char *text, uint32_t uid, const char *want)
{
	char name[USER_NAME_MAX + 1];
	size_t len = strlen(text);
	char *p = malloc(len + !len);

	assert_non_null(p);
	memcpy(p, text, len);
	user_find(p, len, uid, name);
	free(p);
	assert_string_equal(name, want);
}

static void finds_a_user(void **state)
{
	static const char text[] =
		"root:x:0:0:root:/root:/bin/sh\n"
		"ann:x:1000:1000:,,,:/home/ann:/bin/sh\n"
		"ann2:*:1000:1000::/:\n"
		"\n"
		"b:x:100:1:::";

	(void)state;
	is_called(text, 0, "root");
	is_called(text, 1000, "ann");
	is_called(text, 100, "b");
}

static void a_stranger_has_a_number(void **state)
{
	(void)state;
	is_called("", 7, "7");
	is_called("root:x:0:0::/:\n", 4294967293u, "4294967293");
	is_called("a:x:10:7::/:\n", 1, "1");
	is_called("a:x:1", 1, "1");
	is_called("a:x", 1, "1");
	is_called("a", 1, "1");
	is_called(":x:1:1::/:\n", 1, "1");
	is_called("a:x:01:1::/:\n", 1, "1");
	/* A name that no tool can have made. */
	is_called("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:x:1:1::/:\n", 1, "1");
	is_called("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:x:1:1::/:\n", 1,
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_a_user),
		cmocka_unit_test(a_stranger_has_a_number),
	};

	return cmocka_run_group_tests_name("guest user", tests, NULL, NULL);
}
