// SPDX-License-Identifier: MIT
/*
 * inflate() with its own reading of gzip headers (15 + 16 window bits), which
 * checks length and CRC of each member. gzread was rejected: it takes what is
 * not gzip for plain data, and reads a descriptor uninterruptibly.
 */
#include "tar/gunzip.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <zlib.h>

struct gunzip {
	struct stream base;
	struct stream *from;
	z_stream z;
	bool inside; /* a member has begun and not ended */
	bool done;
	uint8_t in[65536];
};

/* 1: there is input; 0: the end. */
static int gunzip_fill(struct gunzip *g, struct err *e)
{
	ssize_t got;

	if (g->z.avail_in)
		return 1;
	got = stream_read(g->from, g->in, sizeof(g->in), e);
	if (got < 0)
		return (int)got;
	g->z.next_in = g->in;
	g->z.avail_in = (uInt)got;
	return got > 0;
}

/* Between members: 1 another begins, 0 the end. */
static int gunzip_next_member(struct gunzip *g, struct err *e)
{
	int rc = gunzip_fill(g, e);

	if (rc <= 0)
		return rc;
	if (*g->z.next_in == 0x1f) {
		if (inflateReset(&g->z) != Z_OK)
			return err_set(e, EIO, "gzip: internal error");
		g->inside = true;
		return 1;
	}
	for (; rc > 0; rc = gunzip_fill(g, e)) {
		for (; g->z.avail_in; g->z.avail_in--, g->z.next_in++)
			if (*g->z.next_in)
				return err_set(e, EINVAL,
					       "gzip: garbage "
					       "after the compressed data");
	}
	return rc;
}

static int gunzip_fail(const struct gunzip *g, int zrc, struct err *e)
{
	if (zrc == Z_MEM_ERROR)
		return err_set(e, ENOMEM, "gzip: out of memory");
	return err_set(e, EINVAL, "gzip: corrupt data (%s)",
		       g->z.msg ? g->z.msg : "needs a dictionary");
}

static ssize_t gunzip_read(struct stream *s, void *buf, size_t n, struct err *e)
{
	struct gunzip *g = (struct gunzip *)s;
	uInt want = n > 1u << 30 ? 1u << 30 : (uInt)n;

	g->z.next_out = buf;
	g->z.avail_out = want;
	while (g->z.avail_out == want && !g->done) {
		int rc, zrc;

		rc = g->inside ? gunzip_fill(g, e) : gunzip_next_member(g, e);
		if (rc < 0)
			return rc;
		if (!rc && g->inside)
			return err_set(e, EINVAL, "gzip: data is truncated");
		if (!rc) {
			g->done = true;
			break;
		}
		zrc = inflate(&g->z, Z_NO_FLUSH);
		if (zrc == Z_STREAM_END)
			g->inside = false;
		else if (zrc != Z_OK && zrc != Z_BUF_ERROR)
			return gunzip_fail(g, zrc, e);
	}
	return (ssize_t)(want - g->z.avail_out);
}

static void gunzip_close(struct stream *s)
{
	struct gunzip *g = (struct gunzip *)s;

	inflateEnd(&g->z);
	stream_close(g->from);
}

static const struct stream_ops gunzip_ops = {
	.read = gunzip_read,
	.close = gunzip_close,
};

struct stream *gunzip_open(struct stream *from, struct err *e)
{
	struct gunzip *g = calloc(1, sizeof(*g));

	if (!g || inflateInit2(&g->z, 15 + 16) != Z_OK) {
		free(g);
		stream_close(from);
		err_set(e, ENOMEM, "gzip: out of memory");
		return NULL;
	}
	g->base.ops = &gunzip_ops;
	g->from = from;
	g->inside = true;
	return &g->base;
}
