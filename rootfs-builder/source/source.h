/* SPDX-License-Identifier: MIT */
/*
 * Where a tree comes from: a folder or an archive. Both fill a struct tree
 * and leave the data behind for the second pass.
 */
#ifndef HUSK_ROOTFS_SOURCE_H
#define HUSK_ROOTFS_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "terminal/interrupt.h"
#include "terminal/progress.h"
#include "tree/content.h"
#include "tree/tree.h"

/* What both kinds are given. All is borrowed. */
struct source_env {
	struct tree *tree;
	struct spool *spool;
	struct interrupt *interrupt;
	struct progress *progress;
	/* Shell patterns; a match leaves out the path and all below it. */
	const char *const *excludes;
	size_t exclude_n;
	/* A folder that must not be read: the one the image goes to. */
	bool has_output;
	dev_t output_dev;
	ino_t output_ino;
};

/* path (without "./" in front) is left out. */
bool source_is_excluded(const struct source_env *env, const char *path);

/*
 * Read the folder dirfd. Owners, device numbers and so on are as stat shows
 * them; sockets are kept. A file that changes while it is read is an error.
 */
int source_read_dir(const struct source_env *env, int dirfd, struct err *e);

/*
 * Open a regular file of the tree again, as source_read_dir met it; -EBUSY
 * with err set when it is another one now. The caller closes it.
 */
int source_open_file(int dirfd, const struct tree_node *n, struct err *e);

/*
 * Read an archive, packed or not, from fd, at its current position. *direct
 * tells whether blocks that are not spooled are to be read from fd.
 */
int source_read_tar(const struct source_env *env, int fd, bool *direct,
		    struct err *e);

#endif
