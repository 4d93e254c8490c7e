/* LINK: guest-init/pump.c */
/* LIBS: -Wl,--wrap=read -Wl,--wrap=write */
// SPDX-License-Identifier: MIT
/*
 * A stream between real descriptors: a pipe on the job's side, a socket pair
 * in the place of the console port (it too gives POLLHUP, 0 and EAGAIN).
 * What a port does and a socket does not (a 0 that is not the end, a 0 for a
 * write, ENOMEM) comes from read and write as wrapped here.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../guest-init/pump.h"

ssize_t __real_read(int fd, void *buf, size_t n);
ssize_t __real_write(int fd, const void *buf, size_t n);
ssize_t __wrap_read(int fd, void *buf, size_t n);
ssize_t __wrap_write(int fd, const void *buf, size_t n);

/* The next calls on this descriptor answer 0, or fail. */
static struct {
	int fd;
	int zeros;
	int failures;
	int code;
	size_t smallest; /* write seen */
} trick;

ssize_t __wrap_read(int fd, void *buf, size_t n)
{
	if (fd == trick.fd && trick.zeros > 0) {
		trick.zeros--;
		return 0;
	}
	return __real_read(fd, buf, n);
}

ssize_t __wrap_write(int fd, const void *buf, size_t n)
{
	if (fd == trick.fd) {
		if (n < trick.smallest)
			trick.smallest = n;
		if (trick.failures > 0) {
			trick.failures--;
			errno = trick.code;
			return trick.code ? -1 : 0;
		}
	}
	return __real_write(fd, buf, n);
}

static void play(int fd, int zeros, int failures, int code)
{
	trick.fd = fd;
	trick.zeros = zeros;
	trick.failures = failures;
	trick.code = code;
	trick.smallest = SIZE_MAX;
}

struct line {
	struct pump pump;
	int host; /* the other end of the port; non-blocking */
	int job;  /* the other end of the pipe; non-blocking */
	uint8_t buf[PUMP_CHUNK];
};

static struct line *line_open(enum pump_dir dir)
{
	struct line *l = calloc(1, sizeof(*l));
	int port[2], fds[2];

	assert_non_null(l);
	play(-1, 0, 0, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
				    port), 0);
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	l->host = port[0];
	if (dir == PUMP_TO_JOB) {
		l->job = fds[0];
		pump_open(&l->pump, dir, port[1], fds[1], l->buf);
	} else {
		l->job = fds[1];
		pump_open(&l->pump, dir, fds[0], port[1], l->buf);
	}
	return l;
}

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void line_close(struct line *l)
{
	shut(&l->host);
	shut(&l->job);
	shut(&l->pump.src);
	shut(&l->pump.dst);
	free(l);
}

/* One round as init does it; returns whether anything was to be done. */
static int round_of(struct line *lines[], int n)
{
	struct pollfd pfd[8];
	int ready;

	assert_true(n <= 4);
	for (int i = 0; i < n; i++)
		pump_want(&lines[i]->pump, &pfd[2 * i]);
	ready = poll(pfd, (nfds_t)(2 * n), 0);
	assert_true(ready >= 0);
	for (int i = 0; ready && i < n; i++)
		pump_step(&lines[i]->pump, &pfd[2 * i]);
	return ready;
}

/* Rounds until poll would sleep: the stream must come to rest. */
static void settle(struct line *l)
{
	int rounds = 0;

	while (round_of(&l, 1))
		assert_true(++rounds < 10000);
}

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i ^ (i >> 8) ^ (i >> 16));
}

/* Write pattern bytes from *at up to `end` as far as they are taken. */
static void feed(int fd, size_t *at, size_t end)
{
	uint8_t buf[4096]; /* whole pages: then a pipe holds 64 KiB */

	while (*at < end) {
		size_t n = end - *at < sizeof(buf) ? end - *at : sizeof(buf);
		ssize_t done;

		for (size_t i = 0; i < n; i++)
			buf[i] = pattern(*at + i);
		done = write(fd, buf, n);
		if (done < 0) {
			assert_int_equal(errno, EAGAIN);
			return;
		}
		*at += (size_t)done;
	}
}

/* Read what is there and compare; returns whether the end was seen. */
static bool eat(int fd, size_t *at)
{
	uint8_t buf[7000];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(buf[i], pattern((*at)++));
	if (n < 0)
		assert_int_equal(errno, EAGAIN);
	return n == 0;
}

/* Write into one end until no more is taken and all is at rest; how much. */
static size_t fill(struct line *l, int fd)
{
	size_t sent = 0, before;

	do {
		before = sent;
		feed(fd, &sent, 8u << 20);
		settle(l);
	} while (sent != before);
	return sent;
}

