/* SPDX-License-Identifier: MIT */
/*
 * Writes a tree as an ext4 file system made to be mounted read-only and read
 * by many: no journal, nothing reserved, no room but what was asked for.
 *
 * Features and why: extents, filetype, dir_index (fewer blocks read for a
 * look-up), ext_attr, sparse_super, large_file, dir_nlink, extra_isize (ns
 * times in 256-byte inodes), flex_bg (inode tables side by side). Without
 * 64bit (needed from 16 TiB on only), huge_file, resize_inode, has_journal
 * (nothing to replay), and without metadata_csum and uninit_bg: a guest would
 * pay a check sum per metadata block and the set-up of crc32c at each mount,
 * for a file that the host owns and guards; the UUID, made from all content,
 * tells images apart.
 *
 * The same layout and options give the same bytes, whoever runs it and when.
 */
#ifndef HUSK_ROOTFS_EXT4_H
#define HUSK_ROOTFS_EXT4_H

#include <stdint.h>

#include "ext4/layout.h"
#include "lib/err.h"
#include "terminal/interrupt.h"
#include "terminal/progress.h"
#include "tree/content.h"

#define EXT4_LABEL_MAX 16u

/* The second pass: where the data is. All is borrowed. */
struct ext4_data {
	int spool_fd;	/* flushed; -1: nothing was spooled */
	int archive_fd; /* for blocks left in an archive, or -1 */
	/* Else each file by itself: the caller of open closes it. */
	int dir_fd;
	int (*open)(int dir_fd, const struct tree_node *n, struct err *e);
};

struct ext4_options {
	const char *label; /* "" for none, at most EXT4_LABEL_MAX */
	uint64_t size;	   /* of the image in bytes; 0: to fit */
	uint64_t free;	   /* bytes of free space to add */
	uint32_t time;	   /* seconds, > 0; made, written, checked */
};

struct ext4_result {
	uint64_t size; /* bytes */
	uint64_t used;
	uint8_t uuid[16];
};

/*
 * Write into fd, an empty regular file open for reading and writing, which
 * stays the caller's and open. -ENOSPC when opt->size is too small.
 */
int ext4_write(int fd, const struct layout *l, const struct ext4_options *opt,
	       const struct ext4_data *data, struct interrupt *in,
	       struct progress *p, struct ext4_result *out, struct err *e);

#endif
