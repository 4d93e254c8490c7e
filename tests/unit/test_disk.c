/* LINK: vmm/backends/disk.c */
/* LIBS: -lz */
// SPDX-License-Identifier: MIT
/*
 * What is an image and what is not, each with a line that says which file and
 * why; and reads that are whole or fail.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "backends/disk.h"

static char dir[] = "/tmp/test_disk.XXXXXX";
static char path[64];
static uint8_t super[1024];
static struct disk disk;
static struct err err;

static int set_up_all(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/image", dir);
	return 0;
}

static int tear_down_all(void **state)
{
	(void)state;
	return rmdir(dir);
}

static void put32(size_t off, uint32_t v)
{
	memcpy(super + off, &v, sizeof(v));
}

/* 64 blocks of 1 KiB, as an ext4 superblock says it. */
static int set_up(void **state)
{
	(void)state;
	memset(super, 0, sizeof(super));
	put32(0x04, 64);
	put32(0x18, 0);
	put32(0x38, 0xef53);
	memcpy(super + 0x68, "0123456789abcdef", 16);
	memset(&err, 0, sizeof(err));
	disk = (struct disk){ .fd = -1 };
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	disk_close(&disk);
	disk_close(&disk);
	unlink(path);
	return 0;
}

static void write_image(off_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, super, sizeof(super), 1024), sizeof(super));
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static void refuses(int code, const char *why)
{
	assert_int_equal(disk_open(&disk, path, &err), -code);
	assert_int_equal(disk.fd, -1);
	assert_non_null(strstr(err.msg, path));
	if (!strstr(err.msg, why))
		fail_msg("'%s' does not say '%s'", err.msg, why);
	assert_null(strchr(err.msg, '\n'));
}

