// SPDX-License-Identifier: MIT
/*
 * See mockcon.h. The order of steps is that of drivers/char/virtio_console.c:
 * control buffers before DRIVER_OK, input buffers when a port is added, then
 * PORT_READY, and each message's buffer goes back after it was read.
 */
#include "mockcon.h"

#include "lib/iov.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_console.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define TAKEN_MAX (8u << 20)

unsigned mockcon_rx(unsigned port)
{
	return port ? 2 * port + 2 : 0;
}

unsigned mockcon_tx(unsigned port)
{
	return mockcon_rx(port) + 1;
}

/* ---- back end ---- */

static ssize_t back_take(void *be, const struct iovec *iov, unsigned nr,
			 size_t len)
{
	struct mockback *b = be;
	size_t n = len, sum = 0;
	unsigned i;

	for (i = 0; i < nr; i++)
		sum += iov[i].iov_len;
	assert(sum == len);
	if (b->gone)
		return -EPIPE;
	if (n > b->room)
		n = b->room;
	if (b->per_call && n > b->per_call)
		n = b->per_call;
	assert(b->nr_taken + n <= TAKEN_MAX);
	iov_to_buf(iov, nr, b->taken + b->nr_taken, n);
	b->nr_taken += n;
	b->room -= n;
	return (ssize_t)n;
}

static ssize_t back_give(void *be, const struct iovec *iov, unsigned nr)
{
	struct mockback *b = be;
	size_t n;

	b->nr_gives++;
	if (!b->left)
		return b->eof ? 0 : -EAGAIN;
	n = b->per_call && b->per_call < b->left ? b->per_call : b->left;
	n = iov_from_buf(iov, nr, b->give, n);
	b->give += n;
	b->left -= n;
	return (ssize_t)n;
}

static void back_closed(void *be)
{
	struct mockback *b = be;

	b->nr_closed++;
}

static const struct port_ops back_ops = {
	.take = back_take,
	.give = back_give,
	.closed = back_closed,
};

static void on_changed(void *opaque)
{
	struct mockcon *g = opaque;

	g->nr_changed++;
}

