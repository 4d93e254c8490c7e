// SPDX-License-Identifier: MIT
/*
 * See console.h. Queue numbers follow 5.3.2: port 0 has 0 and 1, control 2
 * and 3, port n from there 2n + 2 and 2n + 3; even ones receive.
 *
 * Work per call is bounded in bytes: another vCPU may refill a queue while we
 * empty it, and the thread that runs deadlines must come back. The bound is
 * exact, a request that is larger is moved in parts: what a message of the
 * driver brings about counts, too.
 */
#include "devices/virtio/console.h"

#include "lib/iov.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <string.h>

#define CTRL_RX	  2u
#define CTRL_TX	  3u
#define CTRL_SIZE 16u

/*
 * Bytes moved by one call, a request counting as a page at least. More than
 * the protocol's longest message, so that a back end which the loop does not
 * poll (the control port) is served to its end, and as much as Linux can have
 * in a queue of 64, so that one last call empties it.
 */
#define PUMP_BUDGET (2u << 20)

enum pending {
	PENDING_ADD = 1,
	PENDING_NAME = 2,
	PENDING_OPEN = 4,
	PENDING_CLOSE = 8,
};

static struct console *from_vdev(struct vdev *d)
{
	/* vdev is the first member. */
	return (struct console *)d;
}

static unsigned rx_index(unsigned port)
{
	return port ? 2 * port + 2 : 0;
}

static struct virtq *rx_queue(struct console *c, unsigned port)
{
	return &c->queue[rx_index(port)];
}

static struct virtq *tx_queue(struct console *c, unsigned port)
{
	return &c->queue[rx_index(port) + 1];
}

static void spend(size_t *budget, size_t n)
{
	size_t cost = n < GMEM_PAGE ? GMEM_PAGE : n;

	*budget = cost < *budget ? *budget - cost : 0;
}

/*
 * Take a buffer for data of ours. Kicks are off while there are some. When
 * there are none they go on, and one that came before the driver could see
 * that is found by the second look.
 */
static int pop_input(struct virtq *q, struct vreq *r)
{
	int ret = virtq_pop(q, r);

	if (ret == 0) {
		virtq_set_notify(q, VIRTQ_NOTIFY_HALF);
		ret = virtq_pop(q, r);
	}
	if (ret > 0)
		virtq_set_notify(q, VIRTQ_NOTIFY_NONE);
	return ret;
}

/* One control message into one of the driver's buffers; 0: none there. */
static int send_control(struct console *c, const void *msg, size_t len)
{
	struct virtq *q = &c->queue[CTRL_RX];
	struct vreq r;
	int ret = pop_input(q, &r);

	if (ret <= 0)
		return ret;
	if (r.len_in < len)
		return -EPROTO;
	iov_from_buf(r.iov + r.nr_out, r.nr_in, msg, len);
	ret = virtq_push(q, r.head, (uint32_t)len);
	return ret ? ret : 1;
}

static int send_pending(struct console *c, unsigned port, unsigned bit)
{
	static const struct {
		uint16_t event, value;
	} events[] = {
		[PENDING_ADD] = { VIRTIO_CONSOLE_PORT_ADD, 1 },
		[PENDING_NAME] = { VIRTIO_CONSOLE_PORT_NAME, 1 },
		[PENDING_OPEN] = { VIRTIO_CONSOLE_PORT_OPEN, 1 },
		[PENDING_CLOSE] = { VIRTIO_CONSOLE_PORT_OPEN, 0 },
	};
	struct {
		struct virtio_console_control head;
		char name[24];
	} msg = { .head = { .id = port,
			    .event = events[bit].event,
			    .value = events[bit].value } };
	size_t len = sizeof(msg.head);

	if (bit == PENDING_NAME) {
		size_t n = strnlen(c->port[port].c.name, sizeof(msg.name));

		memcpy(msg.name, c->port[port].c.name, n);
		len += n;
	}
	return send_control(c, &msg, len);
}

/* Send what is pending while the driver has buffers for it. */
static int flush_control(struct console *c)
{
	struct virtq *q = &c->queue[CTRL_RX];
	unsigned port, bit;
	int ret = 1;

	for (port = 0; port < c->nr_ports && ret > 0; port++) {
		uint8_t *pending = &c->port[port].s.pending;

		for (bit = PENDING_ADD; bit <= PENDING_CLOSE; bit <<= 1) {
			if (!(*pending & bit))
				continue;
			ret = send_pending(c, port, bit);
			if (ret <= 0)
				break;
			*pending &= (uint8_t)~bit;
		}
	}
	vdev_notify_queue(&c->vdev, q);
	return ret < 0 ? ret : 0;
}

