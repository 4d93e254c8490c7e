// SPDX-License-Identifier: MIT
/* LINK: vmm/pool/socket.c */
/*
 * Packets with descriptors over socket pairs, and the paths of listeners: a
 * dead one's is taken over, a live one's and other files are not.
 */
#include "pool/socket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void make_pair(int pair[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
}

static void close_pair(const int pair[2])
{
	close(pair[0]);
	close(pair[1]);
}

/* The lowest number that is free: the same as before when none leaks. */
static int next_fd(void)
{
	int fd = open("/dev/null", O_RDONLY);

	close(fd);
	return fd;
}

static void test_packets(void **state)
{
	char data[] = "0123456789", buf[16];
	int pair[2];

	(void)state;
	make_pair(pair);
	assert_int_equal(pool_socket_receive(pair[0], buf, 16, NULL, 0),
			 -EAGAIN);
	assert_int_equal(pool_socket_send(pair[1], data, 10, 4, NULL, 0, -1),
			 0);
	assert_true(pool_socket_is_unread(pair[1]));
	assert_int_equal(pool_socket_receive(pair[0], buf, 16, NULL, 0), 4);
	assert_int_equal(pool_socket_receive(pair[0], buf + 4, 12, NULL, 0), 4);
	assert_int_equal(pool_socket_receive(pair[0], buf + 8, 8, NULL, 0), 2);
	assert_memory_equal(buf, data, 10);
	assert_false(pool_socket_is_unread(pair[1]));
	assert_int_equal(pool_socket_send(pair[1], data, 10, 10, NULL, 0, -1),
			 0);
	assert_int_equal(pool_socket_receive(pair[0], buf, 9, NULL, 0),
			 -EPROTO);
	close(pair[1]);
	assert_int_equal(pool_socket_receive(pair[0], buf, 16, NULL, 0), 0);
	close(pair[0]);
}

static void test_descriptors(void **state)
{
	int fds[POOL_SOCKET_FDS], got[POOL_SOCKET_FDS], pair[2], before;
	char buf[4];
	unsigned i;

	(void)state;
	make_pair(pair);
	for (i = 0; i < POOL_SOCKET_FDS; i++)
		fds[i] = open("/dev/null", O_RDONLY);
	before = next_fd();
	/* In two packets: all of them come with the first. */
	assert_int_equal(pool_socket_send(pair[1], "ab", 2, 1, fds, 3, -1), 0);
	assert_int_equal(pool_socket_receive(pair[0], buf, 4, got, 5), 1);
	for (i = 0; i < 3; i++) {
		assert_true(got[i] >= before);
		assert_int_equal(fcntl(got[i], F_GETFD), FD_CLOEXEC);
		close(got[i]);
	}
	assert_int_equal(got[3], -1);
	assert_int_equal(got[4], -1);
	assert_int_equal(pool_socket_receive(pair[0], buf, 4, got, 5), 1);
	assert_int_equal(got[0], -1);
	assert_int_equal(next_fd(), before);
	for (i = 0; i < POOL_SOCKET_FDS; i++)
		close(fds[i]);
	close_pair(pair);
}

/* More than are wanted, or than there is room for: none stays. */
static void test_too_many(void **state)
{
	int fds[16], got[POOL_SOCKET_FDS], pair[2], before;
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(fds))];
	} control = { 0 };
	struct iovec iov = { (char[]){ 'x' }, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control };
	unsigned nr, i;
	char buf[4];

	(void)state;
	make_pair(pair);
	for (i = 0; i < 16; i++)
		fds[i] = pair[1];
	before = next_fd();
	for (nr = 4; nr <= 16; nr++) {
		msg.msg_controllen = CMSG_SPACE(nr * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(nr * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, nr * sizeof(int));
		assert_int_equal(sendmsg(pair[1], &msg, 0), 1);
		assert_int_equal(pool_socket_receive(pair[0], buf, 4, got, 3),
				 -EPROTO);
		assert_int_equal(next_fd(), before);
	}
	close_pair(pair);
}

/* A queue that is full waits for room, or for the word to stop. */
static void test_full(void **state)
{
	static char big[1 << 20];
	int pair[2], stop[2];

	(void)state;
	make_pair(pair);
	assert_int_equal(pipe(stop), 0);
	assert_int_equal(write(stop[1], "x", 1), 1);
	assert_int_equal(pool_socket_send(pair[1], big, sizeof(big), 4096, NULL,
					  0, stop[0]),
			 -EINTR);
	close(pair[0]);
	/* It went with packets unread. */
	assert_int_equal(pool_socket_send(pair[1], big, 1, 1, NULL, 0, -1),
			 -ECONNRESET);
	assert_int_equal(pool_socket_send(pair[1], big, 1, 1, NULL, 0, -1),
			 -EPIPE);
	close(pair[1]);
	close_pair(stop);
}

static void test_listen(void **state)
{
	char dir[] = "/tmp/husk-test-XXXXXX", path[64];
	int first, second, client;
	struct stat st;
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	assert_int_equal(pool_socket_connect(path, &e), -ENOENT);
	first = pool_socket_listen(path, false, &e);
	assert_true(first >= 0);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(pool_socket_listen(path, false, &e), -EADDRINUSE);
	client = pool_socket_connect(path, &e);
	assert_true(client >= 0);
	close(client);
	close(first);
	assert_int_equal(pool_socket_connect(path, &e), -ECONNREFUSED);
	assert_non_null(strstr(e.msg, "husk pool --listen starts one"));
	second = pool_socket_listen(path, true, &e);
	assert_true(second >= 0);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	close(second);
	/* What is no socket is nobody's to remove. */
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(pool_socket_listen(path, true, &e), -EADDRINUSE);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void test_long_path(void **state)
{
	char path[200];
	struct err e;

	(void)state;
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(pool_socket_listen(path, false, &e), -ENAMETOOLONG);
	assert_int_equal(pool_socket_connect(path, &e), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_listen),
		cmocka_unit_test(test_long_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
