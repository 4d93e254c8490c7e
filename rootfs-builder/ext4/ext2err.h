/* SPDX-License-Identifier: MIT */
/* Errors of libext2fs as ours. */
#ifndef HUSK_ROOTFS_EXT2ERR_H
#define HUSK_ROOTFS_EXT2ERR_H

#include <et/com_err.h>

#include "lib/err.h"

/*
 * As err_sys with the library's text for code behind it. Codes that are errno
 * values stay so, the library's own become EIO (EINVAL for bad input).
 */
int ext2err_set(struct err *e, errcode_t code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
