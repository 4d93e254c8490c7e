/* SPDX-License-Identifier: MIT */
/*
 * The initramfs: guest-init, which is part of this binary, wrapped in a cpio
 * archive ("newc", Documentation/driver-api/early-userspace) in memory.
 */
#ifndef HUSK_INITRAMFS_H
#define HUSK_INITRAMFS_H

#include "lib/err.h"

#include <stddef.h>

struct initramfs {
	char *data;	/* owned */
	size_t len;
};

/* /init is all there is: guest-init makes its mounts without mount points. */
int initramfs_build(struct initramfs *i, struct err *e);
void initramfs_fini(struct initramfs *i);

#endif
