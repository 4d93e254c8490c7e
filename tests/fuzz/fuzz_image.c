// SPDX-License-Identifier: MIT
/* LINK: rootfs-builder/tar/tar.c rootfs-builder/tar/header.c */
/* LINK: rootfs-builder/tar/sparse.c rootfs-builder/tar/pax.c */
/* LINK: rootfs-builder/tar/pax_codec.c rootfs-builder/tar/stream.c */
/* LINK: rootfs-builder/tar/gunzip.c rootfs-builder/terminal/interrupt.c */
/* LINK: rootfs-builder/terminal/quote.c rootfs-builder/tree/tree.c */
/* LINK: rootfs-builder/tree/xattr.c rootfs-builder/tree/content.c */
/* LINK: rootfs-builder/source/source.c rootfs-builder/source/tar.c */
/* LINK: rootfs-builder/source/dir.c rootfs-builder/ext4/layout.c */
/* LINK: rootfs-builder/ext4/dirblock.c rootfs-builder/ext4/digest.c */
/* LINK: rootfs-builder/ext4/ext2err.c rootfs-builder/ext4/create.c */
/* LINK: rootfs-builder/ext4/blocks.c rootfs-builder/ext4/inode.c */
/* LINK: rootfs-builder/ext4/write.c rootfs-builder/terminal/progress.c */
/* LIBS: -lext2fs -lcom_err -lz */
/*
 * Any bytes as an archive, packed or not, through the whole builder. What the
 * tree has taken must be writable (the tree's promise), in the space that was
 * reckoned, and libext2fs must find as many files in the image as there are.
 */
#include <ext2fs/ext2fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ext4/ext4.h"
#include "source/source.h"

#include "require.h"
#include "tar_mutate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Larger images would only be slow. */
#define BLOCKS_MAX 2000u

static void check_image(int fd, const struct layout *l,
			const struct ext4_result *r)
{
	char name[16];
	ext2_filsys fs;

	REQUIRE(lseek(fd, 0, SEEK_END) == (off_t)r->size);
	snprintf(name, sizeof(name), "%d", dup(fd));
	REQUIRE(!ext2fs_open(name, 0, 0, 0, unixfd_io_manager, &fs));
	REQUIRE(fs->super->s_inodes_count - fs->super->s_free_inodes_count ==
		l->n + 9);
	REQUIRE(!ext2fs_check_directory(fs, EXT2_ROOT_INO));
	ext2fs_free(fs);
}

static void write_image(const struct tree *t, const struct ext4_data *data)
{
	const struct ext4_options opt = { .label = "fuzz", .time = 1 };
	struct ext4_result r;
	struct layout l;
	struct err e = { 0 };
	int fd;

	REQUIRE(!layout_make(&l, t, &e));
	if (l.blocks < BLOCKS_MAX) {
		fd = memfd_create("image", MFD_CLOEXEC);
		REQUIRE(!ext4_write(fd, &l, &opt, data, NULL, NULL, &r, &e));
		check_image(fd, &l, &r);
		close(fd);
	}
	layout_free(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ext4_data where = { .archive_fd = -1, .dir_fd = -1 };
	struct tree tree = { 0 };
	struct spool spool;
	struct err e = { 0 };
	struct source_env env = { .tree = &tree, .spool = &spool };
	int fd = memfd_create("archive", MFD_CLOEXEC);
	bool direct;

	REQUIRE(fd >= 0 && !tree_init(&tree, &e));
	REQUIRE(write(fd, data, size) == (ssize_t)size);
	REQUIRE(!lseek(fd, 0, SEEK_SET));
	spool_init(&spool, "/tmp");
	if (!source_read_tar(&env, fd, &direct, &e)) {
		REQUIRE(!spool_flush(&spool, &e));
		where.spool_fd = spool.fd;
		where.archive_fd = direct ? fd : -1;
		write_image(&tree, &where);
	}
	spool_free(&spool);
	tree_free(&tree);
	close(fd);
	return 0;
}
