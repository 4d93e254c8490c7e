// SPDX-License-Identifier: MIT
/*
 * A linear search: a machine has half a dozen windows, and the hottest one is
 * added first. Rejected: a tree (slower at this size) and a cache of the last
 * hit (shared state between vCPUs).
 */
#include "core/bus.h"

#include <errno.h>
#include <stddef.h>

int bus_add(struct bus *b, const struct bus_window *w, struct err *e)
{
	uint64_t last;
	unsigned i;

	if (!w->len || __builtin_add_overflow(w->base, w->len - 1, &last))
		return err_set(e, EINVAL, "bus window at %#llx: bad length",
			       (unsigned long long)w->base);
	for (i = 0; i < b->nr; i++) {
		const struct bus_window *o = &b->window[i];

		if (w->base <= o->base + (o->len - 1) && o->base <= last)
			return err_set(e, EEXIST,
				       "bus window at %#llx: overlaps %#llx",
				       (unsigned long long)w->base,
				       (unsigned long long)o->base);
	}
	if (b->nr == BUS_MAX_WINDOWS)
		return err_set(e, ENOSPC, "bus window at %#llx: bus is full",
			       (unsigned long long)w->base);
	b->window[b->nr++] = *w;
	return 0;
}

/* The window that takes the whole access, or NULL. */
static const struct bus_window *find(const struct bus *b, uint64_t addr,
				     unsigned len)
{
	unsigned i;

	for (i = 0; i < b->nr; i++) {
		const struct bus_window *w = &b->window[i];
		uint64_t off = addr - w->base;

		if (off >= w->len)
			continue;
		/* KVM cuts accesses at page ends: 3, 5, 6, 7 bytes occur. */
		if (len & (len - 1) || !(w->widths & len))
			return NULL;
		if (off % len || len > w->len - off)
			return NULL;
		return w;
	}
	return NULL;
}

static uint64_t width_mask(unsigned len)
{
	return len >= 8 ? UINT64_MAX : (1ull << (len * 8)) - 1;
}

unsigned bus_read(const struct bus *b, uint64_t addr, unsigned len,
		  uint64_t *val)
{
	const struct bus_window *w = find(b, addr, len);

	if (!w) {
		*val = width_mask(len);
		return 0;
	}
	*val = w->ops->read(w->dev, addr - w->base, len) & width_mask(len);
	return w->tag;
}

unsigned bus_write(const struct bus *b, uint64_t addr, unsigned len,
		   uint64_t val)
{
	const struct bus_window *w = find(b, addr, len);

	if (!w)
		return 0;
	w->ops->write(w->dev, addr - w->base, len, val & width_mask(len));
	return w->tag;
}
