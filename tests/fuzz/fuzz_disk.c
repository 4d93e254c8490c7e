/* LINK: vmm/backends/disk.c */
/* LIBS: -lz */
// SPDX-License-Identifier: MIT
/*
 * Any superblock in a file of any length: what is taken for an image holds
 * the file system that it announces, what is not gets one line.
 *
 * The input is the file's length in 512 bytes (two bytes) and changes to a
 * sound superblock of 64 KiB: offset (two bytes), value (four bytes).
 */
#include "backends/disk.h"

#include "feed.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed f = { data, size };
	int fd = memfd_create("image", MFD_CLOEXEC);
	uint64_t len = feed_u16(&f) * 512ull;
	uint8_t sb[1024] = { 0 }, byte;
	struct iovec iov = { &byte, 1 };
	struct err e = { 0 };
	struct disk d;
	char path[32];

	put32(sb + 0x04, 64);
	put32(sb + 0x38, 0xef53);
	while (f.left) {
		uint16_t at = feed_u16(&f);

		put32(sb + (at & 0x3fc), feed_u32(&f));
	}
	REQUIRE(fd >= 0);
	REQUIRE(pwrite(fd, sb, sizeof(sb), 1024) == sizeof(sb));
	REQUIRE(!ftruncate(fd, (off_t)len));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (disk_open(&d, path, &e) == 0) {
		uint64_t blocks = le32(sb + 4);

		REQUIRE(d.size == len && le32(sb + 0x18) <= 6);
		REQUIRE(blocks <= len >> (10 + le32(sb + 0x18)));
		REQUIRE(!memcmp(d.uuid, sb + 0x68, 16));
		REQUIRE(!disk_file_ops.read(&d, &iov, 1, len - 1));
		iov = (struct iovec){ &byte, 1 };
		REQUIRE(disk_file_ops.read(&d, &iov, 1, len) < 0);
	} else {
		REQUIRE(d.fd == -1 && e.code > 0 && e.msg[0]);
		REQUIRE(!strchr(e.msg, '\n'));
	}
	disk_close(&d);
	close(fd);
	return 0;
}
