/* LINK: tests/unit/mockcon.c tests/unit/mockdrv.c vmm/core/gmem.c */
/* LINK: vmm/devices/virtio/virtq.c vmm/devices/virtio/vdev.c */
/* LINK: vmm/devices/virtio/vmmio.c vmm/devices/virtio/console.c */
/* LIBS: -Wl,--wrap=virtq_set_notify */
// SPDX-License-Identifier: MIT
/*
 * The console with a driver that behaves: the conversation, data both ways,
 * back-pressure, ends and closes. A driver that does not behave is the
 * subject of test_console_bad.c.
 *
 * "The loop" of a test does what the machine's event loop does: it pumps a
 * port exactly while console_wants says that something can be done.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <string.h>

#include "devices/virtio/vmmio.h"
#include "mockcon.h"

/*
 * Between the device's last look at a queue and its "kick me" another vCPU
 * may run; tests put here what it does then.
 */
static void (*meanwhile)(struct virtq *q);

void __real_virtq_set_notify(struct virtq *q, enum virtq_notify when);
void __wrap_virtq_set_notify(struct virtq *q, enum virtq_notify when);

void __wrap_virtq_set_notify(struct virtq *q, enum virtq_notify when)
{
	void (*act)(struct virtq *) = meanwhile;

	if (act && when != VIRTQ_NOTIFY_NONE) {
		meanwhile = NULL;
		act(q);
	}
	__real_virtq_set_notify(q, when);
}

static struct mockcon g;
static uint8_t bytes[1u << 20];

static int set_up(void **state)
{
	size_t i;

	(void)state;
	meanwhile = NULL;
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + (i >> 8) * 13 + (i >> 16));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mockcon_fini(&g);
	return 0;
}

static void boot(unsigned nr_ports, uint16_t rx, uint16_t tx)
{
	mockcon_init(&g, nr_ports, rx, tx);
	mockcon_boot(&g);
}

static void open_port(unsigned port)
{
	mockcon_control(&g, port, VIRTIO_CONSOLE_PORT_OPEN, 1);
}

static void close_port(unsigned port)
{
	mockcon_control(&g, port, VIRTIO_CONSOLE_PORT_OPEN, 0);
}

/* Let loop and guest go on until neither finds anything to do. */
static void settle(unsigned port)
{
	for (;;) {
		short wants = console_wants(&g.con, port);
		size_t n = 0, given = g.back[port].left;

		if (wants)
			console_pump(&g.con, port);
		n += mockcon_read(&g, port);
		n += mockcon_reap(&g, port);
		mockcon_serve_control(&g);
		if (!n && given == g.back[port].left)
			return;
	}
}

/* ---- identity and conversation ---- */

