// SPDX-License-Identifier: MIT
/*
 * A request is a 16-byte header, data, and one status byte (5.2.6). Where
 * the driver cuts them into descriptors is its business (2.7.4.3), so header
 * and status are addressed by their distance from the ends, not by entry.
 */
#include "devices/virtio/blk.h"

#include "lib/iov.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <string.h>

#define BLK_QUEUE_SIZE 128
#define BLK_SEG_MAX    (BLK_QUEUE_SIZE - 2)

static struct blk *from_vdev(struct vdev *d)
{
	/* vdev is the first member. */
	return (struct blk *)d;
}

/* Read `len` bytes from `sector` into the request's in-part. */
static uint8_t serve_read(struct blk *b, struct vreq *r, uint64_t sector,
			  uint32_t len)
{
	uint64_t left = b->nr_sectors - sector;

	if (len % BLK_SECTOR || sector > b->nr_sectors ||
	    len / BLK_SECTOR > left)
		return VIRTIO_BLK_S_IOERR;
	if (!len)
		return VIRTIO_BLK_S_OK;
	if (b->ops->read(b->disk, r->iov + r->nr_out, r->nr_in,
			 sector * BLK_SECTOR)) {
		b->nr_errors++;
		return VIRTIO_BLK_S_IOERR;
	}
	return VIRTIO_BLK_S_OK;
}

/* "husk-root", padded with NULs: the guest finds it as the disk's serial. */
static uint8_t serve_id(const struct vreq *r, uint32_t len)
{
	static const char id[VIRTIO_BLK_ID_BYTES] = "husk-root";

	if (len < sizeof(id))
		return VIRTIO_BLK_S_IOERR;
	iov_from_buf(r->iov + r->nr_out, r->nr_in, id, sizeof(id));
	return VIRTIO_BLK_S_OK;
}

/* Take the last byte off the in-part; the caller has seen that it is there. */
static uint8_t *detach_status(struct vreq *r)
{
	struct iovec *last = &r->iov[r->nr_out + r->nr_in - 1];

	last->iov_len--;
	if (!last->iov_len)
		r->nr_in--;
	return (uint8_t *)last->iov_base + last->iov_len;
}

static int serve(struct blk *b, struct vreq *r)
{
	struct virtio_blk_outhdr hdr;
	uint32_t len, filled = 0;
	uint8_t *status, result;

	if (!r->len_in ||
	    iov_to_buf(r->iov, r->nr_out, &hdr, sizeof(hdr)) < sizeof(hdr))
		return -EPROTO;
	status = detach_status(r);
	len = r->len_in - 1;
	switch (hdr.type) {
	case VIRTIO_BLK_T_IN:
		result = serve_read(b, r, hdr.sector, len);
		filled = result == VIRTIO_BLK_S_OK ? len : 0;
		break;
	case VIRTIO_BLK_T_GET_ID:
		result = serve_id(r, len);
		filled = result == VIRTIO_BLK_S_OK ? VIRTIO_BLK_ID_BYTES : 0;
		break;
	case VIRTIO_BLK_T_OUT:
		result = VIRTIO_BLK_S_IOERR;
		break;
	default:
		result = VIRTIO_BLK_S_UNSUPP;
		break;
	}
	*status = result;
	/* 2.7.8.2: the length counts from the start, without a gap. */
	return virtq_push(&b->queue[0], r->head,
			  filled == len ? len + 1 : filled);
}

static int blk_kick(struct vdev *d, unsigned index)
{
	struct blk *b = from_vdev(d);
	struct virtq *q = &b->queue[index];
	unsigned budget = q->max;
	struct vreq r;
	int ret = 0;

	/*
	 * At most what the queue held when the kick came: what another vCPU
	 * adds meanwhile has a kick of its own coming, and a guest that adds
	 * for ever must not keep this thread from being stopped. What it held
	 * may be half a GiB: whoever ends the machine waits for one request.
	 */
	while (budget-- && !atomic_load(&d->leaving) &&
	       (ret = virtq_pop(q, &r)) > 0) {
		ret = serve(b, &r);
		if (ret)
			break;
	}
	vdev_notify_queue(d, q);
	return ret < 0 ? ret : 0;
}

static uint32_t blk_config_read(struct vdev *d, uint32_t off, unsigned len)
{
	const struct blk *b = from_vdev(d);
	const struct virtio_blk_config config = {
		.capacity = b->nr_sectors,
		.seg_max = BLK_SEG_MAX,
	};
	uint32_t v = 0;

	if (off < sizeof(config) && len <= sizeof(config) - off)
		memcpy(&v, (const char *)&config + off, len);
	return v;
}

static void blk_nothing(struct vdev *d)
{
	(void)d;
}

static const struct vdev_ops blk_vdev_ops = {
	.device_id = VIRTIO_ID_BLOCK,
	.features = 1ull << VIRTIO_BLK_F_RO | 1ull << VIRTIO_BLK_F_SEG_MAX,
	.config_read = blk_config_read,
	.activate = blk_nothing,
	.kick = blk_kick,
	.reset = blk_nothing,
};

void blk_init(struct blk *b, const struct gmem *mem, const struct irq_line *irq,
	      const struct disk_ops *ops, void *disk, uint64_t nr_sectors)
{
	*b = (struct blk){ .ops = ops, .disk = disk, .nr_sectors = nr_sectors };
	vdev_init(&b->vdev, &blk_vdev_ops, b->queue, 1, irq);
	virtq_init(&b->queue[0], mem, BLK_QUEUE_SIZE);
}

void blk_fini(struct blk *b)
{
	vdev_fini(&b->vdev);
}