static void close_host_end(struct console_port *p)
{
	p->s.host_closed = true;
	if (p->s.host_open)
		p->s.pending |= PENDING_CLOSE;
	p->s.host_open = false;
}

static void tell_closed(struct console_port *p)
{
	if (p->s.closed_told || !p->c.ops->closed)
		return;
	p->s.closed_told = true;
	p->c.ops->closed(p->c.be);
}

/*
 * Offer the request at the head to the back end, as much as the budget has.
 * True when all of it was taken; if not, p->s.tx_blocked says whether that is
 * because the back end wants no more now.
 */
static bool take_request(struct console_port *p, struct vreq *r,
			 size_t *budget)
{
	size_t left = r->len_out - p->s.tx_done;
	size_t part = left < *budget ? left : *budget;
	unsigned first, nr;
	ssize_t n;

	spend(budget, part);
	if (p->s.discard)
		return true;
	first = iov_skip(r->iov, r->nr_out, p->s.tx_done);
	nr = iov_cut(r->iov + first, r->nr_out - first, part);
	n = p->c.ops->take(p->c.be, r->iov + first, nr, part);
	if (n < 0) {
		p->s.discard = true;
		close_host_end(p);
		return true;
	}
	p->s.tx_done += (uint32_t)n;
	p->s.tx_blocked = (size_t)n < part;
	return (size_t)n == left;
}

/* Move what the guest wrote to the back end. */
static int pump_tx(struct console *c, unsigned port, size_t *budget)
{
	struct console_port *p = &c->port[port];
	struct virtq *q = tx_queue(c, port);
	struct vreq r;
	int ret;

	p->s.tx_blocked = false;
	while ((ret = virtq_pop(q, &r)) > 0) {
		/* The driver may have changed the request meanwhile. */
		if (r.len_out < p->s.tx_done)
			return -EPROTO;
		if (!*budget || !take_request(p, &r, budget)) {
			virtq_unpop(q);
			break;
		}
		p->s.tx_done = 0;
		ret = virtq_push(q, r.head, 0);
		if (ret)
			break;
	}
	vdev_notify_queue(&c->vdev, q);
	if (ret < 0)
		return ret;
	if (p->s.was_open && !p->s.guest_open && !virtq_has_work(q))
		tell_closed(p);
	return 0;
}

/* Fill one buffer: bytes put there, 0 when there are none or none to fill. */
static int give_request(struct console_port *p, struct virtq *q, size_t max)
{
	struct vreq r;
	int ret = pop_input(q, &r);
	unsigned nr;
	ssize_t n;

	if (ret <= 0)
		return ret;
	/* Nothing to write to would look like the end of the file. */
	if (!r.len_in)
		return -EPROTO;
	nr = iov_cut(r.iov + r.nr_out, r.nr_in, max);
	n = p->c.ops->give(p->c.be, r.iov + r.nr_out, nr);
	if (n <= 0) {
		virtq_unpop(q);
		if (n == 0)
			close_host_end(p);
		return 0;
	}
	ret = virtq_push(q, r.head, (uint32_t)n);
	return ret ? ret : (int)n;
}

/* Fill the guest's buffers from the back end. */
static int pump_rx(struct console *c, unsigned port, size_t *budget)
{
	struct console_port *p = &c->port[port];
	struct virtq *q = rx_queue(c, port);

	if (!p->c.ops->give)
		return 0;
	while (p->s.guest_open && p->s.host_open && *budget) {
		int n = give_request(p, q, *budget);

		if (n < 0)
			return n;
		if (n == 0)
			break;
		spend(budget, (size_t)n);
	}
	/* With buffers left the loop goes on; without, the driver must kick. */
	if (!*budget && !virtq_has_work(q))
		virtq_set_notify(q, VIRTQ_NOTIFY_HALF);
	vdev_notify_queue(&c->vdev, q);
	return 0;
}

static int pump(struct console *c, unsigned port, size_t *budget)
{
	int ret = pump_tx(c, port, budget);

	if (!ret)
		ret = pump_rx(c, port, budget);
	if (!ret && c->port[port].s.pending)
		ret = flush_control(c);
	c->changed(c->opaque);
	return ret;
}

