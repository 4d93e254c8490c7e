/* SPDX-License-Identifier: MIT */
/*
 * What the kernel says of this process's memory. Only asked for when somebody
 * wants to see it (--status, --timeline): it reads tables of /proc.
 *
 * Its two files are opened by measure_open, before there is a jail, and read
 * by measure_memory inside of it.
 */
#ifndef HUSK_MEASURE_H
#define HUSK_MEASURE_H

#include "core/gmem.h"

#include <stdint.h>

struct measure {
	int pagemap_fd, rollup_fd;	/* owned; -1: closed */
};

void measure_open(struct measure *t);
void measure_close(struct measure *t);

/*
 * `guest_pages`: 4 KiB pages of guest memory that this process has mapped,
 * shared kernel text included. `private_bytes`: private memory of the process
 * beyond guest memory. Both 0 where /proc does not tell.
 */
void measure_memory(const struct measure *t, const struct gmem *m,
		    uint64_t *guest_pages, uint64_t *private_bytes);

/*
 * Call `page` for each guest page in [gpa, gpa + len), which is RAM mapped from
 * a file, that is mapped: in order, each once, and whether it is no longer the
 * file's.
 */
void measure_touched(const struct measure *t, const struct gmem *m, gpa_t gpa,
		     uint64_t len,
		     void (*page)(void *opaque, gpa_t gpa, bool written),
		     void *opaque);

#endif
