/* LINK: tests/unit/mockdrv.c vmm/core/gmem.c */
/* LINK: vmm/devices/virtio/virtq.c vmm/devices/virtio/vmmio.c */
/* LINK: vmm/devices/virtio/vdev.c */
// SPDX-License-Identifier: MIT
/*
 * The register file against sections 2.1, 3.1.1 and 4.2.2 of the virtio
 * specification, with a device that only notes what it is asked to do.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <string.h>

#include "devices/virtio/vmmio.h"
#include "mockdrv.h"

#define ACK    VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER VIRTIO_CONFIG_S_DRIVER
#define FOK    VIRTIO_CONFIG_S_FEATURES_OK
#define DOK    VIRTIO_CONFIG_S_DRIVER_OK
#define FAILED VIRTIO_CONFIG_S_FAILED
#define BROKEN VIRTIO_CONFIG_S_NEEDS_RESET

#define F_LOW  (1ull << 5)
#define F_HIGH (1ull << 40)
#define NR_Q   3u

struct noter {
	struct vdev vdev;
	struct virtq queue[NR_Q];
	unsigned activated, resets, kicks, last_kick;
	int kick_ret;
	uint32_t config_off;
	unsigned config_len, config_reads;
};

static struct noter *noter_of(struct vdev *d)
{
	return (struct noter *)d;
}

static uint32_t note_config(struct vdev *d, uint32_t off, unsigned len)
{
	struct noter *n = noter_of(d);

	n->config_off = off;
	n->config_len = len;
	n->config_reads++;
	return 0x04030201;
}

static void note_activate(struct vdev *d)
{
	noter_of(d)->activated++;
}

static int note_kick(struct vdev *d, unsigned index)
{
	struct noter *n = noter_of(d);

	n->kicks++;
	n->last_kick = index;
	return n->kick_ret;
}

static void note_reset(struct vdev *d)
{
	noter_of(d)->resets++;
}

static const struct vdev_ops ops = {
	.device_id = 77,
	.features = F_LOW | F_HIGH,
	.config_read = note_config,
	.activate = note_activate,
	.kick = note_kick,
	.reset = note_reset,
};

static struct mockdrv drv;
static struct noter dev;

static int set_up(void **state)
{
	struct irq_line irq;
	unsigned i;

	(void)state;
	mockdrv_init(&drv);
	memset(&dev, 0, sizeof(dev));
	irq = mockdrv_irq(&drv);
	vdev_init(&dev.vdev, &ops, dev.queue, NR_Q, &irq);
	for (i = 0; i < NR_Q; i++)
		virtq_init(&dev.queue[i], &drv.mem, (uint16_t)(8u << i));
	drv.dev = &dev.vdev;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	vdev_fini(&dev.vdev);
	mockdrv_fini(&drv);
	return 0;
}

static uint32_t get(uint32_t off)
{
	return mockdrv_read(&drv, off);
}

static void put(uint32_t off, uint32_t val)
{
	mockdrv_write(&drv, off, val);
}

static uint32_t status(void)
{
	return get(VIRTIO_MMIO_STATUS);
}

/* ---- identity ---- */

static void power_on_state(void **state)
{
	(void)state;
	assert_int_equal(get(VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(get(VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_ID), 77);
	assert_int_equal(get(VIRTIO_MMIO_VENDOR_ID), 0x4b535548);
	assert_int_equal(status(), 0);
	assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	assert_int_equal(get(VIRTIO_MMIO_CONFIG_GENERATION), 0);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_NUM_MAX), 8);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 0);
	/* Regions of shared memory: there are none (4.2.2.1). */
	assert_int_equal(get(VIRTIO_MMIO_SHM_LEN_LOW), 0xffffffff);
	assert_int_equal(get(VIRTIO_MMIO_SHM_LEN_HIGH), 0xffffffff);
	assert_int_equal(get(VIRTIO_MMIO_SHM_BASE_LOW), 0xffffffff);
	assert_int_equal(get(VIRTIO_MMIO_SHM_BASE_HIGH), 0xffffffff);
	/* Write-only registers and holes read as zero. */
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_NOTIFY), 0);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_DESC_LOW), 0);
	assert_int_equal(get(0x0f0), 0);
}

static void queues_are_selected(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < NR_Q; i++) {
		put(VIRTIO_MMIO_QUEUE_SEL, i);
		assert_int_equal(get(VIRTIO_MMIO_QUEUE_NUM_MAX), 8 << i);
	}
	put(VIRTIO_MMIO_QUEUE_SEL, NR_Q);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 0);
	put(VIRTIO_MMIO_QUEUE_SEL, UINT32_MAX);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
}

