/* SPDX-License-Identifier: MIT */
/*
 * What the tests of streams share: one stream with its events counted, bytes
 * to send, and ways to open it. In a header so that each program has its own.
 */
#ifndef HUSK_TESTS_STREAM_MAKE_H
#define HUSK_TESTS_STREAM_MAKE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "backends/stream.h"

static struct stream s;
static struct err err;
static unsigned nr_events[3];
static uint8_t bytes[256 * 1024];

static inline void on_event(void *opaque, struct stream *from,
			    enum stream_event ev)
{
	assert_ptr_equal(opaque, nr_events);
	assert_ptr_equal(from, &s);
	nr_events[ev]++;
}

static inline void fresh(void)
{
	stream_close(&s);
	memset(nr_events, 0, sizeof(nr_events));
	memset(&err, 0, sizeof(err));
	s = (struct stream){ .fd = -1, .limit = UINT64_MAX, .event = on_event,
			     .opaque = nr_events };
}

static inline int set_up(void **state)
{
	size_t i;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 11 + (i >> 8));
	s.fd = -1;
	fresh();
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	stream_close(&s);
	return 0;
}

static inline void open_out(int fd, enum stream_way way)
{
	assert_int_equal(stream_open(&s, "stdout", fd, false, &err), 0);
	assert_int_equal(s.way, way);
	assert_int_equal(s.fd, fd);
}

static inline void open_in(int fd, enum stream_way way)
{
	assert_int_equal(stream_open(&s, "stdin", fd, true, &err), 0);
	assert_int_equal(s.way, way);
}

/* In two buffers, as chains come. */
static inline ssize_t take(const uint8_t *p, size_t len)
{
	struct iovec iov[2] = {
		{ (void *)(uintptr_t)p, len / 3 },
		{ (void *)(uintptr_t)(p + len / 3), len - len / 3 },
	};
	unsigned first = len / 3 ? 0 : 1;

	return stream_output_ops.take(&s, iov + first, 2 - first, len);
}

static inline ssize_t give(uint8_t *p, size_t len)
{
	struct iovec iov[2] = {
		{ p, len / 3 },
		{ p + len / 3, len - len / 3 },
	};
	unsigned first = len / 3 ? 0 : 1;

	return stream_input_ops.give(&s, iov + first, 2 - first);
}

/* Make opening anything fail, which leaves shared descriptions only. */
static inline void open_shared(int fd, bool input)
{
	struct rlimit old, few;

	getrlimit(RLIMIT_NOFILE, &old);
	few = (struct rlimit){ (rlim_t)fd + 1, old.rlim_max };
	/* All numbers below are taken: fd was the lowest free one. */
	setrlimit(RLIMIT_NOFILE, &few);
	assert_int_equal(stream_open(&s, "x", fd, input, &err), 0);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(s.way, STREAM_SHARED);
}

static inline void check_pipe(int fd, const uint8_t *want, size_t len)
{
	uint8_t *buf = malloc(len + 1);
	size_t have = 0;
	ssize_t n;

	assert_non_null(buf);
	while (have < len) {
		n = read(fd, buf + have, len + 1 - have);
		assert_true(n > 0);
		have += (size_t)n;
	}
	assert_int_equal(have, len);
	assert_memory_equal(buf, want, len);
	free(buf);
}

#endif
