/* SPDX-License-Identifier: MIT */
/*
 * A read-only disk (virtio 1.2, section 5.2), one queue.
 *
 * Requests are served on the vCPU that kicked, before its exit ends: the
 * image is read through the page cache, and by the time the guest looks, its
 * data is there. VIRTIO_BLK_F_RO is offered; a write gets IOERR, what is not
 * known UNSUPP. A request whose status byte can not be reached is a broken
 * driver.
 *
 * The device has no state beyond its queue.
 */
#ifndef HUSK_DEVICES_BLK_H
#define HUSK_DEVICES_BLK_H

#include "devices/virtio/vdev.h"

#include <sys/types.h>

#define BLK_SECTOR 512u

/* Where the sectors are. Called with the device locked; must not call back. */
struct disk_ops {
	/* Fill iov from byte `off`, all of it or -errno. */
	int (*read)(void *disk, struct iovec *iov, unsigned nr, uint64_t off);
};

struct blk {
	struct vdev vdev;
	struct virtq queue[1];
	const struct disk_ops *ops;
	void *disk;		/* borrowed */
	uint64_t nr_sectors;
	uint64_t nr_errors;	/* reads that the host could not serve */
};

void blk_init(struct blk *b, const struct gmem *mem, const struct irq_line *irq,
	      const struct disk_ops *ops, void *disk, uint64_t nr_sectors);
void blk_fini(struct blk *b);

#endif