static int guest_opened(struct console *c, unsigned port, bool open,
			size_t *budget)
{
	struct console_port *p = &c->port[port];

	p->s.guest_open = open;
	p->s.was_open |= open;
	return pump(c, port, budget);
}

static int port_ready(struct console *c, unsigned port, bool ok,
		      size_t *budget)
{
	struct console_port *p = &c->port[port];

	if (!ok || p->s.ready)
		return 0;
	p->s.ready = true;
	p->s.pending |= PENDING_NAME;
	if (!p->s.host_closed) {
		p->s.host_open = true;
		p->s.pending |= PENDING_OPEN;
	}
	/* A driver may have opened its end before. */
	return p->s.guest_open ? pump(c, port, budget) : 0;
}

/* A message of the driver about a port, or about all of them. */
static int handle_control(struct console *c,
			  const struct virtio_console_control *m,
			  size_t *budget)
{
	unsigned i;

	if (m->event == VIRTIO_CONSOLE_DEVICE_READY) {
		for (i = 0; m->value == 1 && i < c->nr_ports; i++)
			if (!c->port[i].s.ready)
				c->port[i].s.pending |= PENDING_ADD;
		return 0;
	}
	if (m->id >= c->nr_ports)
		return 0;
	switch (m->event) {
	case VIRTIO_CONSOLE_PORT_READY:
		return port_ready(c, m->id, m->value == 1, budget);
	case VIRTIO_CONSOLE_PORT_OPEN:
		return guest_opened(c, m->id, m->value == 1, budget);
	default:
		return 0;
	}
}

static int pump_control(struct console *c, size_t *budget)
{
	struct virtq *q = &c->queue[CTRL_TX];
	unsigned left = q->max;
	struct vreq r;
	int ret = 0;

	while (left-- && (ret = virtq_pop(q, &r)) > 0) {
		struct virtio_console_control m;

		if (iov_to_buf(r.iov, r.nr_out, &m, sizeof(m)) < sizeof(m))
			return -EPROTO;
		ret = handle_control(c, &m, budget);
		if (!ret)
			ret = virtq_push(q, r.head, 0);
		if (ret)
			return ret;
	}
	if (ret < 0)
		return ret;
	vdev_notify_queue(&c->vdev, q);
	/* A second vCPU was quicker: the loop takes the rest. */
	if (virtq_has_work(q))
		c->changed(c->opaque);
	return flush_control(c);
}

static int console_kick(struct vdev *d, unsigned index)
{
	struct console *c = from_vdev(d);
	size_t budget = PUMP_BUDGET;

	if (index == CTRL_TX)
		return pump_control(c, &budget);
	if (index == CTRL_RX)
		return flush_control(c);
	return pump(c, index < CTRL_RX ? 0 : index / 2 - 1, &budget);
}

static uint32_t console_config_read(struct vdev *d, uint32_t off, unsigned len)
{
	const struct console *c = from_vdev(d);
	const struct virtio_console_config config = {
		.max_nr_ports = c->nr_ports,
	};
	uint32_t v = 0;

	if (off < sizeof(config) && len <= sizeof(config) - off)
		memcpy(&v, (const char *)&config + off, len);
	return v;
}

static void console_activate(struct vdev *d)
{
	struct console *c = from_vdev(d);
	unsigned i;

	/* Buffers for input are no news until there is input to put there. */
	virtq_set_notify(&c->queue[CTRL_RX], VIRTQ_NOTIFY_NONE);
	for (i = 0; i < c->nr_ports; i++)
		virtq_set_notify(rx_queue(c, i), VIRTQ_NOTIFY_NONE);
}

static void console_reset(struct vdev *d)
{
	struct console *c = from_vdev(d);
	unsigned i;

	for (i = 0; i < c->nr_ports; i++) {
		struct console_port_state *s = &c->port[i].s;

		/* What the host's end has lost stays lost. */
		*s = (struct console_port_state){
			.host_closed = s->host_closed,
			.discard = s->discard,
			.closed_told = s->closed_told,
		};
	}
	c->changed(c->opaque);
}

static const struct vdev_ops console_vdev_ops = {
	.device_id = VIRTIO_ID_CONSOLE,
	.features = 1ull << VIRTIO_CONSOLE_F_MULTIPORT |
		    1ull << VIRTIO_RING_F_EVENT_IDX,
	.config_read = console_config_read,
	.activate = console_activate,
	.kick = console_kick,
	.reset = console_reset,
};

