// SPDX-License-Identifier: MIT
/*
 * One inode: its 256 bytes, its extents, its attributes, and its share of the
 * digest. Everything of a file is written before the next file begins.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "ext4/ext2err.h"
#include "ext4/internal.h"
#include "lib/cleanup.h"
#include "terminal/quote.h"

/* ext4 gives up counting a folder's folders here (feature dir_nlink). */
#define LINKS_MAX 65000u

static void digest_inode(struct writer *w, const struct tree_inode *i)
{
	struct digest *d = &w->digest;
	size_t k;

	digest_add_u64(d, i->ino);
	digest_add_u64(d, i->mode);
	digest_add_u64(d, i->uid);
	digest_add_u64(d, i->gid);
	digest_add_u64(d, (uint64_t)i->mtime);
	digest_add_u64(d, i->mtime_ns);
	digest_add_u64(d, (uint64_t)i->dev_major << 32 | i->dev_minor);
	digest_add_u64(d, i->size);
	digest_add_text(d, i->target ? i->target : "");
	digest_add_u64(d, i->xattr_n);
	for (k = 0; k < i->xattr_n; k++) {
		digest_add_text(d, i->xattrs[k].name);
		digest_add_u64(d, i->xattrs[k].len);
		digest_add(d, i->xattrs[k].value, i->xattrs[k].len);
	}
}

/* 34 bits of seconds and 30 of nanoseconds, see "Inode Timestamps". */
static uint32_t time_extra(int64_t sec, uint32_t ns)
{
	return ns << 2 | (uint32_t)((sec - (int32_t)sec) >> 32 & 3);
}

static uint32_t link_count(const struct tree_inode *i)
{
	if (!S_ISDIR(i->mode))
		return i->names;
	return i->folders + 2 >= LINKS_MAX ? 1 : i->folders + 2;
}

/*
 * Only mtime is a fact of the source that repeats; the other times are made
 * equal to it (reading a source changes its atime, copying it its ctime).
 */
static void fill_inode(const struct tree_inode *i, struct ext2_inode_large *o)
{
	uint32_t extra = time_extra(i->mtime, i->mtime_ns);

	memset(o, 0, sizeof(*o));
	o->i_mode = (uint16_t)i->mode;
	o->i_uid = (uint16_t)i->uid;
	o->i_gid = (uint16_t)i->gid;
	ext2fs_set_i_uid_high(*o, (uint16_t)(i->uid >> 16));
	ext2fs_set_i_gid_high(*o, (uint16_t)(i->gid >> 16));
	o->i_links_count = (uint16_t)link_count(i);
	o->i_size = (uint32_t)i->size;
	o->i_size_high = (uint32_t)(i->size >> 32);
	o->i_extra_isize = sizeof(*o) - EXT2_GOOD_OLD_INODE_SIZE;
	o->i_atime = o->i_ctime = o->i_mtime = o->i_crtime = (uint32_t)i->mtime;
	o->i_atime_extra = o->i_ctime_extra = o->i_mtime_extra =
		o->i_crtime_extra = extra;
}

/* The old 16-bit form where it suffices, else the new one: as Linux does. */
static void fill_device(const struct tree_inode *i, struct ext2_inode_large *o)
{
	uint32_t ma = i->dev_major, mi = i->dev_minor;

	if (ma < 256 && mi < 256)
		o->i_block[0] = ma << 8 | mi;
	else
		o->i_block[1] = (mi & 0xff) | ma << 8 | (mi & ~0xffu) << 12;
}

static struct ext2_inode *small(struct ext2_inode_large *o)
{
	return (struct ext2_inode *)o;
}

/* Give the inode the extents gathered; i_blocks counts them and their tree. */
static int set_extents(struct writer *w, uint32_t ino,
		       struct ext2_inode_large *o, struct err *e)
{
	ext2_extent_handle_t h;
	uint64_t blocks = 0;
	size_t k;
	errcode_t rc = ext2fs_extent_open2(w->fs, ino, small(o), &h);

	if (rc)
		return ext2err_set(e, rc, "begin the extents");
	for (k = 0; !rc && k < w->extent_n; k++) {
		struct ext2fs_extent x = {
			.e_pblk = w->extents[k].at,
			.e_lblk = w->extents[k].block,
			.e_len = w->extents[k].count,
		};

		rc = ext2fs_extent_insert(h, k ? EXT2_EXTENT_INSERT_AFTER : 0,
					  &x);
		blocks += x.e_len;
	}
	ext2fs_extent_free(h);
	if (!rc)
		rc = ext2fs_iblk_add_blocks(w->fs, small(o), blocks);
	return rc ? ext2err_set(e, rc, "write the extents") : 0;
}

