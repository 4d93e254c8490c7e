// SPDX-License-Identifier: MIT
/*
 * The geometry. How many blocks a file system of n blocks keeps for itself is
 * libext2fs' knowledge, so a size is found by asking it: try, see what is
 * free, add what is missing. Two to five tries, in memory only.
 *
 * A group has at most GROUP_INODES inodes. Where the content is so small that
 * groups of the usual size would have too few of them, groups are smaller and
 * more, all of one size; larger images were rejected, whose end is empty.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ext4/ext2err.h"
#include "ext4/internal.h"

#define INODE_SIZE	      256u
#define BYTES_PER_SPARE_INODE 16384u
#define GROUP_INODES	      (8 * FS_BLOCK) /* as many bits has its bitmap */
#define GROUP_BLOCKS	      (8 * FS_BLOCK)

/* Blocks added to get past a size that cannot be had: what a fit may waste. */
#define STEP 8u

struct geometry {
	uint64_t blocks;
	uint64_t inodes;
	uint32_t time;
};

/* A size at which libext2fs would drop the last group. */
#define DROPPED 1

static uint64_t divide_up(uint64_t a, uint64_t b)
{
	return (a + b - 1) / b;
}

/* Blocks of a group; 0 is libext2fs' own choice, GROUP_BLOCKS. */
static uint32_t group_size(const struct geometry *g)
{
	uint64_t groups = divide_up(g->inodes, GROUP_INODES);

	if (groups < 2 || groups < divide_up(g->blocks, GROUP_BLOCKS))
		return 0;
	return (uint32_t)divide_up(g->blocks, groups * 8) * 8;
}

/*
 * Where groups are small their own blocks cut more files in two than the
 * layout reckons with: once at a border, with a block of extents at most.
 */
static uint64_t cut_blocks(const struct geometry *g)
{
	uint32_t size = group_size(g);

	return size ? 2 * divide_up(g->blocks, size) : 0;
}

static void fill_param(struct ext2_super_block *s, const struct geometry *g)
{
	memset(s, 0, sizeof(*s));
	s->s_rev_level = EXT2_DYNAMIC_REV;
	s->s_log_block_size = 2;
	s->s_log_cluster_size = 2;
	s->s_inode_size = INODE_SIZE;
	s->s_blocks_count = (uint32_t)g->blocks;
	s->s_inodes_count = (uint32_t)g->inodes;
	s->s_blocks_per_group = group_size(g);
	s->s_log_groups_per_flex = 4;
	s->s_feature_compat =
		EXT2_FEATURE_COMPAT_EXT_ATTR | EXT2_FEATURE_COMPAT_DIR_INDEX;
	s->s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE |
				EXT3_FEATURE_INCOMPAT_EXTENTS |
				EXT4_FEATURE_INCOMPAT_FLEX_BG;
	s->s_feature_ro_compat = EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER |
				 EXT2_FEATURE_RO_COMPAT_LARGE_FILE |
				 EXT4_FEATURE_RO_COMPAT_DIR_NLINK |
				 EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE;
}

static void fill_super(ext2_filsys fs, const struct geometry *g)
{
	struct ext2_super_block *s = fs->super;

	/* Else it would be the time of the day. */
	fs->now = (time_t)g->time;
	s->s_mkfs_time = g->time;
	s->s_wtime = g->time;
	s->s_lastcheck = g->time;
	s->s_checkinterval = 0;
	s->s_max_mnt_count = -1;
	s->s_def_hash_version = EXT2_HASH_HALF_MD4;
	s->s_flags &= ~(uint32_t)EXT2_FLAGS_SIGNED_HASH;
	s->s_flags |= EXT2_FLAGS_UNSIGNED_HASH;
	s->s_min_extra_isize = s->s_want_extra_isize =
		sizeof(struct ext2_inode_large) - EXT2_GOOD_OLD_INODE_SIZE;
	s->s_default_mount_opts = EXT2_DEFM_XATTR_USER | EXT2_DEFM_ACL;
	s->s_state = EXT2_VALID_FS;
	memset(s->s_uuid, 0, sizeof(s->s_uuid));
}

/*
 * One try; 0 with *fs, DROPPED, or an error. libext2fs cuts off a last group
 * that is hardly larger than its own tables, which is DROPPED unless cut_ok.
 */
