// SPDX-License-Identifier: MIT
/* LINK: vmm/pool/peer.c */
/*
 * Who is trusted: the other end of a socket pair is this process, as the user
 * that it was when the pair was made. Which uids are those of users who have
 * none here is told by two texts.
 */
#include "pool/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALL  "         0          0 4294967295\n"
#define SOME "         0     100000      65536\n"

static void overflow_is_told(void **state)
{
	(void)state;
	assert_false(pool_peer_is_overflow(65534, ALL, "65534\n"));
	assert_true(pool_peer_is_overflow(65534, SOME, "65534\n"));
	assert_true(pool_peer_is_overflow(65534, "", "65534\n"));
	assert_true(pool_peer_is_overflow(65534, "0 1000 1\n", "65534\n"));
	assert_true(pool_peer_is_overflow(65534, "0 1 4294967295", "65534"));
	assert_true(pool_peer_is_overflow(65534, "1 0 4294967294", "65534"));
	assert_false(pool_peer_is_overflow(1000, SOME, "65534\n"));
	assert_true(pool_peer_is_overflow(99, SOME, "99\n"));
	assert_false(pool_peer_is_overflow(65534, SOME, "99\n"));
	assert_false(pool_peer_is_overflow(0, "", ""));
}

static void own_user_is_trusted(void **state)
{
	int pair[2];
	bool unknown;
	uid_t uid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_true(pool_peer_is_trusted(pair[0], NULL, 0, &uid, &unknown));
	assert_int_equal(uid, geteuid());
	assert_false(unknown);
	close(pair[0]);
	close(pair[1]);
	assert_false(pool_peer_is_trusted(pair[0], NULL, 0, &uid, &unknown));
}

/* A child that is another user than the one at the other end. */
static int status_as(uid_t as, const uid_t *also, unsigned nr)
{
	int pair[2], status;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	pid = fork();
	if (!pid) {
		bool unknown, trusted;
		uid_t uid;

		if (syscall(SYS_setresuid, as, as, as))
			_exit(99);
		/* Whoever made the pair is at both of its ends. */
		trusted = pool_peer_is_trusted(pair[0], also, nr, &uid,
					       &unknown);
		_exit(trusted | (uid == 4242) << 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(pair[0]);
	close(pair[1]);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Everything below as a process that starts as user 4242. */
static int as_another(void)
{
	static const uid_t some[] = { 7, 4242, 9 };

	if (syscall(SYS_setresuid, 4242, 4242, 0))
		return 98;
	if (status_as(4242, NULL, 0) != 3)
		return 1;
	/* setresuid to 0 is the saved one's; there it is a stranger's. */
	if (status_as(0, NULL, 0) != 2)
		return 2;
	if (status_as(0, some, 1) != 2)
		return 3;
	return status_as(0, some, 3) == 3 ? 0 : 4;
}

static void others_are_not(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (geteuid()) {
		/* Cannot be two users; tests/e2e/84-pool-trust.py is. */
		assert_int_equal(status_as(geteuid(), NULL, 0) & 1, 1);
		return;
	}
	pid = fork();
	if (!pid)
		_exit(as_another());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* And root is trusted by whoever it is. */
	assert_int_equal(status_as(4242, NULL, 0), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overflow_is_told),
		cmocka_unit_test(own_user_is_trusted),
		cmocka_unit_test(others_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
