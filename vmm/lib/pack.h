/* SPDX-License-Identifier: MIT */
/*
 * Little-endian values into and out of a byte buffer, for state that is
 * written to a file. Both ends stop at the end of the buffer and remember it:
 * a reader checks once, after the last value, instead of at each.
 *
 * Rejected: writing structs as they lie in memory. Their padding would carry
 * this process's memory, and a bool read from a file may be neither true nor
 * false.
 */
#ifndef HUSK_LIB_PACK_H
#define HUSK_LIB_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pack {
	uint8_t *buf;		/* borrowed */
	size_t size, len;
	bool failed;		/* something did not fit */
};

struct unpack {
	const uint8_t *buf;	/* borrowed */
	size_t len, at;
	bool failed;		/* something was not there, or no bool */
};

void pack_init(struct pack *p, void *buf, size_t size);
void pack_bytes(struct pack *p, const void *src, size_t len);
void pack_u8(struct pack *p, uint8_t v);
void pack_u16(struct pack *p, uint16_t v);
void pack_u32(struct pack *p, uint32_t v);
void pack_u64(struct pack *p, uint64_t v);
void pack_bool(struct pack *p, bool v);

void unpack_init(struct unpack *u, const void *buf, size_t len);

/* After a failure these give zeros. */
void unpack_bytes(struct unpack *u, void *dst, size_t len);
uint8_t unpack_u8(struct unpack *u);
uint16_t unpack_u16(struct unpack *u);
uint32_t unpack_u32(struct unpack *u);
uint64_t unpack_u64(struct unpack *u);
bool unpack_bool(struct unpack *u);

/* Everything was there and nothing is left. */
bool unpack_is_done(const struct unpack *u);

#endif
