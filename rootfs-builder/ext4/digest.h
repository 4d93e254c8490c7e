/* SPDX-License-Identifier: MIT */
/*
 * A short name for a lot of bytes: SHA-512 in a chain over large pieces,
 * because libext2fs has it for one piece in memory only. Deterministic; not
 * the SHA-512 of the whole, so nobody should print it as one.
 */
#ifndef HUSK_ROOTFS_DIGEST_H
#define HUSK_ROOTFS_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_STATE 64u
#define DIGEST_PIECE 65536u

/* Zero-initialised is ready. */
struct digest {
	size_t fill;
	/* The state so far in front of the piece that is being filled. */
	uint8_t buf[DIGEST_STATE + DIGEST_PIECE];
};

void digest_add(struct digest *d, const void *p, size_t n);
void digest_add_u64(struct digest *d, uint64_t v);

/* Length and bytes, so that two texts never read as one other. */
void digest_add_text(struct digest *d, const char *s);

/* The first 16 bytes as an RFC 9562 UUID of version 8 ("vendor's own"). */
void digest_uuid(struct digest *d, uint8_t uuid[16]);

#endif
