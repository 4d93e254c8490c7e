/* SPDX-License-Identifier: MIT */
/*
 * fstat by its own system call. glibc's is newfstatat with an empty path since
 * 2.33, for which Linux before 6.10 gets a page for that path: five times the
 * cost of the call, and a run looks at five descriptors.
 */
#ifndef HUSK_LIB_FDSTAT_H
#define HUSK_LIB_FDSTAT_H

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The C library's struct stat is the kernel's on 64-bit machines. */
_Static_assert(sizeof(long) == 8, "64-bit");

static inline int fd_stat(int fd, struct stat *st)
{
	return (int)syscall(SYS_fstat, fd, st);
}

#endif
