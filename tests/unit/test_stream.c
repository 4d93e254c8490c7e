/* LINK: vmm/backends/stream.c */
/* LIBS: -lutil -Wl,--wrap=pwritev2 -Wl,--wrap=ppoll */
// SPDX-License-Identifier: MIT
/*
 * Output streams on every kind of descriptor a caller may hand over: nothing
 * waits, nothing is lost or doubled, limits are exact, and the flags of a
 * description that others share stay what they were.
 */
#include <poll.h>
#include <sys/uio.h>

#include "stream_make.h"

/* A kernel that knows no RWF_NOWAIT for this file, and what it was asked. */
static bool old_kernel;
static unsigned nr_polls, nr_waits;
static size_t longest;

ssize_t __real_pwritev2(int fd, const struct iovec *iov, int nr, off_t at,
			int flags);
ssize_t __wrap_pwritev2(int fd, const struct iovec *iov, int nr, off_t at,
			int flags);
int __real_ppoll(struct pollfd *p, nfds_t nr, const struct timespec *ts,
		 const sigset_t *set);
int __wrap_ppoll(struct pollfd *p, nfds_t nr, const struct timespec *ts,
		 const sigset_t *set);

ssize_t __wrap_pwritev2(int fd, const struct iovec *iov, int nr, off_t at,
			int flags)
{
	size_t len = 0;
	ssize_t n;
	int i, was;

	if (old_kernel && flags) {
		errno = EOPNOTSUPP;
		return -1;
	}
	for (i = 0; i < nr; i++)
		len += iov[i].iov_len;
	longest = len > longest ? len : longest;
	/* What may wait was looked at just before. */
	nr_waits += !flags && !nr_polls;
	nr_polls = 0;
	n = __real_pwritev2(fd, iov, nr, at, flags);
	if (n >= 0 || errno != EOPNOTSUPP)
		return n;
	/* The kernel of this machine is an old one: what a new one does. */
	was = fcntl(fd, F_GETFL);
	fcntl(fd, F_SETFL, was | O_NONBLOCK);
	n = __real_pwritev2(fd, iov, nr, at, 0);
	i = errno;
	fcntl(fd, F_SETFL, was);
	errno = i;
	return n;
}

int __wrap_ppoll(struct pollfd *p, nfds_t nr, const struct timespec *ts,
		 const sigset_t *set)
{
	nr_polls++;
	return __real_ppoll(p, nr, ts, set);
}

static void watch_calls(bool old)
{
	old_kernel = old;
	nr_polls = nr_waits = 0;
	longest = 0;
}

/* ---- what is a stream ---- */

static void descriptors_that_do_not_do(void **state)
{
	int p[2], dir = open("/tmp", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(stream_open(&s, "stdout", p[0], false, &err), -EBADF);
	assert_non_null(strstr(err.msg, "as stdout: open for reading only"));
	s.fd = -1;
	assert_int_equal(stream_open(&s, "stdin", p[1], true, &err), -EBADF);
	assert_non_null(strstr(err.msg, "open for writing only"));
	s.fd = -1;
	assert_int_equal(stream_open(&s, "stdin", dir, true, &err), -EISDIR);
	assert_non_null(strstr(err.msg, "a directory"));
	s.fd = -1;
	close(dir);
	assert_int_equal(stream_open(&s, "result", dir, false, &err), -EBADF);
	assert_non_null(strstr(err.msg, "result"));
	assert_non_null(strstr(err.msg, "/dev/null"));
	s.fd = -1;
	close(p[0]);
	close(p[1]);
}

static void none_at_all(void **state)
{
	uint8_t buf[4];

	(void)state;
	assert_int_equal(stream_open(&s, "result", -1, false, &err), 0);
	assert_int_equal(take(bytes, 1000), 1000);
	assert_int_equal(s.bytes, 1000);
	assert_int_equal(s.delivered, 0);
	stream_output_ops.closed(&s);
	fresh();
	assert_int_equal(stream_open(&s, "stdin", -1, true, &err), 0);
	assert_int_equal(give(buf, 4), 0);
}

/* It never waits, so it needs no description of our own. */
static void null_is_like_a_file(void **state)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	uint8_t buf[4];

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(stream_open(&s, "stdout", fd, false, &err), 0);
	assert_int_equal(s.way, STREAM_FILE);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(take(bytes, 1000), 1000);
	assert_int_equal(s.delivered, 1000);
	fresh();
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(stream_open(&s, "stdin", fd, true, &err), 0);
	assert_int_equal(give(buf, 4), 0);
	stream_close(&s);
}

