/* SPDX-License-Identifier: MIT */
/*
 * From a file's bytes to the map of its blocks. Blocks that are all zero are
 * left out whether or not the source stored them, so an image depends on what
 * a file reads as and not on how a host's file system or archiver kept it.
 *
 * Data stays where it is when the source can be read again at that place
 * ("direct"); otherwise it is appended to the spool, an unlinked file.
 */
#ifndef HUSK_ROOTFS_CONTENT_H
#define HUSK_ROOTFS_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "tree/tree.h"

/* A temporary file of whole blocks. */
struct spool {
	const char *dir; /* where it is made when first needed */
	int fd;		 /* -1 so far */
	uint64_t size;	 /* bytes, those in buf included */
	size_t fill;	 /* bytes waiting in buf */
	uint8_t *buf;
};

void spool_init(struct spool *s, const char *dir);
void spool_free(struct spool *s);

/* Append one block; *at is its offset. */
int spool_append(struct spool *s, const uint8_t *block, uint64_t *at,
		 struct err *e);

/* Write what waits, so that fd can be read. */
int spool_flush(struct spool *s, struct err *e);

/* The file being taken in. */
struct content {
	struct spool *spool;
	bool direct; /* set by the source, once */
	struct file_map *map;
	uint64_t size;
	uint64_t block_no; /* the block being put together */
	bool some;	   /* it has bytes */
	bool linear;	   /* they lie in the source as in the file */
	uint64_t src;	   /* where the block begins there */
	size_t tail;	   /* end of the bytes it has */
	uint8_t block[FS_BLOCK];
};

/* Begin a file of size bytes, whose blocks go to map. */
void content_begin(struct content *c, struct file_map *map, uint64_t size);

/*
 * len bytes of it at off, which is never below what came before and never
 * past its size; src is their place in the source.
 */
int content_data(struct content *c, uint64_t off, const uint8_t *buf,
		 size_t len, uint64_t src, struct err *e);

/* All has come; the rest is holes. */
int content_end(struct content *c, struct err *e);

#endif