static int fill_dir(struct writer *w, const struct tree_node *n,
		    struct ext2_inode_large *o, struct err *e)
{
	struct dir_image d;
	int rc = layout_build_dir(n, &d, e);

	if (rc)
		return rc;
	o->i_size = (uint32_t)(d.n * FS_BLOCK);
	o->i_size_high = (uint32_t)((uint64_t)d.n * FS_BLOCK >> 32);
	if (d.indexed)
		o->i_flags |= EXT2_INDEX_FL;
	digest_add(&w->digest, d.blocks, d.n * FS_BLOCK);
	rc = ext4_write_blocks(w, d.blocks, d.n, e);
	free(d.blocks);
	return rc ? rc : set_extents(w, n->inode->ino, o, e);
}

static int fill_link(struct writer *w, const struct tree_inode *i,
		     struct ext2_inode_large *o, struct err *e)
{
	size_t len = strlen(i->target);
	int rc;

	o->i_size = (uint32_t)len;
	if (len < sizeof(o->i_block)) {
		memcpy(o->i_block, i->target, len);
		return 0;
	}
	memset(w->copy, 0, FS_BLOCK);
	memcpy(w->copy, i->target, len);
	rc = ext4_write_blocks(w, w->copy, 1, e);
	return rc ? rc : set_extents(w, i->ino, o, e);
}

static int fill_content(struct writer *w, const struct tree_node *n,
			struct ext2_inode_large *o, struct err *e)
{
	const struct tree_inode *i = n->inode;
	int rc;

	switch (i->mode & S_IFMT) {
	case S_IFDIR:
		return fill_dir(w, n, o, e);
	case S_IFLNK:
		return fill_link(w, i, o, e);
	case S_IFCHR:
	case S_IFBLK:
		fill_device(i, o);
		return 0;
	case S_IFREG:
		rc = ext4_copy_file(w, n, e);
		return rc ? rc : set_extents(w, i->ino, o, e);
	}
	return 0;
}

static int set_xattrs(struct writer *w, const struct tree_inode *i,
		      struct err *e)
{
	struct ext2_xattr_handle *h;
	errcode_t rc;
	size_t k;

	if (!i->xattr_n)
		return 0;
	rc = ext2fs_xattrs_open(w->fs, i->ino, &h);
	if (rc)
		return ext2err_set(e, rc, "begin the attributes");
	for (k = 0; !rc && k < i->xattr_n; k++)
		rc = ext2fs_xattr_set(h, i->xattrs[k].name, i->xattrs[k].value,
				      i->xattrs[k].len);
	ext2fs_xattrs_close(&h);
	if (!rc)
		return 0;
	return ext2err_set(e, rc, "write attribute '%s'",
			   quote_name(i->xattrs[k - 1].name).s);
}

static int put_inode(struct writer *w, uint32_t ino, struct ext2_inode_large *o,
		     struct err *e)
{
	errcode_t rc =
		ext2fs_write_inode_full(w->fs, ino, small(o), sizeof(*o));

	return rc ? ext2err_set(e, rc, "write an inode") : 0;
}

/* libext2fs reads the inode back when it adds to it, so it is written first. */
static int write_parts(struct writer *w, const struct tree_node *n,
		       struct err *e)
{
	const struct tree_inode *i = n->inode;
	struct ext2_inode_large o;
	int rc;

	fill_inode(i, &o);
	ext2fs_inode_alloc_stats2(w->fs, i->ino, 1, S_ISDIR(i->mode));
	rc = put_inode(w, i->ino, &o, e);
	if (!rc)
		rc = fill_content(w, n, &o, e);
	if (!rc)
		rc = put_inode(w, i->ino, &o, e);
	if (!rc)
		rc = set_xattrs(w, i, e);
	return rc;
}

int ext4_write_inode(struct writer *w, const struct tree_node *n, struct err *e)
{
	char path[PATH_MAX];
	int rc;

	w->extent_n = 0;
	digest_inode(w, n->inode);
	rc = write_parts(w, n, e);
	if (!rc || e->code == EINTR)
		return rc;
	return err_prefix(e, "'%s': ", quote_name(tree_path(n, path)).s);
}
