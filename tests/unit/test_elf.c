// SPDX-License-Identifier: MIT
/* LINK: vmm/arch/x86_64/elf.c vmm/arch/x86_64/unpack.c */
/* LINK: vmm/arch/x86_64/needs.c vmm/arch/x86_64/file.c vmm/core/gmem.c */
/* LIBS: -lz */
/*
 * Kernels, right and wrong. Each way to break one is a row with the
 * words that its message must have; a whole file is truncated at every step
 * and must be refused each time. Placing is compared byte for byte, with the
 * bytes around each segment.
 */
#include "arch/x86_64/elf.h"
#include "lib/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "elf_make.h"

#define HOLE	 0xc0000000ull
#define HOLE_END 0x100000000ull
#define MIB	 (1ull << 20)

/* One field of the file set to a value, and what the refusal must say. */
struct broken {
	const char *name;
	size_t at, len;
	uint64_t value;
	const char *words[3];
};

#define HDR(field)                                                           \
	offsetof(struct make_file, h.field), sizeof(((Elf64_Ehdr *)0)->field)
#define SEG(n, field)                                                        \
	offsetof(struct make_file, ph[n].field),                             \
		sizeof(((Elf64_Phdr *)0)->field)

static const struct broken broken[] = {
	{"magic", 0, 1, 0x7e, {"not an ELF file", "7e454c46", "7f454c46"}},
	{"32 bit", EI_CLASS, 1, 1, {"class is 1", "32-bit", "expected 2"}},
	{"no class", EI_CLASS, 1, 0, {"class is 0", "expected 2"}},
	{"big endian", EI_DATA, 1, 2, {"order is 2", "big endian", "1"}},
	{"ident version", EI_VERSION, 1, 2, {"version is 2/1", "1/1"}},
	{"version", HDR(e_version), 9, {"version is 1/9", "expected 1/1"}},
	{"aarch64", HDR(e_machine), 183, {"183", "aarch64", "62 (x86-64)"}},
	{"i386", HDR(e_machine), 3, {"machine is 3", "i386"}},
	{"riscv", HDR(e_machine), 243, {"243", "riscv"}},
	{"object", HDR(e_type), 1, {"type is 1", "object file", "2"}},
	{"core", HDR(e_type), 4, {"type is 4", "core dump"}},
	{"header size", HDR(e_ehsize), 52, {"52 and 56", "64 and 56"}},
	{"row size", HDR(e_phentsize), 32, {"64 and 32", "64 and 56"}},
	{"no headers", HDR(e_phnum), 0, {"0 program headers", "1 to 64"}},
	{"65 headers", HDR(e_phnum), 65, {"65 program headers", "64"}},
	{"65535 headers", HDR(e_phnum), 65535, {"65535 program headers"}},
	{"headers at the end", HDR(e_phoff), MAKE_SIZE - 100,
	 {"headers at byte 49052", "224 bytes", "49152"}},
	{"headers wrap", HDR(e_phoff), ~0ull, {"truncated"}},
	{"entry 0", HDR(e_entry), 0, {"entry 0x0", "0x1000000", "0x1010000"}},
	{"entry in bss", HDR(e_entry), 0x1002345, {"entry 0x1002345"}},
	{"entry between", HDR(e_entry), 0x1005000, {"entry 0x1005000"}},
	{"entry after", HDR(e_entry), 0x1010000, {"entry 0x1010000"}},
	{"entry virtual", HDR(e_entry), 0xffffffff81000000,
	 {"entry 0xffffffff81000000"}},
	{"filesz > memsz", SEG(0, p_filesz), 0x5001,
	 {"segment 0", "20481", "20480"}},
	{"filesz huge", SEG(0, p_filesz), ~0ull, {"segment 0"}},
	{"offset outside", SEG(1, p_offset), MAKE_SIZE - 0x17ff,
	 {"segment 1", "6144 bytes from byte 43009", "49152"}},
	{"offset wraps", SEG(1, p_offset), ~0ull - 10, {"truncated"}},
	{"at 0", SEG(2, p_paddr), 0, {"segment 2", "0x0", "0x100000"}},
	{"below 1 MiB", SEG(2, p_paddr), 0xff000, {"0xff000", "not a kernel"}},
	{"in the hole", SEG(2, p_paddr), 0xc0000000, {"0xc0000000"}},
	{"into the hole", SEG(2, p_paddr), 0xbfff9000, {"0xbfff9000"}},
	{"above 4 GiB", SEG(2, p_paddr), 1ull << 40, {"0x10000000000"}},
	{"address wraps", SEG(2, p_paddr), ~0ull - 0x1000, {"segment 2"}},
	{"memsz huge", SEG(2, p_memsz), ~0ull, {"0xffffffffffffffff"}},
	{"same place", SEG(1, p_paddr), 0x1004fff,
	 {"segment 1", "overlaps", "0x1000000 to 0x1005000"}},
	{"inside", SEG(1, p_paddr), 0x1001000, {"overlaps"}},
	{"around", SEG(2, p_paddr), 0x1006000, {"segment 2", "overlaps"}},
	{"note outside", SEG(3, p_offset), MAKE_SIZE - 27, {"notes", "28"}},
	{"note wraps", SEG(3, p_offset), ~0ull, {"notes", "truncated"}},
	{"note huge", SEG(3, p_filesz), ~0ull, {"notes"}},
};

