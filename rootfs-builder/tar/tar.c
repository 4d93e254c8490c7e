// SPDX-License-Identifier: MIT
/*
 * The archive level: headers that belong together make one entry, then its
 * data. Formats are told apart field by field, never by asking which tool
 * wrote the file. libarchive was rejected: half of it is formats nobody wants
 * here, and its sparse and attribute reading would have to be trusted.
 */
#include "tar/tar.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "tar/header.h"
#include "terminal/quote.h"

#define BUF_SIZE 65536u

struct reader {
	struct stream *in;
	const struct tar_handler *h;
	void *ctx;
	struct pax global;
	struct pax local;
	char *long_name; /* GNU 'L' and 'K', for the next entry */
	char *long_target;
	bool pending; /* an extended header waits for its entry */
	uint64_t header_pos;
	struct tar_header head;
	uint8_t block[TAR_BLOCK];
	uint8_t *buf;
};

/* What an entry's data looks like in the archive. */
struct body {
	uint64_t stored;       /* bytes, without padding */
	struct sparse_map map; /* which part of the file they are */
};

static int truncated(struct err *e)
{
	return err_set(e, EINVAL, "archive is truncated");
}

/* err's reason gets the entry's name in front; interruptions stay bare. */
static int name_entry(const char *path, struct err *e)
{
	if (e->code == EINTR)
		return -EINTR;
	return err_prefix(e, "entry '%s': ", quote_name(path).s);
}

/* One block; 1, 0 at a clean end. */
static int read_block(struct reader *r, struct err *e)
{
	ssize_t got = stream_read_full(r->in, r->block, TAR_BLOCK, e);

	if (got < 0)
		return (int)got;
	if (got && got < (ssize_t)TAR_BLOCK)
		return truncated(e);
	return got > 0;
}

static int need_block(struct reader *r, struct err *e)
{
	int rc = read_block(r, e);

	if (rc < 0)
		return rc;
	return rc ? 0 : truncated(e);
}

static uint64_t padding(uint64_t size)
{
	return -size & (TAR_BLOCK - 1);
}

static int skip(struct reader *r, uint64_t n, struct err *e)
{
	while (n) {
		size_t want = n < BUF_SIZE ? (size_t)n : BUF_SIZE;
		ssize_t got = stream_read(r->in, r->buf, want, e);

		if (got < 0)
			return (int)got;
		if (!got)
			return truncated(e);
		n -= (uint64_t)got;
	}
	return 0;
}

/* The data of a header that describes another; NUL behind it. */
static int read_text(struct reader *r, uint64_t max, char **text, struct err *e)
{
	uint64_t size = r->head.size;
	ssize_t got;

	if (size > max)
		return err_set(e, EINVAL,
			       "extended header of %llu bytes is "
			       "too long",
			       (unsigned long long)size);
	*text = malloc((size_t)size + 1);
	if (!*text)
		return err_set(e, ENOMEM, "out of memory");
	got = stream_read_full(r->in, *text, (size_t)size, e);
	if (got < 0)
		return (int)got;
	if ((uint64_t)got < size)
		return truncated(e);
	(*text)[size] = '\0';
	return skip(r, padding(size), e);
}

static int take_pax(struct reader *r, struct pax *to, struct err *e)
{
	auto_free char *text = NULL;
	int rc = read_text(r, PAX_SIZE_MAX, &text, e);

	if (rc)
		return rc;
	rc = pax_parse(to, text, (size_t)r->head.size, e);
	return rc ? err_prefix(e, "extended header: ") : 0;
}

static int take_global(struct reader *r, struct err *e)
{
	int rc;

	if (r->pending)
		return err_set(e, EINVAL,
			       "global extended header out of "
			       "place");
	rc = take_pax(r, &r->global, e);
	if (rc)
		return rc;
	if (r->global.has_map || r->global.has_real_size)
		return err_set(e, EINVAL,
			       "global extended header: describes "
			       "one sparse file");
	pax_free(&r->local);
	return pax_copy(&r->local, &r->global, e);
}

