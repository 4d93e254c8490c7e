// SPDX-License-Identifier: MIT
/*
 * Breadth first: the list of numbered inodes is its own queue. Depth first
 * would keep a subtree together, but looking one path up touches the inodes
 * of siblings far more often than those of cousins.
 */
#include "ext4/layout.h"

#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "tree/xattr.h"

#define FAST_LINK   60u	   /* a shorter target lives in the inode */
#define EXTENT_MAX  32768u /* blocks in one extent */
#define EXTENT_LEAF 170u   /* extents in half a block */

uint8_t layout_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return EXT2_FT_REG_FILE;
	case S_IFDIR:
		return EXT2_FT_DIR;
	case S_IFCHR:
		return EXT2_FT_CHRDEV;
	case S_IFBLK:
		return EXT2_FT_BLKDEV;
	case S_IFIFO:
		return EXT2_FT_FIFO;
	case S_IFSOCK:
		return EXT2_FT_SOCK;
	case S_IFLNK:
		return EXT2_FT_SYMLINK;
	}
	return EXT2_FT_UNKNOWN;
}

static void number(struct layout *l, struct tree_node *n)
{
	struct tree_inode *i = n->inode;

	i->ino = l->n ? (uint32_t)l->n - 1 + LAYOUT_FIRST_INO : EXT2_ROOT_INO;
	l->v[l->n++] = n;
	l->files[layout_type(i->mode)]++;
	if (i->mtime > l->newest)
		l->newest = i->mtime;
}

static void number_child(struct tree_node *child, void *ctx)
{
	if (!child->inode->ino)
		number(ctx, child);
}

struct collect {
	struct dir_item *v;
	size_t n;
};

static void collect_child(struct tree_node *child, void *ctx)
{
	struct collect *c = ctx;

	c->v[c->n++] = (struct dir_item){
		.name = child->name,
		.ino = child->inode->ino,
		.type = layout_type(child->inode->mode),
	};
}

int layout_build_dir(const struct tree_node *dir, struct dir_image *out,
		     struct err *e)
{
	auto_free struct dir_item *items = NULL;
	const struct tree_node *up = dir->parent ? dir->parent : dir;
	struct collect c;

	items = calloc(dir->child_n + 1, sizeof(*items));
	if (!items)
		return err_set(e, ENOMEM, "out of memory");
	c = (struct collect){ .v = items };
	tree_each_child(dir, collect_child, &c);
	return dir_build(items, c.n, dir->inode->ino, up->inode->ino, out, e);
}

/*
 * Blocks of the tree of extents. Runs are cut at an extent's largest size and
 * where the file system's own blocks are in the way, at most once a group of
 * 32768 blocks. libext2fs may leave the tree's blocks half full.
 */
static uint64_t extent_blocks(uint64_t runs, uint64_t blocks)
{
	uint64_t n = runs + 2 * (blocks / EXTENT_MAX + 1);
	uint64_t sum = 0;

	while (n > 4) {
		n = (n + EXTENT_LEAF - 1) / EXTENT_LEAF;
		sum += n;
		if (n == 1)
			break;
	}
	return sum;
}

static void count_file(struct layout *l, const struct tree_inode *i)
{
	uint64_t blocks = 0;
	size_t k;

	for (k = 0; k < i->map.n; k++)
		blocks += i->map.v[k].count;
	l->data += blocks * FS_BLOCK;
	l->blocks += blocks + extent_blocks(i->map.n, blocks);
}

static int count_dir(struct layout *l, const struct tree_node *n, struct err *e)
{
	struct dir_image d;
	int rc = layout_build_dir(n, &d, e);

	if (rc)
		return rc;
	free(d.blocks);
	l->blocks += d.n + extent_blocks(1, d.n);
	return 0;
}

static int count(struct layout *l, const struct tree_node *n, struct err *e)
{
	const struct tree_inode *i = n->inode;
	int in_block = tree_xattr_fit(i);

	if (in_block < 0)
		return err_set(e, ENOSPC, "extended attributes do not fit");
	l->blocks += (uint64_t)in_block;
	if (S_ISDIR(i->mode))
		return count_dir(l, n, e);
	if (S_ISREG(i->mode))
		count_file(l, i);
	if (S_ISLNK(i->mode))
		l->blocks += strlen(i->target) >= FAST_LINK;
	return 0;
}

int layout_make(struct layout *l, const struct tree *t, struct err *e)
{
	size_t k;
	int rc = 0;

	*l = (struct layout){ .names = t->node_n - 1 };
	l->v = calloc(t->node_n, sizeof(*l->v));
	if (!l->v)
		return err_set(e, ENOMEM, "out of memory");
	number(l, t->root);
	for (k = 0; k < l->n; k++)
		tree_each_child(l->v[k], number_child, l);
	for (k = 0; !rc && k < l->n; k++)
		rc = count(l, l->v[k], e);
	if (rc)
		layout_free(l);
	return rc;
}

void layout_free(struct layout *l)
{
	free(l->v);
	l->v = NULL;
}
