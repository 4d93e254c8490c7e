// SPDX-License-Identifier: MIT
/*
 * Positioned reads of a kernel file. pread and not a mapping: a file that
 * shrinks is then a short read with an error line, not a SIGBUS.
 */
#include "arch/x86_64/file.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

int file_size(int fd, uint64_t *size, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_sys(e, "get its size");
	if (S_ISDIR(st.st_mode))
		return err_set(e, EISDIR, "is a directory, expected a file");
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "is not a regular file");
	if (!st.st_size)
		return err_set(e, ENOEXEC, "file is empty");
	*size = (uint64_t)st.st_size;
	return 0;
}

int file_read_at(int fd, void *buf, uint64_t len, uint64_t off, struct err *e)
{
	uint8_t *p = buf;
	ssize_t n;

	while (len) {
		n = pread(fd, p, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read %llu bytes from byte %llu",
				       (unsigned long long)len,
				       (unsigned long long)off);
		if (!n)
			return err_set(e, ENOEXEC,
				       "file ends at byte %llu, %llu bytes "
				       "short (truncated?)",
				       (unsigned long long)off,
				       (unsigned long long)len);
		p += n;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}
