/* SPDX-License-Identifier: MIT */
/*
 * The blocks of an ext4 folder (ext4 on-disk format, "Directory Entries" and
 * "Hash Tree Directories"): one plain block, or from two on a hash tree with
 * full leaves. libext2fs only appends to plain ones, in quadratic time.
 */
#ifndef HUSK_ROOTFS_DIRBLOCK_H
#define HUSK_ROOTFS_DIRBLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

struct dir_item {
	const char *name; /* 1..255 bytes */
	uint32_t ino;
	uint32_t hash; /* set by dir_build */
	uint32_t minor;
	uint8_t type; /* EXT2_FT_* */
};

struct dir_image {
	uint8_t *blocks; /* n blocks of 4 KiB; the caller frees it */
	size_t n;
	bool indexed; /* wants EXT2_INDEX_FL */
};

/*
 * items come by name in byte order and leave in another order when the folder
 * is indexed. Hashed with half MD4 over unsigned bytes and a zero seed. -EFBIG
 * when two levels do not suffice (some 4 million names of full length).
 */
int dir_build(struct dir_item *items, size_t n, uint32_t self, uint32_t parent,
	      struct dir_image *out, struct err *e);

#endif
