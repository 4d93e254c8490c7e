// SPDX-License-Identifier: MIT
/* LINK: vmm/jail/own_core.c */
/* LIBS: -Wl,--wrap=prctl */
/*
 * Core scheduling: kernels of every kind are played by a prctl of our own, for
 * the machine that tests run on may have one thread a core.
 */
#include "jail/own_core.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>

#include <cmocka.h>

/* What the kernel is: its answer to CREATE, and the cookie that there is. */
static int refusal;
static uint64_t cookie;
static unsigned nr_created;

int __wrap_prctl(int option, ...);

int __wrap_prctl(int option, ...)
{
	unsigned long command, pid, scope, where;
	va_list ap;

	va_start(ap, option);
	command = va_arg(ap, unsigned long);
	pid = va_arg(ap, unsigned long);
	scope = va_arg(ap, unsigned long);
	where = va_arg(ap, unsigned long);
	va_end(ap);
	assert_int_equal(option, PR_SCHED_CORE);
	assert_int_equal(pid, 0);
	assert_int_equal(scope, 0);
	if (refusal) {
		errno = refusal;
		return -1;
	}
	if (command == PR_SCHED_CORE_GET) {
		*(uint64_t *)where = cookie;
		return 0;
	}
	assert_int_equal(command, PR_SCHED_CORE_CREATE);
	nr_created++;
	return 0;
}

static int take(enum own_core mode, int no, uint64_t has, struct err *e)
{
	refusal = no;
	cookie = has;
	nr_created = 0;
	return own_core_take(mode, e);
}

static void auto_never_waits(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(take(OWN_CORE_AUTO, 0, 0, &e), 0);
	assert_int_equal(nr_created, 0);
	assert_int_equal(take(OWN_CORE_AUTO, 0, 0x5eed, &e), 0);
	assert_int_equal(nr_created, 1);
}

static void auto_never_fails(void **state)
{
	static const int no[] = { EINVAL, ENODEV, EPERM, ENOMEM };
	struct err e;

	(void)state;
	for (unsigned i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		assert_int_equal(take(OWN_CORE_AUTO, no[i], 1, &e), 0);
}

static void on_takes_one_or_says_why(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(take(OWN_CORE_ON, 0, 0, &e), 0);
	assert_int_equal(nr_created, 1);
	assert_int_equal(take(OWN_CORE_ON, EINVAL, 0, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "--own-core=off"));
	/* One thread a core: that is what was wanted. */
	assert_int_equal(take(OWN_CORE_ON, ENODEV, 0, &e), 0);
}

static void off_asks_for_nothing(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(take(OWN_CORE_OFF, 0, 1, &e), 0);
	assert_int_equal(nr_created, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(auto_never_waits),
		cmocka_unit_test(auto_never_fails),
		cmocka_unit_test(on_takes_one_or_says_why),
		cmocka_unit_test(off_asks_for_nothing),
	};

	return cmocka_run_group_tests_name("own_core", tests, NULL, NULL);
}
