// SPDX-License-Identifier: MIT
/*
 * See hostile.h. The checks look into the device: it is its own state that
 * must stay sane, not only what a driver sees of it.
 */
#include "hostile.h"

#include "devices/virtio/vmmio.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

static struct mockring *some_ring(struct feed *f, struct mockdrv *d)
{
	return &d->ring[feed_u8(f) % d->dev->nr_queues];
}

gpa_t hostile_address(struct feed *f, const struct mockdrv *d)
{
	const struct mockring *r;
	uint8_t how = feed_u8(f);

	switch (how % 8) {
	case 0:
		r = &d->ring[how / 8 % d->dev->nr_queues];
		return r->desc + feed_u8(f);
	case 1:
		return MOCK_LOW_END - 32 + feed_u8(f) % 64;
	case 2:
		return MOCK_HIGH_END - 32 + feed_u8(f) % 64;
	case 3:
		return feed_u64(f);
	case 4:
		return MOCK_HIGH - 32 + feed_u8(f) % 64;
	default:
		return HOSTILE_DATA + feed_u16(f);
	}
}

uint32_t hostile_length(struct feed *f)
{
	uint8_t how = feed_u8(f);

	switch (how % 8) {
	case 0:
		return feed_u32(f);
	case 1:
		return 512u * (how / 8 + 1u);
	case 2:
		return feed_u16(f);
	case 3:
		return VIRTQ_MAX_BYTES - how / 8 % 4;
	default:
		return how / 8 + 1u;
	}
}

static void write_desc(struct feed *f, struct mockdrv *d)
{
	struct mockring *r = some_ring(f, d);
	uint16_t i = feed_u8(f);
	gpa_t addr = hostile_address(f, d);
	uint32_t len = hostile_length(f);
	uint8_t flags = feed_u8(f);

	if (r->size)
		mockring_set_desc(r, i, addr, len, flags, feed_u8(f));
}

static void write_data(struct feed *f, struct mockdrv *d)
{
	uint16_t at = feed_u16(f);
	uint8_t buf[32], n = feed_u8(f) % 33;

	feed_bytes(f, buf, n);
	gmem_write(&d->mem, HOSTILE_DATA + at, buf, n);
}

static void offer(struct feed *f, struct mockdrv *d, bool kick)
{
	unsigned q = feed_u8(f) % d->dev->nr_queues;
	struct mockring *r = &d->ring[q];
	uint8_t head = feed_u8(f);

	if (!r->size)
		return;
	if (!(head & 0x80))
		head = (uint8_t)(head % r->size);
	mockring_offer(r, head);
	if (kick)
		mockdrv_kick(d, q);
}

static void set_index(struct feed *f, struct mockdrv *d)
{
	struct mockring *r = some_ring(f, d);
	uint16_t idx = feed_u16(f);

	if (r->size)
		mockring_set_avail_idx(r, idx);
}

static void set_flags(struct feed *f, struct mockdrv *d)
{
	struct mockring *r = some_ring(f, d);
	uint8_t flags = feed_u8(f);

	if (r->size)
		mockring_set_avail_flags(r, flags);
}

static void access_bus(struct feed *f, struct mockdrv *d, bool write)
{
	unsigned len = 1u << feed_u8(f) % 4;
	uint64_t off = feed_u16(f) % 0x1000u & ~(uint64_t)(len - 1);

	if (write)
		vmmio_bus_ops.write(d->dev, off, len, feed_u64(f));
	else
		vmmio_bus_ops.read(d->dev, off, len);
}

void hostile_step(struct feed *f, struct mockdrv *d, uint8_t op)
{
	uint32_t off;

	switch (op % HOSTILE_NR_OPS) {
	case 0:
	case 1:
		write_desc(f, d);
		break;
	case 2:
		offer(f, d, false);
		break;
	case 3:
		offer(f, d, true);
		break;
	case 4:
		mockdrv_kick(d, feed_u8(f));
		break;
	case 5:
		set_index(f, d);
		break;
	case 6:
		set_flags(f, d);
		break;
	case 7:
		write_data(f, d);
		break;
	case 8:
		off = 4u * (feed_u8(f) % 64u);
		mockdrv_write(d, off, feed_u32(f));
		break;
	case 9:
		access_bus(f, d, op & 0x80);
		break;
	case 10:
		mockdrv_ack(d);
		break;
	default:
		/* Memory for rings is not given back: start at the front. */
		d->next = 0x1000;
		mockdrv_start(d, d->dev);
		break;
	}
}

static void check_queue(const struct mockdrv *d, const struct virtq *q,
			bool broken)
{
	const struct virtq_state *s = &q->s;

	REQUIRE(s->size <= q->max);
	if (!s->ready)
		return;
	REQUIRE(s->size && !(s->size & (s->size - 1)));
	REQUIRE(gmem_ptr(&d->mem, s->desc, 16u * s->size));
	REQUIRE(gmem_ptr(&d->mem, s->avail, 6u + 2u * s->size));
	REQUIRE(gmem_ptr(&d->mem, s->used, 6u + 8u * s->size));
	/* Between calls nothing is in flight: each head taken came back. */
	REQUIRE((uint16_t)(s->last_avail - s->next_used) <= (broken ? 1 : 0));
}

void hostile_check(const struct mockdrv *d)
{
	const struct vdev_state *s = &d->dev->s;
	const uint32_t known = VIRTIO_CONFIG_S_ACKNOWLEDGE |
			       VIRTIO_CONFIG_S_DRIVER |
			       VIRTIO_CONFIG_S_DRIVER_OK |
			       VIRTIO_CONFIG_S_FEATURES_OK |
			       VIRTIO_CONFIG_S_NEEDS_RESET |
			       VIRTIO_CONFIG_S_FAILED;
	bool broken = s->status & VIRTIO_CONFIG_S_NEEDS_RESET;
	uint64_t offered = d->dev->ops->features | 1ull << VIRTIO_F_VERSION_1;
	unsigned i;

	REQUIRE(!(s->status & ~known));
	REQUIRE(!(s->isr & ~3u));
	if (s->status & VIRTIO_CONFIG_S_FEATURES_OK)
		REQUIRE(!(s->driver_features & ~offered) &&
			(s->driver_features >> VIRTIO_F_VERSION_1 & 1));
	else
		REQUIRE(!(s->status & VIRTIO_CONFIG_S_DRIVER_OK));
	for (i = 0; i < d->dev->nr_queues; i++)
		check_queue(d, &d->dev->queue[i], broken);
}

void hostile_check_iov(const struct mockdrv *d, const struct iovec *iov,
		       unsigned nr, size_t len)
{
	size_t sum = 0;
	unsigned i, j;

	REQUIRE(nr <= VIRTQ_MAX_SIZE && len <= VIRTQ_MAX_BYTES);
	for (i = 0; i < nr; i++) {
		const uint8_t *p = iov[i].iov_base;
		bool inside = false;

		for (j = 0; j < d->mem.nr; j++) {
			const struct gmem_region *r = &d->mem.region[j];

			inside |= p >= r->hva && p < r->hva + r->len &&
				  iov[i].iov_len <=
					  (size_t)(r->hva + r->len - p);
		}
		REQUIRE(inside && iov[i].iov_len);
		sum += iov[i].iov_len;
	}
	REQUIRE(sum == len);
}
