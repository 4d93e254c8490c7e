/* LINK: tests/unit/mockcon.c tests/unit/mockdrv.c vmm/core/gmem.c */
/* LINK: vmm/devices/virtio/virtq.c vmm/devices/virtio/vdev.c */
/* LINK: vmm/devices/virtio/vmmio.c vmm/devices/virtio/console.c */
// SPDX-License-Identifier: MIT
/*
 * Nothing is ever left lying: an honest guest that kicks only where it is
 * asked to, a loop that pumps only what console_wants, back ends that are
 * slow in any way, in any order of steps. When all have had their turn, every
 * byte has arrived, in order, both ways.
 *
 * Port 0 is polled by the loop. Port 1 is not, as the control port: there
 * kicks alone must do, so its back end always has room and all of its data.
 */
#include <linux/virtio_console.h>
#include <poll.h>

#include "../unit/mockcon.h"
#include "feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_STEPS  300
#define MAX_INPUT  (1u << 20)
#define MAX_WRITES 120u

static struct mockcon g;
static uint8_t bytes[MAX_INPUT + 4096];
static size_t given[2], written[2];
static unsigned nr_writes;

/* The loop's turn: what poll would say of a descriptor in this state. */
static bool turn_loop(void)
{
	struct mockback *b = &g.back[0];
	short wants = console_wants(&g.con, 0), ready = 0;

	if (b->left || b->eof)
		ready |= POLLIN;
	if (b->room)
		ready |= POLLOUT;
	if (!(wants & ready))
		return false;
	console_pump(&g.con, 0);
	return true;
}

/* The guest looks at one used input buffer of a port, or none. */
static bool read_one(unsigned port)
{
	struct mockring *r = &g.drv.ring[mockcon_rx(port)];
	struct mockport *p = &g.port[port];
	struct mockbuf b = { 0, MOCKCON_BUF, true };
	uint16_t head;
	uint32_t len;

	if (!mockring_collect(r, &head, &len))
		return false;
	REQUIRE(len && len <= MOCKCON_BUF);
	b.gpa = p->rx[head];
	memcpy(p->got + p->nr_got, mockdrv_ptr(&g.drv, b.gpa, len), len);
	p->nr_got += len;
	p->rx[mockring_add(r, &b, 1)] = b.gpa;
	mockdrv_kick_if_wanted(&g.drv, mockcon_rx(port));
	return true;
}

static void write_one(unsigned port, uint32_t len)
{
	if (nr_writes == MAX_WRITES || !len)
		return;
	if (!mockcon_write(&g, port, bytes + written[port], len))
		return;
	written[port] += len;
	nr_writes++;
}

/* More input is there to be read on the host. */
static void arrive(unsigned port, size_t len)
{
	struct mockback *b = &g.back[port];

	if (len > MAX_INPUT - given[port])
		len = MAX_INPUT - given[port];
	if (!b->left)
		b->give = bytes + given[port];
	b->left += len;
	given[port] += len;
}

static void step(struct feed *f)
{
	uint8_t op = feed_u8(f);
	unsigned port = op >> 7;

	switch (op % 8) {
	case 0:
		turn_loop();
		break;
	case 1:
	case 2:
		read_one(port);
		break;
	case 3:
		mockcon_reap(&g, port);
		break;
	case 4:
		write_one(port, feed_u16(f) % 4097u);
		break;
	case 5:
		if (!port)
			arrive(0, feed_u16(f));
		break;
	case 6:
		g.back[0].room = feed_u16(f);
		break;
	default:
		g.back[0].per_call = feed_u16(f);
		break;
	}
}

static void settle(void)
{
	bool moved = true;
	unsigned i;

	g.back[0].room = SIZE_MAX;
	while (moved) {
		moved = turn_loop();
		for (i = 0; i < 2; i++) {
			while (read_one(i))
				moved = true;
			moved |= mockcon_reap(&g, i) != 0;
		}
		mockcon_serve_control(&g);
	}
}

static void check_all_arrived(void)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		REQUIRE(g.port[i].nr_got == given[i] && !g.back[i].left);
		REQUIRE(!memcmp(g.port[i].got, bytes, given[i]));
		REQUIRE(g.back[i].nr_taken == written[i]);
		REQUIRE(!memcmp(g.back[i].taken, bytes, written[i]));
		REQUIRE(console_is_drained(&g.con, i));
	}
	REQUIRE(!mockdrv_is_broken(&g.drv));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed f = { data, size };
	uint8_t sizes = feed_u8(&f);
	unsigned i;

	if (!bytes[0])
		for (i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)(i * 13 + (i >> 8) * 7 + 1);
	memset(given, 0, sizeof(given));
	memset(written, 0, sizeof(written));
	nr_writes = 0;
	mockcon_init(&g, 2, (uint16_t)(1u << sizes % 6),
		     (uint16_t)(1u << (sizes >> 4) % 6));
	mockcon_boot(&g);
	arrive(1, feed_u16(&f) * 4u);
	mockcon_control(&g, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	mockcon_control(&g, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	for (i = 0; i < MAX_STEPS && f.left; i++)
		step(&f);
	settle();
	check_all_arrived();
	mockcon_fini(&g);
	return 0;
}