static int try_geometry(int fd, const struct geometry *g, bool cut_ok,
			ext2_filsys *fs, struct err *e)
{
	struct ext2_super_block param;
	char name[16];
	errcode_t rc;
	int own = dup(fd);

	if (own < 0)
		return err_sys(e, "duplicate a descriptor");
	fill_param(&param, g);
	snprintf(name, sizeof(name), "%d", own);
	rc = ext2fs_initialize(name, 0, &param, unixfd_io_manager, fs);
	if (rc) {
		close(own);
		if (rc == EXT2_ET_TOOSMALL || rc == EXT2_ET_TOO_MANY_INODES)
			return DROPPED;
		return ext2err_set(e, rc, "begin the file system");
	}
	fill_super(*fs, g);
	rc = ext2fs_allocate_tables(*fs);
	if (!rc && (cut_ok || ext2fs_blocks_count((*fs)->super) == g->blocks))
		return 0;
	ext2fs_free(*fs);
	if (!rc || rc == EXT2_ET_BLOCK_ALLOC_FAIL)
		return DROPPED;
	return ext2err_set(e, rc, "place the inode tables");
}

static int too_large(struct err *e)
{
	return err_set(e, EFBIG, "content does not fit into 16 TiB");
}

/* Enough of everything in *fs? Else how many blocks more to try with. */
static uint64_t missing(ext2_filsys fs, const struct geometry *g, uint64_t need)
{
	uint64_t free = ext2fs_free_blocks_count(fs->super);

	need += cut_blocks(g);
	if (free < need)
		return need - free;
	return fs->super->s_inodes_count < g->inodes ? STEP : 0;
}

static int create_to_fit(int fd, struct geometry *g, uint64_t need,
			 ext2_filsys *fs, struct err *e)
{
	g->blocks = need + STEP;
	/* With one group it is found from there, as ever. */
	if (g->inodes > GROUP_INODES)
		g->blocks += divide_up(g->inodes * INODE_SIZE, FS_BLOCK);
	for (;;) {
		uint64_t more;
		int rc;

		if (g->blocks > UINT32_MAX - 1)
			return too_large(e);
		rc = try_geometry(fd, g, false, fs, e);
		if (rc < 0)
			return rc;
		if (rc == DROPPED) {
			g->blocks += STEP;
			continue;
		}
		more = missing(*fs, g, need);
		if (!more)
			return 0;
		ext2fs_free(*fs);
		g->blocks += more;
	}
}

/* The content does not fit: by how much, a size to fit tells. */
static int refuse_size(int fd, const struct geometry *given, uint64_t need,
		       struct err *e)
{
	struct geometry g = *given;
	ext2_filsys fs;
	int rc = create_to_fit(fd, &g, need, &fs, e);

	if (rc)
		return rc;
	ext2fs_free(fs);
	if (g.blocks <= given->blocks)
		g.blocks = given->blocks + STEP;
	err_set(e, ENOSPC, "content does not fit");
	return err_hint(e, "raise --size by %llu KiB or more, or leave it out",
			(unsigned long long)(g.blocks - given->blocks) *
				(FS_BLOCK / 1024));
}

/* What is cut off at the end of a given size stays unused in the file. */
static int create_sized(int fd, const struct geometry *g, uint64_t need,
			ext2_filsys *fs, struct err *e)
{
	int rc = try_geometry(fd, g, true, fs, e);

	if (rc < 0)
		return rc;
	if (!rc) {
		if (!missing(*fs, g, need))
			return 0;
		ext2fs_free(*fs);
	}
	return refuse_size(fd, g, need, e);
}

int ext4_create(int fd, const struct layout *l, const struct ext4_options *opt,
		ext2_filsys *fs, struct err *e)
{
	uint64_t need = l->blocks + opt->free / FS_BLOCK;
	struct geometry g = {
		.blocks = opt->size / FS_BLOCK,
		.inodes = l->n - 1 + LAYOUT_FIRST_INO - 1 +
			  opt->free / BYTES_PER_SPARE_INODE,
		.time = opt->time,
	};

	if (need > UINT32_MAX || g.blocks > UINT32_MAX - 1 ||
	    g.inodes > UINT32_MAX - 1)
		return too_large(e);
	if (opt->size)
		return create_sized(fd, &g, need, fs, e);
	return create_to_fit(fd, &g, need, fs, e);
}