static void opens_an_image(void **state)
{
	struct timeval tv[2] = { { 5, 0 }, { 1234567, 0 } };

	(void)state;
	write_image(64 * 1024);
	assert_int_equal(utimes(path, tv), 0);
	assert_int_equal(disk_open(&disk, path, &err), 0);
	assert_int_equal(disk.size, 64 * 1024);
	assert_int_equal(disk.mtime, 1234567);
	assert_memory_equal(disk.uuid, "0123456789abcdef", 16);
	/* For reading only, and not for our children. */
	assert_int_equal(fcntl(disk.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_true(fcntl(disk.fd, F_GETFD) & FD_CLOEXEC);
}

static void takes_an_open_one(void **state)
{
	int fd;

	(void)state;
	write_image(64 * 1024);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(disk_adopt(&disk, fd, path, &err), 0);
	assert_int_equal(disk.fd, fd);
	assert_int_equal(disk.size, 64 * 1024);
	disk_close(&disk);
	write_image(63 * 1024);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(disk_adopt(&disk, fd, path, &err), -EINVAL);
	assert_int_equal(disk.fd, -1);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void larger_than_its_file_system(void **state)
{
	(void)state;
	write_image(1 << 20);
	assert_int_equal(disk_open(&disk, path, &err), 0);
	assert_int_equal(disk.size, 1 << 20);
}

static void cut_short(void **state)
{
	(void)state;
	write_image(64 * 1024 - 1);
	refuses(EINVAL, "cut short");
	write_image(2048);
	refuses(EINVAL, "65536 bytes and the file 2048");
	write_image(2047);
	refuses(EINVAL, "no ext4");
	write_image(1024);
	refuses(EINVAL, "no ext4");
	write_image(0);
	refuses(EINVAL, "no ext4");
}

static void other_block_sizes(void **state)
{
	uint32_t log;

	(void)state;
	for (log = 0; log <= 6; log++) {
		put32(0x18, log);
		write_image(64 * 1024 << log);
		assert_int_equal(disk_open(&disk, path, &err), 0);
		disk_close(&disk);
		write_image((64 * 1024 << log) - 1);
		refuses(EINVAL, "cut short");
	}
	for (log = 7; log; log = log << 1 | (log & 1)) {
		put32(0x18, log);
		write_image(64 * 1024);
		refuses(EINVAL, "damaged");
		if (log == UINT32_MAX)
			break;
	}
}

static void blocks_of_64_bits(void **state)
{
	(void)state;
	/* The high half only counts with its feature flag. */
	put32(0x150, 1);
	write_image(64 * 1024);
	assert_int_equal(disk_open(&disk, path, &err), 0);
	disk_close(&disk);
	put32(0x60, 0x80);
	write_image(64 * 1024);
	refuses(EINVAL, "cut short");
	put32(0x150, UINT32_MAX);
	write_image(64 * 1024);
	refuses(EINVAL, "damaged");
}

static void no_blocks_at_all(void **state)
{
	(void)state;
	put32(0x04, 0);
	write_image(64 * 1024);
	refuses(EINVAL, "damaged");
}

static void bad_magic(void **state)
{
	static const uint32_t bad[] = { 0, 0xef52, 0x53ef, 0xef, UINT32_MAX };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put32(0x38, bad[i]);
		write_image(64 * 1024);
		refuses(EINVAL, "no ext4");
	}
	/* Only 16 bits are the magic, the state is behind it. */
	put32(0x38, 0xabcdef53);
	write_image(64 * 1024);
	assert_int_equal(disk_open(&disk, path, &err), 0);
}

static void things_that_are_no_files(void **state)
{
	(void)state;
	refuses(ENOENT, "No such file");
	assert_int_equal(mkdir(path, 0700), 0);
	refuses(EINVAL, "a directory");
	rmdir(path);
	/* Nobody writes to it: to wait for that would be for ever. */
	assert_int_equal(mkfifo(path, 0600), 0);
	refuses(EINVAL, "a special file");
	unlink(path);
	assert_int_equal(symlink("/dev/null", path), 0);
	refuses(EINVAL, "a special file");
	unlink(path);
	assert_int_equal(symlink(path, path), 0);
	refuses(ELOOP, "symbolic links");
}

/* ---- reading ---- */

static void open_with_content(off_t size)
{
	int fd;
	off_t i;

	write_image(size);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	for (i = 4096; i < size; i += 512) {
		char buf[512];

		memset(buf, (int)(i / 512), sizeof(buf));
		assert_int_equal(pwrite(fd, buf, 512, i), 512);
	}
	close(fd);
	assert_int_equal(disk_open(&disk, path, &err), 0);
}

static void reads_into_pieces(void **state)
{
	uint8_t a[512], b[1], c[1023];
	struct iovec iov[] = { { a, 512 }, { b, 1 }, { c, 1023 } };

	(void)state;
	open_with_content(64 * 1024);
	assert_int_equal(disk_file_ops.read(&disk, iov, 3, 8192), 0);
	assert_int_equal(a[0], 16);
	assert_int_equal(a[511], 16);
	assert_int_equal(b[0], 17);
	assert_int_equal(c[510], 17);
	assert_int_equal(c[511], 18);
	assert_int_equal(c[1022], 18);
	assert_int_equal(disk_file_ops.read(&disk, iov, 0, 0), 0);
}

static void count(void *opaque)
{
	++*(int *)opaque;
}

static void the_file_shrinks_under_us(void **state)
{
	uint8_t a[512], b[512];
	struct iovec iov[] = { { a, 512 }, { b, 512 } };
	int failures = 0;

	(void)state;
	open_with_content(64 * 1024);
	disk.failed = count;
	disk.opaque = &failures;
	assert_int_equal(truncate(path, 8192 + 700), 0);
	assert_int_equal(disk_file_ops.read(&disk, iov, 1, 8192), 0);
	assert_int_equal(failures, 0);
	assert_int_equal(disk.error, 0);
	iov[0] = (struct iovec){ a, 512 };
	assert_int_equal(disk_file_ops.read(&disk, iov, 2, 8192), -EIO);
	assert_int_equal(failures, 1);
	assert_int_equal(disk.error, ENODATA);
	iov[0] = (struct iovec){ a, 512 };
	assert_int_equal(disk_file_ops.read(&disk, iov, 1, 60 * 1024), -EIO);
}

static void the_descriptor_is_gone(void **state)
{
	uint8_t a[512];
	struct iovec iov = { a, 512 };
	struct disk closed = { .fd = -1 };

	(void)state;
	assert_int_equal(disk_file_ops.read(&closed, &iov, 1, 0), -EIO);
	assert_int_equal(closed.error, EBADF);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(opens_an_image),
		TEST(takes_an_open_one),
		TEST(larger_than_its_file_system),
		TEST(cut_short),
		TEST(other_block_sizes),
		TEST(blocks_of_64_bits),
		TEST(no_blocks_at_all),
		TEST(bad_magic),
		TEST(things_that_are_no_files),
		TEST(reads_into_pieces),
		TEST(the_file_shrinks_under_us),
		TEST(the_descriptor_is_gone),
	};

	return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
