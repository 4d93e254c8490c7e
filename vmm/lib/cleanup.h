/* SPDX-License-Identifier: MIT */
/*
 * Scope-bound ownership. A variable marked auto_* is initialised where it is
 * declared (-1, NULL) and releases what it holds when its scope ends; steal_*
 * hands the thing to the caller. errno survives each release.
 */
#ifndef HUSK_LIB_CLEANUP_H
#define HUSK_LIB_CLEANUP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

static inline void cleanup_free(void *p)
{
	int saved = errno;

	free(*(void **)p);
	*(void **)p = NULL;
	errno = saved;
}

static inline void cleanup_file(FILE **f)
{
	int saved = errno;

	if (*f)
		fclose(*f);
	*f = NULL;
	errno = saved;
}

#define auto_fd	  __attribute__((cleanup(cleanup_fd))) int
#define auto_free __attribute__((cleanup(cleanup_free)))
#define auto_file __attribute__((cleanup(cleanup_file))) FILE *

static inline int steal_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define steal_ptr(pp)                                                          \
	({                                                                     \
		__typeof__(pp) steal_from_ = (pp);                             \
		__typeof__(*steal_from_) stolen_ = *steal_from_;               \
		*steal_from_ = NULL;                                           \
		stolen_;                                                       \
	})

#endif
