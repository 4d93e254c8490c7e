/* LINK: guest-init/names.c guest-init/fsmount.c */
// SPDX-License-Identifier: MIT
/*
 * The texts of the files that make names resolve. That libcs find the names in
 * them is for the tests that have a guest.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../guest-init/names.h"

/* Has the hosts text this address with this name as its first? */
static bool has_line(const char *text, const char *address, const char *name)
{
	char a[64], n[128], line[256];

	while (sscanf(text, "%255[^\n]", line) == 1) {
		if (sscanf(line, "%63s %127s", a, n) == 2 &&
		    !strcmp(a, address) && !strcmp(n, name))
			return true;
		text += strlen(line);
		text += *text == '\n';
	}
	return false;
}

static void hosts_have_both_names(void **state)
{
	char text[NAMES_HOSTS_ROOM];
	size_t len = names_write_hosts(text, "there");

	(void)state;
	assert_int_equal(len, strlen(text));
	assert_int_equal(text[len - 1], '\n');
	assert_true(has_line(text, "127.0.0.1", "localhost"));
	assert_true(has_line(text, "::1", "localhost"));
	assert_true(has_line(text, "127.0.0.1", "there"));
	assert_true(has_line(text, "::1", "there"));
}

static void any_name_takes_the_same_room(void **state)
{
	char text[NAMES_HOSTS_ROOM], name[JOB_HOSTNAME_MAX + 1] = "";
	size_t len = names_write_hosts(text, "x");

	(void)state;
	assert_int_equal(names_write_hosts(text, ""), len);
	memset(name, 'n', JOB_HOSTNAME_MAX);
	assert_int_equal(names_write_hosts(text, name), len);
	assert_true(len < sizeof(text));
	assert_true(has_line(text, "::1", name));
}

/* What becomes of a text of its exact size on the heap; NULL: it stays. */
static char *fix(const char *text, size_t room)
{
	size_t len = strlen(text);
	char *in = malloc(len + !len), *out = malloc(room + 1);

	assert_non_null(in);
	assert_non_null(out);
	memcpy(in, text, len);
	len = names_fix_nsswitch(in, len, out, room);
	free(in);
	assert_true(len <= room);
	out[len] = '\0';
	if (len)
		return out;
	free(out);
	return NULL;
}

static void files_come_first(void **state)
{
	static const char *const pairs[][2] = {
		{ "hosts: dns", "hosts: files  dns" },
		{ "hosts:dns\n", "hosts: files dns\n" },
		{ "hosts:\n", "hosts: files \n" },
		{ "hosts:", "hosts: files " },
		{ "passwd: db\n\thosts:\tdns files # x\ngroup: db",
		  "passwd: db\n\thosts: files \tdns files # x\ngroup: db" },
		{ "hosts: filesystem\n", "hosts: files  filesystem\n" },
		{ "hosts: files\nhosts: dns\n",
		  "hosts: files\nhosts: files  dns\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		char *out = fix(pairs[i][0], 256);

		assert_non_null(out);
		assert_string_equal(out, pairs[i][1]);
		free(out);
	}
}

static void what_is_right_is_left_alone(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		"passwd: files\n",
		"# hosts: dns\n",
		"hosts: files\n",
		"hosts:\tfiles dns\n",
		"hosts: files[NOTFOUND=return] dns",
		"hosts:files#dns",
		"myhosts: dns\n",
		"hosts",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_null(fix(texts[i], 256));
}

static void what_does_not_fit_is_left_alone(void **state)
{
	char *out;

	(void)state;
	for (size_t room = 0; room < 17; room++)
		assert_null(fix("hosts: dns", room));
	out = fix("hosts: dns", 18);
	assert_non_null(out);
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_have_both_names),
		cmocka_unit_test(any_name_takes_the_same_room),
		cmocka_unit_test(files_come_first),
		cmocka_unit_test(what_is_right_is_left_alone),
		cmocka_unit_test(what_does_not_fit_is_left_alone),
	};

	return cmocka_run_group_tests_name("guest names", tests, NULL, NULL);
}