static int take_long(struct reader *r, char **to, struct err *e)
{
	free(*to);
	*to = NULL;
	r->pending = true;
	return read_text(r, PAX_SIZE_MAX, to, e);
}

static int local_reset(struct reader *r, struct err *e)
{
	pax_free(&r->local);
	free(r->long_name);
	free(r->long_target);
	r->long_name = r->long_target = NULL;
	r->pending = false;
	return pax_copy(&r->local, &r->global, e);
}

/*
 * Headers up to the next entry's own, which is left in r->head (decoded) and
 * r->block. Returns 1, or 0 at the end mark.
 */
static int next_header(struct reader *r, struct err *e)
{
	for (;;) {
		int rc;

		r->header_pos = r->in->pos;
		rc = need_block(r, e);
		if (rc)
			return rc;
		if (tar_block_is_zero(r->block))
			return r->pending ? truncated(e) : 0;
		rc = tar_header_decode(r->block, &r->head, e);
		if (rc)
			return err_prefix(e, "header at byte %llu: ",
					  (unsigned long long)r->header_pos);
		switch (r->head.type) {
		case 'x':
		case 'X':
			r->pending = true;
			rc = take_pax(r, &r->local, e);
			break;
		case 'g':
			rc = take_global(r, e);
			break;
		case 'L':
			rc = take_long(r, &r->long_name, e);
			break;
		case 'K':
			rc = take_long(r, &r->long_target, e);
			break;
		case 'V':
			rc = skip(r, r->head.size + padding(r->head.size), e);
			break;
		default:
			return 1;
		}
		if (rc)
			return rc;
	}
}

static int entry_type(const struct reader *r, const char *path,
		      enum tar_type *type, struct err *e)
{
	size_t len = strlen(path);

	switch (r->head.type) {
	case '0':
		/* v7 had no folders; a slash at the end said it. */
		*type = path[len - 1] == '/' ? TAR_DIR : TAR_FILE;
		return 0;
	case '7':
	case 'S':
		*type = TAR_FILE;
		return 0;
	case '1':
		*type = TAR_LINK;
		return 0;
	case '2':
		*type = TAR_SYMLINK;
		return 0;
	case '3':
		*type = TAR_CHAR;
		return 0;
	case '4':
		*type = TAR_BLOCKDEV;
		return 0;
	case '5':
	case 'D':
		*type = TAR_DIR;
		return 0;
	case '6':
		*type = TAR_FIFO;
		return 0;
	case 'M':
		return err_set(e, EINVAL,
			       "multi-volume archives are not "
			       "supported");
	}
	return err_set(e, EINVAL, "unknown entry type '%s'",
		       quote_name((char[]){ r->head.type, '\0' }).s);
}

static int take_id(bool has, uint64_t pax, int64_t head, const char *what,
		   uint32_t *to, struct err *e)
{
	uint64_t v = has ? pax : (uint64_t)head;

	/* The last one means "no change" to chown. */
	if (v >= UINT32_MAX)
		return err_set(e, EINVAL, "%s is out of range", what);
	*to = (uint32_t)v;
	return 0;
}

static int take_owner(const struct reader *r, struct tar_entry *t,
		      struct err *e)
{
	const struct pax *p = &r->local;
	const struct tar_header *h = &r->head;
	int rc;

	rc = take_id(p->has_uid, p->uid, h->uid, "uid", &t->uid, e);
	if (!rc)
		rc = take_id(p->has_gid, p->gid, h->gid, "gid", &t->gid, e);
	if (!rc)
		rc = take_id(false, 0, h->dev_major, "device number",
			     &t->dev_major, e);
	if (!rc)
		rc = take_id(false, 0, h->dev_minor, "device number",
			     &t->dev_minor, e);
	return rc;
}

static int check_text(const char *s, const char *what, struct err *e)
{
	if (!*s)
		return err_set(e, EINVAL, "%s is empty", what);
	if (strlen(s) < PATH_MAX)
		return 0;
	err_set(e, ENAMETOOLONG, "%s is longer than %u bytes", what,
		PATH_MAX - 1);
	return err_hint(e, "no system call takes a longer one; make the "
			   "archive without it");
}

