/* SPDX-License-Identifier: MIT */
/*
 * From an address of the guest to the device that answers there.
 *
 * Windows are added before the first vCPU runs and never change after, so
 * look-ups take no lock. The bus checks width, alignment and that an access
 * lies wholly inside one window; the device sees an offset. What no device
 * takes reads as all ones and is ignored when written; it is counted, never
 * logged: the guest decides how often it happens.
 */
#ifndef HUSK_CORE_BUS_H
#define HUSK_CORE_BUS_H

#include "lib/err.h"

#include <stdbool.h>
#include <stdint.h>

#define BUS_MAX_WINDOWS 16

/* Widths that a device takes, as a mask: 1, 2, 4, 8 bytes. */
#define BUS_WIDTH_ANY 15u

struct bus_ops {
	uint64_t (*read)(void *dev, uint64_t off, unsigned len);
	void (*write)(void *dev, uint64_t off, unsigned len, uint64_t val);
};

struct bus_window {
	uint64_t base, len;
	unsigned widths;
	unsigned tag;		/* returned by bus_read/bus_write, > 0 */
	const struct bus_ops *ops;
	void *dev;		/* borrowed, outlives the bus */
};

struct bus {
	unsigned nr;
	struct bus_window window[BUS_MAX_WINDOWS];
};

/* -EEXIST on overlap, -ENOSPC when full, -EINVAL when empty or wrapping. */
int bus_add(struct bus *b, const struct bus_window *w, struct err *e);

/*
 * One access of 1, 2, 4 or 8 bytes. Returns the window's tag, or 0 when no
 * window took it (then *val is all ones of that width after a read).
 */
unsigned bus_read(const struct bus *b, uint64_t addr, unsigned len,
		  uint64_t *val);
unsigned bus_write(const struct bus *b, uint64_t addr, unsigned len,
		   uint64_t val);

#endif
