/* SPDX-License-Identifier: MIT */
/*
 * A tar archive as a stream of calls: v7, ustar, pax, GNU and star, with
 * every kind of sparse file GNU tar writes. Nothing is ever held of a file's
 * data beyond one buffer; of names and attributes only one entry's.
 *
 * The parser promises what follows of any input: paths and targets are not
 * empty and shorter than PATH_MAX; data ranges ascend, do not overlap and lie
 * within size; finish is called once for each TAR_FILE whose data came whole.
 * It knows nothing of folders: whether a path escapes is the handler's check.
 */
#ifndef HUSK_ROOTFS_TAR_H
#define HUSK_ROOTFS_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "tar/pax.h"
#include "tar/stream.h"

enum tar_type {
	TAR_FILE,
	TAR_LINK, /* hard link: path is another name of target */
	TAR_SYMLINK,
	TAR_CHAR,
	TAR_BLOCKDEV,
	TAR_DIR,
	TAR_FIFO,
};

/* Valid during the call only. */
struct tar_entry {
	enum tar_type type;
	const char *path;
	const char *target; /* of TAR_LINK and TAR_SYMLINK, else "" */
	uint64_t size;	    /* of TAR_FILE, holes included */
	uint32_t mode;	    /* 07777 */
	uint32_t uid;
	uint32_t gid;
	int64_t mtime;
	uint32_t mtime_ns;
	uint32_t dev_major;
	uint32_t dev_minor;
	const struct pax_xattr *xattrs;
	size_t xattr_n;
};

/* Each returns 0, or a negative errno with err set, which ends the reading. */
struct tar_handler {
	int (*entry)(void *ctx, const struct tar_entry *t, struct err *e);
	/*
	 * len bytes of the TAR_FILE just begun, from off on; pos is where
	 * they began in the (unpacked) archive.
	 */
	int (*data)(void *ctx, uint64_t off, const void *buf, size_t len,
		    uint64_t pos, struct err *e);
	int (*finish)(void *ctx, struct err *e);
};

/*
 * Read the whole stream. Needs an end mark (a zero block at least) and
 * nothing but zeros behind it, so a cut archive is always noticed. Errors
 * name the entry or the header's position; the archive's name is the
 * caller's to put in front.
 */
int tar_read(struct stream *in, const struct tar_handler *h, void *ctx,
	     struct err *e);

#endif