static void widths(void **state)
{
	unsigned len;

	(void)state;
	for (len = 1; len <= 8; len *= 2) {
		uint64_t v = vmmio_bus_ops.read(&dev.vdev, 0, len);

		assert_int_equal(v, len == 4 ? 0x74726976 : 0);
		vmmio_bus_ops.write(&dev.vdev, VIRTIO_MMIO_STATUS, len,
				    len == 4 ? 0 : ACK);
		assert_int_equal(status(), 0);
		v = vmmio_bus_ops.read(&dev.vdev, VIRTIO_MMIO_CONFIG + 8, len);
		assert_int_equal(v, len <= 4 ? 0x04030201 : 0);
	}
	assert_int_equal(dev.config_reads, 3);
	assert_int_equal(dev.config_off, 8);
	vmmio_bus_ops.read(&dev.vdev, 0xfff, 1);
	assert_int_equal(dev.config_off, 0xeff);
	/* Configuration space is for reading. */
	vmmio_bus_ops.write(&dev.vdev, VIRTIO_MMIO_CONFIG, 4, 1);
	vmmio_bus_ops.write(&dev.vdev, 0xffc, 4, 1);
	assert_int_equal(status(), 0);
}

/* ---- features ---- */

static void features_in_halves(void **state)
{
	(void)state;
	put(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_FEATURES), F_LOW);
	put(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_FEATURES),
			 1u | (uint32_t)(F_HIGH >> 32));
	put(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_FEATURES), 0);
	put(VIRTIO_MMIO_DEVICE_FEATURES_SEL, UINT32_MAX);
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_FEATURES), 0);
}

