/* SPDX-License-Identifier: MIT */
/*
 * A small but whole kernel file in memory, for the tests of the loader to
 * copy and break: three segments (one that can be mapped, one whose offset
 * and address disagree, one that starts and ends inside a page), a note with
 * husk's salt, and room for the texts a scan looks for. And what all of them
 * check of a refusal.
 */
#ifndef HUSK_TESTS_UNIT_ELF_MAKE_H
#define HUSK_TESTS_UNIT_ELF_MAKE_H

#include "arch/x86_64/elf.h"
#include "lib/cleanup.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define MAKE_SIZE     0xc000u
#define MAKE_NOTE_OFF 0x400u
#define MAKE_TEXT_OFF 0x1400u /* in segment 0 */
#define MAKE_ENTRY    0x1000010u
#define MAKE_END      0x1010000u /* first byte after the last segment */

enum { MAKE_SEG_MAPPED, MAKE_SEG_READ, MAKE_SEG_MIXED, MAKE_NOTE, MAKE_NR };

struct make_note {
	Elf64_Nhdr head;
	char name[8];
	char desc[8];
};

struct make_file {
	union {
		struct {
			Elf64_Ehdr h;
			Elf64_Phdr ph[MAKE_NR];
		};
		uint8_t bytes[MAKE_SIZE];
	};
};

static inline Elf64_Phdr make_load(uint64_t off, uint64_t paddr,
				   uint64_t filesz, uint64_t memsz)
{
	return (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_flags = PF_R | PF_X,
		.p_offset = off,
		.p_vaddr = 0xffffffff80000000 + paddr,
		.p_paddr = paddr,
		.p_filesz = filesz,
		.p_memsz = memsz,
		.p_align = 0x1000,
	};
}

/* Every byte of a segment differs from its neighbours and is never 0. */
static inline void make_fill(struct make_file *f, const Elf64_Phdr *p)
{
	for (uint64_t i = 0; i < p->p_filesz; i++)
		f->bytes[p->p_offset + i] =
			(uint8_t)(1 + (p->p_offset + i * 7 + i / 256) % 255);
}

static inline void make_headers(struct make_file *f)
{
	f->h = (Elf64_Ehdr){
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB,
			    EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = MAKE_ENTRY,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = MAKE_NR,
	};
	f->ph[MAKE_SEG_MAPPED] = make_load(0x1000, 0x1000000, 0x2345, 0x5000);
	f->ph[MAKE_SEG_READ] = make_load(0x4004, 0x1006010, 0x1800, 0x1900);
	f->ph[MAKE_SEG_MIXED] = make_load(0x6800, 0x1008800, 0x5800, 0x7800);
	f->ph[MAKE_NOTE] = (Elf64_Phdr){
		.p_type = PT_NOTE,
		.p_offset = MAKE_NOTE_OFF,
		.p_filesz = sizeof(struct make_note),
		.p_memsz = sizeof(struct make_note),
		.p_align = 4,
	};
}

static inline void make_file(struct make_file *f)
{
	struct make_note note = {
		.head = {6, 7, 0x100},
		.name = "Linux",
		.desc = "husk-1",
	};

	memset(f, 0, sizeof(*f));
	make_headers(f);
	for (unsigned i = 0; i < MAKE_NOTE; i++)
		make_fill(f, &f->ph[i]);
	memcpy(f->bytes + MAKE_NOTE_OFF, &note, sizeof(note));
}

/* A memory file with these bytes; the caller closes it. -1 on failure. */
static inline int make_fd(const void *p, size_t len)
{
	int fd = memfd_create("husk-test-kernel", MFD_CLOEXEC);

	if (fd >= 0 && pwrite(fd, p, len, 0) == (ssize_t)len)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Unpack and read a kernel of these bytes. */
static inline int read_bytes(const void *p, size_t len, struct elf_image *img,
		      struct err *e)
{
	auto_fd fd = make_fd(p, len);
	int unpacked, r;

	assert_true(fd >= 0);
	*e = (struct err){0};
	r = elf_unpack(fd, &unpacked, e);
	if (r)
		return r;
	r = elf_read(unpacked >= 0 ? unpacked : fd, img, e);
	cleanup_fd(&unpacked);
	return r;
}

/* One line, with these words, no full stop, and room to spare. */
static inline void check_message(const char *name, const struct err *e,
			  const char *const *words, unsigned nr)
{
	size_t len = strlen(e->msg);

	if (!len || e->code <= 0 || strchr(e->msg, '\n') ||
	    e->msg[len - 1] == '.' || len > 300)
		fail_msg("%s: bad message (code %d): '%s'", name, e->code,
			 e->msg);
	for (unsigned i = 0; i < nr && words[i]; i++)
		if (!strstr(e->msg, words[i]))
			fail_msg("%s: no '%s' in '%s'", name, words[i],
				 e->msg);
}

#endif
