// SPDX-License-Identifier: MIT
/*
 * Offsets are spelled in one table per format instead of packed structs: the
 * fields of the four formats overlap, and nothing here is aligned.
 */
#include "tar/header.h"

#include <errno.h>
#include <string.h>

enum {
	OFF_NAME = 0,
	OFF_MODE = 100,
	OFF_UID = 108,
	OFF_GID = 116,
	OFF_SIZE = 124,
	OFF_MTIME = 136,
	OFF_SUM = 148,
	OFF_TYPE = 156,
	OFF_LINK = 157,
	OFF_MAGIC = 257,
	OFF_MAJOR = 329,
	OFF_MINOR = 337,
	OFF_PREFIX = 345,
	OFF_STAR_MAGIC = 508,

	LEN_NAME = 100,
	LEN_LINK = 100,
	LEN_SHORT = 8,
	LEN_LONG = 12,
	LEN_PREFIX = 155,
	LEN_STAR_PREFIX = 131,

	GNU_SPARSE = 386,
	GNU_SPARSE_N = 4,
	GNU_MORE = 482,
	GNU_REAL_SIZE = 483,
	GNU_EXT_N = 21,
	GNU_EXT_MORE = 504,
	GNU_PAIR = 24,
};

static int number_base256(const uint8_t *field, size_t len, int64_t *out)
{
	bool negative = field[0] & 0x40;
	uint64_t v = negative ? ~0ull : 0;
	uint8_t first = (uint8_t)(negative ? field[0] : field[0] & 0x7f);
	size_t i;

	for (i = 0; i < len; i++) {
		uint8_t byte = i ? field[i] : first;

		/* What is pushed out on the left must be sign bits only. */
		if ((v >> 55) != (negative ? 0x1ffu : 0))
			return -EINVAL;
		v = v << 8 | byte;
	}
	*out = (int64_t)v;
	return 0;
}

int tar_number(const uint8_t *field, size_t len, int64_t *out)
{
	uint64_t v = 0;
	size_t i = 0;

	if (field[0] & 0x80)
		return number_base256(field, len, out);
	while (i < len && field[i] == ' ')
		i++;
	for (; i < len && field[i] >= '0' && field[i] <= '7'; i++) {
		if (v >> 60)
			return -EINVAL;
		v = v << 3 | (uint64_t)(field[i] - '0');
	}
	if (i < len && field[i] != ' ' && field[i] != '\0')
		return -EINVAL;
	*out = (int64_t)v;
	return 0;
}

bool tar_block_is_zero(const uint8_t *block)
{
	size_t i;

	for (i = 0; i < TAR_BLOCK; i++)
		if (block[i])
			return false;
	return true;
}

/* Old tars summed signed chars; both sums are accepted, as everywhere. */
static bool sum_is_right(const uint8_t *block)
{
	int64_t want, plain = 0, with_sign = 0;
	size_t i;

	if (tar_number(block + OFF_SUM, LEN_SHORT, &want))
		return false;
	for (i = 0; i < TAR_BLOCK; i++) {
		bool blank = i >= OFF_SUM && i < OFF_SUM + LEN_SHORT;
		uint8_t c = blank ? ' ' : block[i];

		plain += c;
		with_sign += (int8_t)c;
	}
	return want == plain || want == with_sign;
}

/* Copies a field that ends at its NUL or is full. */
static size_t copy_text(char *to, const uint8_t *field, size_t len)
{
	size_t n = strnlen((const char *)field, len);

	memcpy(to, field, n);
	to[n] = '\0';
	return n;
}

static void copy_path(const uint8_t *block, char *to)
{
	static const char ustar[6] = "ustar";
	size_t max = LEN_PREFIX;
	size_t n = 0;

	if (!memcmp(block + OFF_STAR_MAGIC, "tar", 4))
		max = LEN_STAR_PREFIX;
	/* GNU's magic is "ustar  ": it keeps other things in the prefix. */
	if (!memcmp(block + OFF_MAGIC, ustar, sizeof(ustar)))
		n = copy_text(to, block + OFF_PREFIX, max);
	if (n)
		to[n++] = '/';
	copy_text(to + n, block + OFF_NAME, LEN_NAME);
}

struct field {
	const char *name;
	size_t off;
	size_t len;
	int64_t *to;
};

static int decode_fields(const uint8_t *block, const struct field *f, size_t n,
			 struct err *e)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (tar_number(block + f[i].off, f[i].len, f[i].to))
			return err_set(e, EINVAL, "%s is not a number",
				       f[i].name);
	return 0;
}

int tar_header_decode(const uint8_t *block, struct tar_header *h, struct err *e)
{
	int64_t mode = 0, size = 0;
	const struct field common[] = {
		{ "mode", OFF_MODE, LEN_SHORT, &mode },
		{ "uid", OFF_UID, LEN_SHORT, &h->uid },
		{ "gid", OFF_GID, LEN_SHORT, &h->gid },
		{ "size", OFF_SIZE, LEN_LONG, &size },
		{ "mtime", OFF_MTIME, LEN_LONG, &h->mtime },
	};
	const struct field device[] = {
		{ "major", OFF_MAJOR, LEN_SHORT, &h->dev_major },
		{ "minor", OFF_MINOR, LEN_SHORT, &h->dev_minor },
	};

	memset(h, 0, sizeof(*h));
	if (!sum_is_right(block))
		return err_set(e, EINVAL,
			       "wrong check sum (not a tar "
			       "archive, or corrupt)");
	h->type = block[OFF_TYPE] ? (char)block[OFF_TYPE] : '0';
	if (decode_fields(block, common, 5, e))
		return -EINVAL;
	if ((h->type == '3' || h->type == '4') &&
	    decode_fields(block, device, 2, e))
		return -EINVAL;
	if (size < 0)
		return err_set(e, EINVAL, "size is negative");
	h->size = (uint64_t)size;
	h->mode = (uint32_t)mode & 07777;
	copy_path(block, h->path);
	copy_text(h->target, block + OFF_LINK, LEN_LINK);
	return 0;
}

/* n pairs of offset and length; an empty pair ends the list. */
static int add_pairs(const uint8_t *p, size_t n, struct sparse_map *map,
		     struct err *e)
{
	for (; n; n--, p += GNU_PAIR) {
		int64_t off, len;

		if (!p[0])
			return 0;
		if (tar_number(p, LEN_LONG, &off) ||
		    tar_number(p + LEN_LONG, LEN_LONG, &len) || off < 0 ||
		    len < 0)
			return err_set(e, EINVAL,
				       "bad number in the "
				       "sparse map");
		if (sparse_map_add(map, (uint64_t)off, (uint64_t)len, e))
			return -EINVAL;
	}
	return 0;
}

int tar_sparse_header(const uint8_t *block, struct sparse_map *map,
		      uint64_t *real_size, bool *more, struct err *e)
{
	int64_t real;

	if (tar_number(block + GNU_REAL_SIZE, LEN_LONG, &real) || real < 0)
		return err_set(e, EINVAL, "bad real size of a sparse file");
	*real_size = (uint64_t)real;
	*more = block[GNU_MORE];
	return add_pairs(block + GNU_SPARSE, GNU_SPARSE_N, map, e);
}

int tar_sparse_extension(const uint8_t *block, struct sparse_map *map,
			 bool *more, struct err *e)
{
	*more = block[GNU_EXT_MORE];
	return add_pairs(block, GNU_EXT_N, map, e);
}
