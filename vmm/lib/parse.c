// SPDX-License-Identifier: MIT
/*
 * Hand-written because strtoull takes signs, spaces and octal, and strtod
 * takes a locale; none of them belongs in an option's value.
 */
#include "lib/parse.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{ "", 1 },
	{ "B", 1 },
	{ "K", 1ull << 10 },
	{ "M", 1ull << 20 },
	{ "G", 1ull << 30 },
	{ "T", 1ull << 40 },
	{ "KiB", 1ull << 10 },
	{ "MiB", 1ull << 20 },
	{ "GiB", 1ull << 30 },
	{ "TiB", 1ull << 40 },
	{ "KB", 1ull << 10 },
	{ "MB", 1ull << 20 },
	{ "GB", 1ull << 30 },
	{ "TB", 1ull << 40 },
	{ NULL, 0 },
};

static const struct unit time_units[] = {
	{ "", 1000000000ull },	  { "s", 1000000000ull },
	{ "ms", 1000000ull },	  { "us", 1000ull },
	{ "ns", 1ull },		  { "m", 60 * 1000000000ull },
	{ "h", 3600 * 1000000000ull }, { NULL, 0 },
};

/* Reads digits; -EINVAL without one, -ERANGE on overflow. */
static int read_digits(const char **s, uint64_t *out)
{
	const char *p = *s;
	uint64_t v = 0;

	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return -ERANGE;
	}
	*s = p;
	*out = v;
	return 0;
}

static const struct unit *find_unit(const struct unit *u, const char *name)
{
	for (; u->name; u++)
		if (!strcmp(u->name, name))
			return u;
	return NULL;
}

static int check_range(uint64_t v, uint64_t min, uint64_t max, uint64_t *out)
{
	if (v < min || v > max)
		return -ERANGE;
	*out = v;
	return 0;
}

int parse_uint(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v;
	int r = read_digits(&s, &v);

	if (r)
		return r;
	if (*s)
		return -EINVAL;
	return check_range(v, min, max, out);
}

int parse_size(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	const struct unit *u;
	uint64_t v;
	int r = read_digits(&s, &v);

	if (r)
		return r;
	u = find_unit(size_units, s);
	if (!u)
		return -EINVAL;
	if (__builtin_mul_overflow(v, u->factor, &v))
		return -ERANGE;
	return check_range(v, min, max, out);
}

int parse_duration(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t whole, part = 0, scale = 1000000000, v;
	const struct unit *u;
	int r = read_digits(&s, &whole);

	if (r)
		return r;
	if (*s == '.') {
		for (s++; *s >= '0' && *s <= '9'; s++) {
			scale /= 10;
			part += scale * (uint64_t)(*s - '0');
		}
	}
	u = find_unit(time_units, s);
	if (!u)
		return -EINVAL;
	if (__builtin_mul_overflow(whole, u->factor, &v))
		return -ERANGE;
	/* part is in 1e-9 units and below 1e9: the product fits 128 bits. */
	part = (uint64_t)((unsigned __int128)part * u->factor / 1000000000);
	if (__builtin_add_overflow(v, part, &v))
		return -ERANGE;
	return check_range(v, min, max, out);
}
