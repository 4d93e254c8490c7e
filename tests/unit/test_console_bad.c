/* LINK: tests/unit/mockcon.c tests/unit/mockdrv.c vmm/core/gmem.c */
/* LINK: vmm/devices/virtio/virtq.c vmm/devices/virtio/vdev.c */
/* LINK: vmm/devices/virtio/vmmio.c vmm/devices/virtio/console.c */
// SPDX-License-Identifier: MIT
/*
 * The console and a driver that breaks the rules, talks nonsense or changes
 * its mind: it may break its own device, nothing else.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <string.h>

#include "mockcon.h"

static struct mockcon g;

static int set_up(void **state)
{
	(void)state;
	mockcon_init(&g, 2, 4, 4);
	mockcon_boot(&g);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mockcon_fini(&g);
	return 0;
}

static bool broken(void)
{
	return mockdrv_is_broken(&g.drv);
}

static void restart(void)
{
	g.port[0].added = g.port[1].added = false;
	mockcon_boot(&g);
	assert_false(broken());
}

/* Offer a buffer of the driver's choice on a queue and kick. */
static void offer(unsigned q, gpa_t gpa, uint32_t len, bool in)
{
	const struct mockbuf b = { gpa, len, in };

	mockring_add(&g.drv.ring[q], &b, 1);
	mockdrv_kick(&g.drv, q);
}

/* ---- control messages ---- */

static void nonsense_is_ignored(void **state)
{
	static const struct virtio_console_control m[] = {
		{ 0, 99, 1 },
		{ 0, UINT16_MAX, UINT16_MAX },
		{ 2, VIRTIO_CONSOLE_PORT_READY, 1 },
		{ 2, VIRTIO_CONSOLE_PORT_OPEN, 1 },
		{ UINT32_MAX, VIRTIO_CONSOLE_PORT_OPEN, 1 },
		{ UINT32_MAX, VIRTIO_CONSOLE_PORT_READY, 1 },
		{ 0x80000000, VIRTIO_CONSOLE_PORT_OPEN, 1 },
		{ 0, VIRTIO_CONSOLE_PORT_OPEN, 2 },
		{ 0, VIRTIO_CONSOLE_PORT_READY, 0 },
		{ 0, VIRTIO_CONSOLE_PORT_READY, 1 },
		{ 0, VIRTIO_CONSOLE_DEVICE_READY, 2 },
		/* those that only the device sends */
		{ 0, VIRTIO_CONSOLE_PORT_ADD, 1 },
		{ 0, VIRTIO_CONSOLE_PORT_REMOVE, 1 },
		{ 0, VIRTIO_CONSOLE_RESIZE, 1 },
		{ 0, VIRTIO_CONSOLE_CONSOLE_PORT, 1 },
		{ 0, VIRTIO_CONSOLE_PORT_NAME, 1 },
	};
	struct mockring *r = &g.drv.ring[MOCKCON_CTRL_RX];
	uint16_t before = mockring_used_idx(r);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(m) / sizeof(m[0]); i++)
		mockcon_control(&g, m[i].id, m[i].event, m[i].value);
	assert_false(broken());
	assert_int_equal(mockring_used_idx(r), before);
	assert_false(g.con.port[0].s.guest_open);
}

static void device_ready_again(void **state)
{
	(void)state;
	/* Every port is known: there is nothing to add. */
	mockcon_control(&g, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	mockcon_serve_control(&g);
	assert_int_equal(g.port[0].nr_opens, 1);
	assert_false(broken());
}

static void message_lengths(void **state)
{
	static const struct {
		uint32_t len;
		bool ok;
	} t[] = { { 1, false }, { 7, false }, { 8, true }, { 9, true },
		  { 4096, true }, { 65536, true } };
	gpa_t gpa = mockdrv_alloc(&g.drv, 65536);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint16_t head;
		uint32_t len;

		offer(MOCKCON_CTRL_TX, gpa, t[i].len, false);
		assert_int_equal(!broken(), t[i].ok);
		assert_int_equal(mockring_collect(
			&g.drv.ring[MOCKCON_CTRL_TX], &head, &len), t[i].ok);
		if (!t[i].ok)
			restart();
	}
	/* A message that is only room for one. */
	offer(MOCKCON_CTRL_TX, gpa, 64, true);
	assert_true(broken());
}

