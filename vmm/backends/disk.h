/* SPDX-License-Identifier: MIT */
/*
 * The root image: a regular file or block device that holds an ext4 file
 * system, opened for reading only and checked before anything is built.
 */
#ifndef HUSK_BACKENDS_DISK_H
#define HUSK_BACKENDS_DISK_H

#include "devices/virtio/blk.h"
#include "lib/err.h"

#include <stdatomic.h>

struct disk {
	int fd;			/* owned; -1: not open */
	uint64_t size;		/* bytes */
	int64_t mtime;		/* seconds */
	uint8_t uuid[16];	/* of the file system */
	uint32_t super_crc;	/* CRC-32 of its superblock, which changes
				 * with each writing mount */
	/* The first read that failed, ENODATA: the file became shorter. */
	atomic_int error;
	void (*failed)(void *opaque); /* any thread; NULL: nobody */
	void *opaque;
};

extern const struct disk_ops disk_file_ops;

/*
 * -errno and a line for what is no ext4 image, or one cut short. The reads of
 * disk_file_ops come after and may still fail: the guest gets an I/O error,
 * but only after `failed`, which the owner sets between the two, was called.
 */
int disk_open(struct disk *d, const char *path, struct err *e);
void disk_close(struct disk *d);

/* The same of a descriptor that was opened so; owned from here on. */
int disk_adopt(struct disk *d, int fd, const char *path, struct err *e);

#endif
