// SPDX-License-Identifier: MIT
/*
 * Each stream is one allocation whose first member is struct stream. FILE
 * was rejected: its reads restart on their own and cannot be interrupted.
 */
#include "tar/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fd_stream {
	struct stream base;
	int fd;
	struct interrupt *in;
};

struct mem_stream {
	struct stream base;
	const uint8_t *p;
	size_t left;
};

struct head_stream {
	struct stream base;
	struct stream *rest;
	size_t at;
	size_t len;
	uint8_t head[];
};

ssize_t stream_read(struct stream *s, void *buf, size_t n, struct err *e)
{
	ssize_t got = s->ops->read(s, buf, n, e);

	if (got > 0)
		s->pos += (uint64_t)got;
	return got;
}

ssize_t stream_read_full(struct stream *s, void *buf, size_t n, struct err *e)
{
	size_t have = 0;

	while (have < n) {
		ssize_t got =
			stream_read(s, (uint8_t *)buf + have, n - have, e);

		if (got < 0)
			return got;
		if (!got)
			break;
		have += (size_t)got;
	}
	return (ssize_t)have;
}

void stream_close(struct stream *s)
{
	if (!s)
		return;
	if (s->ops->close)
		s->ops->close(s);
	free(s);
}

static struct stream *stream_alloc(size_t size, const struct stream_ops *ops,
				   struct err *e)
{
	struct stream *s = calloc(1, size);

	if (!s)
		err_set(e, ENOMEM, "open the input: out of memory");
	else
		s->ops = ops;
	return s;
}

static ssize_t fd_read(struct stream *s, void *buf, size_t n, struct err *e)
{
	struct fd_stream *f = (struct fd_stream *)s;

	for (;;) {
		ssize_t got;
		int rc = interrupt_wait_fd(f->in, f->fd, e);

		if (rc < 0)
			return rc;
		got = read(f->fd, buf, n);
		if (got >= 0)
			return got;
		if (errno != EINTR && errno != EAGAIN)
			return err_sys(e, "input");
	}
}

static const struct stream_ops fd_ops = { .read = fd_read };

struct stream *stream_open_fd(int fd, struct interrupt *in, struct err *e)
{
	struct stream *s = stream_alloc(sizeof(struct fd_stream), &fd_ops, e);
	struct fd_stream *f = (struct fd_stream *)s;

	if (f) {
		f->fd = fd;
		f->in = in;
	}
	return s;
}

static ssize_t mem_read(struct stream *s, void *buf, size_t n, struct err *e)
{
	struct mem_stream *m = (struct mem_stream *)s;

	(void)e;
	if (n > m->left)
		n = m->left;
	if (!n)
		return 0;
	memcpy(buf, m->p, n);
	m->p += n;
	m->left -= n;
	return (ssize_t)n;
}

static const struct stream_ops mem_ops = { .read = mem_read };

struct stream *stream_open_mem(const void *p, size_t n, struct err *e)
{
	struct stream *s = stream_alloc(sizeof(struct mem_stream), &mem_ops, e);
	struct mem_stream *m = (struct mem_stream *)s;

	if (m) {
		m->p = p;
		m->left = n;
	}
	return s;
}

static ssize_t head_read(struct stream *s, void *buf, size_t n, struct err *e)
{
	struct head_stream *h = (struct head_stream *)s;

	if (h->at == h->len)
		return stream_read(h->rest, buf, n, e);
	if (n > h->len - h->at)
		n = h->len - h->at;
	memcpy(buf, h->head + h->at, n);
	h->at += n;
	return (ssize_t)n;
}

static void head_close(struct stream *s)
{
	stream_close(((struct head_stream *)s)->rest);
}

static const struct stream_ops head_ops = {
	.read = head_read,
	.close = head_close,
};

struct stream *stream_open_head(const void *head, size_t n, struct stream *rest,
				struct err *e)
{
	struct stream *s =
		stream_alloc(sizeof(struct head_stream) + n, &head_ops, e);
	struct head_stream *h = (struct head_stream *)s;

	if (!h)
		return NULL;
	h->rest = rest;
	h->len = n;
	memcpy(h->head, head, n);
	return s;
}
