/* SPDX-License-Identifier: MIT */
/*
 * The map of a sparse file in an archive: which byte ranges are stored, one
 * after the other; the rest are holes.
 */
#ifndef HUSK_ROOTFS_SPARSE_H
#define HUSK_ROOTFS_SPARSE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* 16 MiB of memory; GNU tar writes one for each run of data. */
#define SPARSE_MAX (1u << 20)

struct sparse_range {
	uint64_t off;
	uint64_t len;
};

/* Ranges ascend and do not overlap; zero-initialised is empty. */
struct sparse_map {
	struct sparse_range *v;
	size_t n;
	size_t cap;
};

/*
 * Append; -EINVAL when it starts before the last one's end, overflows, or
 * when there are more than SPARSE_MAX. Empty ranges are checked and dropped.
 */
int sparse_map_add(struct sparse_map *m, uint64_t off, uint64_t len,
		   struct err *e);

/*
 * The ranges must lie within real_size and together be stored bytes long;
 * -EINVAL otherwise.
 */
int sparse_map_check(const struct sparse_map *m, uint64_t real_size,
		     uint64_t stored, struct err *e);

void sparse_map_free(struct sparse_map *m);

#endif
