/* SPDX-License-Identifier: MIT */
/* Opening a finished image for reading. */
#ifndef HUSK_ROOTFS_INSPECT_OPEN_H
#define HUSK_ROOTFS_INSPECT_OPEN_H

#include <ext2fs/ext2fs.h>

#include "lib/err.h"

/*
 * Open image read-only: it must be a regular file or a block device, hold an
 * ext file system, and not be shorter than that says. The caller frees *fs
 * with ext2fs_free.
 */
int image_open(const char *image, ext2_filsys *fs, struct err *e);

#endif
