/* SPDX-License-Identifier: MIT */
/*
 * The mount calls of Linux 5.2: a mount is made first and attached later, or
 * never. All functions return 0 or a descriptor, or -errno with *e set.
 */
#ifndef GUEST_INIT_FSMOUNT_H
#define GUEST_INIT_FSMOUNT_H

#include <stddef.h>

#include "lib/err.h"

struct fsmount_option {
	const char *key;
	const char *value; /* NULL: a flag */
};

/* Set options, which end with {} or are NULL, of what fsopen or fspick gave. */
int fsmount_set(int fs, const char *type, const struct fsmount_option *options,
		struct err *e);

/* A mount of a new instance with attributes MOUNT_ATTR_*, attached nowhere. */
int fsmount_make(const char *type, const struct fsmount_option *options,
		 unsigned int attr, struct err *e);

/*
 * Attach a mount; dir counts when path is relative. A link that is the last
 * part of path is not followed: the mount covers it.
 */
int fsmount_attach_at(int mount, int dir, const char *path, struct err *e);
int fsmount_attach(int mount, const char *path, struct err *e);

/*
 * A second mount of what lies at path, attached nowhere; dir as above. Only
 * what is attached somewhere can be cloned. Returns -1 with errno.
 */
int fsmount_clone(int dir, const char *path);

/*
 * Make the file `name` in the folder dir, with this text, and cover path with
 * it, read-only. Returns a descriptor of the file, by which it can be written.
 */
int fsmount_cover(int dir, const char *name, const char *text, size_t len,
		  const char *path, struct err *e);

/* No more writing through this mount. Returns -1 with errno. */
int fsmount_set_read_only(int mount);

#endif
