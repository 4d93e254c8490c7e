// SPDX-License-Identifier: MIT
/*
 * Blocks are handed out from the first to the last, skipping only what the
 * file system keeps for itself: files lie side by side and unfragmented in
 * the order they are written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ext4/ext2err.h"
#include "ext4/internal.h"
#include "lib/cleanup.h"
#include "terminal/quote.h"

static errcode_t find_free(struct writer *w, blk64_t *at)
{
	blk64_t last = ext2fs_blocks_count(w->fs->super) - 1;
	errcode_t rc;

	if (w->cursor > last)
		return EXT2_ET_BLOCK_ALLOC_FAIL;
	rc = ext2fs_find_first_zero_block_bitmap2(w->fs->block_map, w->cursor,
						  last, at);
	if (rc == ENOENT)
		return EXT2_ET_BLOCK_ALLOC_FAIL;
	if (!rc)
		w->cursor = *at;
	return rc;
}

int ext4_alloc(struct writer *w, uint64_t want, uint64_t *at, uint64_t *got,
	       struct err *e)
{
	blk64_t last = ext2fs_blocks_count(w->fs->super) - 1;
	blk64_t start, end;
	errcode_t rc = find_free(w, &start);

	if (rc)
		return ext2err_set(e, rc, "find a free block");
	if (want > last - start + 1)
		want = last - start + 1;
	rc = ext2fs_find_first_set_block_bitmap2(w->fs->block_map, start,
						 start + want - 1, &end);
	if (rc == ENOENT)
		end = start + want;
	else if (rc)
		return ext2err_set(e, rc, "find free blocks");
	ext2fs_block_alloc_stats_range(w->fs, start, (blk_t)(end - start), 1);
	w->cursor = end;
	*at = start;
	*got = end - start;
	return 0;
}

/* libext2fs marks the block itself. */
static errcode_t hook_alloc(ext2_filsys fs, blk64_t goal, blk64_t *ret)
{
	(void)goal;
	return find_free(fs->priv_data, ret);
}

void ext4_hook_alloc(struct writer *w)
{
	w->fs->priv_data = w;
	ext2fs_set_alloc_block_callback(w->fs, hook_alloc, NULL);
}

int ext4_add_extent(struct writer *w, uint32_t block, uint64_t at,
		    uint32_t count, struct err *e)
{
	struct extent *last = w->extents;

	if (w->extent_n)
		last += w->extent_n - 1;
	if (w->extent_n && last->block + last->count == block &&
	    last->at + last->count == at &&
	    last->count + count <= EXT_INIT_MAX_LEN) {
		last->count += count;
		return 0;
	}
	if (w->extent_n == w->extent_cap) {
		size_t cap = w->extent_cap ? w->extent_cap * 2 : 64;

		last = reallocarray(w->extents, cap, sizeof(*last));
		if (!last)
			return err_set(e, ENOMEM, "out of memory");
		w->extents = last;
		w->extent_cap = cap;
	}
	w->extents[w->extent_n++] = (struct extent){
		.block = block,
		.count = count,
		.at = at,
	};
	return 0;
}

/* Blocks in memory to the file system, wherever there is room. */
static int put_blocks(struct writer *w, uint32_t block, const uint8_t *p,
		      uint64_t n, struct err *e)
{
	while (n) {
		uint64_t at, got;
		errcode_t wrc;
		int rc = ext4_alloc(w, n, &at, &got, e);

		if (rc)
			return rc;
		wrc = io_channel_write_blk64(w->fs->io, at, (int)got, p);
		if (wrc)
			return ext2err_set(e, wrc, "write the image");
		rc = ext4_add_extent(w, block, at, (uint32_t)got, e);
		if (rc)
			return rc;
		block += (uint32_t)got;
		p += got * FS_BLOCK;
		n -= got;
	}
	return 0;
}

int ext4_write_blocks(struct writer *w, const uint8_t *p, uint64_t n,
		      struct err *e)
{
	uint32_t block = 0;

	while (n) {
		uint64_t k = n < EXT_INIT_MAX_LEN ? n : EXT_INIT_MAX_LEN;
		int rc = put_blocks(w, block, p, k, e);

		if (rc)
			return rc;
		block += (uint32_t)k;
		p += k * FS_BLOCK;
		n -= k;
	}
	return 0;
}

/* Exactly n bytes; less means that the source was cut since the first pass. */
static int read_exactly(int fd, uint8_t *buf, size_t n, uint64_t at,
			struct err *e)
{
	while (n) {
		ssize_t got = pread(fd, buf, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "read again");
		if (!got)
			return err_set(e, EBUSY, "changed while it was read");
		buf += got;
		n -= (size_t)got;
		at += (uint64_t)got;
	}
	return 0;
}

/* Up to EXT4_COPY_BLOCKS of a run, from its block k on. */
static int copy_part(struct writer *w, const struct tree_inode *i,
		     const struct file_run *run, uint32_t k, uint32_t n, int fd,
		     struct err *e)
{
	uint64_t first = (uint64_t)run->block + k;
	size_t bytes = (size_t)n * FS_BLOCK;
	size_t have = bytes;
	int rc;

	/* A spooled block is whole, a direct one ends where the file does. */
	if (!run->spooled && (first + n) * FS_BLOCK > i->size)
		have = (size_t)(i->size - first * FS_BLOCK);
	rc = interrupt_check(w->in, e);
	if (!rc)
		rc = read_exactly(fd, w->copy, have,
				  run->src + (uint64_t)k * FS_BLOCK, e);
	if (rc)
		return rc;
	memset(w->copy + have, 0, bytes - have);
	digest_add(&w->digest, w->copy, bytes);
	rc = put_blocks(w, (uint32_t)first, w->copy, n, e);
	w->copied += bytes;
	progress_set(w->p, w->copied);
	return rc;
}

static int copy_run(struct writer *w, const struct tree_inode *i,
		    const struct file_run *run, int fd, struct err *e)
{
	uint32_t k = 0;

	digest_add_u64(&w->digest, run->block);
	digest_add_u64(&w->digest, run->count);
	while (k < run->count) {
		uint32_t left = run->count - k;
		uint32_t n = left < EXT4_COPY_BLOCKS ? left : EXT4_COPY_BLOCKS;
		int rc = copy_part(w, i, run, k, n, fd, e);

		if (rc)
			return rc;
		k += n;
	}
	return 0;
}

int ext4_copy_file(struct writer *w, const struct tree_node *n, struct err *e)
{
	const struct tree_inode *i = n->inode;
	const struct ext4_data *d = w->data;
	auto_fd opened = -1;
	size_t k;

	for (k = 0; k < i->map.n; k++) {
		const struct file_run *run = &i->map.v[k];
		int fd = run->spooled ? d->spool_fd : d->archive_fd;
		int rc;

		if (fd < 0 && opened < 0)
			opened = d->open(d->dir_fd, n, e);
		if (fd < 0)
			fd = opened;
		if (fd < 0)
			return fd;
		rc = copy_run(w, i, run, fd, e);
		if (rc)
			return rc;
	}
	return 0;
}
