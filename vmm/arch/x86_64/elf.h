/* SPDX-License-Identifier: MIT */
/*
 * An x86-64 kernel in ELF form: reading the file, and putting it into guest
 * memory. Reading trusts nothing: each number is copied out of the file with
 * pread and checked before it is used, and each error line holds what was
 * found and what was expected. References: System V gABI chapters 4 and 5,
 * Linux Documentation/arch/x86/boot.rst "64-bit boot protocol".
 *
 * Messages name no file: the caller puts the operation and the path in front.
 */
#ifndef HUSK_ARCH_X86_64_ELF_H
#define HUSK_ARCH_X86_64_ELF_H

#include "core/gmem.h"
#include "lib/err.h"

#include <stdbool.h>
#include <stdint.h>

#define ELF_MAX_SEGS	16u /* a kernel has 3 to 5 */
#define ELF_MAX_PHDRS	64u
#define ELF_SALT_LEN	64u

/* Bytes of the file, and of RAM that follow them as zeros. */
struct elf_seg {
	uint64_t off;
	gpa_t paddr;
	uint64_t filesz; /* <= memsz */
	uint64_t memsz;	 /* > 0 */
	bool writable;
};

/*
 * A kernel file that was found sound: segments inside the file, at or above
 * 1 MiB, disjoint, none wrapping; entry inside the file part of one of them.
 */
struct elf_image {
	unsigned nr_segs;
	struct elf_seg seg[ELF_MAX_SEGS];
	gpa_t entry;
	gpa_t start, end; /* [start, end) spans all segments */
	char salt[ELF_SALT_LEN]; /* BUILD_SALT note; "" if absent or odd */
};

/*
 * Get at the ELF file inside what `fd` holds. An ELF file is left as it is
 * (*unpacked = -1); a gzip'ed one is inflated, 256 MiB at most, into a memory
 * file that the caller owns (*unpacked >= 0). Everything else fails with what
 * it is (a bzImage, an xz file, ...) and how to turn it into a vmlinux.
 */
int elf_unpack(int fd, int *unpacked, struct err *e);

/* Read and check all headers. */
int elf_read(int fd, struct elf_image *img, struct err *e);

/*
 * Put the segments into guest RAM, which must be untouched (zero). Whole
 * pages are mapped privately from the file where offset and address agree
 * modulo the page size, the rest is read. Fails when a segment is not in RAM.
 */
int elf_place(int fd, const struct elf_image *img, const struct gmem *m,
	      struct err *e);

/*
 * For a kernel that does not carry husk's salt: look for the texts that only
 * built-in drivers leave in a kernel. Fails with one line that names all that
 * husk needs and that is missing; reads every byte of the segments once.
 */
int elf_check_needs(int fd, const struct elf_image *img, struct err *e);

/* The salt of husk's own kernel configuration; such a kernel needs no scan. */
#define ELF_HUSK_SALT "husk-1"

#endif
