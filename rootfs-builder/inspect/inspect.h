/* SPDX-License-Identifier: MIT */
/*
 * Looking into an image without mounting it. Any file is safe to look at: it
 * is opened read-only, and what it claims is checked or comes out as an error.
 * Results go to a FILE; what goes wrong in writing shows in ferror(to).
 */
#ifndef HUSK_ROOTFS_INSPECT_H
#define HUSK_ROOTFS_INSPECT_H

#include <stdbool.h>
#include <stdio.h>

#include "lib/err.h"

/* "name: value" lines: size, used, free, files, label, uuid, ... */
int inspect_info(const char *image, FILE *to, struct err *e);

/* Names in path (a folder, or one file), in byte order, control bytes as \ooo.
 */
int inspect_ls(const char *image, const char *path, bool detail, bool recursive,
	       FILE *to, struct err *e);

#endif
