// SPDX-License-Identifier: MIT
/*
 * The part of a device that does not depend on the transport's registers.
 * An interrupt is sent only when the status bit goes from 0 to 1: the driver
 * acknowledges before it looks at the rings (4.2.3.3), so what is added while
 * the bit is set is found by the look that is still to come.
 */
#include "devices/virtio/vdev.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

void vdev_init(struct vdev *d, const struct vdev_ops *ops, struct virtq *queue,
	       unsigned nr_queues, const struct irq_line *irq)
{
	*d = (struct vdev){ .ops = ops,
			    .queue = queue,
			    .nr_queues = nr_queues,
			    .irq = *irq };
	pthread_mutex_init(&d->lock, NULL);
}

void vdev_fini(struct vdev *d)
{
	pthread_mutex_destroy(&d->lock);
}

bool vdev_is_live(const struct vdev *d)
{
	const uint32_t want = VIRTIO_CONFIG_S_DRIVER_OK;

	return (d->s.status & (want | VIRTIO_CONFIG_S_NEEDS_RESET)) == want;
}

static void raise_isr(struct vdev *d, uint32_t bit)
{
	if (d->s.isr & bit)
		return;
	d->s.isr |= bit;
	irq_raise(&d->irq);
}

void vdev_notify_queue(struct vdev *d, struct virtq *q)
{
	if (vdev_is_live(d) && virtq_wants_irq(q))
		raise_isr(d, VIRTIO_MMIO_INT_VRING);
}

void vdev_set_broken(struct vdev *d)
{
	if (d->s.status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	d->s.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	if (d->s.status & VIRTIO_CONFIG_S_DRIVER_OK)
		raise_isr(d, VIRTIO_MMIO_INT_CONFIG);
}

void vdev_leave(struct vdev *d)
{
	atomic_store(&d->leaving, true);
}

void vdev_save(const struct vdev *d, struct pack *p)
{
	unsigned i;

	pack_u32(p, d->s.status);
	pack_u64(p, d->s.driver_features);
	pack_u32(p, d->s.isr);
	pack_u32(p, d->s.queue_sel);
	pack_u32(p, d->s.features_sel);
	pack_u32(p, d->s.driver_features_sel);
	pack_u32(p, d->s.config_generation);
	for (i = 0; i < d->nr_queues; i++)
		virtq_save(&d->queue[i], p);
}

int vdev_load(struct vdev *d, struct unpack *u)
{
	unsigned i;
	int r;

	d->s.status = unpack_u32(u);
	d->s.driver_features = unpack_u64(u);
	d->s.isr = unpack_u32(u);
	d->s.queue_sel = unpack_u32(u);
	d->s.features_sel = unpack_u32(u);
	d->s.driver_features_sel = unpack_u32(u);
	d->s.config_generation = unpack_u32(u);
	for (i = 0; i < d->nr_queues; i++) {
		r = virtq_load(&d->queue[i], u);
		if (r)
			return r;
	}
	return u->failed ? -EPROTO : 0;
}
