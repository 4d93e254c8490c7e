// SPDX-License-Identifier: MIT
/*
 * A machine whose process has entered the jail runs: what a KVM does for the
 * first time in KVM_RUN (since Linux 6.14 it makes a kernel thread of this
 * process there) must not need what was given up. Without the filters, which
 * the sanitizers of this build do not fit through; suite 50 has those.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/jail.h"
#include "machine.h"

#define ALL_GOOD   42
#define NOT_JAILED 43
#define NO_GUEST   44

static struct machine m;

static int run_jailed(enum jail_mode mode)
{
	struct jail j;
	struct err e;

	machine_init(&m, 2);
	machine_do_reset(&m);
	jail_init(&j, mode, NULL, &arch_policy);
	if (jail_enter(&j, &e))
		return NOT_JAILED;
	if (mode == JAIL_AUTO && !(j.given >> JAIL_CAPS & 1))
		return NOT_JAILED;
	return machine_run(&m) == VCPU_RESET ? ALL_GOOD : NO_GUEST;
}

static int status_of(enum jail_mode mode)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid)
		_exit(run_jailed(mode));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_guest_runs_in_the_jail(void **state)
{
	(void)state;
	assert_int_equal(status_of(JAIL_AUTO), ALL_GOOD);
	assert_int_equal(status_of(JAIL_OFF), ALL_GOOD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_runs_in_the_jail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