static void set_features(uint64_t f)
{
	put(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	put(VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)f);
	put(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	put(VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(f >> 32));
}

static void feature_choices(void **state)
{
	static const struct {
		uint64_t f;
		bool ok;
	} t[] = {
		{ 1ull << 32, true },
		{ 1ull << 32 | F_LOW, true },
		{ 1ull << 32 | F_LOW | F_HIGH, true },
		{ F_LOW | F_HIGH, false },	/* VERSION_1 left out */
		{ 0, false },
		{ 1ull << 32 | 1, false },	/* not offered */
		{ 1ull << 32 | 1ull << 33, false },
		{ 1ull << 32 | 1ull << 28, false }, /* INDIRECT_DESC */
		{ 1ull << 32 | 1ull << 29, false }, /* EVENT_IDX */
		{ UINT64_MAX, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		put(VIRTIO_MMIO_STATUS, 0);
		put(VIRTIO_MMIO_STATUS, ACK | DRIVER);
		set_features(t[i].f);
		put(VIRTIO_MMIO_STATUS, ACK | DRIVER | FOK);
		if (!!(status() & FOK) != t[i].ok)
			fail_msg("row %zu", i);
		/* Without it, DRIVER_OK does not take. */
		put(VIRTIO_MMIO_STATUS, ACK | DRIVER | FOK | DOK);
		if (!!(status() & DOK) != t[i].ok)
			fail_msg("row %zu", i);
	}
	assert_int_equal(dev.activated, 3);
}

static void features_are_fixed_once_accepted(void **state)
{
	(void)state;
	set_features(1ull << 32 | F_LOW);
	put(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 7);
	put(VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
	assert_int_equal(dev.vdev.s.driver_features, 1ull << 32 | F_LOW);
	put(VIRTIO_MMIO_STATUS, ACK | DRIVER | FOK);
	set_features(UINT64_MAX);
	assert_int_equal(dev.vdev.s.driver_features, 1ull << 32 | F_LOW);
	/* A refused choice may be mended without a reset. */
	put(VIRTIO_MMIO_STATUS, 0);
	put(VIRTIO_MMIO_STATUS, ACK | DRIVER | FOK);
	assert_int_equal(status(), ACK | DRIVER);
	set_features(1ull << 32);
	put(VIRTIO_MMIO_STATUS, ACK | DRIVER | FOK);
	assert_int_equal(status(), ACK | DRIVER | FOK);
}

/* ---- status ---- */

static void status_machine(void **state)
{
	/* From `old` (reached by one write), `val` is written. */
	static const struct {
		uint32_t old, val, now;
	} t[] = {
		{ 0, ACK, ACK },
		{ ACK, DRIVER, ACK | DRIVER },	/* bits are never cleared */
		{ ACK | DRIVER, ACK, ACK | DRIVER },
		{ ACK | DRIVER, FOK, ACK | DRIVER | FOK },
		{ ACK | DRIVER | FOK, DOK, ACK | DRIVER | FOK | DOK },
		{ ACK | DRIVER | FOK | DOK, ACK, ACK | DRIVER | FOK | DOK },
		{ ACK | DRIVER | FOK | DOK, 0, 0 },
		{ ACK | DRIVER, DOK, ACK | DRIVER }, /* features first */
		{ ACK, FAILED, ACK | FAILED },
		{ ACK | FAILED, 0, 0 },
		{ ACK, BROKEN, ACK },	/* the device's own bit */
		{ ACK, 0xffffff00, ACK },
		{ ACK, 0x10, ACK },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		put(VIRTIO_MMIO_STATUS, 0);
		set_features(1ull << 32);
		if (t[i].old)
			put(VIRTIO_MMIO_STATUS, t[i].old);
		if (status() != t[i].old)
			fail_msg("row %zu: start at %#x", i, status());
		put(VIRTIO_MMIO_STATUS, t[i].val);
		if (status() != t[i].now)
			fail_msg("row %zu: now %#x", i, status());
	}
}

static void activated_once(void **state)
{
	(void)state;
	mockdrv_start(&drv, &dev.vdev);
	assert_int_equal(dev.activated, 1);
	mockdrv_go(&drv);
	assert_int_equal(dev.activated, 1);
	assert_true(vdev_is_live(&dev.vdev));
	mockdrv_start(&drv, &dev.vdev);
	assert_int_equal(dev.activated, 2);
}

/* ---- queues ---- */

static bool queue_register_takes(void)
{
	struct virtq_state *s = &dev.queue[0].s;
	struct virtq_state before = *s;
	bool took;

	put(VIRTIO_MMIO_QUEUE_SEL, 0);
	put(VIRTIO_MMIO_QUEUE_NUM, 4);
	put(VIRTIO_MMIO_QUEUE_DESC_LOW, 0x11110);
	put(VIRTIO_MMIO_QUEUE_DESC_HIGH, 1);
	put(VIRTIO_MMIO_QUEUE_AVAIL_LOW, 0x22220);
	put(VIRTIO_MMIO_QUEUE_AVAIL_HIGH, 2);
	put(VIRTIO_MMIO_QUEUE_USED_LOW, 0x33330);
	put(VIRTIO_MMIO_QUEUE_USED_HIGH, 3);
	took = memcmp(s, &before, sizeof(before)) != 0;
	if (took) {
		assert_int_equal(s->size, 4);
		assert_int_equal(s->desc, 0x100011110);
		assert_int_equal(s->avail, 0x200022220);
		assert_int_equal(s->used, 0x300033330);
	}
	*s = before;
	return took;
}

static void queue_registers_have_their_time(void **state)
{
	(void)state;
	assert_false(queue_register_takes());
	put(VIRTIO_MMIO_STATUS, ACK | DRIVER);
	assert_false(queue_register_takes());
	set_features(1ull << 32);
	put(VIRTIO_MMIO_STATUS, ACK | DRIVER | FOK);
	assert_true(queue_register_takes());
	/* A live queue stays as it is. */
	mockdrv_set_queue(&drv, 0, 8);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 1);
	assert_false(queue_register_takes());
	put(VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 1);
	/* After DRIVER_OK no queue is set up any more (3.1.1). */
	put(VIRTIO_MMIO_STATUS, 0);
	mockdrv_begin(&drv, &dev.vdev);
	mockdrv_negotiate(&drv, 0);
	mockdrv_go(&drv);
	assert_false(queue_register_takes());
	mockdrv_set_queue(&drv, 0, 8);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 0);
	assert_false(mockdrv_is_broken(&drv));
}

static void queue_that_does_not_exist(void **state)
{
	(void)state;
	mockdrv_begin(&drv, &dev.vdev);
	mockdrv_negotiate(&drv, 0);
	put(VIRTIO_MMIO_QUEUE_SEL, NR_Q);
	put(VIRTIO_MMIO_QUEUE_NUM, 8);
	put(VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 0);
	assert_false(mockdrv_is_broken(&drv));
	/* Registers that do not exist, while a queue is selected. */
	put(VIRTIO_MMIO_QUEUE_SEL, 0);
	put(0x0f0, 0xffffffff);
	put(VIRTIO_MMIO_MAGIC_VALUE, 0);
	assert_int_equal(get(VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
}

static void bad_queue_breaks_the_device(void **state)
{
	static const uint32_t sizes[] = { 0, 3, 9, 16, 0x10000, 0x10008,
					  UINT32_MAX };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		mockdrv_begin(&drv, &dev.vdev);
		mockdrv_negotiate(&drv, 0);
		put(VIRTIO_MMIO_QUEUE_SEL, 0);
		put(VIRTIO_MMIO_QUEUE_NUM, sizes[i]);
		put(VIRTIO_MMIO_QUEUE_READY, 1);
		assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 0);
		assert_true(mockdrv_is_broken(&drv));
		/* Nobody is there to be interrupted yet. */
		assert_int_equal(drv.nr_irqs, 0);
		mockdrv_set_queue(&drv, 1, 16);
		assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 0);
		mockdrv_go(&drv);
		mockdrv_kick(&drv, 0);
		assert_int_equal(dev.activated + dev.kicks, 0);
	}
	put(VIRTIO_MMIO_STATUS, 0);
	assert_false(mockdrv_is_broken(&drv));
	mockdrv_start(&drv, &dev.vdev);
	assert_true(vdev_is_live(&dev.vdev));
}

