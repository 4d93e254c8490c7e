// SPDX-License-Identifier: MIT
/*
 * The geometry. How many blocks a file system of n blocks keeps for itself is
 * libext2fs' knowledge, so a size is found by asking it: try, see what is
 * free, add what is missing. Two to five tries, in memory only.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ext2err.h"
#include "ext4_internal.h"

#define INODE_SIZE	      256u
#define BYTES_PER_SPARE_INODE 16384u

/* Blocks added to get past a size that cannot be had: what a fit may waste. */
#define STEP 8u

struct geometry {
	uint64_t blocks;
	uint64_t inodes;
	uint32_t time;
};

/* A size at which libext2fs would drop the last group. */
#define DROPPED 1

static void fill_param(struct ext2_super_block *s, const struct geometry *g)
{
	memset(s, 0, sizeof(*s));
	s->s_rev_level = EXT2_DYNAMIC_REV;
	s->s_log_block_size = 2;
	s->s_log_cluster_size = 2;
	s->s_inode_size = INODE_SIZE;
	s->s_blocks_count = (uint32_t)g->blocks;
	s->s_inodes_count = (uint32_t)g->inodes;
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
		if (rc == EXT2_ET_TOOSMALL)
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

static int create_to_fit(int fd, struct geometry *g, uint64_t need,
			 ext2_filsys *fs, struct err *e)
{
	g->blocks = need + STEP;
	for (;;) {
		uint64_t free;
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
		free = ext2fs_free_blocks_count((*fs)->super);
		if (free >= need)
			return 0;
		ext2fs_free(*fs);
		g->blocks += need - free;
	}
}

/* What is cut off at the end of a given size stays unused in the file. */
static int create_sized(int fd, const struct geometry *g, uint64_t need,
			ext2_filsys *fs, struct err *e)
{
	uint64_t free = 0;
	int rc = try_geometry(fd, g, true, fs, e);

	if (rc < 0)
		return rc;
	if (!rc) {
		free = ext2fs_free_blocks_count((*fs)->super);
		if (free >= need)
			return 0;
		ext2fs_free(*fs);
	}
	err_set(e, ENOSPC, "content does not fit");
	return err_hint(e, "raise --size by %llu KiB or more, or leave it out",
			(unsigned long long)(need - free) * (FS_BLOCK / 1024));
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