/* ---- output ---- */

/* Fill it, drain it, fill it: all that was taken comes out, once. */
static void never_waits(int wr, int rd)
{
	size_t sent = 0, seen = 0;
	ssize_t n;

	(void)wr;
	while (sent < sizeof(bytes)) {
		size_t part = sizeof(bytes) - sent;

		n = take(bytes + sent, part < 30000 ? part : 30000);
		assert_true(n >= 0);
		sent += (size_t)n;
		if (n)
			continue;
		assert_true(sent > seen);
		check_pipe(rd, bytes + seen, sent - seen);
		seen = sent;
	}
	check_pipe(rd, bytes + seen, sent - seen);
	assert_int_equal(s.bytes, sizeof(bytes));
	assert_int_equal(s.delivered, sizeof(bytes));
	assert_int_equal(nr_events[STREAM_FIRST_BYTE], 1);
}

static void out_to_a_pipe(void **state)
{
	int p[2], other, before;

	(void)state;
	assert_int_equal(pipe(p), 0);
	other = dup(p[1]);
	before = fcntl(other, F_GETFL);
	open_out(p[1], STREAM_OWN);
	assert_int_equal(fcntl(other, F_GETFL), before);
	assert_true(fcntl(s.fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(s.fd, F_GETFD) & FD_CLOEXEC);
	never_waits(p[1], p[0]);
	close(other);
	/* Closing ours is the end for the reader. */
	stream_output_ops.closed(&s);
	assert_int_equal(read(p[0], bytes, 1), 0);
	close(p[0]);
}

static void out_to_a_pipe_of_others(void **state)
{
	int p[2], wr, before;

	(void)state;
	assert_int_equal(pipe(p), 0);
	before = fcntl(p[1], F_GETFL);
	wr = dup(p[1]);
	open_shared(wr, false);
	never_waits(wr, p[0]);
	assert_int_equal(fcntl(p[1], F_GETFL), before);
	/* A pipe with less room than PIPE_BUF is not written to at all. */
	while (take(bytes, 4096) > 0)
		;
	assert_int_equal(take(bytes, 1), 0);
	close(p[0]);
	assert_int_equal(take(bytes, 1), -EPIPE);
	assert_int_equal(s.error, 0);
	close(p[1]);
}

/* Nobody can take the room between a look and the write: there is no look. */
static void a_shared_pipe_is_asked_not_to_wait(void **state)
{
	int p[2], wr;

	(void)state;
	assert_int_equal(pipe(p), 0);
	wr = dup(p[1]);
	open_shared(wr, false);
	watch_calls(false);
	never_waits(wr, p[0]);
	assert_false(s.asks);
	assert_int_equal(nr_polls, 0);
	assert_int_equal(nr_waits, 0);
	close(p[0]);
	close(p[1]);
}

/* Before Linux 6.5 there is one, and no more than then fits. */
static void a_shared_pipe_of_an_old_kernel(void **state)
{
	int p[2], wr;

	(void)state;
	assert_int_equal(pipe(p), 0);
	wr = dup(p[1]);
	open_shared(wr, false);
	watch_calls(true);
	never_waits(wr, p[0]);
	assert_true(s.asks);
	assert_int_equal(nr_waits, 0);
	assert_int_equal(longest, PIPE_BUF);
	watch_calls(false);
	close(p[0]);
	close(p[1]);
}

static void out_to_a_socket(void **state)
{
	int p[2], other, before;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	other = dup(p[1]);
	before = fcntl(other, F_GETFL);
	open_out(p[1], STREAM_SOCKET);
	never_waits(p[1], p[0]);
	assert_int_equal(fcntl(other, F_GETFL), before);
	close(p[0]);
	assert_int_equal(take(bytes, 1), -EPIPE);
	assert_int_equal(s.error, 0);
	assert_int_equal(nr_events[STREAM_FAILED], 0);
	close(other);
}

static void out_to_a_file(void **state)
{
	char name[] = "/tmp/test_stream.XXXXXX";
	uint8_t buf[64];
	int fd = mkstemp(name), other;

	(void)state;
	assert_true(fd >= 0);
	unlink(name);
	assert_int_equal(write(fd, "before", 6), 6);
	other = dup(fd);
	open_out(fd, STREAM_FILE);
	assert_int_equal(take(bytes, 50), 50);
	assert_int_equal(fcntl(other, F_GETFL) & O_NONBLOCK, 0);
	/* The position is the one that others go on from, as in a shell. */
	assert_int_equal(write(other, "after", 5), 5);
	assert_int_equal(pread(other, buf, sizeof(buf), 0), 61);
	assert_memory_equal(buf, "before", 6);
	assert_memory_equal(buf + 6, bytes, 50);
	assert_memory_equal(buf + 56, "after", 5);
	close(other);
}

static void out_to_a_terminal(void **state)
{
	struct termios raw;
	int master, slave, other, before;
	uint8_t buf[16];

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	tcgetattr(slave, &raw);
	cfmakeraw(&raw);
	tcsetattr(slave, TCSANOW, &raw);
	other = dup(slave);
	before = fcntl(other, F_GETFL);
	open_out(slave, STREAM_OWN);
	assert_int_equal(take(bytes, 10), 10);
	assert_int_equal(read(master, buf, sizeof(buf)), 10);
	assert_memory_equal(buf, bytes, 10);
	assert_int_equal(fcntl(other, F_GETFL), before);
	/* Nobody reads: it fills up, and nobody waits. */
	while (take(bytes, 1000) > 0)
		;
	assert_int_equal(take(bytes, 1000), 0);
	close(master);
	/* It hung up: not a reader that lost interest, but no disk either. */
	assert_int_equal(take(bytes, 10), -EPIPE);
	close(other);
}

/* No kernel has it for terminals; what fits when poll says so is little. */
static void a_shared_terminal(void **state)
{
	int master, slave, wr;
	struct termios raw;

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	tcgetattr(slave, &raw);
	cfmakeraw(&raw);
	tcsetattr(slave, TCSANOW, &raw);
	wr = dup(slave);
	open_shared(wr, false);
	watch_calls(true);
	never_waits(wr, master);
	assert_int_equal(nr_waits, 0);
	assert_int_equal(longest, 32);
	watch_calls(false);
	close(slave);
	close(master);
}

static void a_reader_that_goes_away(void **state)
{
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	open_out(p[1], STREAM_OWN);
	assert_int_equal(take(bytes, 10), 10);
	close(p[0]);
	assert_int_equal(take(bytes, 10), -EPIPE);
	assert_int_equal(s.error, 0);
	assert_int_equal(nr_events[STREAM_FAILED], 0);
	assert_int_equal(s.delivered, 10);
}

static void a_disk_that_is_full(void **state)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	open_out(fd, STREAM_OWN);
	assert_int_equal(take(bytes, 10), -EPIPE);
	assert_int_equal(s.error, ENOSPC);
	assert_int_equal(take(bytes, 10), -EPIPE);
	assert_int_equal(nr_events[STREAM_FAILED], 1);
	assert_int_equal(s.bytes, 0);
}

