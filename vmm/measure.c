// SPDX-License-Identifier: MIT
/*
 * pagemap tells page by page what is present (bit 63) and what nobody else
 * has mapped (bit 56), which is how smaps defines private; both bits are
 * there for an ordinary user. Rejected: mincore, which counts the page cache.
 */
#include "measure.h"

#include "lib/cleanup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define PAGEMAP_PRESENT	  (1ull << 63)
#define PAGEMAP_EXCLUSIVE (1ull << 56)
#define CHUNK		  512u

struct pages {
	uint64_t present, own;
};

static void count_chunk(const uint64_t *entry, size_t n, struct pages *sum)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (!(entry[i] & PAGEMAP_PRESENT))
			continue;
		sum->present++;
		sum->own += !!(entry[i] & PAGEMAP_EXCLUSIVE);
	}
}

static void count_region(int fd, const struct gmem_region *r, struct pages *sum)
{
	uint64_t left = r->len / GMEM_PAGE;
	off_t off = (off_t)((uintptr_t)r->hva / GMEM_PAGE * sizeof(uint64_t));
	uint64_t entry[CHUNK];

	while (left) {
		size_t n = left < CHUNK ? (size_t)left : CHUNK;
		ssize_t got = pread(fd, entry, n * sizeof(entry[0]), off);

		if (got <= 0)
			return;
		n = (size_t)got / sizeof(entry[0]);
		count_chunk(entry, n, sum);
		left -= n;
		off += got;
	}
}

/* Private pages of the whole process, bytes. */
static uint64_t private_total(void)
{
	auto_file f = fopen("/proc/self/smaps_rollup", "re");
	unsigned long long kib, sum = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Private_Clean: %llu kB", &kib) == 1 ||
		    sscanf(line, "Private_Dirty: %llu kB", &kib) == 1)
			sum += kib * 1024;
	return sum;
}

void measure_memory(const struct gmem *m, uint64_t *guest_pages,
		    uint64_t *private_bytes)
{
	auto_fd fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t total = private_total();
	struct pages sum = { 0 };
	unsigned i;

	for (i = 0; fd >= 0 && i < m->nr; i++)
		count_region(fd, &m->region[i], &sum);
	*guest_pages = sum.present;
	*private_bytes =
		total > sum.own * GMEM_PAGE ? total - sum.own * GMEM_PAGE : 0;
}
