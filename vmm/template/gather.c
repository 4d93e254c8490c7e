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
#include "template/template.h"

#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* For fewer pages that are read, 2 MiB of the host's memory are too much. */
#define READ_MIN 16u

/* Holes of the file become memory: whatever it lists, 64 MiB at most. */
#define BLOCKS_MAX 32u

#define BLOCK_PAGES (GMEM_HUGE / GMEM_PAGE)

/* Runs, blocks and extents all rise, so one walk is over all three. */
struct gather {
	const struct template *t;
	uint8_t *room;		/* aligned, of the length of a huge page */
	unsigned extent;	/* no block to come ends before it */
	unsigned blocks;	/* gathered so far */
	uint64_t block;		/* the one at hand: gpa / GMEM_HUGE */
	uint64_t read, written;	/* pages of it that copies touch */
};

/* A file that is no tmpfs's has to be one that is executed. */
static bool map_block(uint8_t *at, int fd, uint64_t offset)
{
	int flags = MAP_SHARED | MAP_FIXED;

	return mmap(at, GMEM_HUGE, PROT_READ | PROT_EXEC, flags, fd,
		    (off_t)offset) != MAP_FAILED ||
	       mmap(at, GMEM_HUGE, PROT_READ, flags, fd, (off_t)offset) !=
		       MAP_FAILED;
}

/* The extent in which all of the block at `gpa` lies. */
static bool find_extent(struct gather *g, gpa_t gpa, struct template_extent *x)
{
	for (; g->extent < g->t->nr_extents; g->extent++) {
		*x = template_extent(g->t, g->extent);
		if (x->gpa + x->len >= gpa + GMEM_HUGE)
			return x->gpa <= gpa;
	}
	return false;
}

static void end_block(struct gather *g)
{
	gpa_t gpa = g->block * GMEM_HUGE;
	struct template_extent x;

	if (g->written || g->read < READ_MIN || g->blocks == BLOCKS_MAX ||
	    !find_extent(g, gpa, &x))
		return;
	/* Only as it was written does it lie in the file as in the guest. */
	if ((x.gpa ^ x.offset) & (GMEM_HUGE - 1))
		return;
	g->blocks++;
	if (map_block(g->room, g->t->fd, x.offset + (gpa - x.gpa)))
		madvise(g->room, GMEM_HUGE, MADV_COLLAPSE);
}

static void add_run(struct gather *g, struct template_run run)
{
	uint64_t page = run.page, end = page + run.count, n;

	for (; page < end; page += n) {
		if (page / BLOCK_PAGES != g->block) {
			end_block(g);
			g->block = page / BLOCK_PAGES;
			g->read = g->written = 0;
		}
		n = BLOCK_PAGES - page % BLOCK_PAGES;
		if (n > end - page)
			n = end - page;
		if (run.written)
			g->written += n;
		else
			g->read += n;
	}
}

void template_gather(const struct template *t)
{
	/* In twice the length of a huge page lies one that is aligned. */
	uint8_t *map = mmap(NULL, 2 * GMEM_HUGE, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			    0);
	struct gather g = { .t = t };
	unsigned i;

	if (map == MAP_FAILED)
		return;
	g.room = map + (-(uintptr_t)map & (GMEM_HUGE - 1));
	for (i = 0; i < t->nr_runs; i++)
		add_run(&g, template_touched(t, i));
	end_block(&g);
	munmap(map, 2 * GMEM_HUGE);
}