static void test_good(void **state)
{
	static struct make_file f;
	struct elf_image img;
	struct err e;

	(void)state;
	make_file(&f);
	assert_int_equal(read_bytes(&f, sizeof(f), &img, &e), 0);
	assert_int_equal(img.nr_segs, 3);
	assert_int_equal(img.entry, MAKE_ENTRY);
	assert_int_equal(img.start, 0x1000000);
	assert_int_equal(img.end, MAKE_END);
	assert_string_equal(img.salt, ELF_HUSK_SALT);
	f.h.e_type = ET_DYN;
	assert_int_equal(read_bytes(&f, sizeof(f), &img, &e), 0);
}

static void test_broken(void **state)
{
	static struct make_file f;
	struct elf_image img;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		const struct broken *b = &broken[i];

		make_file(&f);
		memcpy(f.bytes + b->at, &b->value, b->len);
		if (!read_bytes(&f, sizeof(f), &img, &e))
			fail_msg("%s: accepted", b->name);
		check_message(b->name, &e, b->words, 3);
	}
}

/* A segment of no size is nothing, and a file of only those is no kernel. */
static void test_empty_segments(void **state)
{
	static struct make_file f;
	const char *const words[] = {"no loadable segment"};
	struct elf_image img;
	struct err e;

	(void)state;
	make_file(&f);
	f.ph[MAKE_SEG_READ].p_memsz = f.ph[MAKE_SEG_READ].p_filesz = 0;
	assert_int_equal(read_bytes(&f, sizeof(f), &img, &e), 0);
	assert_int_equal(img.nr_segs, 2);
	for (unsigned i = 0; i < MAKE_NOTE; i++)
		f.ph[i].p_memsz = f.ph[i].p_filesz = 0;
	assert_true(read_bytes(&f, sizeof(f), &img, &e) < 0);
	check_message("empty", &e, words, 1);
}

static void test_too_many_segments(void **state)
{
	static struct make_file f;
	const char *const words[] = {"more than 16 loadable segments"};
	Elf64_Phdr *ph = (Elf64_Phdr *)(f.bytes + sizeof(Elf64_Ehdr));
	struct elf_image img;
	struct err e;

	(void)state;
	for (unsigned nr = 16; nr <= 17; nr++) {
		make_file(&f);
		f.h.e_phnum = (uint16_t)nr;
		for (unsigned i = 0; i < nr; i++)
			ph[i] = make_load(0x1000, 0x1000000 + i * 0x1000u,
					  0x1000, 0x1000);
		assert_int_equal(read_bytes(&f, sizeof(f), &img, &e) < 0,
				 nr == 17);
	}
	check_message("17", &e, words, 1);
}

