// SPDX-License-Identifier: MIT
/*
 * The order of writing: folders first (path look-ups then find their blocks
 * close together), everything else behind, each in the order of the inode
 * numbers; then the tables.
 */
#include "ext4/ext4.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ext4/ext2err.h"
#include "ext4/internal.h"

static void reserve_inodes(struct writer *w)
{
	ext2_ino_t ino;

	for (ino = 1; ino < LAYOUT_FIRST_INO; ino++)
		if (ino != EXT2_ROOT_INO)
			ext2fs_inode_alloc_stats2(w->fs, ino, 1, 0);
}

static int write_kind(struct writer *w, bool folders, struct err *e)
{
	size_t k;

	for (k = 0; k < w->l->n; k++) {
		const struct tree_node *n = w->l->v[k];
		int rc = interrupt_check(w->in, e);

		if (rc)
			return rc;
		if (!!S_ISDIR(n->inode->mode) != folders)
			continue;
		rc = ext4_write_inode(w, n, e);
		if (rc)
			return rc;
	}
	return 0;
}

static int write_all(struct writer *w, struct err *e)
{
	int rc;

	reserve_inodes(w);
	progress_begin(w->p, "write", w->l->data);
	rc = write_kind(w, true, e);
	if (!rc)
		rc = write_kind(w, false, e);
	if (!rc)
		progress_end(w->p);
	return rc;
}

static void name_it(struct writer *w, const struct ext4_options *opt,
		    struct ext4_result *out)
{
	struct ext2_super_block *s = w->fs->super;
	uint64_t blocks = ext2fs_blocks_count(s);

	memcpy(s->s_volume_name, opt->label,
	       strnlen(opt->label, EXT4_LABEL_MAX));
	digest_add_text(&w->digest, opt->label);
	digest_add_u64(&w->digest, blocks);
	digest_add_u64(&w->digest, opt->time);
	digest_uuid(&w->digest, out->uuid);
	memcpy(s->s_uuid, out->uuid, sizeof(s->s_uuid));
	out->size = blocks * FS_BLOCK;
	out->used = (blocks - ext2fs_free_blocks_count(s)) * FS_BLOCK;
}

static int close_fs(struct writer *w, struct err *e)
{
	errcode_t rc = ext2fs_close2(w->fs, EXT2_FLAG_FLUSH_NO_SYNC);

	if (!rc)
		return 0;
	ext2fs_free(w->fs);
	return ext2err_set(e, rc, "write the tables");
}

/*
 * The file gets its full length at once, as one hole: libext2fs reads inode
 * tables before it writes them, and zeros are what it must find there.
 */
static int set_length(struct writer *w, int fd, uint64_t wanted, struct err *e)
{
	uint64_t blocks = ext2fs_blocks_count(w->fs->super);
	uint64_t size = wanted ? wanted : blocks * FS_BLOCK;

	if (ftruncate(fd, (off_t)size))
		return err_sys(e, "set the size");
	return 0;
}

int ext4_write(int fd, const struct layout *l, const struct ext4_options *opt,
	       const struct ext4_data *data, struct interrupt *in,
	       struct progress *p, struct ext4_result *out, struct err *e)
{
	struct writer *w = calloc(1, sizeof(*w));
	int rc;

	if (!w)
		return err_set(e, ENOMEM, "out of memory");
	w->l = l;
	w->data = data;
	w->in = in;
	w->p = p;
	rc = ext4_create(fd, l, opt, &w->fs, e);
	if (!rc) {
		ext4_hook_alloc(w);
		rc = set_length(w, fd, opt->size, e);
		if (!rc)
			rc = write_all(w, e);
		if (rc) {
			ext2fs_free(w->fs);
		} else {
			name_it(w, opt, out);
			rc = close_fs(w, e);
		}
	}
	free(w->extents);
	free(w);
	return rc;
}
