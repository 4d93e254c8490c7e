/* SPDX-License-Identifier: MIT */
/*
 * Multiport console (virtio 1.2, section 5.3): named byte streams between the
 * host and processes of the guest, with open and close of either end.
 *
 * Each port has a receive queue (host to guest) and a transmit queue (guest
 * to host); a pair of control queues carries messages about ports. Nothing is
 * buffered here: bytes move between the guest's buffers and the back end in
 * one copy, and what the back end does not take stays in the guest's queue,
 * which holds the guest back.
 *
 * A port's host end is open from PORT_READY until the back end has no more to
 * give (end of file) or takes no more; the guest is told and its end closes
 * in its own time. Data is only given while the guest's end is open: the
 * Linux driver throws away what comes earlier.
 *
 * Pending control messages are bits per port, not a list, so a guest that
 * never takes them costs nothing.
 */
#ifndef HUSK_DEVICES_CONSOLE_H
#define HUSK_DEVICES_CONSOLE_H

#include "devices/virtio/vdev.h"

#include <sys/types.h>

#define CONSOLE_MAX_PORTS  8
#define CONSOLE_MAX_QUEUES (2 * CONSOLE_MAX_PORTS + 2)

/*
 * The back end of a port. Called with the device locked, from any thread;
 * must neither block nor call back into the console.
 */
struct port_ops {
	/*
	 * The guest wrote `len` bytes. Returns how many were taken (fewer:
	 * call console_pump when more can be) or -EPIPE when nobody will ever
	 * take any; then the rest is thrown away.
	 */
	ssize_t (*take)(void *be, const struct iovec *iov, unsigned nr,
			size_t len);
	/* Fill iov: bytes, 0 at the end of file, -EAGAIN for not now. */
	ssize_t (*give)(void *be, const struct iovec *iov, unsigned nr);
	/* The guest closed its end and everything it wrote was taken. */
	void (*closed)(void *be);
};

struct console_port_config {
	const char *name;
	const struct port_ops *ops;
	void *be;		/* borrowed */
	uint16_t rx_size, tx_size;
};

/* What a template keeps. */
struct console_port_state {
	bool ready;		/* the driver has set the port up */
	bool guest_open;
	bool was_open;		/* guest_open at least once */
	bool host_open;
	bool host_closed;	/* for good: end of file or nobody listens */
	bool discard;		/* nobody takes: throw away what comes */
	bool closed_told;
	bool tx_blocked;	/* the back end did not take everything */
	uint8_t pending;	/* control messages to send, bit per kind */
	uint32_t tx_done;	/* bytes taken of the request at the head */
};

struct console_port {
	struct console_port_state s;
	struct console_port_config c;
};

struct console {
	struct vdev vdev;
	unsigned nr_ports;
	struct virtq queue[CONSOLE_MAX_QUEUES];
	struct console_port port[CONSOLE_MAX_PORTS];
	void (*changed)(void *opaque);	/* what a port waits for may differ */
	void *opaque;
};

/* `changed` is called with the lock held, from any thread. */
void console_init(struct console *c, const struct gmem *mem,
		  const struct irq_line *irq,
		  const struct console_port_config *ports, unsigned nr_ports,
		  void (*changed)(void *opaque), void *opaque);
void console_fini(struct console *c);

/* The back end of `port` can take or give again. Takes the lock. */
void console_pump(struct console *c, unsigned port);

/*
 * poll(2) events that would let `port` go on, 0 for none; to be asked again
 * after each `changed`. Takes what came without a kick. Takes the lock.
 */
short console_wants(struct console *c, unsigned port);

/*
 * Has everything that the guest put into the port's queue been taken? Takes
 * what came without a kick.
 */
bool console_is_drained(struct console *c, unsigned port);

/* State to and from a template, the machine standing still. */
void console_save(const struct console *c, struct pack *p);
int console_load(struct console *c, struct unpack *u);

#endif
