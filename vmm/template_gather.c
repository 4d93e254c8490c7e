// SPDX-License-Identifier: MIT
/*
 * A copy's first read of each page is a fault of the guest that KVM and the
 * host serve for that page alone, and what its kernel executes and looks up is
 * some 200 pages in 6 MiB. In a huge page of the file they take one fault for
 * 2 MiB, and all copies have the same one.
 *
 * The kernel makes huge pages of a file's pages when asked (MADV_COLLAPSE,
 * Linux 6.1): of a tmpfs always, of a disk's file where it was built for that
 * (CONFIG_READ_ONLY_THP_FOR_FS). They last as long as the file's pages stay in
 * memory.
 *
 * Rejected: hugetlbfs for the file (pages that the administrator sets aside),
 * and a block that copies write to (the first write takes the huge page apart,
 * and each page of it is then a fault twice).
 */
#include "template.h"

#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* For fewer pages that are read, 2 MiB of the host's memory are too much. */
#define READ_MIN 16u

#define BLOCK_PAGES ((uint32_t)(GMEM_HUGE / GMEM_PAGE))

/* Pages of a block that copies touch. */
struct touched {
	uint32_t read, written;
};

/* How many pages of `run` lie in the block that begins with page `first`. */
static uint32_t overlap(const struct template_run *run, uint32_t first)
{
	uint64_t start = run->page > first ? run->page : first;
	uint64_t end = (uint64_t)run->page + run->count;
	uint64_t last = (uint64_t)first + BLOCK_PAGES;

	if (end > last)
		end = last;
	return start < end ? (uint32_t)(end - start) : 0;
}

static struct touched count_touched(const struct template *t, uint32_t first)
{
	struct touched sum = { 0, 0 };
	unsigned i;

	for (i = 0; i < t->nr_runs; i++) {
		struct template_run run = template_touched(t, i);
		uint32_t n = overlap(&run, first);

		if (run.written)
			sum.written += n;
		else
			sum.read += n;
	}
	return sum;
}

/* A file that is no tmpfs's has to be one that is executed. */
static bool map_block(uint8_t *at, int fd, uint64_t offset)
{
	int flags = MAP_SHARED | MAP_FIXED;

	return mmap(at, GMEM_HUGE, PROT_READ | PROT_EXEC, flags, fd,
		    (off_t)offset) != MAP_FAILED ||
	       mmap(at, GMEM_HUGE, PROT_READ, flags, fd, (off_t)offset) !=
		       MAP_FAILED;
}

/* Only as it was written does an extent lie in the file as in the guest. */
static void gather_extent(const struct template *t, struct template_extent x,
			  uint8_t *at)
{
	uint64_t skip = -x.gpa & (GMEM_HUGE - 1);

	if ((x.gpa ^ x.offset) & (GMEM_HUGE - 1))
		return;
	for (; skip < x.len && x.len - skip >= GMEM_HUGE; skip += GMEM_HUGE) {
		uint64_t page = (x.gpa + skip) / GMEM_PAGE;
		struct touched n = { 0, 0 };

		if (page <= UINT32_MAX)
			n = count_touched(t, (uint32_t)page);
		if (!n.written && n.read >= READ_MIN &&
		    map_block(at, t->fd, x.offset + skip))
			madvise(at, GMEM_HUGE, MADV_COLLAPSE);
	}
}

void template_gather(const struct template *t)
{
	/* In twice the length of a huge page lies one that is aligned. */
	uint8_t *room = mmap(NULL, 2 * GMEM_HUGE, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			     0);
	unsigned i;

	if (room == MAP_FAILED)
		return;
	for (i = 0; i < t->nr_extents; i++)
		gather_extent(t, template_extent(t, i),
			      room + (-(uintptr_t)room & (GMEM_HUGE - 1)));
	munmap(room, 2 * GMEM_HUGE);
}