static void test_truncated(void **state)
{
	static struct make_file f;
	struct elf_image img;
	struct err e;

	(void)state;
	make_file(&f);
	for (size_t len = 0; len < sizeof(f); len += len < 2048 ? 1 : 509) {
		if (!read_bytes(&f, len, &img, &e))
			fail_msg("accepted when cut to %zu bytes", len);
		check_message("cut", &e, NULL, 0);
	}
}

/* Salts that are taken, and notes that are not one. */
static void test_salt(void **state)
{
	static struct make_file f;
	struct make_note *n = (void *)(f.bytes + MAKE_NOTE_OFF);
	static const struct {
		uint32_t namesz, descsz, type;
		const char *name, *desc, *salt;
	} notes[] = {
		{6, 7, 0x100, "Linux", "husk-1", "husk-1"},
		{6, 6, 0x100, "Linux", "husk-1", "husk-1"},
		{6, 7, 0x100, "Linux", "husk-2", "husk-2"},
		{6, 1, 0x100, "Linux", "", ""},
		{6, 0, 0x100, "Linux", "husk-1", ""},
		{6, 7, 0x101, "Linux", "husk-1", ""},
		{6, 7, 0x100, "linux", "husk-1", ""},
		{5, 7, 0x100, "Linux", "husk-1", ""},
		{6, 7, 0x100, "Linux", "a\nb", ""},
		{6, 7, 0x100, "Linux", "a b", ""},
		{6, 9, 0x100, "Linux", "husk-1", ""},
		{0xffffffff, 7, 0x100, "Linux", "husk-1", ""},
		{6, 0xffffffff, 0x100, "Linux", "husk-1", ""},
		{0xfffffff8, 0xfffffffc, 0x100, "Linux", "husk-1", ""},
	};
	struct elf_image img;
	struct err e;

	(void)state;
	make_file(&f);
	for (unsigned i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
		memset(n, 0, sizeof(*n));
		n->head.n_namesz = notes[i].namesz;
		n->head.n_descsz = notes[i].descsz;
		n->head.n_type = notes[i].type;
		memcpy(n->name, notes[i].name, strlen(notes[i].name));
		memcpy(n->desc, notes[i].desc, strlen(notes[i].desc));
		assert_int_equal(read_bytes(&f, sizeof(f), &img, &e), 0);
		if (strcmp(img.salt, notes[i].salt))
			fail_msg("note %u: salt '%s', expected '%s'", i,
				 img.salt, notes[i].salt);
	}
}

/* The salt behind another note, and one that would be too long. */
static void test_salt_places(void **state)
{
	static struct make_file f;
	struct make_note *n = (void *)(f.bytes + MAKE_NOTE_OFF);
	uint8_t *desc = f.bytes + MAKE_NOTE_OFF + sizeof(Elf64_Nhdr) + 8;
	struct elf_image img;
	struct err e;

	(void)state;
	make_file(&f);
	n[1] = n[0];
	n[0].head.n_type = 3;
	f.ph[MAKE_NOTE].p_filesz = 2 * sizeof(*n);
	assert_int_equal(read_bytes(&f, sizeof(f), &img, &e), 0);
	assert_string_equal(img.salt, "husk-1");
	n[0].head.n_type = 0x100;
	n[0].head.n_descsz = 64;
	memset(desc, 'x', 64);
	f.ph[MAKE_NOTE].p_filesz = 20 + 64;
	assert_int_equal(read_bytes(&f, sizeof(f), &img, &e), 0);
	assert_string_equal(img.salt, "");
	desc[63] = 0;
	assert_int_equal(read_bytes(&f, sizeof(f), &img, &e), 0);
	assert_int_equal(strlen(img.salt), 63);
}

