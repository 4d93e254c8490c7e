/* SPDX-License-Identifier: MIT */
/*
 * A fuzz input as a stream of small values. An input that is at its end gives
 * zeros, so every prefix of an input is one as well.
 */
#ifndef HUSK_TESTS_FEED_H
#define HUSK_TESTS_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "require.h"

struct feed {
	const uint8_t *p;
	size_t left;
};

/* Up to `n` bytes, what is missing is zero; returns how many there were. */
static inline size_t feed_bytes(struct feed *f, void *dst, size_t n)
{
	size_t have = n < f->left ? n : f->left;

	memset(dst, 0, n);
	if (have)
		memcpy(dst, f->p, have);
	f->p += have;
	f->left -= have;
	return have;
}

static inline uint8_t feed_u8(struct feed *f)
{
	uint8_t v;

	feed_bytes(f, &v, sizeof(v));
	return v;
}

static inline uint16_t feed_u16(struct feed *f)
{
	uint16_t v;

	feed_bytes(f, &v, sizeof(v));
	return v;
}

static inline uint32_t feed_u32(struct feed *f)
{
	uint32_t v;

	feed_bytes(f, &v, sizeof(v));
	return v;
}

static inline uint64_t feed_u64(struct feed *f)
{
	uint64_t v;

	feed_bytes(f, &v, sizeof(v));
	return v;
}

#endif
