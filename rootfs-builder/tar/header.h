/* SPDX-License-Identifier: MIT */
/*
 * One 512-byte tar header: v7, ustar (POSIX.1-1988), old GNU, star. Pure; the
 * input may hold anything.
 */
#ifndef HUSK_ROOTFS_TAR_HEADER_H
#define HUSK_ROOTFS_TAR_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "tar/sparse.h"

#define TAR_BLOCK 512u

struct tar_header {
	char type; /* the type flag; '0' for the old NUL */
	char path[100 + 1 + 155 + 1];
	char target[100 + 1]; /* link name */
	uint64_t size;	      /* field as it stands, see tar.c for use */
	uint32_t mode;	      /* 07777 */
	int64_t uid;
	int64_t gid;
	int64_t mtime;
	int64_t dev_major; /* of types '3' and '4' only, else 0 */
	int64_t dev_minor;
};

/*
 * A number field: octal in blanks, or base 256 (GNU, star) with the top bit
 * of the first byte set, which may be negative. Blank is 0. Returns 0, or
 * -EINVAL and leaves *out alone.
 */
int tar_number(const uint8_t *field, size_t len, int64_t *out);

/* All 512 bytes are 0: an end mark. */
bool tar_block_is_zero(const uint8_t *block);

/*
 * Check the sum and decode. On failure -EINVAL with err set to a reason that
 * fits behind "header at byte N: ".
 */
int tar_header_decode(const uint8_t *block, struct tar_header *h,
		      struct err *e);

/*
 * Old GNU sparse (type 'S'): add the map in the header itself, set the real
 * size; *more tells whether extension blocks follow, which
 * tar_sparse_extension adds the same way.
 */
int tar_sparse_header(const uint8_t *block, struct sparse_map *map,
		      uint64_t *real_size, bool *more, struct err *e);
int tar_sparse_extension(const uint8_t *block, struct sparse_map *map,
			 bool *more, struct err *e);

#endif
