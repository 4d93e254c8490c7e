// SPDX-License-Identifier: MIT
/* LINK: vmm/arch/x86_64/elf.c vmm/arch/x86_64/unpack.c */
/* LINK: vmm/arch/x86_64/needs.c vmm/arch/x86_64/file.c vmm/core/gmem.c */
/* LIBS: -lz */
/*
 * Kernel files, right and wrong. Each way to break one is a row with the
 * words that its message must have; a whole file is truncated at every step
 * and must be refused each time. Placing is compared byte for byte, with the
 * bytes around each segment.
 */
#include "arch/x86_64/elf.h"
#include "lib/cleanup.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

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

static int read_bytes(const void *p, size_t len, struct elf_image *img,
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
static void check_message(const char *name, const struct err *e,
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

/* What is opened is not a file with bytes at all. */
static void test_not_a_file(void **state)
{
	static const struct {
		const char *path;
		const char *word;
	} odd[] = {
		{"/tmp", "is a directory"},
		{"/dev/null", "not a regular file"},
	};
	const char *empty = "file is empty";
	int unpacked;
	struct err e;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		auto_fd fd = open(odd[i].path, O_RDONLY | O_CLOEXEC);

		assert_true(elf_unpack(fd, &unpacked, &e) < 0);
		check_message(odd[i].path, &e, &odd[i].word, 1);
	}
	auto_fd fd = make_fd("", 0);
	assert_true(elf_unpack(fd, &unpacked, &e) < 0);
	check_message("empty", &e, &empty, 1);
	assert_int_equal(unpacked, -1);
}

/* Files people take for a vmlinux: told what they are. */
static void test_other_formats(void **state)
{
	static const struct {
		unsigned at;
		const char *magic;
		const char *words[2];
	} other[] = {
		{0x202, "HdrS", {"bzImage", "extract-vmlinux"}},
		{0x38, "ARM\x64", {"arm64 Image"}},
		{0, "\xfd" "7zXZ", {"xz'ed", "xz -d"}},
		{0, "\x28\xb5\x2f\xfd", {"zstd'ed", "zstd -d"}},
		{0, "BZh91AY", {"bzip2'ed", "bzip2 -d"}},
		{0, "\x02\x21\x4c\x18", {"lz4'ed", "lz4 -d"}},
		{0, "#!/bin/sh", {"script"}},
		{0, "MZ", {"not an ELF file", "4d5a"}},
	};
	struct elf_image img;
	uint8_t buf[4096];
	struct err e;

	(void)state;
	for (unsigned i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		memset(buf, 0, sizeof(buf));
		memcpy(buf + other[i].at, other[i].magic,
		       strlen(other[i].magic));
		assert_true(read_bytes(buf, sizeof(buf), &img, &e) < 0);
		check_message(other[i].magic, &e, other[i].words, 2);
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
	memset(n[0].desc, 'x', 64);
	f.ph[MAKE_NOTE].p_filesz = 20 + 64;
	assert_int_equal(read_bytes(&f, sizeof(f), &img, &e), 0);
	assert_string_equal(img.salt, "");
	n[0].desc[63] = 0;
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

static void test_place(void **state)
{
	static struct make_file f, after;
	auto_fd fd = -1;
	struct elf_image img;
	struct gmem m;
	struct err e = {0};

	(void)state;
	make_file(&f);
	fd = make_fd(&f, sizeof(f));
	assert_int_equal(gmem_init(&m, 32 * MIB, HOLE, HOLE_END, &e), 0);
	assert_int_equal(elf_read(fd, &img, &e), 0);
	assert_int_equal(elf_place(fd, &img, &m, &e), 0);
	for (unsigned i = 0; i < MAKE_NOTE; i++)
		check_seg(&m, &f, &f.ph[i]);
	/* Two whole pages of the first segment, five of the third. */
	assert_int_equal(mapped_bytes(m.region[0].hva, 32 * MIB), 0x7000);
	/* The guest's writes stay the guest's. */
	memset(gmem_ptr(&m, img.start, img.end - img.start), 0xee,
	       img.end - img.start);
	assert_int_equal(pread(fd, &after, sizeof(after), 0), sizeof(after));
	assert_memory_equal(&f, &after, sizeof(f));
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

static size_t gzip_bytes(const void *p, size_t len, uint8_t *out, size_t room)
{
	z_stream z = {0};

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8,
				      Z_DEFAULT_STRATEGY),
			 Z_OK);
	z.next_in = (uint8_t *)(uintptr_t)p;
	z.avail_in = (uInt)len;
	z.next_out = out;
	z.avail_out = (uInt)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return room - z.avail_out;
}

static void test_gzip(void **state)
{
	static struct make_file f, got;
	static uint8_t gz[2 * MAKE_SIZE];
	auto_fd fd = -1, unpacked = -1;
	struct err e = {0};

	(void)state;
	make_file(&f);
	fd = make_fd(gz, gzip_bytes(&f, sizeof(f), gz, sizeof(gz)));
	assert_int_equal(elf_unpack(fd, &unpacked, &e), 0);
	assert_true(unpacked >= 0);
	assert_int_equal(pread(unpacked, &got, sizeof(got), 0), sizeof(got));
	assert_memory_equal(&f, &got, sizeof(f));
	assert_int_equal(lseek(unpacked, 0, SEEK_END), sizeof(f));
}

/* Cut anywhere, changed anywhere, longer than it should be. */
static void test_gzip_broken(void **state)
{
	static struct make_file f;
	static uint8_t gz[2 * MAKE_SIZE], bad[2 * MAKE_SIZE];
	const char *const tail[] = {"gzip data"};
	struct elf_image img;
	struct err e;
	size_t len;

	(void)state;
	make_file(&f);
	len = gzip_bytes(&f, sizeof(f), gz, sizeof(gz));
	for (size_t cut = 2; cut < len; cut += cut < 64 ? 1 : 61) {
		assert_true(read_bytes(gz, cut, &img, &e) < 0);
		check_message("gzip cut", &e, tail, 1);
	}
	/* Behind the header's ten bytes no bit is without meaning. */
	for (size_t i = 10; i < len; i += i < 64 || i > len - 16 ? 1 : 53) {
		memcpy(bad, gz, len);
		bad[i] ^= 0x10;
		if (!read_bytes(bad, len, &img, &e))
			fail_msg("byte %zu of gzip changed: accepted", i);
		check_message("gzip changed", &e, tail, 1);
	}
	memcpy(bad, gz, len);
	memset(bad + len, 0x5a, 100);
	assert_true(read_bytes(bad, len + 100, &img, &e) < 0);
	check_message("gzip tail", &e, tail, 1);
	/* A second copy: its length field is right, the end is not. */
	memcpy(bad + len, gz, len);
	assert_true(read_bytes(bad, 2 * len, &img, &e) < 0);
	check_message("gzip twice", &e, tail, 1);
}

/* Few bytes that state or become very many. */
static void test_gzip_bomb(void **state)
{
	static uint8_t zeros[MIB], gz[64 << 10];
	const char *const states[] = {"4026531840 unpacked bytes", "256"};
	const char *const more[] = {"more than the 4096 bytes"};
	struct elf_image img;
	struct err e;
	size_t len;

	(void)state;
	len = gzip_bytes(zeros, sizeof(zeros), gz, sizeof(gz));
	memcpy(gz + len - 4, "\0\0\0\xf0", 4);
	assert_true(read_bytes(gz, len, &img, &e) < 0);
	check_message("states much", &e, states, 1);
	memcpy(gz + len - 4, "\0\x10\0\0", 4);
	assert_true(read_bytes(gz, len, &img, &e) < 0);
	check_message("becomes more", &e, more, 1);
}

/* All texts a scan looks for, and what their absence must name. */
static const struct {
	const char *text, *option;
} texts[] = {
	{"Linux version ", "not a Linux kernel"},
	{"intel,ce4100-ioapic", "CONFIG_OF"},
	{"kvm-clock", "CONFIG_KVM_GUEST"},
	{"virtio,mmio", "CONFIG_VIRTIO_MMIO"},
	{"virtio-ports", "CONFIG_VIRTIO_CONSOLE"},
	{"virtio_blk", "CONFIG_VIRTIO_BLK"},
	{"Unpacking initramfs", "CONFIG_BLK_DEV_INITRD"},
	{"EXT4-fs (", "CONFIG_EXT4_FS"},
	{"devtmpfs: initialized", "CONFIG_DEVTMPFS"},
};
#define NR_TEXTS (sizeof(texts) / sizeof(texts[0]))

static int check_needs(const struct make_file *f, struct err *e)
{
	auto_fd fd = make_fd(f, sizeof(*f));
	struct elf_image img;

	*e = (struct err){0};
	assert_int_equal(elf_read(fd, &img, e), 0);
	return elf_check_needs(fd, &img, e);
}

static void test_needs(void **state)
{
	static struct make_file f;
	struct err e;

	(void)state;
	for (size_t without = 0; without <= NR_TEXTS; without++) {
		make_file(&f);
		for (size_t i = 0; i < NR_TEXTS; i++)
			if (i != without)
				memcpy(f.bytes + MAKE_TEXT_OFF + i * 32,
				       texts[i].text, strlen(texts[i].text));
		if (without == NR_TEXTS) {
			assert_int_equal(check_needs(&f, &e), 0);
			continue;
		}
		/* Outside the segments it does not count. */
		memcpy(f.bytes + 0x800, texts[without].text,
		       strlen(texts[without].text));
		assert_true(check_needs(&f, &e) < 0);
		check_message(texts[without].text, &e,
			      &texts[without].option, 1);
	}
}

/* Texts anywhere around the border of two reads of 256 KiB. */
static void test_needs_border(void **state)
{
	size_t size = 0x1000 + (600u << 10), border = 0x1000 + (256u << 10);
	auto_free uint8_t *big = malloc(size);
	static struct make_file f;
	struct elf_image img;
	struct err e = {0};

	(void)state;
	assert_non_null(big);
	make_file(&f);
	f.h.e_phnum = 1;
	f.h.e_entry = 0x1000000;
	f.ph[0] = make_load(0x1000, 0x1000000, 600 << 10, 600 << 10);
	for (size_t shift = 0; shift < 64; shift++) {
		auto_fd fd = -1;

		memset(big, 0, size);
		memcpy(big, &f, 0x1000);
		for (size_t i = 0; i < NR_TEXTS; i++)
			memcpy(big + border - 256 + shift + i * 32,
			       texts[i].text, strlen(texts[i].text));
		fd = make_fd(big, size);
		assert_int_equal(elf_read(fd, &img, &e), 0);
		assert_int_equal(elf_check_needs(fd, &img, &e), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_empty_segments),
		cmocka_unit_test(test_too_many_segments),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_not_a_file),
		cmocka_unit_test(test_other_formats),
		cmocka_unit_test(test_salt),
		cmocka_unit_test(test_salt_places),
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_place_outside),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_gzip_broken),
		cmocka_unit_test(test_gzip_bomb),
		cmocka_unit_test(test_needs),
		cmocka_unit_test(test_needs_border),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
