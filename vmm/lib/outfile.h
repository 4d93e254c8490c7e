/* SPDX-License-Identifier: MIT */
/*
 * Files that are written under a name that a user gave, in folders that others
 * may write to as well. The rules are the same for both programs:
 *
 * A link as the last part of the name is followed only when nobody else could
 * have laid it there: it is in a folder of root's or our own that neither
 * group nor others may write to, or it leads to a descriptor of ours
 * (/dev/stdout). Any other link is not followed: a whole file takes its place,
 * a stream is refused. Links in front of the last part are the kernel's.
 *
 * A whole file is made under a name that nobody guesses, with O_EXCL, beside
 * its own, which it takes over with rename when it is complete.
 *
 * A stream may be a file, a FIFO or a device that is there. One of these that
 * somebody else has put into a folder which all may write to is refused, as
 * Linux does with fs.protected_regular and fs.protected_fifos, and so is a
 * file with a second name in a folder that others may write to.
 *
 * Reasons in *e fit behind "write 'NAME': ".
 */
#ifndef HUSK_LIB_OUTFILE_H
#define HUSK_LIB_OUTFILE_H

#include "lib/err.h"

#include <stdbool.h>
#include <sys/types.h>

#define OUTFILE_NAME 256

/* A whole file on its way. */
struct outfile {
	int dir;			/* owned; its folder, O_PATH */
	int fd;				/* owned; -1 until outfile_create */
	char name[OUTFILE_NAME];	/* in the folder */
	char temp[OUTFILE_NAME];	/* "" when there is none */
};

/* One that holds nothing. */
void outfile_init(struct outfile *f);

/*
 * Find its place, changing nothing: -EISDIR for a folder, -EEXIST for anything
 * else that is no regular file, -EACCES for a folder that cannot be written.
 */
int outfile_find(struct outfile *f, const char *path, struct err *e);

/* Make it, open for reading and writing; the umask counts. */
int outfile_create(struct outfile *f, mode_t mode, struct err *e);

/* Give it its name. The descriptor stays. */
int outfile_commit(struct outfile *f, struct err *e);

/* Take away what has no name yet, and close all. */
void outfile_fini(struct outfile *f);

/*
 * Open a stream for writing, made if need be and never emptied; close-on-exec,
 * not blocking, no terminal of ours. The descriptor or -errno; -ENXIO is a
 * FIFO that nobody reads.
 */
int outfile_open_stream(const char *path, struct err *e);

#endif
