/* SPDX-License-Identifier: MIT */
/* See tree.h for tree_set_xattr and its kin; this is for the layout. */
#ifndef HUSK_ROOTFS_TREE_XATTR_H
#define HUSK_ROOTFS_TREE_XATTR_H

#include "tree/tree.h"

/*
 * 0: all attributes fit into the inode; 1: a block is needed too; -ENOSPC.
 * Entries go where they fit first, by name, as libext2fs places them.
 */
int tree_xattr_fit(const struct tree_inode *i);

#endif
