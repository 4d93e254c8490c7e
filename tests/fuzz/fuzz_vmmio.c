/* LINK: tests/fuzz/hostile.c tests/unit/mockdrv.c vmm/core/gmem.c */
/* LINK: vmm/devices/virtio/virtq.c vmm/devices/virtio/vmmio.c */
/* LINK: vmm/devices/virtio/vdev.c vmm/core/bus.c */
// SPDX-License-Identifier: MIT
/*
 * The register file through a bus: any access of any width, with no driver
 * that set anything up. The device behind it only watches that it is called
 * at the right times.
 */
#include <errno.h>
#include <linux/virtio_config.h>

#include "core/bus.h"
#include "devices/virtio/vmmio.h"
#include "hostile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_STEPS 500
#define BASE	  0xd0000000u
#define NR_Q	  3u

static struct mockdrv drv;
static struct virtq queue[NR_Q];
static bool active;
static int kick_result;

static uint32_t on_config(struct vdev *d, uint32_t off, unsigned len)
{
	(void)d;
	REQUIRE(off < 0xf00 && (len == 1 || len == 2 || len == 4));
	REQUIRE(off % len == 0);
	return UINT32_MAX;
}

static void on_activate(struct vdev *d)
{
	REQUIRE(!active && vdev_is_live(d));
	active = true;
}

static int on_kick(struct vdev *d, unsigned index)
{
	static struct vreq r;
	int ret;

	REQUIRE(active && vdev_is_live(d) && index < NR_Q);
	if (kick_result)
		return kick_result;
	ret = virtq_pop(&d->queue[index], &r);
	if (ret <= 0)
		return ret;
	ret = virtq_push(&d->queue[index], r.head, 0);
	vdev_notify_queue(d, &d->queue[index]);
	return ret;
}

static void on_reset(struct vdev *d)
{
	(void)d;
	active = false;
}

static const struct vdev_ops ops = {
	.device_id = 1,
	.features = 1ull << 3 | 1ull << 37,
	.config_read = on_config,
	.activate = on_activate,
	.kick = on_kick,
	.reset = on_reset,
};

/* A register by its number mostly, since most offsets are none. */
static uint64_t offset(struct feed *f, uint8_t op)
{
	return op & 0x40 ? feed_u16(f) % 0x1010u : 4u * (feed_u8(f) % 64u);
}

static uint64_t value(struct feed *f, uint8_t op)
{
	if (op & 0x20)
		return feed_u64(f);
	return op & 0x10 ? 16u * feed_u16(f) : feed_u8(f);
}

static void step(struct feed *f, const struct bus *b)
{
	static const unsigned widths[] = { 4, 4, 4, 4, 1, 2, 8, 3 };
	uint8_t op = feed_u8(f);
	unsigned len = widths[op & 7];
	uint64_t off = offset(f, op), val;
	unsigned tag;

	kick_result = op & 8 && !(op & 0x10) ? -EPROTO : 0;
	if (op & 0x80) {
		tag = bus_write(b, BASE + off, len, value(f, op));
	} else {
		tag = bus_read(b, BASE + off, len, &val);
		REQUIRE(len == 8 || val >> (8 * len) == 0);
	}
	REQUIRE(tag == (off + len <= 0x1000 && off % len == 0 && len != 3));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vdev dev;
	const struct bus_window w = { BASE, 0x1000, BUS_WIDTH_ANY, 1,
				      &vmmio_bus_ops, &dev };
	struct feed f = { data, size };
	struct bus bus = { 0 };
	struct irq_line irq;
	struct err e;
	unsigned i;

	mockdrv_init(&drv);
	irq = mockdrv_irq(&drv);
	active = false;
	vdev_init(&dev, &ops, queue, NR_Q, &irq);
	for (i = 0; i < NR_Q; i++)
		virtq_init(&queue[i], &drv.mem, (uint16_t)(4u << i));
	drv.dev = &dev;
	REQUIRE(!bus_add(&bus, &w, &e));
	for (i = 0; i < MAX_STEPS && f.left; i++) {
		step(&f, &bus);
		hostile_check(&drv);
	}
	vdev_fini(&dev);
	mockdrv_fini(&drv);
	return 0;
}
