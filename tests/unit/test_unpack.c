// SPDX-License-Identifier: MIT
/* LINK: vmm/arch/x86_64/elf.c vmm/arch/x86_64/unpack.c */
/* LINK: vmm/arch/x86_64/needs.c vmm/arch/x86_64/file.c */
/* LINK: vmm/core/gmem.c */
/* LIBS: -lz */
/*
 * What people give as a kernel: things that are no file, other formats, gzip
 * cut and changed at every place, and kernels that lack something.
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
#include <zlib.h>

#include <cmocka.h>

#include "elf_make.h"

#define MIB (1ull << 20)

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
	{"Initramfs unpacking failed", "CONFIG_BLK_DEV_INITRD"},
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
		cmocka_unit_test(test_not_a_file),
		cmocka_unit_test(test_other_formats),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_gzip_broken),
		cmocka_unit_test(test_gzip_bomb),
		cmocka_unit_test(test_needs),
		cmocka_unit_test(test_needs_border),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
