// SPDX-License-Identifier: MIT
/*
 * pagemap tells page by page what is present (bit 63) and what nobody else
 * has mapped (bit 56), which is how smaps defines private; both bits are
 * there for an ordinary user. Rejected: mincore, which counts the page cache.
 */
#include "machine/measure.h"

#include "lib/cleanup.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define PAGEMAP_PRESENT	  (1ull << 63)
#define PAGEMAP_FILE	  (1ull << 61)
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

/* At most CHUNK entries of pages from hva on; returns how many, 0: no more. */
static size_t read_chunk(int fd, const uint8_t *hva, uint64_t pages,
			 uint64_t entry[CHUNK])
{
	off_t off = (off_t)((uintptr_t)hva / GMEM_PAGE * sizeof(entry[0]));
	size_t n = pages < CHUNK ? (size_t)pages : CHUNK;
	struct iovec iov = { entry, n * sizeof(entry[0]) };
	ssize_t got = n ? preadv(fd, &iov, 1, off) : 0;

	return got > 0 ? (size_t)got / sizeof(entry[0]) : 0;
}

static void count_region(int fd, const struct gmem_region *r, struct pages *sum)
{
	uint64_t done, all = r->len / GMEM_PAGE, entry[CHUNK];
	size_t n;

	for (done = 0; done < all; done += n) {
		n = read_chunk(fd, r->hva + done * GMEM_PAGE, all - done,
			       entry);
		if (!n)
			return;
		count_chunk(entry, n, sum);
	}
}

void measure_touched(const struct measure *t, const struct gmem *m, gpa_t gpa,
		     uint64_t len,
		     void (*page)(void *opaque, gpa_t gpa, bool written),
		     void *opaque)
{
	const uint8_t *hva = gmem_ptr(m, gpa, len);
	uint64_t done, all = len / GMEM_PAGE, entry[CHUNK];
	size_t i, n;

	for (done = 0; hva && done < all; done += n) {
		n = read_chunk(t->pagemap_fd, hva + done * GMEM_PAGE,
			       all - done, entry);
		if (!n)
			return;
		for (i = 0; i < n; i++)
			if (entry[i] & PAGEMAP_PRESENT)
				page(opaque, gpa + (done + i) * GMEM_PAGE,
				     !(entry[i] & PAGEMAP_FILE));
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
