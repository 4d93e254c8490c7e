/* SPDX-License-Identifier: MIT */
/* `husk-image build`: from a source to a finished image under its name. */
#ifndef HUSK_ROOTFS_BUILD_H
#define HUSK_ROOTFS_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "terminal/interrupt.h"
#include "terminal/progress.h"

struct build_options {
	const char *from; /* folder, archive, or "-" */
	const char *output;
	const char *label; /* "" for none */
	const char *const *excludes;
	size_t exclude_n;
	uint64_t size; /* 0: to fit */
	uint64_t free;
	bool has_owner;
	uint32_t uid;
	uint32_t gid;
	bool has_epoch; /* SOURCE_DATE_EPOCH */
	uint32_t epoch;
};

/*
 * The image appears under its name whole or not at all: it is written beside
 * it under another name, which is removed on any failure, and an image that
 * was there before stays until then. p may be NULL.
 */
int build_image(const struct build_options *opt, struct interrupt *in,
		struct progress *p, struct err *e);

#endif