static void carry(enum pump_dir dir)
{
	const size_t total = (3u << 20) + 17;
	struct line *l = line_open(dir);
	int *in = dir == PUMP_TO_JOB ? &l->host : &l->job;
	int *out = dir == PUMP_TO_JOB ? &l->job : &l->host;
	size_t sent = 0, got = 0;

	while (sent < total) {
		feed(*in, &sent, total);
		settle(l);
		assert_false(eat(*out, &got));
	}
	shut(in);
	do
		settle(l);
	while (!eat(*out, &got));
	assert_int_equal(got, total);
	assert_true(pump_done(&l->pump));
	line_close(l);
}

static void carries_all_bytes_to_the_job(void **state)
{
	(void)state;
	carry(PUMP_TO_JOB);
}

static void carries_all_bytes_from_the_job(void **state)
{
	(void)state;
	carry(PUMP_FROM_JOB);
}

/* A host that reads nothing holds its own stream and no other. */
static void streams_are_independent(void **state)
{
	struct line *l[3] = {
		line_open(PUMP_FROM_JOB),
		line_open(PUMP_FROM_JOB),
		line_open(PUMP_TO_JOB),
	};
	const size_t much = 8u << 20;
	size_t stuck = 0, before, got = 0;
	size_t sent[3] = { 0 }, read_back[3] = { 0 };

	(void)state;
	do {
		before = stuck;
		feed(l[0]->job, &stuck, much);
		round_of(l, 3);
	} while (stuck != before);
	assert_true(stuck < much); /* bounded: the writer is held back */
	while (read_back[1] < much || read_back[2] < much) {
		feed(l[1]->job, &sent[1], much);
		feed(l[2]->host, &sent[2], much);
		assert_int_not_equal(round_of(l, 3), 0);
		eat(l[1]->host, &read_back[1]);
		eat(l[2]->job, &read_back[2]);
	}
	feed(l[0]->job, &stuck, stuck + 1);
	while (got < stuck) {
		eat(l[0]->host, &got);
		settle(l[0]);
	}
	for (int i = 0; i < 3; i++)
		line_close(l[i]);
}

/* Nothing to do: poll must sleep, with an idle and with a blocked stream. */
static void rests_when_there_is_nothing_to_do(void **state)
{
	struct line *out = line_open(PUMP_FROM_JOB);
	struct line *in = line_open(PUMP_TO_JOB);

	(void)state;
	assert_int_equal(round_of(&out, 1), 0);
	assert_int_equal(round_of(&in, 1), 0);
	/* The host says all it has to say and goes; the job does not read. */
	fill(in, in->host);
	shut(&in->host);
	settle(in);
	/* The job writes all it can and goes; the host does not read. */
	fill(out, out->job);
	shut(&out->job);
	settle(out);
	line_close(out);
	line_close(in);
}

