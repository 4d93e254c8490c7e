// SPDX-License-Identifier: MIT
/*
 * Guest RAM as one private anonymous reservation, cut into regions.
 *
 * One reservation and not one per region: the second region is the tail of
 * the first in host memory, so a template is one file later. It is aligned to
 * 2 MiB because KVM maps huge pages only where guest and host addresses agree
 * modulo 2 MiB. Rejected: memfd (shared accounting, an extra descriptor) and
 * MAP_POPULATE (a job touches a tenth of its memory).
 */
#include "core/gmem.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static int reserve(struct gmem *m, uint64_t size, struct err *e)
{
	uint64_t len = size + GMEM_HUGE;
	void *p;

	p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		err_sys(e, "reserve %llu MiB of guest memory",
			(unsigned long long)(size >> 20));
		return err_hint(e, "give a smaller --memory");
	}
	m->map = p;
	m->map_len = len;
	/* Guest memory in a core file would be the job's data on disk. */
	madvise(p, len, MADV_DONTDUMP);
	/* Of all of it, padding too: a part would be a mapping of its own. */
	madvise(p, len, MADV_HUGEPAGE);
	return 0;
}

int gmem_init(struct gmem *m, uint64_t size, gpa_t hole_start, gpa_t hole_end,
	      struct err *e)
{
	uint64_t low = size < hole_start ? size : hole_start;
	uint8_t *base;
	int r;

	*m = (struct gmem){ 0 };
	if (!size || size % GMEM_HUGE)
		return err_set(e, EINVAL,
			       "guest memory of %llu bytes: not a multiple of "
			       "2 MiB",
			       (unsigned long long)size);
	r = reserve(m, size, e);
	if (r)
		return r;
	base = m->map + (-(uintptr_t)m->map & (GMEM_HUGE - 1));
	m->region[m->nr++] = (struct gmem_region){ 0, low, base };
	if (size > low)
		m->region[m->nr++] = (struct gmem_region){
			hole_end, size - low, base + low
		};
	return 0;
}

void gmem_fini(struct gmem *m)
{
	if (m->map)
		munmap(m->map, m->map_len);
	*m = (struct gmem){ 0 };
}

void *gmem_ptr(const struct gmem *m, gpa_t gpa, uint64_t len)
{
	unsigned i;

	if (!len)
		return NULL;
	/*@ loop invariant i <= m->nr;
	    loop invariant \forall integer k; 0 <= k < i ==>
			!gmem_has(m, k, gpa, len);
	    loop assigns i;
	    loop variant m->nr - i; */
	for (i = 0; i < m->nr; i++) {
		const struct gmem_region *r = &m->region[i];
		uint64_t off;

		if (gpa < r->base)
			continue;
		off = gpa - r->base;
		if (off < r->len && len <= r->len - off)
			return r->hva + off;
	}
	return NULL;
}

int gmem_read(const struct gmem *m, gpa_t gpa, void *dst, uint64_t len)
{
	const void *src = gmem_ptr(m, gpa, len);

	if (!src)
		return -EFAULT;
	memcpy(dst, src, len);
	return 0;
}

int gmem_write(const struct gmem *m, gpa_t gpa, const void *src, uint64_t len)
{
	void *dst = gmem_ptr(m, gpa, len);

	if (!dst)
		return -EFAULT;
	memcpy(dst, src, len);
	return 0;
}

void gmem_use_small(const struct gmem *m, gpa_t start, gpa_t end)
{
	const struct gmem_region *r = &m->region[0];

	if (end > r->len)
		end = r->len;
	if (start < end)
		madvise(r->hva + start, end - start, MADV_NOHUGEPAGE);
}

uint64_t gmem_size(const struct gmem *m)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < m->nr; i++)
		sum += m->region[i].len;
	return sum;
}
