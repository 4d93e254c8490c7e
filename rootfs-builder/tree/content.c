// SPDX-License-Identifier: MIT
/*
 * Two passes over the data (find the blocks, copy them) were preferred over
 * writing an image that is too large and shrinking it: the size is then exact
 * from the start and the layout does not depend on the order of arrival.
 */
#include "tree/content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "terminal/quote.h"

#define SPOOL_BUF (64u * FS_BLOCK)

void spool_init(struct spool *s, const char *dir)
{
	*s = (struct spool){ .dir = dir, .fd = -1 };
}

void spool_free(struct spool *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s->buf);
	spool_init(s, NULL);
}

static int spool_open(struct spool *s, struct err *e)
{
	auto_free char *name = NULL;

	s->buf = malloc(SPOOL_BUF);
	if (!s->buf || asprintf(&name, "%s/.husk-spool-XXXXXX", s->dir) < 0) {
		name = NULL;
		return err_set(e, ENOMEM, "out of memory");
	}
	s->fd = mkostemp(name, O_CLOEXEC);
	if (s->fd < 0)
		return err_sys(e, "make a temporary file in '%s'",
			       quote_name(s->dir).s);
	unlink(name);
	return 0;
}

int spool_flush(struct spool *s, struct err *e)
{
	size_t done = 0;

	while (done < s->fill) {
		ssize_t n = pwrite(s->fd, s->buf + done, s->fill - done,
				   (off_t)(s->size - s->fill + done));

		if (n < 0 && errno != EINTR)
			return err_sys(e, "write a temporary file in '%s'",
				       quote_name(s->dir).s);
		if (n > 0)
			done += (size_t)n;
	}
	s->fill = 0;
	return 0;
}

int spool_append(struct spool *s, const uint8_t *block, uint64_t *at,
		 struct err *e)
{
	int rc = 0;

	if (s->fd < 0)
		rc = spool_open(s, e);
	else if (s->fill == SPOOL_BUF)
		rc = spool_flush(s, e);
	if (rc)
		return rc;
	memcpy(s->buf + s->fill, block, FS_BLOCK);
	*at = s->size;
	s->fill += FS_BLOCK;
	s->size += FS_BLOCK;
	return 0;
}

void content_begin(struct content *c, struct file_map *map, uint64_t size)
{
	c->map = map;
	c->size = size;
	c->block_no = 0;
	c->some = false;
}

static bool is_zero(const uint8_t *block)
{
	return !block[0] && !memcmp(block, block + 1, FS_BLOCK - 1);
}

/*
 * A direct block is read again up to the file's end, so it must be there to
 * that point: a block cut short by a hole is not.
 */
static bool can_stay(const struct content *c)
{
	bool whole = c->tail == FS_BLOCK ||
		     c->block_no * FS_BLOCK + c->tail == c->size;

	return c->direct && c->linear && whole;
}

static int end_block(struct content *c, struct err *e)
{
	bool stay = can_stay(c);
	uint64_t at = c->src;
	int rc = 0;

	if (!c->some)
		return 0;
	c->some = false;
	if (is_zero(c->block))
		return 0;
	if (!stay)
		rc = spool_append(c->spool, c->block, &at, e);
	if (rc)
		return rc;
	return file_map_add(c->map, (uint32_t)c->block_no, at, !stay, e);
}

/* Bytes of one block. */
static void add_part(struct content *c, size_t in, const uint8_t *buf,
		     size_t len, uint64_t src)
{
	if (!c->some) {
		memset(c->block, 0, FS_BLOCK);
		c->some = true;
		c->linear = true;
		/* May wrap below 0; then a part that fits it never comes. */
		c->src = src - in;
		/* A hole in front: the source has other bytes there. */
		if (in)
			c->linear = false;
	}
	if (src - in != c->src)
		c->linear = false;
	memcpy(c->block + in, buf, len);
}

int content_data(struct content *c, uint64_t off, const uint8_t *buf,
		 size_t len, uint64_t src, struct err *e)
{
	while (len) {
		size_t in = off % FS_BLOCK;
		size_t n = FS_BLOCK - in < len ? FS_BLOCK - in : len;
		int rc;

		if (off / FS_BLOCK != c->block_no) {
			rc = end_block(c, e);
			if (rc)
				return rc;
			c->block_no = off / FS_BLOCK;
		}
		add_part(c, in, buf, n, src);
		c->tail = in + n;
		off += n;
		src += n;
		buf += n;
		len -= n;
	}
	return 0;
}

int content_end(struct content *c, struct err *e)
{
	return end_block(c, e);
}