static const char *first(const char *a, const char *b, const char *c)
{
	return a ? a : b ? b : c;
}

static int fill_entry(const struct reader *r, struct tar_entry *t,
		      struct err *e)
{
	const struct pax *p = &r->local;
	int rc;

	*t = (struct tar_entry){
		.path = first(p->sparse_name, p->path,
			      first(r->long_name, r->head.path, NULL)),
		.target = "",
		.mode = r->head.mode,
		.mtime = p->has_mtime ? p->mtime : r->head.mtime,
		.mtime_ns = p->has_mtime ? p->mtime_ns : 0,
		.xattrs = p->xattrs,
		.xattr_n = p->xattr_n,
	};
	rc = check_text(t->path, "name", e);
	if (!rc)
		rc = entry_type(r, t->path, &t->type, e);
	if (!rc)
		rc = take_owner(r, t, e);
	if (rc || (t->type != TAR_LINK && t->type != TAR_SYMLINK))
		return rc;
	t->target = first(p->target, r->long_target, r->head.target);
	return check_text(t->target, "link target", e);
}

/* Old GNU: the map is in the header and in blocks right behind it. */
static int read_old_map(struct reader *r, struct body *b, uint64_t *size,
			struct err *e)
{
	bool more;
	int rc = tar_sparse_header(r->block, &b->map, size, &more, e);

	while (!rc && more) {
		rc = need_block(r, e);
		if (!rc)
			rc = tar_sparse_extension(r->block, &b->map, &more, e);
	}
	return rc;
}

/* Digits up to a newline, running on into further blocks of the data. */
static int read_map_number(struct reader *r, struct body *b, size_t *at,
			   uint64_t *out, struct err *e)
{
	uint64_t v = 0;
	size_t digits = 0;

	for (;; digits++, ++*at) {
		uint8_t c;

		if (*at == TAR_BLOCK) {
			int rc;

			if (b->stored < TAR_BLOCK)
				break;
			rc = need_block(r, e);
			if (rc)
				return rc;
			b->stored -= TAR_BLOCK;
			*at = 0;
		}
		c = r->block[*at];
		if (c == '\n' && digits) {
			++*at;
			*out = v;
			return 0;
		}
		if (c < '0' || c > '9' || v > INT64_MAX / 10 - 1)
			break;
		v = v * 10 + (uint64_t)(c - '0');
	}
	return err_set(e, EINVAL, "sparse map is malformed");
}

/* GNU 1.0: the map is text at the beginning of the data, padded. */
static int read_new_map(struct reader *r, struct body *b, struct err *e)
{
	size_t at = TAR_BLOCK;
	uint64_t n;
	int rc = read_map_number(r, b, &at, &n, e);

	for (; !rc && n; n--) {
		uint64_t off, len;

		rc = read_map_number(r, b, &at, &off, e);
		if (!rc)
			rc = read_map_number(r, b, &at, &len, e);
		if (!rc)
			rc = sparse_map_add(&b->map, off, len, e);
	}
	return rc;
}

/* What of the file is stored, and its size with holes. */
static int read_map(struct reader *r, struct body *b, uint64_t *size,
		    struct err *e)
{
	const struct pax *p = &r->local;
	int rc = 0;

	b->stored = p->has_size ? p->size : r->head.size;
	*size = b->stored;
	if (b->stored > INT64_MAX)
		return err_set(e, EFBIG, "size is out of range");
	if (p->sparse_major > 1 || p->sparse_minor > 1)
		return err_set(e, EINVAL, "unknown sparse format %llu.%llu",
			       (unsigned long long)p->sparse_major,
			       (unsigned long long)p->sparse_minor);
	if (r->head.type == 'S') {
		rc = read_old_map(r, b, size, e);
	} else if (p->has_real_size && p->sparse_major == 1) {
		*size = p->real_size;
		rc = read_new_map(r, b, e);
	} else if (p->has_real_size) {
		*size = p->real_size;
		b->map = p->map;
		r->local.map = (struct sparse_map){ 0 };
	} else {
		return sparse_map_add(&b->map, 0, b->stored, e);
	}
	if (rc)
		return rc;
	return sparse_map_check(&b->map, *size, b->stored, e);
}