static void says_what_it_is(void **state)
{
	uint64_t v;

	(void)state;
	boot(5, 4, 4);
	assert_int_equal(mockdrv_read(&g.drv, VIRTIO_MMIO_DEVICE_ID),
			 VIRTIO_ID_CONSOLE);
	v = vmmio_bus_ops.read(&g.con.vdev, VIRTIO_MMIO_CONFIG + 4, 4);
	assert_int_equal(v, 5);
	/* cols and rows are there as zeros, one byte is served as well. */
	assert_int_equal(mockdrv_read(&g.drv, VIRTIO_MMIO_CONFIG), 0);
	v = vmmio_bus_ops.read(&g.con.vdev, VIRTIO_MMIO_CONFIG + 4, 1);
	assert_int_equal(v, 5);
	/* Beyond the end, and across it. */
	assert_int_equal(mockdrv_read(&g.drv, VIRTIO_MMIO_CONFIG + 12), 0);
	v = vmmio_bus_ops.read(&g.con.vdev, VIRTIO_MMIO_CONFIG + 11, 4);
	assert_int_equal(v, 0);
	/* 2 queues a port and 2 for control, none after. */
	mockdrv_write(&g.drv, VIRTIO_MMIO_QUEUE_SEL, 11);
	assert_int_equal(mockdrv_read(&g.drv, VIRTIO_MMIO_QUEUE_NUM_MAX), 4);
	mockdrv_write(&g.drv, VIRTIO_MMIO_QUEUE_SEL, 12);
	assert_int_equal(mockdrv_read(&g.drv, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
}

static void introduces_its_ports(void **state)
{
	static const char *const names[] = { "port0", "port1", "port2",
					     "port3", "port4" };
	unsigned i;

	(void)state;
	boot(5, 4, 4);
	for (i = 0; i < 5; i++) {
		assert_true(g.port[i].added);
		assert_string_equal(g.port[i].name, names[i]);
		assert_true(g.port[i].host_open);
		assert_int_equal(g.port[i].nr_opens, 1);
		assert_int_equal(g.port[i].nr_closes, 0);
		assert_int_equal(console_wants(&g.con, i), 0);
	}
	assert_false(mockdrv_is_broken(&g.drv));
}

static void is_silent_until_the_driver_is_ready(void **state)
{
	(void)state;
	mockcon_init(&g, 2, 4, 4);
	mockcon_probe(&g, MOCKCON_CTRL);
	assert_int_equal(
		mockring_used_idx(&g.drv.ring[MOCKCON_CTRL_RX]), 0);
	/* The driver may also say that it could not start. */
	mockcon_control(&g, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY,
			0);
	assert_int_equal(
		mockring_used_idx(&g.drv.ring[MOCKCON_CTRL_RX]), 0);
	/* A port that failed to start stays closed on the host's side. */
	mockcon_control(&g, 0, VIRTIO_CONSOLE_PORT_READY, 0);
	mockcon_serve_control(&g);
	assert_int_equal(g.port[0].nr_opens, 0);
}

static void remembers_messages_that_find_no_buffer(void **state)
{
	unsigned i;

	(void)state;
	mockcon_init(&g, 8, 4, 4);
	mockcon_probe(&g, 1);
	/* 8 ports want to be announced, there is room for one message. */
	mockcon_control(&g, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY,
			1);
	/* The buffer goes back after each, which brings the next. */
	mockcon_serve_control(&g);
	for (i = 0; i < 8; i++) {
		assert_true(g.port[i].host_open);
		assert_int_equal(g.port[i].nr_opens, 1);
		assert_int_equal(strncmp(g.port[i].name, "port", 4), 0);
	}
	assert_false(mockdrv_is_broken(&g.drv));
}

static void no_buffer_at_all_then_some(void **state)
{
	(void)state;
	mockcon_init(&g, 2, 4, 4);
	mockcon_probe(&g, 0);
	mockcon_control(&g, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY,
			1);
	mockcon_add_control(&g);
	mockcon_serve_control(&g);
	assert_true(g.port[0].host_open);
	assert_true(g.port[1].host_open);
}

static void add_buffer_unnoticed(struct virtq *q)
{
	const struct mockbuf b = { mockdrv_alloc(&g.drv, MOCKCON_BUF),
				   MOCKCON_BUF, true };

	(void)q;
	g.ctrl[mockring_add(&g.drv.ring[MOCKCON_CTRL_RX], &b, 1)] = b.gpa;
}

/* The driver offers a buffer just before it could see that we want a kick. */
static void control_buffer_in_the_gap_is_seen(void **state)
{
	(void)state;
	mockcon_init(&g, 1, 4, 4);
	mockcon_probe(&g, 0);
	meanwhile = add_buffer_unnoticed;
	mockcon_control(&g, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY,
			1);
	assert_null(meanwhile);
	assert_int_equal(
		mockring_used_idx(&g.drv.ring[MOCKCON_CTRL_RX]), 1);
}

static void reset_starts_the_conversation_again(void **state)
{
	(void)state;
	boot(2, 4, 4);
	open_port(0);
	open_port(1);
	g.back[0].room = 1;
	assert_true(mockcon_write(&g, 0, "abc", 3));
	assert_true(console_wants(&g.con, 0) & POLLOUT);
	mockdrv_write(&g.drv, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(console_wants(&g.con, 0), 0);
	assert_true(console_is_drained(&g.con, 0));
	console_pump(&g.con, 0);
	assert_int_equal(g.back[0].nr_taken, 1);
	memset(g.port[0].name, 0, sizeof(g.port[0].name));
	g.port[0].added = g.port[1].added = false;
	g.back[0].room = SIZE_MAX;
	mockcon_boot(&g);
	assert_string_equal(g.port[0].name, "port0");
	assert_int_equal(g.port[0].nr_opens, 2);
	open_port(0);
	/* Nothing of the request that was under way is left. */
	assert_true(mockcon_write(&g, 0, "xyz", 3));
	assert_int_equal(g.back[0].nr_taken, 4);
	assert_memory_equal(g.back[0].taken, "axyz", 4);
}

/* ---- output ---- */

static void takes_what_the_guest_writes(void **state)
{
	unsigned irqs;

	(void)state;
	boot(2, 4, 4);
	open_port(1);
	mockdrv_ack(&g.drv);
	irqs = g.drv.nr_irqs;
	assert_true(mockcon_write(&g, 1, "hello ", 6));
	assert_true(mockcon_write(&g, 1, "world", 5));
	assert_int_equal(g.back[1].nr_taken, 11);
	assert_memory_equal(g.back[1].taken, "hello world", 11);
	assert_int_equal(g.back[0].nr_taken, 0);
	assert_int_equal(mockcon_reap(&g, 1), 2);
	/* One edge for both: the status bit was not acknowledged between. */
	assert_int_equal(g.drv.nr_irqs, irqs + 1);
	assert_int_equal(mockdrv_ack(&g.drv), VIRTIO_MMIO_INT_VRING);
	assert_true(console_is_drained(&g.con, 1));
}

static void output_of_many_descriptors(void **state)
{
	struct mockbuf b[5];
	unsigned i;

	(void)state;
	boot(1, 4, 8);
	open_port(0);
	for (i = 0; i < 5; i++) {
		b[i] = (struct mockbuf){ mockdrv_alloc(&g.drv, 100), 20 + i,
					 false };
		memcpy(mockdrv_ptr(&g.drv, b[i].gpa, b[i].len),
		       bytes + 20 * i + i * (i - 1) / 2, b[i].len);
	}
	/* Taken in bites that end inside and at ends of descriptors. */
	g.back[0].per_call = 7;
	mockring_add(&g.drv.ring[1], b, 5);
	mockdrv_kick(&g.drv, 1);
	while (console_wants(&g.con, 0) & POLLOUT)
		console_pump(&g.con, 0);
	assert_int_equal(g.back[0].nr_taken, 110);
	assert_memory_equal(g.back[0].taken, bytes, 110);
	assert_int_equal(mockcon_reap(&g, 0), 1);
}

static void back_pressure_holds_the_guest(void **state)
{
	unsigned n = 0;

	(void)state;
	boot(1, 4, 4);
	open_port(0);
	g.back[0].room = 150;
	while (mockcon_write(&g, 0, bytes + 100 * n, 100)) {
		n++;
		mockcon_reap(&g, 0);
	}
	assert_int_equal(n, 5); /* one came back, the ring has four more */
	assert_int_equal(g.back[0].nr_taken, 150);
	assert_true(console_wants(&g.con, 0) & POLLOUT);
	assert_false(console_is_drained(&g.con, 0));
	/* A pump that finds no room changes nothing, tells nobody. */
	mockcon_reap(&g, 0);
	mockdrv_ack(&g.drv);
	g.drv.nr_irqs = 0;
	console_pump(&g.con, 0);
	assert_int_equal(g.back[0].nr_taken, 150);
	assert_int_equal(g.drv.nr_irqs, 0);
	g.back[0].room = SIZE_MAX;
	settle(0);
	assert_int_equal(g.back[0].nr_taken, 500);
	assert_memory_equal(g.back[0].taken, bytes, 500);
	assert_true(console_is_drained(&g.con, 0));
	assert_false(console_wants(&g.con, 0) & POLLOUT);
}

static void reader_that_goes_away(void **state)
{
	(void)state;
	boot(2, 4, 4);
	open_port(0);
	g.back[0].room = 2;
	assert_true(mockcon_write(&g, 0, "abcd", 4));
	g.back[0].gone = true;
	assert_true(mockcon_write(&g, 0, "efgh", 4));
	/* Its descriptor tells the loop. */
	console_pump(&g.con, 0);
	assert_int_equal(mockcon_reap(&g, 0), 2);
	mockcon_serve_control(&g);
	assert_false(g.port[0].host_open);
	assert_int_equal(g.port[0].nr_closes, 1);
	/* What comes after is thrown away without asking again. */
	g.back[0].gone = false;
	g.back[0].room = SIZE_MAX;
	assert_true(mockcon_write(&g, 0, "ijkl", 4));
	assert_int_equal(mockcon_reap(&g, 0), 1);
	assert_int_equal(g.back[0].nr_taken, 2);
	assert_true(console_is_drained(&g.con, 0));
	assert_true(g.port[1].host_open);
	/* Told once; a driver that comes back learns it by not being told. */
	mockdrv_write(&g.drv, VIRTIO_MMIO_STATUS, 0);
	g.port[0].added = g.port[1].added = false;
	mockcon_boot(&g);
	assert_int_equal(g.port[0].nr_opens, 1);
	assert_int_equal(g.port[0].nr_closes, 1);
	assert_int_equal(g.port[1].nr_opens, 2);
}

static void close_is_told_when_all_is_taken(void **state)
{
	(void)state;
	boot(1, 4, 4);
	/* Closing what was never opened is not news. */
	close_port(0);
	assert_int_equal(g.back[0].nr_closed, 0);
	open_port(0);
	g.back[0].room = 1;
	assert_true(mockcon_write(&g, 0, "abc", 3));
	close_port(0);
	assert_int_equal(g.back[0].nr_closed, 0);
	g.back[0].room = SIZE_MAX;
	console_pump(&g.con, 0);
	assert_int_equal(g.back[0].nr_closed, 1);
	assert_memory_equal(g.back[0].taken, "abc", 3);
	/* Again does not tell again; output still goes to the back end. */
	open_port(0);
	assert_true(mockcon_write(&g, 0, "d", 1));
	close_port(0);
	assert_int_equal(g.back[0].nr_closed, 1);
	assert_int_equal(g.back[0].nr_taken, 4);
}

/* ---- input ---- */

static void input_waits_for_the_guest(void **state)
{
	(void)state;
	boot(1, 4, 4);
	g.back[0].give = bytes;
	g.back[0].left = 10;
	console_pump(&g.con, 0);
	assert_int_equal(g.back[0].nr_gives, 0);
	assert_int_equal(console_wants(&g.con, 0), 0);
	open_port(0);
	assert_int_equal(mockcon_read(&g, 0), 10);
	assert_memory_equal(g.port[0].got, bytes, 10);
	assert_int_equal(console_wants(&g.con, 0), POLLIN);
	/* Closed again: bytes stay with the host. */
	close_port(0);
	g.back[0].left = 5;
	console_pump(&g.con, 0);
	assert_int_equal(console_wants(&g.con, 0), 0);
	assert_int_equal(g.back[0].left, 5);
}

static void input_ends(void **state)
{
	(void)state;
	boot(1, 4, 4);
	g.back[0].give = bytes;
	g.back[0].left = 3;
	g.back[0].eof = true;
	open_port(0);
	settle(0);
	assert_int_equal(g.port[0].nr_got, 3);
	assert_false(g.port[0].host_open);
	assert_int_equal(g.port[0].nr_closes, 1);
	assert_int_equal(console_wants(&g.con, 0), 0);
	/* Output of the same port goes on. */
	assert_true(mockcon_write(&g, 0, "x", 1));
	assert_int_equal(g.back[0].nr_taken, 1);
}

/*
 * More than the ring holds, at once. `loop`: somebody polls the back end;
 * without, as for the control port, only kicks bring the device to go on.
 */
static void input_longer_than_the_ring(uint16_t rx, bool loop)
{
	boot(1, rx, 4);
	g.back[0].give = bytes;
	g.back[0].left = sizeof(bytes);
	open_port(0);
	if (loop)
		settle(0);
	else
		while (mockcon_read(&g, 0))
			;
	assert_int_equal(g.port[0].nr_got, sizeof(bytes));
	assert_memory_equal(g.port[0].got, bytes, sizeof(bytes));
}

static void long_input_by_kicks(void **state)
{
	(void)state;
	input_longer_than_the_ring(2, false);
}

static void long_input_by_loop(void **state)
{
	(void)state;
	input_longer_than_the_ring(64, true);
}

static void full_ring_at_once(void **state)
{
	uint16_t head;
	uint32_t len;
	unsigned n = 0;

	(void)state;
	boot(1, 8, 4);
	g.back[0].give = bytes;
	g.back[0].left = sizeof(bytes);
	open_port(0);
	/* All are full: when half of them are free, a kick must come. */
	while (mockring_collect(&g.drv.ring[0], &head, &len)) {
		assert_int_equal(len, MOCKCON_BUF);
		n++;
	}
	assert_int_equal(n, 8);
	assert_false(mockring_would_kick(&g.drv.ring[0], 3));
	assert_true(mockring_would_kick(&g.drv.ring[0], 4));
	mockcon_fill(&g, 0);
	assert_int_equal(mockring_used_idx(&g.drv.ring[0]), 16);
}

/* Another vCPU empties the ring and fills it anew; no kick is wanted yet. */
static void refill_unnoticed(struct virtq *q)
{
	(void)q;
	assert_int_equal(mockcon_read(&g, 0), 8 * 2500);
	assert_false(mockring_would_kick(&g.drv.ring[0], 4));
}

static void input_buffer_in_the_gap_is_seen(void **state)
{
	(void)state;
	mockcon_init(&g, 1, 8, 4);
	g.back[0].give = bytes;
	g.back[0].left = 60000;
	mockcon_boot(&g);
	meanwhile = refill_unnoticed;
	g.back[0].per_call = 2500;
	open_port(0);
	assert_null(meanwhile);
	while (mockcon_read(&g, 0))
		;
	assert_int_equal(g.port[0].nr_got, 60000);
}

static void idle_input_wants_no_kicks(void **state)
{
	(void)state;
	boot(1, 4, 4);
	open_port(0);
	assert_false(mockring_would_kick(&g.drv.ring[0], 4));
	assert_int_equal(console_wants(&g.con, 0), POLLIN);
	g.back[0].give = bytes;
	g.back[0].left = 1;
	console_pump(&g.con, 0);
	assert_int_equal(mockcon_read(&g, 0), 1);
	assert_false(mockring_would_kick(&g.drv.ring[0], 4));
}

static void only_news_interrupt(void **state)
{
	struct mockring *r;

	(void)state;
	boot(2, 4, 4);
	open_port(0);
	mockdrv_ack(&g.drv);
	g.drv.nr_irqs = 0;
	mockdrv_kick(&g.drv, 0);
	mockdrv_kick(&g.drv, 1);
	mockdrv_kick(&g.drv, MOCKCON_CTRL_RX);
	mockdrv_kick(&g.drv, MOCKCON_CTRL_TX);
	console_pump(&g.con, 0);
	console_pump(&g.con, 1);
	assert_int_equal(g.drv.nr_irqs, 0);
	/* The driver asks for silence. */
	r = &g.drv.ring[1];
	mockring_set_used_event(r, (uint16_t)(mockring_used_idx(r) - 1));
	assert_true(mockcon_write(&g, 0, "x", 1));
	assert_int_equal(g.drv.nr_irqs, 0);
	mockring_set_used_event(r, mockring_used_idx(r));
	assert_true(mockcon_write(&g, 0, "x", 1));
	assert_int_equal(g.drv.nr_irqs, 1);
}

static void changes_are_announced(void **state)
{
	unsigned n;

	(void)state;
	boot(1, 4, 4);
	n = g.nr_changed;
	open_port(0);
	assert_true(g.nr_changed > n);
	n = g.nr_changed;
	mockdrv_write(&g.drv, VIRTIO_MMIO_STATUS, 0);
	assert_true(g.nr_changed > n);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(says_what_it_is),
		TEST(introduces_its_ports),
		TEST(is_silent_until_the_driver_is_ready),
		TEST(remembers_messages_that_find_no_buffer),
		TEST(no_buffer_at_all_then_some),
		TEST(control_buffer_in_the_gap_is_seen),
		TEST(reset_starts_the_conversation_again),
		TEST(takes_what_the_guest_writes),
		TEST(output_of_many_descriptors),
		TEST(back_pressure_holds_the_guest),
		TEST(reader_that_goes_away),
		TEST(close_is_told_when_all_is_taken),
		TEST(input_waits_for_the_guest),
		TEST(input_ends),
		TEST(long_input_by_kicks),
		TEST(long_input_by_loop),
		TEST(full_ring_at_once),
		TEST(input_buffer_in_the_gap_is_seen),
		TEST(idle_input_wants_no_kicks),
		TEST(only_news_interrupt),
		TEST(changes_are_announced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