/* Large and mostly untouched: cheaper than malloc, which ASan marks whole. */
static uint8_t *new_buffer(void)
{
	void *p = mmap(NULL, TAKEN_MAX, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert(p != MAP_FAILED);
	return p;
}

void mockcon_init(struct mockcon *g, unsigned nr_ports, uint16_t rx,
		  uint16_t tx)
{
	static const char *const names[CONSOLE_MAX_PORTS] = {
		"port0", "port1", "port2", "port3",
		"port4", "port5", "port6", "port7",
	};
	struct console_port_config c[CONSOLE_MAX_PORTS];
	struct irq_line irq;
	unsigned i;

	memset(g, 0, sizeof(*g));
	mockdrv_init(&g->drv);
	g->nr_ports = nr_ports;
	for (i = 0; i < nr_ports; i++) {
		c[i] = (struct console_port_config){
			names[i], &back_ops, &g->back[i], rx, tx
		};
		g->back[i].room = SIZE_MAX;
		g->back[i].taken = new_buffer();
		g->port[i].got = new_buffer();
	}
	irq = mockdrv_irq(&g->drv);
	console_init(&g->con, &g->drv.mem, &irq, c, nr_ports, on_changed, g);
	g->drv.dev = &g->con.vdev;
}

void mockcon_fini(struct mockcon *g)
{
	unsigned i;

	console_fini(&g->con);
	for (i = 0; i < g->nr_ports; i++) {
		munmap(g->back[i].taken, TAKEN_MAX);
		munmap(g->port[i].got, TAKEN_MAX);
	}
	mockdrv_fini(&g->drv);
}

/* ---- control ---- */

static void offer_control(struct mockcon *g, gpa_t gpa)
{
	const struct mockbuf b = { gpa, MOCKCON_BUF, true };

	g->ctrl[mockring_add(&g->drv.ring[MOCKCON_CTRL_RX], &b, 1)] = gpa;
	mockdrv_kick_if_wanted(&g->drv, MOCKCON_CTRL_RX);
}

void mockcon_add_control(struct mockcon *g)
{
	offer_control(g, mockdrv_alloc(&g->drv, MOCKCON_BUF));
}

void mockcon_probe(struct mockcon *g, unsigned nr)
{
	unsigned i;

	mockdrv_begin(&g->drv, &g->con.vdev);
	mockdrv_negotiate(&g->drv, 0);
	for (i = 0; i < g->con.vdev.nr_queues; i++)
		mockdrv_set_queue(&g->drv, i, g->con.queue[i].max);
	for (i = 0; i < nr; i++)
		mockcon_add_control(g);
	mockdrv_go(&g->drv);
}

void mockcon_control(struct mockcon *g, uint32_t id, uint16_t event,
		     uint16_t value)
{
	const struct virtio_console_control m = { id, event, value };
	struct mockring *r = &g->drv.ring[MOCKCON_CTRL_TX];
	struct mockbuf b = { mockdrv_alloc(&g->drv, sizeof(m)), sizeof(m),
			     false };
	uint16_t head;
	uint32_t len;

	memcpy(mockdrv_ptr(&g->drv, b.gpa, sizeof(m)), &m, sizeof(m));
	mockring_add(r, &b, 1);
	mockdrv_kick_if_wanted(&g->drv, MOCKCON_CTRL_TX);
	/* The driver spins until the host has taken it. */
	while (mockring_collect(r, &head, &len))
		assert(len == 0);
}

static void on_message(struct mockcon *g, const uint8_t *msg, uint32_t len)
{
	struct virtio_console_control m;
	struct mockport *p;

	assert(len >= sizeof(m));
	memcpy(&m, msg, sizeof(m));
	assert(m.id < g->nr_ports);
	p = &g->port[m.id];
	switch (m.event) {
	case VIRTIO_CONSOLE_PORT_ADD:
		assert(!p->added);
		p->added = true;
		mockcon_fill(g, m.id);
		mockcon_control(g, m.id, VIRTIO_CONSOLE_PORT_READY, 1);
		break;
	case VIRTIO_CONSOLE_PORT_NAME:
		len -= (uint32_t)sizeof(m);
		assert(len < sizeof(p->name));
		memcpy(p->name, msg + sizeof(m), len);
		p->name[len] = '\0';
		break;
	case VIRTIO_CONSOLE_PORT_OPEN:
		p->host_open = m.value;
		p->nr_opens += m.value;
		p->nr_closes += !m.value;
		break;
	default:
		assert(false && "a message the driver does not know");
	}
}

void mockcon_serve_control(struct mockcon *g)
{
	struct mockring *r = &g->drv.ring[MOCKCON_CTRL_RX];
	uint16_t head;
	uint32_t len;

	while (mockring_collect(r, &head, &len)) {
		gpa_t gpa = g->ctrl[head];

		on_message(g, mockdrv_ptr(&g->drv, gpa, MOCKCON_BUF), len);
		offer_control(g, gpa);
	}
}

void mockcon_boot(struct mockcon *g)
{
	mockcon_probe(g, MOCKCON_CTRL);
	mockcon_control(g, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY,
			1);
	mockcon_serve_control(g);
}

/* ---- data ---- */

static void offer_input(struct mockcon *g, unsigned port, gpa_t gpa)
{
	const struct mockbuf b = { gpa, MOCKCON_BUF, true };
	unsigned q = mockcon_rx(port);

	g->port[port].rx[mockring_add(&g->drv.ring[q], &b, 1)] = gpa;
}

void mockcon_fill(struct mockcon *g, unsigned port)
{
	unsigned q = mockcon_rx(port);

	while (g->drv.ring[q].nr_free)
		offer_input(g, port, mockdrv_alloc(&g->drv, MOCKCON_BUF));
	mockdrv_kick_if_wanted(&g->drv, q);
}

size_t mockcon_read(struct mockcon *g, unsigned port)
{
	struct mockport *p = &g->port[port];
	unsigned q = mockcon_rx(port);
	size_t before = p->nr_got;
	uint16_t head;
	uint32_t len;

	while (mockring_collect(&g->drv.ring[q], &head, &len)) {
		gpa_t gpa = p->rx[head];

		assert(len <= MOCKCON_BUF && p->nr_got + len <= TAKEN_MAX);
		memcpy(p->got + p->nr_got, mockdrv_ptr(&g->drv, gpa, len), len);
		p->nr_got += len;
		offer_input(g, port, gpa);
		mockdrv_kick_if_wanted(&g->drv, q);
	}
	return p->nr_got - before;
}

bool mockcon_write(struct mockcon *g, unsigned port, const void *src,
		   uint32_t len)
{
	struct mockring *r = &g->drv.ring[mockcon_tx(port)];
	struct mockbuf b = { 0, len, false };

	if (!r->nr_free)
		return false;
	b.gpa = mockdrv_alloc(&g->drv, len);
	memcpy(mockdrv_ptr(&g->drv, b.gpa, len), src, len);
	mockring_add(r, &b, 1);
	mockdrv_kick_if_wanted(&g->drv, mockcon_tx(port));
	return true;
}

unsigned mockcon_reap(struct mockcon *g, unsigned port)
{
	unsigned n = 0;
	uint16_t head;
	uint32_t len;

	while (mockring_collect(&g->drv.ring[mockcon_tx(port)], &head, &len))
		n++;
	return n;
}
