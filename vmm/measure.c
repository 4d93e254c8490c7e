// SPDX-License-Identifier: MIT
/*
 * pagemap tells page by page what is present (bit 63) and what nobody else
 * has mapped (bit 56), which is how smaps defines private; both bits are
 * there for an ordinary user. Rejected: mincore, which counts the page cache.
 */
#include "measure.h"

#include "lib/cleanup.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define PAGEMAP_PRESENT	  (1ull << 63)
#define PAGEMAP_EXCLUSIVE (1ull << 56)
#define CHUNK		  512u
#define ROLLUP_MAX	  4096u

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
		struct iovec iov = { entry, n * sizeof(entry[0]) };
		ssize_t got = preadv(fd, &iov, 1, off);

		if (got <= 0)
			return;
		n = (size_t)got / sizeof(entry[0]);
		count_chunk(entry, n, sum);
		left -= n;
		off += got;
	}
}

/* The number of KiB behind `key`, as bytes. */
static uint64_t find_bytes(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoull(at + strlen(key), NULL, 10) * 1024 : 0;
}

/* Private pages of the whole process, bytes. */
static uint64_t private_total(int fd)
{
	char text[ROLLUP_MAX];
	struct iovec iov = { text, sizeof(text) - 1 };
	ssize_t n = preadv(fd, &iov, 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	return find_bytes(text, "Private_Clean:") +
	       find_bytes(text, "Private_Dirty:");
}

void measure_open(struct measure *t)
{
	t->pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	t->rollup_fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
}

void measure_close(struct measure *t)
{
	cleanup_fd(&t->pagemap_fd);
	cleanup_fd(&t->rollup_fd);
}

void measure_memory(const struct measure *t, const struct gmem *m,
		    uint64_t *guest_pages, uint64_t *private_bytes)
{
	uint64_t total = private_total(t->rollup_fd);
	struct pages sum = { 0 };
	unsigned i;

	for (i = 0; t->pagemap_fd >= 0 && i < m->nr; i++)
		count_region(t->pagemap_fd, &m->region[i], &sum);
	*guest_pages = sum.present;
	*private_bytes =
		total > sum.own * GMEM_PAGE ? total - sum.own * GMEM_PAGE : 0;
}
