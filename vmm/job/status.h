/* SPDX-License-Identifier: MIT */
/*
 * Words for people and machines about an outcome: the status object (one
 * JSON object and a newline; format in husk(1)) and the --timeline table.
 * Both write into a caller's buffer and cannot fail; a text that does not
 * fit is a bug that the tests catch.
 */
#ifndef HUSK_STATUS_H
#define HUSK_STATUS_H

#include "job/config.h"
#include "job/outcome.h"

#include <stddef.h>

#define STATUS_MAX 8192

/* Which files the machine was made of. */
struct identity {
	const char *kernel, *image;
	uint64_t kernel_size, image_size;   /* bytes */
	int64_t kernel_mtime, image_mtime;  /* seconds since the epoch */
	char kernel_salt[64];	/* BUILD_SALT note, "" when foreign */
	char image_uuid[37];	/* of the ext4 superblock */
};

/* Returns the length, without the NUL that is also written. */
size_t status_format(char *buf, size_t size, const struct config *c,
		     const struct identity *id, const struct outcome *o);

/* Lines for stderr; `colour` adds escape sequences and a bar per phase. */
size_t status_timeline(char *buf, size_t size, const struct outcome *o,
		       bool colour);

#endif
