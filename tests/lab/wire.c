// SPDX-License-Identifier: MIT
/*
 * Byte queues and the frames in them, shared by the three programs of the lab.
 * Nothing here waits: descriptors are read and written once they are ready.
 */
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void buf_reserve(struct buf *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 4096;
	unsigned char *mem;

	if (b->start && b->start + b->len + more > b->cap) {
		memmove(b->mem, b->mem + b->start, b->len);
		b->start = 0;
	}
	if (b->len + more <= b->cap)
		return;
	while (cap < b->len + more)
		cap *= 2;
	mem = realloc(b->mem, cap);
	if (!mem)
		abort();
	b->mem = mem;
	b->cap = cap;
}

void buf_append(struct buf *b, const void *data, size_t len)
{
	if (!len)
		return;
	buf_reserve(b, len);
	memcpy(b->mem + b->start + b->len, data, len);
	b->len += len;
}

void buf_consume(struct buf *b, size_t len)
{
	b->start += len;
	b->len -= len;
	if (!b->len)
		b->start = 0;
}

void buf_free(struct buf *b)
{
	free(b->mem);
	*b = (struct buf){ 0 };
}

long buf_fill(struct buf *b, int fd, size_t max)
{
	ssize_t n;

	buf_reserve(b, max);
	do {
		n = read(fd, b->mem + b->start + b->len, max);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	b->len += (size_t)n;
	return n;
}

int buf_flush(struct buf *b, int fd)
{
	while (b->len) {
		ssize_t n = write(fd, b->mem + b->start, b->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (!n)
			return 0;
		buf_consume(b, (size_t)n);
	}
	return 0;
}

void wire_put(struct buf *b, struct wire_head h, const void *payload)
{
	buf_append(b, &h, sizeof(h));
	buf_append(b, payload, h.len);
}

void wire_put_u32(struct buf *b, struct wire_head h, uint32_t value)
{
	h.len = sizeof(value);
	wire_put(b, h, &value);
}

int wire_peek(const struct buf *b, struct wire_head *h,
	      const unsigned char **payload)
{
	if (b->len < sizeof(*h))
		return 0;
	memcpy(h, b->mem + b->start, sizeof(*h));
	if (!h->type || h->type >= WIRE_TYPES || h->stream > 2 || h->zero ||
	    h->len > WIRE_MAX)
		return -EPROTO;
	if (b->len - sizeof(*h) < h->len)
		return 0;
	*payload = b->mem + b->start + sizeof(*h);
	return 1;
}

void wire_drop(struct buf *b, const struct wire_head *h)
{
	buf_consume(b, sizeof(*h) + h->len);
}

uint32_t wire_u32(const struct wire_head *h, const unsigned char *payload)
{
	uint32_t value = 0;

	if (h->len == sizeof(value))
		memcpy(&value, payload, sizeof(value));
	return value;
}

void fd_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}