static int read_range(struct reader *r, const struct sparse_range *range,
		      struct err *e)
{
	uint64_t off = range->off, left = range->len;

	while (left) {
		size_t want = left < BUF_SIZE ? (size_t)left : BUF_SIZE;
		uint64_t pos = r->in->pos;
		ssize_t got = stream_read(r->in, r->buf, want, e);
		int rc;

		if (got < 0)
			return (int)got;
		if (!got)
			return truncated(e);
		rc = r->h->data(r->ctx, off, r->buf, (size_t)got, pos, e);
		if (rc)
			return rc;
		off += (uint64_t)got;
		left -= (uint64_t)got;
	}
	return 0;
}

static int read_file(struct reader *r, struct tar_entry *t, struct err *e)
{
	struct body b = { 0 };
	size_t i;
	int rc = read_map(r, &b, &t->size, e);

	if (!rc)
		rc = r->h->entry(r->ctx, t, e);
	for (i = 0; !rc && i < b.map.n; i++)
		rc = read_range(r, &b.map.v[i], e);
	if (!rc)
		rc = skip(r, padding(b.stored), e);
	if (!rc)
		rc = r->h->finish(r->ctx, e);
	sparse_map_free(&b.map);
	return rc;
}

/*
 * A size on what has no data is read as "no data", as GNU tar, bsdtar and
 * Python do: for folders POSIX lets it mean an allocation limit. Only the
 * types that GNU gave data to ('D', and v7 folders) are skipped over.
 */
static int skip_body(struct reader *r, enum tar_type type, struct err *e)
{
	const struct pax *p = &r->local;
	uint64_t size = p->has_size ? p->size : r->head.size;

	if (type != TAR_DIR || r->head.type == '5')
		return 0;
	if (size > INT64_MAX)
		return err_set(e, EFBIG, "size is out of range");
	return skip(r, size + padding(size), e);
}

static int read_entry(struct reader *r, struct err *e)
{
	struct tar_entry t;
	int rc = fill_entry(r, &t, e);

	if (!rc && t.type == TAR_FILE) {
		rc = read_file(r, &t, e);
	} else if (!rc) {
		rc = r->h->entry(r->ctx, &t, e);
		if (!rc)
			rc = skip_body(r, t.type, e);
	}
	if (rc)
		return name_entry(t.path, e);
	return local_reset(r, e);
}

/* After the first zero block: zeros only, to the end. */
static int read_tail(struct reader *r, struct err *e)
{
	static const char hint[] =
		"tar --concatenate joins archives, cat does not";

	for (;;) {
		ssize_t i, got = stream_read(r->in, r->buf, BUF_SIZE, e);

		if (got <= 0)
			return (int)got;
		for (i = 0; i < got; i++) {
			if (!r->buf[i])
				continue;
			err_set(e, EINVAL,
				"data after the end of the "
				"archive");
			return err_hint(e, "%s", hint);
		}
	}
}

int tar_read(struct stream *in, const struct tar_handler *h, void *ctx,
	     struct err *e)
{
	struct reader r = { .in = in, .h = h, .ctx = ctx };
	auto_free uint8_t *buf = malloc(BUF_SIZE);
	int rc;

	if (!buf)
		return err_set(e, ENOMEM, "out of memory");
	r.buf = buf;
	do {
		rc = next_header(&r, e);
		if (rc > 0)
			rc = read_entry(&r, e) ?: 1;
	} while (rc > 0);
	if (!rc)
		rc = read_tail(&r, e);
	pax_free(&r.local);
	pax_free(&r.global);
	free(r.long_name);
	free(r.long_target);
	return rc;
}
