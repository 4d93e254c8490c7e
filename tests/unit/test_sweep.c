// SPDX-License-Identifier: MIT
/*
 * Which descriptors a sweep leaves: in a process of its own, since it closes
 * what the test itself was given.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/sweep.h"

#define FIRST 20
#define COUNT 8

/* A bit for each of FIRST.. that is open after the sweep. */
static int open_after(int from, const int *keep, unsigned nr)
{
	int status, i, bits = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		for (i = 0; i < COUNT; i++)
			dup2(STDIN_FILENO, FIRST + i);
		sweep_fds(from, keep, nr);
		for (i = 0; i < COUNT; i++)
			bits |= (fcntl(FIRST + i, F_GETFD) >= 0) << i;
		_exit(bits);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void closes_all_but_the_kept(void **state)
{
	static const struct {
		int from, keep[3], left;
	} t[] = {
		{ FIRST, { -1, -1, -1 }, 0x00 },
		{ FIRST, { 22, -1, 24 }, 0x14 },
		{ FIRST, { 24, 22, -1 }, 0x14 },
		{ FIRST, { 20, 21, 27 }, 0x83 },
		{ FIRST, { 23, 23, 23 }, 0x08 },
		{ FIRST, { 1000, -1, -1 }, 0x00 },
		/* Below the first: not looked at, kept or not. */
		{ 24, { 21, 26, -1 }, 0x4f },
	};
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_int_equal(open_after(t[i].from, t[i].keep, 3),
				 t[i].left);
	assert_int_equal(open_after(FIRST, NULL, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closes_all_but_the_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
