/* SPDX-License-Identifier: MIT */
/* What the files of the ext4 writer share; see ext4.h for the outside. */
#ifndef HUSK_ROOTFS_EXT4_INTERNAL_H
#define HUSK_ROOTFS_EXT4_INTERNAL_H

#include <ext2fs/ext2fs.h>

#include "ext4/digest.h"
#include "ext4/ext4.h"

#define EXT4_COPY_BLOCKS 64u

/* Where a run of file blocks went. */
struct extent {
	uint32_t block; /* in the file */
	uint32_t count;
	uint64_t at; /* block of the file system */
};

struct writer {
	ext2_filsys fs;
	const struct layout *l;
	const struct ext4_data *data;
	struct interrupt *in;
	struct progress *p;
	uint64_t cursor; /* no free block below */
	uint64_t copied; /* bytes of file data */
	struct digest digest;
	/* Of the inode being written. */
	struct extent *extents;
	size_t extent_n;
	size_t extent_cap;
	uint8_t copy[EXT4_COPY_BLOCKS * FS_BLOCK];
};

/*
 * create.c: an empty file system with room for the layout on fd (which
 * libext2fs gets a duplicate of). The caller frees or closes *fs.
 */
int ext4_create(int fd, const struct layout *l, const struct ext4_options *opt,
		ext2_filsys *fs, struct err *e);

/* blocks.c: up to want free blocks side by side, marked as used. */
int ext4_alloc(struct writer *w, uint64_t want, uint64_t *at, uint64_t *got,
	       struct err *e);

/* Make libext2fs take its own blocks from the same place. */
void ext4_hook_alloc(struct writer *w);

/* Remember where file blocks went, joined where possible. */
int ext4_add_extent(struct writer *w, uint32_t block, uint64_t at,
		    uint32_t count, struct err *e);

/* Allocate and write n blocks of p as the file's blocks from 0 on. */
int ext4_write_blocks(struct writer *w, const uint8_t *p, uint64_t n,
		      struct err *e);

/* Copy a regular file's data. */
int ext4_copy_file(struct writer *w, const struct tree_node *n, struct err *e);

/* inode.c: one inode with all that belongs to it. */
int ext4_write_inode(struct writer *w, const struct tree_node *n,
		     struct err *e);

#endif