static void host_that_closes_breaks_the_jobs_pipe(void **state)
{
	struct line *l = line_open(PUMP_FROM_JOB);

	(void)state;
	assert_int_equal(write(l->job, "x", 1), 1);
	shut(&l->host);
	settle(l);
	assert_true(pump_done(&l->pump));
	assert_int_equal(write(l->job, "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	line_close(l);
}

static void blocked_stream_sees_the_host_close(void **state)
{
	struct line *l = line_open(PUMP_FROM_JOB);

	(void)state;
	fill(l, l->job);
	shut(&l->host);
	settle(l);
	assert_int_equal(write(l->job, "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	line_close(l);
}

static void job_that_closes_stdin_closes_the_port(void **state)
{
	struct line *idle = line_open(PUMP_TO_JOB);
	struct line *busy = line_open(PUMP_TO_JOB);
	size_t sent = 0;
	char c;

	(void)state;
	shut(&idle->job);
	settle(idle);
	assert_int_equal(read(idle->host, &c, 1), 0);

	feed(busy->host, &sent, 1u << 20);
	settle(busy);
	shut(&busy->job);
	settle(busy);
	assert_true(pump_done(&busy->pump));
	/* A socket whose peer left bytes unread answers ECONNRESET once. */
	assert_true(write(busy->host, "x", 1) < 0);
	line_close(idle);
	line_close(busy);
}

static void end_of_output_closes_the_port_after_the_bytes(void **state)
{
	struct line *l = line_open(PUMP_FROM_JOB);
	size_t sent = 0, got = 0;

	(void)state;
	feed(l->job, &sent, 60000);
	assert_int_equal(sent, 60000);
	shut(&l->job);
	settle(l);
	assert_true(eat(l->host, &got));
	assert_int_equal(got, 60000);
	line_close(l);
}

static void stdin_at_its_end_from_the_start(void **state)
{
	struct line *l = line_open(PUMP_TO_JOB);
	char c;

	(void)state;
	shut(&l->host);
	settle(l);
	assert_int_equal(read(l->job, &c, 1), 0);
	line_close(l);
}

/* The port's first 0 may be older than the bytes that came before goodbye. */
static void one_zero_from_the_port_is_not_the_end(void **state)
{
	struct line *l = line_open(PUMP_TO_JOB);
	char c = 0;

	(void)state;
	assert_int_equal(write(l->host, "x", 1), 1);
	shut(&l->host);
	play(l->pump.src, 1, 0, 0);
	settle(l);
	assert_int_equal(trick.zeros, 0);
	assert_int_equal(read(l->job, &c, 1), 1);
	assert_int_equal(c, 'x');
	assert_int_equal(read(l->job, &c, 1), 0);
	line_close(l);
}

static void survives_refusals(int code)
{
	struct line *l = line_open(PUMP_FROM_JOB);
	size_t sent = 0, got = 0;

	feed(l->job, &sent, 60000);
	play(l->pump.dst, 0, 9, code);
	settle(l);
	assert_int_equal(trick.failures, 0);
	assert_true(trick.smallest <= 512);
	assert_false(eat(l->host, &got));
	assert_int_equal(got, 60000);
	line_close(l);
}

static void want_of_memory_makes_writes_smaller(void **state)
{
	(void)state;
	survives_refusals(ENOMEM);
}

static void a_write_that_answers_zero_loses_nothing(void **state)
{
	(void)state;
	survives_refusals(0);
}

/* Two bufferfuls in the pipe, and a writer that init cannot see end. */
static void last_call_delivers_what_the_pipe_holds(void **state)
{
	const struct pollfd none[2] = { { 0 } };
	struct line *l = line_open(PUMP_FROM_JOB);
	size_t sent = 0, got = 0;

	(void)state;
	feed(l->job, &sent, 65536);
	assert_int_equal(sent, 65536);
	pump_last_call(&l->pump);
	pump_step(&l->pump, none);
	assert_true(pump_done(&l->pump));
	assert_false(eat(l->host, &got)); /* the port stays open */
	assert_int_equal(got, 65536);
	line_close(l);
}

static void last_call_waits_for_a_slow_host(void **state)
{
	struct pollfd none[2] = { { 0 } };
	struct line *l = line_open(PUMP_FROM_JOB);
	size_t sent, got = 0;

	(void)state;
	sent = fill(l, l->job);
	shut(&l->job);
	pump_last_call(&l->pump);
	pump_step(&l->pump, none);
	assert_false(pump_done(&l->pump));
	assert_int_equal(round_of(&l, 1), 0); /* asleep, not spinning */
	while (!pump_done(&l->pump)) {
		eat(l->host, &got);
		settle(l);
	}
	eat(l->host, &got);
	assert_int_equal(got, sent);
	line_close(l);
}

static void last_call_ends_an_input(void **state)
{
	struct line *l = line_open(PUMP_TO_JOB);
	size_t sent = 0;

	(void)state;
	feed(l->host, &sent, 100000);
	settle(l);
	pump_last_call(&l->pump);
	assert_true(pump_done(&l->pump));
	assert_int_equal(round_of(&l, 1), 0);
	line_close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(carries_all_bytes_to_the_job),
		cmocka_unit_test(carries_all_bytes_from_the_job),
		cmocka_unit_test(streams_are_independent),
		cmocka_unit_test(rests_when_there_is_nothing_to_do),
		cmocka_unit_test(host_that_closes_breaks_the_jobs_pipe),
		cmocka_unit_test(blocked_stream_sees_the_host_close),
		cmocka_unit_test(job_that_closes_stdin_closes_the_port),
		cmocka_unit_test(end_of_output_closes_the_port_after_the_bytes),
		cmocka_unit_test(stdin_at_its_end_from_the_start),
		cmocka_unit_test(one_zero_from_the_port_is_not_the_end),
		cmocka_unit_test(want_of_memory_makes_writes_smaller),
		cmocka_unit_test(a_write_that_answers_zero_loses_nothing),
		cmocka_unit_test(last_call_delivers_what_the_pipe_holds),
		cmocka_unit_test(last_call_waits_for_a_slow_host),
		cmocka_unit_test(last_call_ends_an_input),
	};

	/* PID 1 is not killed by it either. */
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("guest pump", tests, NULL, NULL);
}
