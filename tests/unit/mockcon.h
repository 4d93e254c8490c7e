/* SPDX-License-Identifier: MIT */
/*
 * A guest with a multiport console as Linux's driver drives it, and back ends
 * of memory on the host's side of it, for tests of the console device.
 *
 * The guest keeps what it was told (names, host ends) and what it read; the
 * back ends keep what they took and can be slow, short, at their end or gone.
 * The guest kicks only where the device wants to be kicked: a kick too few
 * stalls a test here as it would stall a machine.
 */
#ifndef HUSK_TESTS_MOCKCON_H
#define HUSK_TESTS_MOCKCON_H

#include "devices/virtio/console.h"
#include "mockdrv.h"

#define MOCKCON_BUF  4096u	/* what the driver gives for input */
#define MOCKCON_CTRL 16u	/* control queue's size */

/* The host's side of a port. */
struct mockback {
	uint8_t *taken;		/* owned */
	size_t nr_taken;
	size_t room;		/* takes no more than this until told */
	size_t per_call;	/* ... nor more than this at once; 0: any */
	bool gone;		/* -EPIPE */
	const uint8_t *give;	/* what is still to be given */
	size_t left;
	bool eof;		/* after that the end, else "not now" */
	unsigned nr_gives, nr_closed;
};

struct mockport {
	char name[32];
	bool added, host_open;
	unsigned nr_opens, nr_closes;	/* messages about the host's end */
	uint8_t *got;			/* owned: input that has arrived */
	size_t nr_got;
	gpa_t rx[VIRTQ_MAX_SIZE];	/* buffer by head */
};

struct mockcon {
	struct mockdrv drv;
	struct console con;
	unsigned nr_ports;
	unsigned nr_changed;		/* calls of the console's callback */
	struct mockback back[CONSOLE_MAX_PORTS];
	struct mockport port[CONSOLE_MAX_PORTS];
	gpa_t ctrl[MOCKCON_CTRL];	/* control buffer by head */
};

/* Queue numbers of 5.3.2. */
unsigned mockcon_rx(unsigned port);
unsigned mockcon_tx(unsigned port);
#define MOCKCON_CTRL_RX 2u
#define MOCKCON_CTRL_TX 3u

/*
 * Make the device and its back ends; ports are named port0, port1, ... All
 * can give and take. Queues have `rx` and `tx` entries.
 */
void mockcon_init(struct mockcon *g, unsigned nr_ports, uint16_t rx,
		  uint16_t tx);
void mockcon_fini(struct mockcon *g);

/* Negotiate and set up queues; buffers for control messages: `nr`. */
void mockcon_probe(struct mockcon *g, unsigned nr);
/* Probe, announce the driver, set up every port as it is added. */
void mockcon_boot(struct mockcon *g);

/* Send a control message. */
void mockcon_control(struct mockcon *g, uint32_t id, uint16_t event,
		     uint16_t value);
/* Read control messages, answer PORT_ADD, give the buffers back. */
void mockcon_serve_control(struct mockcon *g);

/* Offer every input buffer of a port; fill them once. */
void mockcon_fill(struct mockcon *g, unsigned port);
/* Read input and give the buffers back; returns bytes that came. */
size_t mockcon_read(struct mockcon *g, unsigned port);
/* One buffer to the host; false when the queue is full. */
bool mockcon_write(struct mockcon *g, unsigned port, const void *src,
		   uint32_t len);
/* Requests of the port that came back. */
unsigned mockcon_reap(struct mockcon *g, unsigned port);

/* One more buffer for control messages. */
void mockcon_add_control(struct mockcon *g);

#endif
