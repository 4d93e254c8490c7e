/* LINK: guest-init/cgroup.c guest-init/job.c */
// SPDX-License-Identifier: MIT
/*
 * What is said when the job's process does not get as far as its command. Its
 * birth into a cgroup needs a guest and is for the tests that have one; the
 * steps behind it are static, so the source is part of this file.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>

#include "../../guest-init/run.c"

static void a_child_that_was_killed_has_a_reason(void **state)
{
	const struct run r = { .step = RUN_SESSION, .code = 0 };
	struct err e = { 0 };

	(void)state;
	errno = 0;
	assert_int_equal(describe(&r, &e), RUN_BROKEN);
	assert_int_equal(e.code, ECHILD);
	assert_null(strstr(e.msg, "session"));
	assert_non_null(strstr(e.msg, "killed"));
}

static void a_step_that_failed_is_named(void **state)
{
	struct run r = { .step = RUN_LIMITS, .code = EPERM };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(describe(&r, &e), RUN_BROKEN);
	assert_int_equal(e.code, EPERM);
	assert_non_null(strstr(e.msg, "set resource limits"));
	r = (struct run){ .step = RUN_WORKDIR, .code = ENOENT,
			  .workdir = "/nowhere" };
	assert_int_equal(describe(&r, &e), RUN_NOT_STARTED);
	assert_non_null(strstr(e.msg, "'/nowhere'"));
}

/* Where nobody hears that it waits, it ends as at any other step. */
static void a_gate_without_init_is_a_failed_step(void **state)
{
	struct run *r = mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	(void)state;
	assert_true(r != MAP_FAILED);
	*r = (struct run){ .nr_pipes = 900, .step = RUN_USER };
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		wait_at_gate(r);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 127);
	assert_int_equal(r->code, EBADF);
	assert_int_equal(r->step, RUN_DESCRIPTORS);
	munmap(r, sizeof(*r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_that_was_killed_has_a_reason),
		cmocka_unit_test(a_step_that_failed_is_named),
		cmocka_unit_test(a_gate_without_init_is_a_failed_step),
	};

	return cmocka_run_group_tests_name("guest run", tests, NULL, NULL);
}
