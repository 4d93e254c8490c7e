/* LINK: tests/fuzz/hostile.c tests/unit/mockdrv.c vmm/core/gmem.c */
/* LINK: vmm/devices/virtio/virtq.c vmm/devices/virtio/vmmio.c */
/* LINK: vmm/devices/virtio/vdev.c vmm/devices/virtio/console.c */
// SPDX-License-Identifier: MIT
/*
 * The console under a hostile driver and back ends of every mood: what is
 * handed to them lies in guest memory, closed is told once, nobody is asked
 * for input before both ends are open, one call is bounded work.
 */
#include <errno.h>
#include <linux/virtio_console.h>
#include <poll.h>

#include "devices/virtio/console.h"
#include "hostile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_STEPS 200
#define NR_PORTS  3u

struct back {
	unsigned port;
	uint32_t room;		/* of one call */
	uint8_t mood;		/* bits: gone, end of file, nothing now */
	unsigned nr_closed;
};

enum { MOOD_GONE = 1, MOOD_EOF = 2, MOOD_AGAIN = 4 };

static struct mockdrv drv;
static struct console con;
static struct back back[NR_PORTS];
static uint64_t moved;

static ssize_t fuzz_take(void *be, const struct iovec *iov, unsigned nr,
			 size_t len)
{
	const struct back *b = be;

	hostile_check_iov(&drv, iov, nr, len);
	if (b->mood & MOOD_GONE)
		return -EPIPE;
	len = len < b->room ? len : b->room;
	moved += len;
	return (ssize_t)len;
}

static ssize_t fuzz_give(void *be, const struct iovec *iov, unsigned nr)
{
	const struct back *b = be;
	const struct console_port_state *s = &con.port[b->port].s;
	size_t len = 0;
	unsigned i;

	REQUIRE(s->guest_open && s->host_open && s->ready);
	for (i = 0; i < nr; i++)
		len += iov[i].iov_len;
	REQUIRE(len);
	hostile_check_iov(&drv, iov, nr, len);
	if (b->mood & MOOD_EOF)
		return 0;
	if (b->mood & MOOD_AGAIN)
		return -EAGAIN;
	*(uint8_t *)iov[0].iov_base = 'x';
	len = len < b->room ? len : b->room;
	moved += len;
	return len ? (ssize_t)len : -EAGAIN;
}

static void fuzz_closed(void *be)
{
	struct back *b = be;
	const struct console_port_state *s = &con.port[b->port].s;

	REQUIRE(!s->guest_open && s->was_open && !s->tx_blocked);
	b->nr_closed++;
}

static const struct port_ops in_ops = { fuzz_take, fuzz_give, fuzz_closed };
static const struct port_ops out_ops = { fuzz_take, NULL, fuzz_closed };
static const struct port_ops bare_ops = { fuzz_take, fuzz_give, NULL };

static void on_changed(void *opaque)
{
	(void)opaque;
}

static void set_up(struct feed *f)
{
	static const struct port_ops *const ops[NR_PORTS] = {
		&in_ops, &out_ops, &bare_ops
	};
	static const char *const names[NR_PORTS] = { "in", "out", "control" };
	struct console_port_config c[NR_PORTS];
	struct irq_line irq;
	unsigned i;

	mockdrv_init(&drv);
	irq = mockdrv_irq(&drv);
	for (i = 0; i < NR_PORTS; i++) {
		uint8_t n = feed_u8(f);

		back[i] = (struct back){ i, UINT32_MAX, 0, 0 };
		c[i] = (struct console_port_config){
			names[i], ops[i], &back[i], (uint16_t)(1u << n % 7),
			(uint16_t)(1u << (n >> 4) % 7)
		};
	}
	console_init(&con, &drv.mem, &irq, c, NR_PORTS, on_changed, NULL);
	mockdrv_start(&drv, &con.vdev);
}

/* A control message in a chain of its own, as an honest driver sends it. */
static void send_control(struct feed *f)
{
	const struct virtio_console_control m = {
		.id = feed_u8(f) % 4,
		.event = feed_u8(f) % 8,
		.value = feed_u8(f) & 1,
	};
	struct mockring *r = &drv.ring[3];

	gmem_write(&drv.mem, 0x100, &m, sizeof(m));
	if (!r->size)
		return;
	mockring_set_desc(r, 0, 0x100, sizeof(m), 0, 0);
	mockring_offer(r, 0);
	mockdrv_kick(&drv, 3);
}

static void change_back(struct feed *f)
{
	struct back *b = &back[feed_u8(f) % NR_PORTS];

	b->mood = feed_u8(f) & 7;
	b->room = b->mood & 4 ? feed_u8(f) : feed_u32(f);
}

static void step(struct feed *f)
{
	uint8_t op = feed_u8(f);

	moved = 0;
	switch (op >> 4) {
	case 8:
	case 9:
	case 10:
		send_control(f);
		break;
	case 11:
		change_back(f);
		break;
	case 12:
	case 13:
		console_pump(&con, op % NR_PORTS);
		break;
	default:
		hostile_step(f, &drv, op);
		break;
	}
	/* A control queue's worth of calls, each its budget and one chain. */
	REQUIRE(moved <= 17ull * 2 * ((2u << 20) + VIRTQ_MAX_BYTES));
}

static void check_ports(void)
{
	unsigned i;

	for (i = 0; i < NR_PORTS; i++) {
		const struct console_port_state *s = &con.port[i].s;
		short wants = console_wants(&con, i);

		REQUIRE(back[i].nr_closed <= 1);
		REQUIRE(!(wants & ~(POLLIN | POLLOUT)));
		REQUIRE(!(s->host_open && s->host_closed));
		REQUIRE(!(wants & POLLIN) || (s->guest_open && s->host_open));
		console_is_drained(&con, i);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed f = { data, size };
	unsigned i;

	set_up(&f);
	for (i = 0; i < MAX_STEPS && f.left; i++) {
		step(&f);
		hostile_check(&drv);
		check_ports();
	}
	console_fini(&con);
	mockdrv_fini(&drv);
	return 0;
}
