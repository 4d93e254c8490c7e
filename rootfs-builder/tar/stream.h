/* SPDX-License-Identifier: MIT */
/*
 * Bytes that come once, in order: a descriptor, memory, or another stream
 * unpacked. A reader owns its stream's memory and frees it with stream_close;
 * a stream on top of another closes that one too.
 */
#ifndef HUSK_ROOTFS_STREAM_H
#define HUSK_ROOTFS_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "terminal/interrupt.h"

struct stream;

struct stream_ops {
	/* As stream_read. */
	ssize_t (*read)(struct stream *s, void *buf, size_t n, struct err *e);
	void (*close)(struct stream *s);
};

struct stream {
	const struct stream_ops *ops;
	uint64_t pos; /* bytes given out so far */
};

/* 1..n bytes, 0 at the end, negative errno with err set. n > 0. */
ssize_t stream_read(struct stream *s, void *buf, size_t n, struct err *e);

/* As many as there are up to n: less than n only at the end. */
ssize_t stream_read_full(struct stream *s, void *buf, size_t n, struct err *e);

/* s may be NULL. */
void stream_close(struct stream *s);

/*
 * A descriptor, which stays the caller's. Waits interruptibly. NULL with err
 * set when out of memory, as for all that make one.
 */
struct stream *stream_open_fd(int fd, struct interrupt *in, struct err *e);

/* n bytes at p, which must outlive the stream. */
struct stream *stream_open_mem(const void *p, size_t n, struct err *e);

/* head (copied, n bytes) comes first, then rest (taken over). */
struct stream *stream_open_head(const void *head, size_t n, struct stream *rest,
				struct err *e);

#endif