static void check_seg(const struct gmem *m, const struct make_file *f,
		      const Elf64_Phdr *p)
{
	const uint8_t *ram = gmem_ptr(m, p->p_paddr - 16, p->p_memsz + 32);

	assert_non_null(ram);
	assert_memory_equal(ram + 16, f->bytes + p->p_offset, p->p_filesz);
	for (uint64_t i = 0; i < 16; i++)
		assert_int_equal(ram[i], 0);
	for (uint64_t i = p->p_filesz; i < p->p_memsz + 16; i++)
		assert_int_equal(ram[16 + i], 0);
}

/* Bytes of `hva` .. + len that are mapped from a memory file. */
static uint64_t mapped_bytes(const uint8_t *hva, uint64_t len)
{
	auto_file f = fopen("/proc/self/maps", "re");
	uint64_t from, to, sum = 0;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (strstr(line, "memfd:") &&
		    sscanf(line, "%lx-%lx", &from, &to) == 2 &&
		    from >= (uintptr_t)hva && to <= (uintptr_t)hva + len)
			sum += to - from;
	return sum;
}

/* The file as it should lie in RAM of 32 MiB; the caller ends `m`. */
static void place(const struct make_file *f, int fd, struct elf_image *img,
		  struct gmem *m)
{
	struct err e = {0};

	assert_int_equal(gmem_init(m, 32 * MIB, HOLE, HOLE_END, &e), 0);
	assert_int_equal(elf_read(fd, img, &e), 0);
	assert_int_equal(elf_place(fd, img, m, &e), 0);
	for (unsigned i = 0; i < MAKE_NOTE; i++)
		check_seg(m, f, &f->ph[i]);
}

static void test_place(void **state)
{
	static struct make_file f, after;
	auto_fd fd = -1;
	struct elf_image img;
	struct gmem m;

	(void)state;
	make_file(&f);
	fd = make_fd(&f, sizeof(f));
	place(&f, fd, &img, &m);
	/* Two whole pages of the first segment, five of the third. */
	assert_int_equal(mapped_bytes(m.region[0].hva, 32 * MIB), 0x7000);
	/* The guest's writes stay the guest's. */
	memset(gmem_ptr(&m, img.start, img.end - img.start), 0xee,
	       img.end - img.start);
	assert_int_equal(pread(fd, &after, sizeof(after), 0), sizeof(after));
	assert_memory_equal(&f, &after, sizeof(f));
	gmem_fini(&m);
}

/* What the kernel writes to is there as well, but not mapped. */
static void test_place_writable(void **state)
{
	static struct make_file f;
	auto_fd fd = -1;
	struct elf_image img;
	struct gmem m;

	(void)state;
	make_file(&f);
	f.ph[0].p_flags |= PF_W;
	fd = make_fd(&f, sizeof(f));
	place(&f, fd, &img, &m);
	assert_true(img.seg[0].writable && !img.seg[1].writable);
	/* Without the two pages of the first segment. */
	assert_int_equal(mapped_bytes(m.region[0].hva, 32 * MIB), 0x5000);
	gmem_fini(&m);
}

static void test_place_outside(void **state)
{
	static struct make_file f;
	const char *const words[] = {"not in RAM", "0x1008800"};
	auto_fd fd = -1;
	struct elf_image img;
	struct gmem m;
	struct err e = {0};

	(void)state;
	make_file(&f);
	/* The last segment ends one byte behind 18 MiB. */
	f.ph[MAKE_SEG_MIXED].p_memsz = 0x1200001 - 0x1008800;
	fd = make_fd(&f, sizeof(f));
	assert_int_equal(gmem_init(&m, 18 * MIB, HOLE, HOLE_END, &e), 0);
	assert_int_equal(elf_read(fd, &img, &e), 0);
	assert_true(elf_place(fd, &img, &m, &e) < 0);
	check_message("outside", &e, words, 2);
	gmem_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_empty_segments),
		cmocka_unit_test(test_too_many_segments),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_salt),
		cmocka_unit_test(test_salt_places),
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_place_writable),
		cmocka_unit_test(test_place_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