static void only_one_makes_ready(void **state)
{
	(void)state;
	mockdrv_begin(&drv, &dev.vdev);
	mockdrv_negotiate(&drv, 0);
	put(VIRTIO_MMIO_QUEUE_SEL, 0);
	put(VIRTIO_MMIO_QUEUE_READY, 2);
	put(VIRTIO_MMIO_QUEUE_READY, 0x101);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 0);
	put(VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 1);
}

/* ---- kicks and interrupts ---- */

static void kicks_have_their_time(void **state)
{
	(void)state;
	put(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	mockdrv_begin(&drv, &dev.vdev);
	put(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	mockdrv_negotiate(&drv, 0);
	mockdrv_set_queue(&drv, 0, 8);
	put(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	assert_int_equal(dev.kicks, 0);
	mockdrv_go(&drv);
	put(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	assert_int_equal(dev.kicks, 1);
	put(VIRTIO_MMIO_QUEUE_NOTIFY, NR_Q - 1);
	assert_int_equal(dev.last_kick, NR_Q - 1);
	put(VIRTIO_MMIO_QUEUE_NOTIFY, NR_Q);
	put(VIRTIO_MMIO_QUEUE_NOTIFY, UINT32_MAX);
	assert_int_equal(dev.kicks, 2);
}

static void a_broken_driver_is_told_once(void **state)
{
	(void)state;
	mockdrv_start(&drv, &dev.vdev);
	dev.kick_ret = -EPROTO;
	mockdrv_kick(&drv, 1);
	assert_true(mockdrv_is_broken(&drv));
	assert_int_equal(drv.nr_irqs, 1);
	assert_int_equal(mockdrv_ack(&drv), VIRTIO_MMIO_INT_CONFIG);
	mockdrv_kick(&drv, 1);
	assert_int_equal(dev.kicks, 1);
	vdev_set_broken(&dev.vdev);
	assert_int_equal(drv.nr_irqs, 1);
	/* No status write but reset repairs it. */
	put(VIRTIO_MMIO_STATUS, ACK | DRIVER | FOK | DOK);
	assert_true(mockdrv_is_broken(&drv));
	assert_false(vdev_is_live(&dev.vdev));
}

static void interrupts_are_edges_of_the_status(void **state)
{
	struct virtq *q = &dev.queue[0];

	(void)state;
	mockdrv_start(&drv, &dev.vdev);
	vdev_notify_queue(&dev.vdev, q);
	assert_int_equal(drv.nr_irqs, 0);
	virtq_push(q, 0, 0);
	vdev_notify_queue(&dev.vdev, q);
	assert_int_equal(drv.nr_irqs, 1);
	virtq_push(q, 1, 0);
	vdev_notify_queue(&dev.vdev, q);
	assert_int_equal(drv.nr_irqs, 1);
	assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS),
			 VIRTIO_MMIO_INT_VRING);
	/* Acknowledging another bit does not take this one away. */
	put(VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(mockdrv_ack(&drv), VIRTIO_MMIO_INT_VRING);
	assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	virtq_push(q, 2, 0);
	vdev_notify_queue(&dev.vdev, q);
	assert_int_equal(drv.nr_irqs, 2);
	/* Reset takes it back. */
	put(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

static void reset_forgets_everything(void **state)
{
	static const struct vdev_state zero;
	unsigned i;

	(void)state;
	mockdrv_start(&drv, &dev.vdev);
	put(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	put(VIRTIO_MMIO_QUEUE_SEL, 2);
	dev.resets = 0;
	put(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(dev.resets, 1);
	assert_memory_equal(&dev.vdev.s, &zero, sizeof(zero));
	for (i = 0; i < NR_Q; i++) {
		assert_false(dev.queue[i].s.ready);
		assert_int_equal(dev.queue[i].s.size, 8 << i);
		assert_int_equal(dev.queue[i].s.desc, 0);
	}
	mockdrv_kick(&drv, 0);
	assert_int_equal(dev.kicks, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(power_on_state),
		TEST(queues_are_selected),
		TEST(widths),
		TEST(features_in_halves),
		TEST(feature_choices),
		TEST(features_are_fixed_once_accepted),
		TEST(status_machine),
		TEST(activated_once),
		TEST(queue_registers_have_their_time),
		TEST(queue_that_does_not_exist),
		TEST(bad_queue_breaks_the_device),
		TEST(only_one_makes_ready),
		TEST(kicks_have_their_time),
		TEST(a_broken_driver_is_told_once),
		TEST(interrupts_are_edges_of_the_status),
		TEST(reset_forgets_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