void console_init(struct console *c, const struct gmem *mem,
		  const struct irq_line *irq,
		  const struct console_port_config *ports, unsigned nr_ports,
		  void (*changed)(void *opaque), void *opaque)
{
	unsigned i;

	assert(nr_ports <= CONSOLE_MAX_PORTS);
	*c = (struct console){ .nr_ports = nr_ports,
			       .changed = changed,
			       .opaque = opaque };
	vdev_init(&c->vdev, &console_vdev_ops, c->queue, 2 * nr_ports + 2, irq);
	virtq_init(&c->queue[CTRL_RX], mem, CTRL_SIZE);
	virtq_init(&c->queue[CTRL_TX], mem, CTRL_SIZE);
	for (i = 0; i < nr_ports; i++) {
		c->port[i].c = ports[i];
		virtq_init(rx_queue(c, i), mem, ports[i].rx_size);
		virtq_init(tx_queue(c, i), mem, ports[i].tx_size);
	}
}

void console_fini(struct console *c)
{
	vdev_fini(&c->vdev);
}

void console_pump(struct console *c, unsigned port)
{
	size_t budget = PUMP_BUDGET;

	pthread_mutex_lock(&c->vdev.lock);
	if (vdev_is_live(&c->vdev) && pump(c, port, &budget))
		vdev_set_broken(&c->vdev);
	pthread_mutex_unlock(&c->vdev.lock);
}

/*
 * Take what no kick will come for: what a call left when it had moved its
 * share, and what a guest put there the moment before it died. Not when the
 * back end is known to want none now.
 */
static void catch_up(struct console *c, unsigned port)
{
	size_t budget = PUMP_BUDGET;
	int ret = 0;

	if (virtq_has_work(&c->queue[CTRL_TX]))
		ret = pump_control(c, &budget);
	if (!ret && !c->port[port].s.tx_blocked &&
	    virtq_has_work(tx_queue(c, port)))
		ret = pump(c, port, &budget);
	if (ret)
		vdev_set_broken(&c->vdev);
}

short console_wants(struct console *c, unsigned port)
{
	const struct console_port *p = &c->port[port];
	short events = 0;

	pthread_mutex_lock(&c->vdev.lock);
	if (vdev_is_live(&c->vdev))
		catch_up(c, port);
	if (vdev_is_live(&c->vdev)) {
		if (virtq_has_work(tx_queue(c, port)))
			events |= POLLOUT;
		if (p->c.ops->give && p->s.guest_open && p->s.host_open &&
		    virtq_has_work(rx_queue(c, port)))
			events |= POLLIN;
	}
	pthread_mutex_unlock(&c->vdev.lock);
	return events;
}

bool console_is_drained(struct console *c, unsigned port)
{
	bool drained;

	pthread_mutex_lock(&c->vdev.lock);
	if (vdev_is_live(&c->vdev))
		catch_up(c, port);
	drained = !vdev_is_live(&c->vdev) ||
		  !virtq_has_work(tx_queue(c, port));
	pthread_mutex_unlock(&c->vdev.lock);
	return drained;
}

void console_save(const struct console *c, struct pack *p)
{
	unsigned i;

	vdev_save(&c->vdev, p);
	for (i = 0; i < c->nr_ports; i++) {
		const struct console_port_state *s = &c->port[i].s;

		pack_bool(p, s->ready);
		pack_bool(p, s->guest_open);
		pack_bool(p, s->was_open);
		pack_bool(p, s->host_open);
		pack_bool(p, s->host_closed);
		pack_bool(p, s->discard);
		pack_bool(p, s->closed_told);
		pack_bool(p, s->tx_blocked);
		pack_u8(p, s->pending);
		pack_u32(p, s->tx_done);
	}
}

int console_load(struct console *c, struct unpack *u)
{
	int r = vdev_load(&c->vdev, u);
	unsigned i;

	for (i = 0; !r && i < c->nr_ports; i++) {
		struct console_port_state *s = &c->port[i].s;

		s->ready = unpack_bool(u);
		s->guest_open = unpack_bool(u);
		s->was_open = unpack_bool(u);
		s->host_open = unpack_bool(u);
		s->host_closed = unpack_bool(u);
		s->discard = unpack_bool(u);
		s->closed_told = unpack_bool(u);
		s->tx_blocked = unpack_bool(u);
		s->pending = unpack_u8(u);
		s->tx_done = unpack_u32(u);
	}
	return u->failed ? -EPROTO : r;
}
