/* SPDX-License-Identifier: MIT */
/*
 * What a template was made from: written when it is made, compared when it is
 * used, shown by `husk template info`. Plain data without pointers.
 */
#ifndef HUSK_TEMPLATE_IDENTITY_H
#define HUSK_TEMPLATE_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

/* Strings are cut to fit and end with a NUL. */
struct template_identity {
	uint64_t memory;	/* bytes */
	uint32_t cpus;
	bool warm;		/* the warm process waits in it */
	uint64_t created;	/* seconds since 1970 */
	uint64_t kernel_size, image_size;
	int64_t kernel_mtime;
	uint8_t image_uuid[16];
	uint32_t image_crc;	/* of its superblock, see backends/disk.h */
	char kernel[256], image[256]; /* absolute paths */
	char kernel_salt[64];
	char husk_version[32], husk_commit[64];
	char command[256];	/* the warm command, for people */
};

#endif
