/* SPDX-License-Identifier: MIT */
/*
 * Which inode gets which number, and how many blocks everything takes: all
 * that must be known before an image of the right size can be begun. Depends
 * on the tree's content only.
 */
#ifndef HUSK_ROOTFS_LAYOUT_H
#define HUSK_ROOTFS_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "ext4/dirblock.h"
#include "lib/err.h"
#include "tree/tree.h"

#define LAYOUT_FIRST_INO 11u /* ext4: those before are reserved */

struct layout {
	/* One node per inode in the order of numbers: 2, then 11 on. */
	struct tree_node **v;
	size_t n;
	uint64_t blocks; /* enough for all content, close to exact */
	uint64_t data;	 /* bytes of file data to be written */
	size_t files[8]; /* inodes by EXT2_FT_* */
	size_t names;	 /* the root not included */
	int64_t newest;	 /* time of the newest file, >= 0 */
};

/*
 * Number the tree's inodes: folder by folder, each one's files side by side
 * and by name, so that a folder's inodes share blocks. The tree must outlive
 * the layout and not change.
 */
int layout_make(struct layout *l, const struct tree *t, struct err *e);
void layout_free(struct layout *l);

/* The folder's blocks, see dirblock.h; the caller frees out->blocks. */
int layout_build_dir(const struct tree_node *dir, struct dir_image *out,
		     struct err *e);

/* EXT2_FT_* of a mode. */
uint8_t layout_type(uint32_t mode);

#endif
