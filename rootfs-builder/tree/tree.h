/* SPDX-License-Identifier: MIT */
/*
 * The file system to be, in memory: names, attributes and where each file's
 * data is, never the data. It does not depend on the order in which a source
 * tells of its files, so neither does the image.
 *
 * What always holds: a path never leads out of the root or through a link;
 * every node but the root has a folder above it; every attribute can be
 * stored in ext4 (checked on the way in, so that writing cannot fail on it).
 */
#ifndef HUSK_ROOTFS_TREE_H
#define HUSK_ROOTFS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/err.h"

#define FS_BLOCK 4096u

/* About 1 GiB of memory at most; a full Debian desktop has 0.5 million. */
#define TREE_NODES_MAX (4u << 20)

/* ext4: block numbers in a file have 32 bits, the last is not usable. */
#define TREE_FILE_MAX ((uint64_t)FS_BLOCK * (UINT32_MAX - 1))

/* A run of blocks that are not all zero. */
struct file_run {
	uint32_t block; /* in the file */
	uint32_t count;
	uint64_t src; /* byte offset in the source or the spool */
	bool spooled;
};

/* Ascending, disjoint, as long as possible. */
struct file_map {
	struct file_run *v;
	size_t n;
	size_t cap;
};

struct tree_xattr {
	char *name;  /* with its prefix */
	void *value; /* never NULL */
	size_t len;
};

struct tree_node;

struct tree_inode {
	uint32_t mode; /* type and 07777 */
	uint32_t uid;
	uint32_t gid;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint32_t mtime_ns;
	int64_t mtime;
	uint64_t size;		   /* of regular files */
	char *target;		   /* of symbolic links */
	struct tree_xattr *xattrs; /* by name */
	size_t xattr_n;
	struct file_map map;
	uint32_t names;	  /* nodes that point here; folders: 1 */
	uint32_t folders; /* folders directly in this folder */
	/* Of a regular file from a folder: what it was when it was read. */
	uint64_t src_dev;
	uint64_t src_ino;
	int64_t src_change; /* its ctime in ns */
	/* For the layout. */
	uint32_t ino; /* 0: not numbered yet */
};

struct tree_node {
	struct tree_node *parent; /* NULL: the root */
	struct tree_inode *inode;
	void *children; /* tsearch tree by name */
	size_t child_n;
	char name[]; /* "" for the root */
};

/* What a source says of one file. Borrowed during the call only. */
struct tree_attr {
	uint32_t mode; /* type and 07777 */
	uint32_t uid;
	uint32_t gid;
	uint32_t dev_major;
	uint32_t dev_minor;
	int64_t mtime;
	uint32_t mtime_ns;
	uint64_t size;
	const char *target;
};

struct tree {
	struct tree_node *root;
	size_t node_n; /* the root included */
	/* Applied to everything added from then on. */
	bool has_owner;
	uint32_t uid;
	uint32_t gid;
	bool has_epoch; /* later times become this one */
	int64_t epoch;
};

/* An empty root: 0755, 0:0 (or the owner), time 0. */
int tree_init(struct tree *t, struct err *e);
void tree_free(struct tree *t);

/*
 * Add path, making missing folders above it as tree_init makes the root. A
 * folder that exists gets the new attributes and keeps what is in it; other
 * things are replaced (a folder only when empty). Refused with -EINVAL and a
 * reason in err: "..", an absolute path, a parent that is no folder, what
 * ext4 cannot store. The inode stays the tree's; *node may be NULL.
 */
int tree_add(struct tree *t, const char *path, const struct tree_attr *a,
	     struct tree_node **node, struct err *e);

/* Make path another name of target, which must exist and be no folder. */
int tree_link(struct tree *t, const char *path, const char *target,
	      struct err *e);

/* Another name for an inode that is in the tree already. */
int tree_link_inode(struct tree *t, const char *path, struct tree_inode *inode,
		    struct err *e);

/*
 * Add or replace one attribute. Known namespaces only (tree_xattr_known: what
 * else there is says nothing about the file), no access control lists, and all
 * of an inode's must fit: -EINVAL with a reason in err.
 */
int tree_set_xattr(struct tree_inode *i, const char *name, const void *value,
		   size_t len, struct err *e);
bool tree_xattr_known(const char *name);

/* Forget all (a replaced folder's, before the new ones come). */
void tree_clear_xattrs(struct tree_inode *i);

/* Call fn for each child, by name in byte order. */
void tree_each_child(const struct tree_node *dir,
		     void (*fn)(struct tree_node *child, void *ctx), void *ctx);

/*
 * The path without a slash in front into buf of PATH_MAX bytes, which always
 * suffices; "." for the root. Returns buf.
 */
const char *tree_path(const struct tree_node *n, char *buf);

/* Append a run of blocks, joined to the last one where possible. */
int file_map_add(struct file_map *m, uint32_t block, uint64_t src, bool spooled,
		 struct err *e);

#endif
