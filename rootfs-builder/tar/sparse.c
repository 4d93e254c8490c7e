// SPDX-License-Identifier: MIT
/* A growing array; every rule about ranges is here and nowhere else. */
#include "tar/sparse.h"

#include <errno.h>
#include <stdlib.h>

static int grow(struct sparse_map *m, struct err *e)
{
	size_t cap = m->cap ? m->cap * 2 : 16;
	struct sparse_range *v;

	if (m->n < m->cap)
		return 0;
	if (m->n >= SPARSE_MAX)
		return err_set(e, EINVAL, "sparse map has more than %u ranges",
			       SPARSE_MAX);
	v = reallocarray(m->v, cap, sizeof(*v));
	if (!v)
		return err_set(e, ENOMEM, "sparse map: out of memory");
	m->v = v;
	m->cap = cap;
	return 0;
}

int sparse_map_add(struct sparse_map *m, uint64_t off, uint64_t len,
		   struct err *e)
{
	uint64_t end, low = 0;
	int rc;

	if (m->n)
		low = m->v[m->n - 1].off + m->v[m->n - 1].len;
	if (__builtin_add_overflow(off, len, &end) || off < low)
		return err_set(e, EINVAL, "sparse map is out of order");
	if (!len)
		return 0;
	rc = grow(m, e);
	if (rc)
		return rc;
	m->v[m->n++] = (struct sparse_range){ .off = off, .len = len };
	return 0;
}

int sparse_map_check(const struct sparse_map *m, uint64_t real_size,
		     uint64_t stored, struct err *e)
{
	uint64_t sum = 0;
	size_t i;

	/* No overflow: the ranges are disjoint and end below 2^64. */
	for (i = 0; i < m->n; i++)
		sum += m->v[i].len;
	if (m->n && m->v[m->n - 1].off + m->v[m->n - 1].len > real_size)
		return err_set(e, EINVAL,
			       "sparse map goes past the end of "
			       "the file");
	if (sum != stored)
		return err_set(e, EINVAL,
			       "sparse map does not match the "
			       "stored size");
	return 0;
}

void sparse_map_free(struct sparse_map *m)
{
	free(m->v);
	*m = (struct sparse_map){ 0 };
}