static void a_file_that_may_not_grow(void **state)
{
	char name[] = "/tmp/test_stream.XXXXXX";
	struct rlimit old, few;
	int fd = mkstemp(name);

	(void)state;
	unlink(name);
	open_out(fd, STREAM_FILE);
	getrlimit(RLIMIT_FSIZE, &old);
	few = (struct rlimit){ 15, old.rlim_max };
	setrlimit(RLIMIT_FSIZE, &few);
	/* As far as it goes, then the error. */
	assert_int_equal(take(bytes, 20), 15);
	assert_int_equal(take(bytes + 15, 5), -EPIPE);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(s.error, EFBIG);
	assert_int_equal(s.delivered, 15);
}

/* ---- limits ---- */

static void limits(void **state)
{
	/* Two writes a, b against a limit: bytes out, cut or not. */
	static const struct {
		uint64_t limit;
		size_t a, b;
		uint64_t out;
		bool cut;
	} t[] = {
		{ 10, 4, 6, 10, false },
		{ 10, 10, 0, 10, false },
		{ 10, 10, 1, 10, true },
		{ 10, 11, 0, 10, true },
		{ 10, 4, 7, 10, true },
		{ 10, 4, 700, 10, true },
		{ 0, 1, 0, 0, true },
		{ 0, 0, 0, 0, false },
		{ 1, 1, 1, 1, true },
		{ UINT64_MAX, 1000, 1000, 2000, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		int p[2];

		fresh();
		s.limit = t[i].limit;
		assert_int_equal(pipe(p), 0);
		open_out(p[1], STREAM_OWN);
		/* The guest is never held back by a limit. */
		assert_int_equal(take(bytes, t[i].a), t[i].a);
		assert_int_equal(take(bytes + t[i].a, t[i].b), t[i].b);
		if (s.truncated != t[i].cut || s.delivered != t[i].out ||
		    s.bytes != t[i].out ||
		    nr_events[STREAM_OVER_LIMIT] != t[i].cut)
			fail_msg("row %zu", i);
		/* Once over, whatever comes is dropped, silently. */
		if (t[i].cut) {
			assert_int_equal(take(bytes, 5), 5);
			assert_int_equal(nr_events[STREAM_OVER_LIMIT], 1);
			assert_int_equal(s.delivered, t[i].out);
		}
		stream_close(&s);
		if (t[i].out)
			check_pipe(p[0], bytes, t[i].out);
		assert_int_equal(read(p[0], &p[1], 1), 0);
		close(p[0]);
	}
}

static void limit_with_a_slow_reader(void **state)
{
	const size_t limit = 100 * 1000;
	size_t sent = 0, seen = 0;
	int p[2];
	ssize_t n;

	(void)state;
	s.limit = limit;
	assert_int_equal(pipe(p), 0);
	open_out(p[1], STREAM_OWN);
	for (;;) {
		n = take(bytes + sent, 120 * 1000 - sent);
		assert_true(n >= 0);
		sent += (size_t)n;
		/* Not cut before all that is allowed is out. */
		if (s.truncated)
			break;
		assert_int_equal(s.delivered, sent);
		check_pipe(p[0], bytes + seen, sent - seen);
		seen = sent;
	}
	assert_int_equal(sent, 120 * 1000);
	assert_int_equal(s.delivered, limit);
	check_pipe(p[0], bytes + seen, limit - seen);
	close(p[0]);
}

static void kept_open_until_the_end(void **state)
{
	int p[2];

	(void)state;
	s.keep_open = true;
	assert_int_equal(pipe(p), 0);
	open_out(p[1], STREAM_OWN);
	stream_output_ops.closed(&s);
	assert_int_equal(take(bytes, 3), 3);
	check_pipe(p[0], bytes, 3);
	close(p[0]);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(descriptors_that_do_not_do),
		TEST(none_at_all),
		TEST(null_is_like_a_file),
		TEST(out_to_a_pipe),
		TEST(out_to_a_pipe_of_others),
		TEST(a_shared_pipe_is_asked_not_to_wait),
		TEST(a_shared_pipe_of_an_old_kernel),
		TEST(out_to_a_socket),
		TEST(out_to_a_file),
		TEST(out_to_a_terminal),
		TEST(a_shared_terminal),
		TEST(a_reader_that_goes_away),
		TEST(a_disk_that_is_full),
		TEST(a_file_that_may_not_grow),
		TEST(limits),
		TEST(limit_with_a_slow_reader),
		TEST(kept_open_until_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
