// SPDX-License-Identifier: MIT
/*
 * The checks look at four fields of the ext4 superblock (1 KiB at byte 1024),
 * enough to tell a wrong or cut file from an image within microseconds; what
 * is wrong deeper inside is the guest kernel's to find. Reads go through the
 * page cache: all machines share it. Rejected: mmap (a truncated file would
 * be a SIGBUS here instead of an error there).
 */
#include "backends/disk.h"

#include "lib/cleanup.h"
#include "lib/fdstat.h"
#include "lib/iov.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define SUPER_OFFSET	   1024
#define SUPER_LEN	   1024
#define SUPER_BLOCKS_LO	   0x04
#define SUPER_LOG_BLOCK	   0x18
#define SUPER_MAGIC	   0x38
#define SUPER_INCOMPAT	   0x60
#define SUPER_UUID	   0x68
#define SUPER_BLOCKS_HI	   0x150
#define EXT4_MAGIC	   0xef53
#define EXT4_INCOMPAT_64BIT 0x80u

static uint32_t le32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static int find_size(struct disk *d, const char *path, struct err *e)
{
	struct stat st;

	if (fd_stat(d->fd, &st))
		return err_sys(e, "look at image '%s'", path);
	d->mtime = st.st_mtime;
	if (S_ISREG(st.st_mode)) {
		d->size = (uint64_t)st.st_size;
		return 0;
	}
	if (!S_ISBLK(st.st_mode))
		return err_set(e, EINVAL,
			       "open image '%s': %s, not a file or block device"
			       " (build one with husk-image build)",
			       path, S_ISDIR(st.st_mode) ? "a directory" :
							   "a special file");
	if (ioctl(d->fd, BLKGETSIZE64, &d->size))
		return err_sys(e, "get the size of image '%s'", path);
	return 0;
}

static int check_super(struct disk *d, const char *path, struct err *e)
{
	uint8_t sb[SUPER_LEN];
	uint64_t blocks, need;
	uint32_t log_block;
	ssize_t n = pread(d->fd, sb, sizeof(sb), SUPER_OFFSET);

	if (n < 0)
		return err_sys(e, "read image '%s'", path);
	if (n < SUPER_LEN || (le32(sb + SUPER_MAGIC) & 0xffff) != EXT4_MAGIC)
		return err_set(e, EINVAL,
			       "open image '%s': no ext4 file system in it "
			       "(build one with husk-image build)",
			       path);
	memcpy(d->uuid, sb + SUPER_UUID, sizeof(d->uuid));
	d->super_crc = (uint32_t)crc32(0, sb, sizeof(sb));
	log_block = le32(sb + SUPER_LOG_BLOCK);
	blocks = le32(sb + SUPER_BLOCKS_LO);
	if (le32(sb + SUPER_INCOMPAT) & EXT4_INCOMPAT_64BIT)
		blocks |= (uint64_t)le32(sb + SUPER_BLOCKS_HI) << 32;
	if (!blocks || log_block > 6 ||
	    __builtin_mul_overflow(blocks, 1024ull << log_block, &need))
		return err_set(e, EINVAL,
			       "open image '%s': its ext4 superblock is damaged",
			       path);
	if (need > d->size)
		return err_set(e, EINVAL,
			       "open image '%s': cut short, its file system has "
			       "%llu bytes and the file %llu (copy it again)",
			       path, (unsigned long long)need,
			       (unsigned long long)d->size);
	return 0;
}

int disk_open(struct disk *d, const char *path, struct err *e)
{
	/* O_NONBLOCK: a FIFO in its place must not make us wait. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	*d = (struct disk){ .fd = -1 };
	return fd < 0 ? err_sys(e, "open image '%s'", path) :
			disk_adopt(d, fd, path, e);
}

int disk_adopt(struct disk *d, int fd, const char *path, struct err *e)
{
	int r;

	*d = (struct disk){ .fd = fd };
	r = find_size(d, path, e);
	if (!r)
		r = check_super(d, path, e);
	if (r)
		disk_close(d);
	return r;
}

void disk_close(struct disk *d)
{
	cleanup_fd(&d->fd);
}

static int fail(struct disk *d, int code)
{
	int none = 0;

	atomic_compare_exchange_strong(&d->error, &none, code);
	if (d->failed)
		d->failed(d->opaque);
	return -EIO;
}

static int disk_read(void *disk, struct iovec *iov, unsigned nr, uint64_t off)
{
	struct disk *d = disk;
	unsigned first = 0;

	while (first < nr) {
		ssize_t n = preadv(d->fd, iov + first, (int)(nr - first),
				   (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(d, n ? errno : ENODATA);
		off += (uint64_t)n;
		first += iov_skip(iov + first, nr - first, (size_t)n);
	}
	return 0;
}

const struct disk_ops disk_file_ops = {
	.read = disk_read,
};
