// SPDX-License-Identifier: MIT
/*
 * The register file. Reads and writes are two switches over the offset; each
 * case is one line of the table in 4.2.2. All of it runs under the device's
 * lock, taken once per access.
 */
#include "devices/virtio/vmmio.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#define VMMIO_MAGIC   0x74726976u /* "virt" */
#define VMMIO_VERSION 2u
#define VMMIO_VENDOR  0x4b535548u /* "HUSK" */

#define VERSION_1 (1ull << VIRTIO_F_VERSION_1)

/* Status bits that a driver may set (2.1). */
#define STATUS_DRIVER_BITS                                               \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |          \
	 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK |       \
	 VIRTIO_CONFIG_S_FAILED)

static uint64_t offered(const struct vdev *d)
{
	return d->ops->features | VERSION_1;
}

/* The selected queue, or NULL: QueueSel is the driver's to choose freely. */
static struct virtq *selected(const struct vdev *d)
{
	return d->s.queue_sel < d->nr_queues ? &d->queue[d->s.queue_sel] : NULL;
}

/* ... and only while its registers may be written. */
static struct virtq *configurable(const struct vdev *d)
{
	const uint32_t window = VIRTIO_CONFIG_S_FEATURES_OK |
				VIRTIO_CONFIG_S_DRIVER_OK |
				VIRTIO_CONFIG_S_NEEDS_RESET;
	struct virtq *q = selected(d);

	if (!q || q->s.ready)
		return NULL;
	if ((d->s.status & window) != VIRTIO_CONFIG_S_FEATURES_OK)
		return NULL;
	return q;
}

static uint32_t half(uint64_t v, uint32_t sel)
{
	return sel > 1 ? 0 : (uint32_t)(v >> (32 * sel));
}

static uint32_t read_register(const struct vdev *d, uint64_t off)
{
	const struct virtq *q = selected(d);

	switch (off) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return VMMIO_MAGIC;
	case VIRTIO_MMIO_VERSION:
		return VMMIO_VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return d->ops->device_id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VMMIO_VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return half(offered(d), d->s.features_sel);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return q ? q->max : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return q && q->s.ready;
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return d->s.isr;
	case VIRTIO_MMIO_STATUS:
		return d->s.status;
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return d->s.config_generation;
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return UINT32_MAX; /* no such region, whichever it is */
	default:
		return 0;
	}
}

static uint64_t vmmio_read(void *dev, uint64_t off, unsigned len)
{
	struct vdev *d = dev;
	uint32_t v = 0;

	pthread_mutex_lock(&d->lock);
	if (off >= VIRTIO_MMIO_CONFIG && len <= 4)
		v = d->ops->config_read(
			d, (uint32_t)(off - VIRTIO_MMIO_CONFIG), len);
	else if (off < VIRTIO_MMIO_CONFIG && len == 4)
		v = read_register(d, off);
	pthread_mutex_unlock(&d->lock);
	return v;
}

static void reset(struct vdev *d)
{
	unsigned i;

	d->ops->reset(d);
	for (i = 0; i < d->nr_queues; i++)
		virtq_reset(&d->queue[i]);
	d->s = (struct vdev_state){ 0 };
}

static bool features_ok(const struct vdev *d)
{
	return (d->s.driver_features & VERSION_1) &&
	       !(d->s.driver_features & ~offered(d));
}

static void write_status(struct vdev *d, uint32_t v)
{
	uint32_t old = d->s.status;

	if (!v) {
		reset(d);
		return;
	}
	/* Bits are only ever added, except by reset (2.1.1). */
	v = old | (v & STATUS_DRIVER_BITS);
	if (!(old & VIRTIO_CONFIG_S_FEATURES_OK) && !features_ok(d))
		v &= ~(uint32_t)VIRTIO_CONFIG_S_FEATURES_OK;
	if (!(v & VIRTIO_CONFIG_S_FEATURES_OK))
		v &= ~(uint32_t)VIRTIO_CONFIG_S_DRIVER_OK;
	d->s.status = v;
	if (!(old & VIRTIO_CONFIG_S_DRIVER_OK) && vdev_is_live(d))
		d->ops->activate(d);
}

static void write_driver_features(struct vdev *d, uint32_t v)
{
	uint32_t shift = 32 * d->s.driver_features_sel;

	if (d->s.driver_features_sel > 1 ||
	    (d->s.status & VIRTIO_CONFIG_S_FEATURES_OK))
		return;
	d->s.driver_features &= ~(0xffffffffull << shift);
	d->s.driver_features |= (uint64_t)v << shift;
}

static void write_queue_ready(struct vdev *d, uint32_t v)
{
	struct virtq *q = configurable(d);

	/* 4.2.2.2: a live queue is only taken down by reset. */
	if (!q || v != 1)
		return;
	q->s.event = d->s.driver_features & 1ull << VIRTIO_RING_F_EVENT_IDX;
	if (virtq_enable(q))
		vdev_set_broken(d);
}

static void set_half(gpa_t *addr, uint32_t v, bool high)
{
	if (high)
		*addr = (*addr & 0xffffffffull) | (gpa_t)v << 32;
	else
		*addr = (*addr & ~0xffffffffull) | v;
}

static void write_queue_register(struct vdev *d, uint64_t off, uint32_t v)
{
	struct virtq *q = configurable(d);

	if (!q)
		return;
	switch (off) {
	case VIRTIO_MMIO_QUEUE_NUM:
		q->s.size = v > q->max ? 0 : (uint16_t)v;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_half(&q->s.desc, v, off == VIRTIO_MMIO_QUEUE_DESC_HIGH);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_half(&q->s.avail, v, off == VIRTIO_MMIO_QUEUE_AVAIL_HIGH);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_half(&q->s.used, v, off == VIRTIO_MMIO_QUEUE_USED_HIGH);
		break;
	default:
		break;
	}
}

static void notify(struct vdev *d, uint32_t index)
{
	if (!vdev_is_live(d) || index >= d->nr_queues)
		return;
	if (d->ops->kick(d, index))
		vdev_set_broken(d);
}

static void write_register(struct vdev *d, uint64_t off, uint32_t v)
{
	switch (off) {
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		notify(d, v);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		d->s.isr &= ~v;
		break;
	case VIRTIO_MMIO_STATUS:
		write_status(d, v);
		break;
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		d->s.features_sel = v;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		d->s.driver_features_sel = v;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		write_driver_features(d, v);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		d->s.queue_sel = v;
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		write_queue_ready(d, v);
		break;
	default:
		write_queue_register(d, off, v);
		break;
	}
}

static void vmmio_write(void *dev, uint64_t off, unsigned len, uint64_t val)
{
	struct vdev *d = dev;

	/* No device of ours has a configuration field that is written. */
	if (off >= VIRTIO_MMIO_CONFIG || len != 4)
		return;
	pthread_mutex_lock(&d->lock);
	write_register(d, off, (uint32_t)val);
	pthread_mutex_unlock(&d->lock);
}

const struct bus_ops vmmio_bus_ops = {
	.read = vmmio_read,
	.write = vmmio_write,
};
