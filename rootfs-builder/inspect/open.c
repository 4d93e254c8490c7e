// SPDX-License-Identifier: MIT
/* The checks libext2fs leaves to its caller. */
#include "inspect/open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ext4/ext2err.h"
#include "lib/cleanup.h"

static int check_file(int fd, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_sys(e, "read attributes");
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, EINVAL, "not a file system image");
	return 0;
}

static int check_length(int fd, ext2_filsys fs, struct err *e)
{
	uint64_t want = ext2fs_blocks_count(fs->super) * fs->blocksize;
	off_t have = lseek(fd, 0, SEEK_END);

	if (have < 0)
		return err_sys(e, "find the size");
	if ((uint64_t)have < want)
		return err_set(e, EINVAL,
			       "image is truncated: %llu of %llu "
			       "bytes",
			       (unsigned long long)have,
			       (unsigned long long)want);
	return 0;
}

int image_open(const char *image, ext2_filsys *fs, struct err *e)
{
	auto_fd fd = open(image, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char name[16];
	errcode_t rc;
	int own;

	if (fd < 0)
		return err_sys(e, "open");
	if (check_file(fd, e))
		return -e->code;
	own = dup(fd);
	if (own < 0)
		return err_sys(e, "open");
	snprintf(name, sizeof(name), "%d", own);
	rc = ext2fs_open(name, EXT2_FLAG_64BITS, 0, 0, unixfd_io_manager, fs);
	if (rc == EXT2_ET_BAD_MAGIC || rc == EXT2_ET_SHORT_READ)
		return err_set(e, EINVAL, "not an ext4 image");
	if (rc)
		return ext2err_set(e, rc, "open the file system");
	if (check_length(fd, *fs, e)) {
		ext2fs_free(*fs);
		return -e->code;
	}
	return 0;
}
