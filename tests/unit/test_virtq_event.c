/* LINK: tests/unit/mockdrv.c vmm/core/gmem.c */
/* LINK: vmm/devices/virtio/virtq.c vmm/devices/virtio/vmmio.c */
/* LINK: vmm/devices/virtio/vdev.c */
// SPDX-License-Identifier: MIT
/*
 * EVENT_IDX (virtio 1.2, 2.7.7 and 2.7.10): when a driver that goes by the
 * index kicks, and when it is interrupted.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/virtio_ring.h>

#include "mockdrv.h"

static struct gmem mem;
static struct mockring ring;
static struct virtq q;
static struct vreq req;

static int set_up(void **state)
{
	(void)state;
	mock_mem_init(&mem);
	mockring_init(&ring, &mem, 0x10000, 8);
	virtq_init(&q, &mem, VIRTQ_MAX_SIZE);
	mockring_attach(&ring, &q);
	q.s.event = ring.event = true;
	return virtq_enable(&q);
}

static int tear_down(void **state)
{
	(void)state;
	gmem_fini(&mem);
	return 0;
}

/* Offer n one-page buffers; would a driver kick for any of them (2.7.10.1)? */
static bool offer(unsigned n)
{
	const struct mockbuf b = { 0x20000, 4096, true };
	bool kick = false;

	while (n--) {
		kick |= mockring_would_kick(&ring, 1);
		mockring_add(&ring, &b, 1);
	}
	return kick;
}

static void take(unsigned n)
{
	uint16_t head;
	uint32_t len;

	while (n--) {
		assert_int_equal(virtq_pop(&q, &req), 1);
		assert_int_equal(virtq_push(&q, req.head, 4096), 0);
		assert_true(mockring_collect(&ring, &head, &len));
	}
}

static void a_driver_kicks_an_empty_queue(void **state)
{
	(void)state;
	assert_true(offer(1));
	/* It has not been found empty again: nobody is owed a kick. */
	take(1);
	assert_false(offer(1));
	take(1);
	assert_int_equal(virtq_pop(&q, &req), 0);
	assert_true(offer(1));
	assert_int_equal(mockring_used_flags(&ring), 0);
}

static void a_driver_kicks_at_half(void **state)
{
	unsigned i;

	(void)state;
	virtq_set_notify(&q, VIRTQ_NOTIFY_NONE);
	assert_false(offer(8));
	take(8);
	assert_int_equal(virtq_pop(&q, &req), 0);
	virtq_set_notify(&q, VIRTQ_NOTIFY_HALF);
	assert_false(offer(3));
	assert_true(offer(1));
	/* Never is for ever: through the wrap of the index, but for one. */
	virtq_set_notify(&q, VIRTQ_NOTIFY_NONE);
	take(4);
	for (i = 0; i < 65000; i++) {
		assert_false(offer(1));
		take(1);
	}
}

static void a_lone_buffer_is_half_enough(void **state)
{
	(void)state;
	virtq_set_notify(&q, VIRTQ_NOTIFY_NONE);
	offer(1);
	take(1);
	virtq_set_notify(&q, VIRTQ_NOTIFY_HALF);
	assert_true(offer(1));
}

static void interrupts_at_the_event(void **state)
{
	(void)state;
	ring.event = false; /* the event is written by hand */
	offer(8);
	mockring_set_used_event(&ring, 2);
	/* The flag means nothing now. */
	mockring_set_avail_flags(&ring, VRING_AVAIL_F_NO_INTERRUPT);
	take(2);
	assert_false(virtq_wants_irq(&q));
	take(3);
	assert_true(virtq_wants_irq(&q));
	assert_false(virtq_wants_irq(&q));
	take(3);
	assert_false(virtq_wants_irq(&q));
	/* The index wraps; so does the event. */
	mockring_skip_to(&ring, &q, 65534);
	q.s.asked = 65534;
	mockring_set_used_event(&ring, 65535);
	offer(3);
	take(1);
	assert_false(virtq_wants_irq(&q));
	take(2);
	assert_true(virtq_wants_irq(&q));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_driver_kicks_an_empty_queue),
		TEST(a_driver_kicks_at_half),
		TEST(a_lone_buffer_is_half_enough),
		TEST(interrupts_at_the_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
