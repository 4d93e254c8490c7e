/* LINK: tests/unit/mockcon.c tests/unit/mockdrv.c vmm/core/gmem.c */
/* LINK: vmm/devices/virtio/virtq.c vmm/devices/virtio/vdev.c */
/* LINK: vmm/devices/virtio/vmmio.c vmm/devices/virtio/console.c */
/* LINK: vmm/arch/x86_64/ioapic.c */
// SPDX-License-Identifier: MIT
/*
 * Device state to bytes and back: what is loaded goes on where the saved one
 * stood, over the same guest memory; bytes that are cut or wrong are refused.
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
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/ioapic.h"
#include "devices/virtio/vmmio.h"
#include "mockcon.h"

static struct mockcon g;
static uint8_t buf[4096];
static size_t len;

static void save(void)
{
	struct pack p;

	pack_init(&p, buf, sizeof(buf));
	console_save(&g.con, &p);
	assert_false(p.failed);
	len = p.len;
}

/* Port 0 is open and held back in the middle of a request. */
static int set_up(void **state)
{
	(void)state;
	mockcon_init(&g, 2, 4, 4);
	mockcon_boot(&g);
	mockcon_control(&g, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	g.back[0].room = 3;
	assert_true(mockcon_write(&g, 0, "abcdef", 6));
	save();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mockcon_fini(&g);
	return 0;
}

/* The device again, as a new process has it: nothing but its making. */
static void make_anew(void)
{
	struct console_port_config c[2];
	struct irq_line irq = mockdrv_irq(&g.drv);
	unsigned i;

	for (i = 0; i < 2; i++)
		c[i] = g.con.port[i].c;
	console_fini(&g.con);
	console_init(&g.con, &g.drv.mem, &irq, c, 2, g.con.changed, &g);
}

static int load(const uint8_t *from, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);
	struct unpack u;
	int r;

	assert_non_null(copy);
	memcpy(copy, from, n);
	unpack_init(&u, copy, n);
	make_anew();
	r = console_load(&g.con, &u);
	assert_true(r || unpack_is_done(&u));
	free(copy);
	return r;
}

static void goes_on_where_it_stood(void **state)
{
	(void)state;
	assert_int_equal(load(buf, len), 0);
	assert_true(vdev_is_live(&g.con.vdev));
	assert_true(console_wants(&g.con, 0) & POLLOUT);
	/* Half of the request was taken before; the rest comes now, once. */
	g.back[0].room = SIZE_MAX;
	console_pump(&g.con, 0);
	assert_int_equal(g.back[0].nr_taken, 6);
	assert_memory_equal(g.back[0].taken, "abcdef", 6);
	g.back[0].give = (const uint8_t *)"in";
	g.back[0].left = 2;
	console_pump(&g.con, 0);
	assert_int_equal(mockcon_read(&g, 0), 2);
	mockcon_control(&g, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_true(mockcon_write(&g, 1, "x", 1));
	assert_int_equal(g.back[1].nr_taken, 1);
	assert_false(mockdrv_is_broken(&g.drv));
}

static void saves_the_same_again(void **state)
{
	uint8_t again[sizeof(buf)];
	struct pack p;

	(void)state;
	assert_int_equal(load(buf, len), 0);
	pack_init(&p, again, sizeof(again));
	console_save(&g.con, &p);
	assert_int_equal(p.len, len);
	assert_memory_equal(again, buf, len);
}

static void old_news_do_not_interrupt(void **state)
{
	(void)state;
	mockcon_control(&g, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_true(mockcon_write(&g, 1, "x", 1));
	mockdrv_ack(&g.drv);
	save();
	assert_int_equal(load(buf, len), 0);
	g.drv.nr_irqs = 0;
	console_pump(&g.con, 0);
	console_pump(&g.con, 1);
	assert_int_equal(g.drv.nr_irqs, 0);
}

static void cut_anywhere(void **state)
{
	size_t n;

	(void)state;
	for (n = 0; n < len; n++)
		if (load(buf, n) != -EPROTO)
			fail_msg("%zu of %zu bytes were enough", n, len);
}

static void any_byte_wrong(void **state)
{
	uint8_t bad[sizeof(buf)];
	unsigned i, q;
	size_t n;

	(void)state;
	memcpy(bad, buf, len);
	for (n = 0; n < len; n++) {
		for (i = 1; i < 256; i += 50) {
			bad[n] = (uint8_t)(buf[n] + i);
			/* Refused, or a device that stays in its memory. */
			if (load(bad, len))
				continue;
			for (q = 0; q < 6; q++)
				mockdrv_kick(&g.drv, q);
			console_pump(&g.con, 0);
			console_wants(&g.con, 0);
		}
		bad[n] = buf[n];
	}
}

static void a_live_queue_outside_of_ram(void **state)
{
	struct virtq q;
	struct unpack u;
	struct pack p;

	(void)state;
	virtq_init(&q, &g.drv.mem, 8);
	q.s.desc = q.s.avail = q.s.used = MOCK_LOW_END;
	q.s.ready = true;
	pack_init(&p, buf, sizeof(buf));
	virtq_save(&q, &p);
	unpack_init(&u, buf, p.len);
	assert_int_equal(virtq_load(&q, &u), -EPROTO);
	assert_false(q.s.ready);
	/* One that is not live may say what it likes. */
	pack_init(&p, buf, sizeof(buf));
	virtq_save(&q, &p);
	unpack_init(&u, buf, p.len);
	assert_int_equal(virtq_load(&q, &u), 0);
	assert_false(virtq_has_work(&q));
}

static unsigned nr_sent;

static void on_msi(void *opaque, uint64_t addr, uint32_t data)
{
	(void)opaque;
	assert_int_equal(addr, 0xfee02000);
	assert_int_equal(data, 0x44);
	nr_sent++;
}

static void interrupt_controller(void **state)
{
	struct ioapic a, b;
	struct irq_line line;
	struct unpack u;
	struct pack p;
	size_t n;

	(void)state;
	nr_sent = 0;
	ioapic_init(&a, 3, on_msi, NULL);
	ioapic_bus_ops.write(&a, 0, 4, 0x13);
	ioapic_bus_ops.write(&a, 0x10, 4, 0x02000000);
	line = ioapic_line(&a, 1);
	irq_raise(&line);
	pack_init(&p, buf, sizeof(buf));
	ioapic_save(&a, &p);
	ioapic_init(&b, 3, on_msi, NULL);
	unpack_init(&u, buf, p.len);
	assert_int_equal(ioapic_load(&b, &u), 0);
	assert_true(unpack_is_done(&u));
	/* The edge that was kept is still to come. */
	ioapic_bus_ops.write(&b, 0, 4, 0x12);
	ioapic_bus_ops.write(&b, 0x10, 4, 0x44);
	assert_int_equal(nr_sent, 1);
	for (n = 0; n < p.len; n++) {
		unpack_init(&u, buf, n);
		assert_int_equal(ioapic_load(&b, &u), -EPROTO);
	}
	ioapic_fini(&a);
	ioapic_fini(&b);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(goes_on_where_it_stood),
		TEST(saves_the_same_again),
		TEST(old_news_do_not_interrupt),
		TEST(cut_anywhere),
		TEST(any_byte_wrong),
		TEST(a_live_queue_outside_of_ram),
		TEST(interrupt_controller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