static void message_in_pieces(void **state)
{
	const struct virtio_console_control m = {
		1, VIRTIO_CONSOLE_PORT_OPEN, 1
	};
	struct mockbuf b[8];
	gpa_t gpa = mockdrv_alloc(&g.drv, 8);
	unsigned i;

	(void)state;
	memcpy(mockdrv_ptr(&g.drv, gpa, 8), &m, 8);
	for (i = 0; i < 8; i++)
		b[i] = (struct mockbuf){ gpa + i, 1, false };
	mockring_add(&g.drv.ring[MOCKCON_CTRL_TX], b, 8);
	mockdrv_kick(&g.drv, MOCKCON_CTRL_TX);
	assert_true(g.con.port[1].s.guest_open);
}

static void buffers_too_small_for_messages(void **state)
{
	static const uint32_t lens[] = { 1, 7, 8, 12 };
	size_t i;

	(void)state;
	/* 8 bytes take ADD, 13 are needed for NAME of "port0". */
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		unsigned n;

		mockcon_probe(&g, 0);
		for (n = 0; n < 4; n++)
			offer(MOCKCON_CTRL_RX,
			      mockdrv_alloc(&g.drv, lens[i]), lens[i], true);
		mockcon_control(&g, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
		assert_int_equal(!broken(), lens[i] >= 8);
		if (broken())
			continue;
		mockcon_control(&g, 0, VIRTIO_CONSOLE_PORT_READY, 1);
		assert_true(broken());
	}
	/* One of no size for the device at all. */
	mockcon_probe(&g, 0);
	offer(MOCKCON_CTRL_RX, mockdrv_alloc(&g.drv, 64), 64, false);
	mockcon_control(&g, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	assert_true(broken());
}

static void open_before_ready(void **state)
{
	static const uint8_t hello[] = "hello";

	(void)state;
	mockcon_probe(&g, MOCKCON_CTRL);
	mockcon_fill(&g, 0);
	g.back[0].give = hello;
	g.back[0].left = 5;
	mockcon_control(&g, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(g.back[0].left, 5);
	/* The end that opens last lets the bytes through. */
	mockcon_control(&g, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_int_equal(mockcon_read(&g, 0), 5);
	assert_true(mockcon_write(&g, 0, "x", 1));
	assert_int_equal(g.back[0].nr_taken, 1);
}

static void open_and_close_storm(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 100; i++)
		mockcon_control(&g, i & 1, VIRTIO_CONSOLE_PORT_OPEN,
				(uint16_t)((i >> 1) & 1));
	mockcon_serve_control(&g);
	/* The host's end was told once and does not repeat itself. */
	assert_int_equal(g.port[0].nr_opens, 1);
	assert_int_equal(g.back[0].nr_closed, 1);
	assert_false(broken());
}

/* ---- data queues ---- */

static void input_buffer_without_room(void **state)
{
	(void)state;
	mockcon_probe(&g, MOCKCON_CTRL);
	mockcon_control(&g, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	mockcon_control(&g, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	g.back[0].give = (const uint8_t *)"x";
	g.back[0].left = 1;
	offer(mockcon_rx(0), mockdrv_alloc(&g.drv, 64), 64, false);
	assert_true(broken());
	/* It was not taken for the end of the file. */
	assert_false(g.con.port[0].s.host_closed);
	assert_int_equal(g.back[0].nr_gives, 0);
}

static void output_without_bytes(void **state)
{
	uint16_t head;
	uint32_t len;

	(void)state;
	mockcon_control(&g, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	offer(mockcon_tx(0), mockdrv_alloc(&g.drv, 64), 64, true);
	assert_false(broken());
	assert_int_equal(g.back[0].nr_taken, 0);
	assert_true(mockring_collect(&g.drv.ring[1], &head, &len));
	assert_int_equal(len, 0);
}

static void request_that_shrinks_while_it_waits(void **state)
{
	(void)state;
	mockcon_control(&g, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	g.back[0].room = 50;
	offer(mockcon_tx(0), mockdrv_alloc(&g.drv, 100), 100, false);
	assert_int_equal(g.back[0].nr_taken, 50);
	/* Its descriptor now says 40: 50 of 40 were taken. */
	mockring_set_desc(&g.drv.ring[1], 0, 0x2000, 40, 0, 0);
	console_pump(&g.con, 0);
	assert_true(broken());
	assert_int_equal(console_wants(&g.con, 0), 0);
	assert_true(console_is_drained(&g.con, 0));
}

static void request_that_shrinks_to_what_was_taken(void **state)
{
	uint16_t head;
	uint32_t len;

	(void)state;
	mockcon_control(&g, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	g.back[0].room = 50;
	offer(mockcon_tx(0), mockdrv_alloc(&g.drv, 100), 100, false);
	mockring_set_desc(&g.drv.ring[1], 0, 0x2000, 50, 0, 0);
	console_pump(&g.con, 0);
	assert_false(broken());
	assert_true(mockring_collect(&g.drv.ring[1], &head, &len));
	assert_int_equal(g.back[0].nr_taken, 50);
}

static void broken_chain_in_a_data_queue(void **state)
{
	unsigned q;

	(void)state;
	for (q = 0; q < 6; q++) {
		struct mockring *r = &g.drv.ring[q];

		if (q)
			restart();
		mockcon_control(&g, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
		mockcon_control(&g, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
		g.back[0].give = g.back[1].give = (const uint8_t *)"x";
		g.back[0].left = g.back[1].left = 1;
		/* A jump of the index, whatever was there before. */
		mockring_set_avail_idx(r, (uint16_t)(r->avail_idx + 1000));
		mockdrv_kick(&g.drv, q);
		/* Nothing to say, so control buffers are not looked at. */
		assert_int_equal(broken(), q != MOCKCON_CTRL_RX);
		assert_true(console_wants(&g.con, 0) == 0 || !broken());
	}
}

static void pump_finds_a_broken_queue(void **state)
{
	(void)state;
	mockcon_control(&g, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	mockdrv_ack(&g.drv);
	g.drv.nr_irqs = 0;
	mockring_set_avail_idx(&g.drv.ring[1], 500);
	console_pump(&g.con, 0);
	assert_true(broken());
	assert_int_equal(g.drv.nr_irqs, 1);
	assert_int_equal(mockdrv_ack(&g.drv), VIRTIO_MMIO_INT_CONFIG);
	/* A device that is broken has nothing left to deliver. */
	assert_true(console_is_drained(&g.con, 0));
	console_pump(&g.con, 0);
	assert_int_equal(g.drv.nr_irqs, 0 + 1);
}

static void queues_that_were_never_set_up(void **state)
{
	unsigned i;

	(void)state;
	mockdrv_begin(&g.drv, &g.con.vdev);
	mockdrv_negotiate(&g.drv, 0);
	mockdrv_go(&g.drv);
	for (i = 0; i < 8; i++)
		mockdrv_kick(&g.drv, i);
	for (i = 0; i < 2; i++) {
		console_pump(&g.con, i);
		assert_int_equal(console_wants(&g.con, i), 0);
		assert_true(console_is_drained(&g.con, i));
	}
	assert_false(broken());
}

static void without_the_multiport_feature(void **state)
{
	(void)state;
	mockdrv_begin(&g.drv, &g.con.vdev);
	mockdrv_negotiate(&g.drv, 1ull << VIRTIO_CONSOLE_F_MULTIPORT);
	mockdrv_set_queue(&g.drv, 0, 4);
	mockdrv_set_queue(&g.drv, 1, 4);
	mockdrv_go(&g.drv);
	g.back[0].give = (const uint8_t *)"x";
	g.back[0].left = 1;
	mockcon_fill(&g, 0);
	/* Ports without a conversation never open: nothing flows in. */
	assert_int_equal(mockcon_read(&g, 0), 0);
	assert_true(mockcon_write(&g, 0, "abc", 3));
	assert_int_equal(g.back[0].nr_taken, 3);
	assert_false(broken());
}

/* The same megabyte three times in each of four requests of port 0. */
static void offer_much(void)
{
	struct mockbuf b[3];
	uint16_t head;
	unsigned i;

	for (i = 0; i < 3; i++)
		b[i] = (struct mockbuf){ MOCK_HIGH, 1u << 20, false };
	head = mockring_add(&g.drv.ring[1], b, 3);
	for (i = 0; i < 3; i++)
		mockring_offer(&g.drv.ring[1], head);
}

static void work_per_call_is_bounded(void **state)
{
	unsigned i;

	(void)state;
	mockcon_control(&g, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	offer_much();
	mockdrv_kick(&g.drv, 1);
	/* The first request in part, and then the rest of it. */
	assert_int_equal(g.back[0].nr_taken, 2u << 20);
	assert_int_equal(mockring_used_idx(&g.drv.ring[1]), 0);
	assert_true(console_wants(&g.con, 0) & POLLOUT);
	assert_int_equal(g.back[0].nr_taken, 4u << 20);
	assert_int_equal(mockring_used_idx(&g.drv.ring[1]), 1);
	for (i = 6; i <= 12; i += 2) {
		g.back[0].nr_taken = 0;
		console_pump(&g.con, 0);
		assert_int_equal(g.back[0].nr_taken, 2u << 20);
	}
	assert_int_equal(mockring_used_idx(&g.drv.ring[1]), 4);
	assert_false(broken());
}

/* Each message about a port moves its data: all of them no more than a kick. */
static void messages_move_no_more_than_a_call(void **state)
{
	const struct virtio_console_control m = {
		.event = VIRTIO_CONSOLE_PORT_OPEN, .value = 1
	};
	const struct mockbuf b = { mockdrv_alloc(&g.drv, sizeof(m)), sizeof(m),
				   false };
	uint16_t head;
	unsigned i;

	(void)state;
	offer_much();
	memcpy(mockdrv_ptr(&g.drv, b.gpa, sizeof(m)), &m, sizeof(m));
	head = mockring_add(&g.drv.ring[MOCKCON_CTRL_TX], &b, 1);
	for (i = 0; i < 3; i++)
		mockring_offer(&g.drv.ring[MOCKCON_CTRL_TX], head);
	mockdrv_kick(&g.drv, MOCKCON_CTRL_TX);
	assert_int_equal(g.back[0].nr_taken, 2u << 20);
	assert_int_equal(mockring_used_idx(&g.drv.ring[1]), 0);
	assert_false(broken());
}

/* Input of any length comes to buffers of any length, a share at a time. */
static void input_per_call_is_bounded(void **state)
{
	static uint8_t much[5u << 20];
	const struct mockbuf b[] = { { MOCK_HIGH, 2u << 20, true },
				     { MOCK_HIGH, 2u << 20, true } };
	struct mockring *r = &g.drv.ring[mockcon_rx(0)];
	uint32_t written;
	uint16_t head;
	unsigned i;

	(void)state;
	g.back[0].give = much;
	g.back[0].left = sizeof(much);
	/* The buffers that it has go first. */
	mockcon_control(&g, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	while (mockring_collect(r, &head, &written))
		;
	g.back[0].left = sizeof(much);
	for (i = 0; i < 2; i++) {
		mockring_add(r, b, 2);
		mockdrv_kick(&g.drv, mockcon_rx(0));
		assert_int_equal(g.back[0].left, (3 - 2 * i) << 20);
	}
	assert_false(broken());
}

/* Port 0 open, with three times as much output as a call moves. */
static void open_with_output(void)
{
	const struct mockbuf b = { MOCK_HIGH, 2u << 20, false };
	unsigned i;

	mockcon_control(&g, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	for (i = 0; i < 3; i++)
		mockring_add(&g.drv.ring[1], &b, 1);
}

/* A guest may die between the last buffer and the kick for it. */
static void output_without_a_kick(void **state)
{
	(void)state;
	open_with_output();
	assert_true(console_wants(&g.con, 0) & POLLOUT);
	/* More than a call may move: asked again, the rest comes. */
	assert_false(console_is_drained(&g.con, 0));
	assert_true(console_is_drained(&g.con, 0));
	assert_int_equal(g.back[0].nr_taken, 6u << 20);
	assert_false(console_wants(&g.con, 0) & POLLOUT);
}

/* Asking is not trying: who waits for a reader waits for poll. */
static void asking_a_blocked_port(void **state)
{
	unsigned before;

	(void)state;
	mockcon_control(&g, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	g.back[0].room = 1;
	assert_true(mockcon_write(&g, 0, "abc", 3));
	before = g.nr_changed;
	g.back[0].room = SIZE_MAX;
	assert_false(console_is_drained(&g.con, 0));
	assert_int_equal(g.back[0].nr_taken, 1);
	assert_int_equal(g.nr_changed, before);
	console_pump(&g.con, 0);
	assert_true(console_is_drained(&g.con, 0));
}

static void asking_finds_a_broken_queue(void **state)
{
	(void)state;
	mockring_set_avail_idx(&g.drv.ring[1], 500);
	assert_true(console_is_drained(&g.con, 0));
	assert_true(broken());
}

/* The end of a port's output is told when nothing is left, not before. */
static void close_with_more_than_a_call_moves(void **state)
{
	(void)state;
	open_with_output();
	mockcon_control(&g, 0, VIRTIO_CONSOLE_PORT_OPEN, 0);
	assert_int_equal(g.back[0].nr_taken, 2u << 20);
	assert_int_equal(g.back[0].nr_closed, 0);
	console_pump(&g.con, 0);
	assert_int_equal(g.back[0].nr_closed, 0);
	console_pump(&g.con, 0);
	assert_int_equal(g.back[0].nr_closed, 1);
	assert_int_equal(g.back[0].nr_taken, 6u << 20);
}

static void all_in_flight_at_reset(void **state)
{
	unsigned i;

	(void)state;
	mockcon_control(&g, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	g.back[0].room = 10;
	for (i = 0; i < 4; i++)
		offer(mockcon_tx(0), mockdrv_alloc(&g.drv, 100), 100, false);
	mockdrv_write(&g.drv, VIRTIO_MMIO_STATUS, 0);
	/* Old rings are nobody's: a kick on them moves nothing. */
	g.back[0].room = SIZE_MAX;
	mockdrv_kick(&g.drv, mockcon_tx(0));
	console_pump(&g.con, 0);
	assert_int_equal(g.back[0].nr_taken, 10);
	assert_int_equal(mockring_used_idx(&g.drv.ring[1]), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(nonsense_is_ignored),
		TEST(device_ready_again),
		TEST(message_lengths),
		TEST(message_in_pieces),
		TEST(buffers_too_small_for_messages),
		TEST(open_before_ready),
		TEST(open_and_close_storm),
		TEST(input_buffer_without_room),
		TEST(output_without_bytes),
		TEST(request_that_shrinks_while_it_waits),
		TEST(request_that_shrinks_to_what_was_taken),
		TEST(broken_chain_in_a_data_queue),
		TEST(pump_finds_a_broken_queue),
		TEST(queues_that_were_never_set_up),
		TEST(without_the_multiport_feature),
		TEST(work_per_call_is_bounded),
		TEST(messages_move_no_more_than_a_call),
		TEST(input_per_call_is_bounded),
		TEST(output_without_a_kick),
		TEST(asking_a_blocked_port),
		TEST(asking_finds_a_broken_queue),
		TEST(close_with_more_than_a_call_moves),
		TEST(all_in_flight_at_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
