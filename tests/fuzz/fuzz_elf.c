// SPDX-License-Identifier: MIT
/* LINK: vmm/arch/x86_64/elf.c vmm/arch/x86_64/unpack.c */
/* LINK: vmm/arch/x86_64/needs.c vmm/arch/x86_64/file.c vmm/core/gmem.c */
/* LIBS: -lz */
/*
 * A kernel file of any bytes: unpack, read, look into, place. What is refused
 * has a line that says why; what is accepted keeps every promise of elf.h,
 * and placing it changes nothing outside its segments.
 */
#include "arch/x86_64/elf.h"
#include "arch/x86_64/layout.h"
#include "lib/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "require.h"

#define RAM (64ull << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(const struct elf_seg *s, gpa_t at)
{
	return at >= s->paddr && at - s->paddr < s->memsz;
}

static void check_image(const struct elf_image *img)
{
	bool entered = false;

	REQUIRE(img->nr_segs && img->nr_segs <= ELF_MAX_SEGS);
	REQUIRE(memchr(img->salt, 0, sizeof(img->salt)));
	for (unsigned i = 0; i < img->nr_segs; i++) {
		const struct elf_seg *s = &img->seg[i];

		REQUIRE(s->memsz && s->filesz <= s->memsz);
		REQUIRE(s->paddr >= LAYOUT_HIGH && s->paddr >= img->start);
		REQUIRE(s->paddr + s->memsz <= img->end);
		for (unsigned j = 0; j < i; j++)
			REQUIRE(!inside(s, img->seg[j].paddr) &&
				!inside(&img->seg[j], s->paddr));
		entered |= inside(s, img->entry) &&
			   img->entry - s->paddr < s->filesz;
	}
	REQUIRE(entered && img->end <= LAYOUT_HOLE);
}

/* The bytes of the file, then zeros. */
static void check_seg(int fd, const struct elf_seg *s, const struct gmem *m)
{
	const uint8_t *ram = gmem_ptr(m, s->paddr, s->memsz);
	uint8_t *want = malloc(s->filesz + 1);

	REQUIRE(ram && want);
	REQUIRE(pread(fd, want, s->filesz, (off_t)s->off) ==
		(ssize_t)s->filesz);
	REQUIRE(!memcmp(ram, want, s->filesz));
	for (uint64_t i = s->filesz; i < s->memsz; i++)
		REQUIRE(!ram[i]);
	free(want);
}

static void place(int fd, const struct elf_image *img)
{
	struct err e = {0};
	struct gmem m;
	int r;

	REQUIRE(!gmem_init(&m, RAM, LAYOUT_HOLE, LAYOUT_HOLE_END, &e));
	r = elf_place(fd, img, &m, &e);
	if (r)
		REQUIRE_REFUSED(r, &e);
	REQUIRE((r < 0) == (img->end > RAM));
	for (unsigned i = 0; !r && i < img->nr_segs; i++)
		check_seg(fd, &img->seg[i], &m);
	gmem_fini(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_fd fd = memfd_create("fuzz-kernel", MFD_CLOEXEC);
	auto_fd unpacked = -1;
	struct elf_image img;
	struct err e = {0};
	int r;

	REQUIRE(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	r = elf_unpack(fd, &unpacked, &e);
	if (!r && unpacked >= 0) {
		cleanup_fd(&fd);
		fd = steal_fd(&unpacked);
	}
	if (!r)
		r = elf_read(fd, &img, &e);
	if (r) {
		REQUIRE_REFUSED(r, &e);
		return 0;
	}
	check_image(&img);
	r = elf_check_needs(fd, &img, &e);
	if (r)
		REQUIRE_REFUSED(r, &e);
	place(fd, &img);
	return 0;
}
