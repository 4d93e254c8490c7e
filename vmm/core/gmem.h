/* SPDX-License-Identifier: MIT */
/*
 * Guest RAM and the only way to reach it.
 *
 * RAM is one reservation of host memory, cut at the hole below 4 GiB where
 * devices live into at most two regions. gmem_ptr is the single translation
 * from guest to host address; it takes a length, and there is no other. The
 * guest writes this memory while we look at it: copy, check, use the copy.
 *
 * The regions never change while vCPUs run, so no lock is needed.
 *
 * What stands in comments that open with an at sign is proven of the code for
 * every address and length, see tests/prove.
 */
#ifndef HUSK_CORE_GMEM_H
#define HUSK_CORE_GMEM_H

#include "lib/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

typedef uint64_t gpa_t;

#define GMEM_PAGE	4096u
#define GMEM_HUGE	(2ull << 20)
#define GMEM_NR_REGIONS 2

struct gmem_region {
	gpa_t base;
	uint64_t len;
	uint8_t *hva;	/* owned by struct gmem */
};

struct gmem {
	unsigned nr;
	struct gmem_region region[GMEM_NR_REGIONS];
	uint8_t *map;	/* the whole reservation, 2 MiB aligned inside */
	uint64_t map_len;
};

/*
 * Reserve `size` bytes (a multiple of 2 MiB): [0, hole_start) and, for what
 * does not fit, from hole_end on. Pages are private, zero, not yet
 * there, and huge where the host likes.
 */
int gmem_init(struct gmem *m, uint64_t size, gpa_t hole_start, gpa_t hole_end,
	      struct err *e);

/* Release; harmless on a zeroed or released struct. */
void gmem_fini(struct gmem *m);

/*@ predicate gmem_ok(struct gmem *m) =
	\valid_read(m) && m->nr <= GMEM_NR_REGIONS &&
	(\forall integer k; 0 <= k < m->nr ==>
	    m->region[k].base + m->region[k].len <= 0x10000000000000000 &&
	    \valid(m->region[k].hva + (0 .. m->region[k].len - 1)));

    predicate gmem_has(struct gmem *m, integer k, integer gpa, integer len) =
	0 <= k < m->nr && 0 < len && m->region[k].base <= gpa &&
	gpa + len <= m->region[k].base + m->region[k].len;

    predicate gmem_at(struct gmem *m, integer k, integer gpa, integer len,
		      uint8_t *p) =
	gmem_has(m, k, gpa, len) &&
	p == m->region[k].hva + (gpa - m->region[k].base); */

/*
 * Host pointer to guest bytes [gpa, gpa + len), or NULL unless all of them
 * lie in one RAM region. len 0 is NULL. Overflow-safe.
 */
/*@ requires gmem_ok(m);
    assigns \result \from m, *m, gpa, len;
    ensures ram: \result != \null ==>
		\valid((uint8_t *)\result + (0 .. len - 1));
    ensures place: \result != \null ==>
		gmem_at(m, 0, gpa, len, (uint8_t *)\result) ||
		gmem_at(m, 1, gpa, len, (uint8_t *)\result);
    ensures none: \result == \null ==>
		(\forall integer k; 0 <= k < GMEM_NR_REGIONS ==>
			!gmem_has(m, k, gpa, len)); */
void *gmem_ptr(const struct gmem *m, gpa_t gpa, uint64_t len);

/* Copy from or to the guest; -EFAULT when the range is not RAM. */
int gmem_read(const struct gmem *m, gpa_t gpa, void *dst, uint64_t len);
int gmem_write(const struct gmem *m, gpa_t gpa, const void *src, uint64_t len);

/*
 * Back the low RAM in [start, end) with small pages; a hint. Before the range
 * is touched.
 */
void gmem_use_small(const struct gmem *m, gpa_t start, gpa_t end);

/* Bytes of RAM in all. */
uint64_t gmem_size(const struct gmem *m);

#endif
