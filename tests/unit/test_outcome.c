// SPDX-License-Identifier: MIT
/* LINK: vmm/job/outcome.c */
/*
 * The table of issue 2 and husk(1): verdict and code in, exit status out.
 */
#include "job/outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>

static const struct {
	enum verdict verdict;
	int code;
	int status;
	const char *name;
} table[] = {
	{VERDICT_NONE, 0, 125, "none"},
	{VERDICT_EXITED, 0, 0, "exited"},
	{VERDICT_EXITED, 1, 1, "exited"},
	{VERDICT_EXITED, 124, 124, "exited"},
	{VERDICT_EXITED, 255, 255, "exited"},
	{VERDICT_SIGNALED, SIGKILL, 137, "signaled"},
	{VERDICT_SIGNALED, SIGSEGV, 139, "signaled"},
	{VERDICT_SIGNALED, 64, 192, "signaled"},
	{VERDICT_TIMEOUT, 0, 124, "timeout"},
	{VERDICT_TIMEOUT, SIGKILL, 124, "timeout"},
	{VERDICT_CPU_TIME, SIGKILL, 124, "cpu_time"},
	{VERDICT_OOM, SIGKILL, 137, "oom"},
	{VERDICT_OOM, 0, 137, "oom"},
	{VERDICT_OUTPUT_LIMIT, 0, 153, "output_limit"},
	{VERDICT_INTERRUPTED, SIGINT, 130, "interrupted"},
	{VERDICT_INTERRUPTED, SIGTERM, 143, "interrupted"},
	{VERDICT_START_FAILED, ENOENT, 127, "start_failed"},
	{VERDICT_START_FAILED, EACCES, 126, "start_failed"},
	{VERDICT_START_FAILED, ENOEXEC, 126, "start_failed"},
	{VERDICT_GUEST_CRASH, 0, 125, "guest_crash"},
	{VERDICT_ERROR, EINVAL, 125, "error"},
};

static void test_table(void **state)
{
	bool seen[VERDICT_ERROR + 1] = {false};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct outcome o = {
			.verdict = table[i].verdict,
			.code = table[i].code,
		};

		assert_int_equal(outcome_exit_status(&o), table[i].status);
		assert_string_equal(outcome_verdict_name(o.verdict),
				    table[i].name);
		seen[o.verdict] = true;
	}
	for (size_t v = 0; v < sizeof(seen); v++)
		assert_true(seen[v]);
}

/* A verdict or code out of the guest's hands stays within 0 to 255. */
static void test_any_code(void **state)
{
	static const int codes[] = {-1, 256, 1 << 30, INT32_MIN, INT32_MAX};

	(void)state;
	for (unsigned v = 0; v <= VERDICT_ERROR; v++) {
		for (size_t i = 0; i < 5; i++) {
			struct outcome o = {
				.verdict = (enum verdict)v,
				.code = codes[i],
			};
			int status = outcome_exit_status(&o);

			assert_true(status >= 0 && status <= 255);
		}
	}
}

/* A job's own end needs no line; any other end has one, with its reason. */
static void test_line(void **state)
{
	(void)state;
	for (unsigned v = 0; v <= VERDICT_ERROR; v++) {
		struct outcome o = {.verdict = (enum verdict)v};
		const char *line = outcome_line(&o);

		if (v == VERDICT_EXITED || v == VERDICT_SIGNALED ||
		    v == VERDICT_INTERRUPTED) {
			assert_null(line);
			continue;
		}
		assert_non_null(line);
		assert_true(strlen(line) > 8);
		snprintf(o.reason, sizeof(o.reason), "because");
		assert_string_equal(outcome_line(&o), "because");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_any_code),
		cmocka_unit_test(test_line),
	};

	return cmocka_run_group_tests_name("outcome", tests, NULL, NULL);
}
