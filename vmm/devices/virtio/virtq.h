/* SPDX-License-Identifier: MIT */
/*
 * The device's side of a split virtqueue (virtio 1.2, section 2.7).
 *
 * The driver owns three areas in guest memory:
 *
 *	descriptor table	size x 16 bytes	 aligned to 16	device reads
 *	available ring		6 + 2 x size	 aligned to 2	device reads
 *	used ring		6 + 8 x size	 aligned to 4	device writes
 *
 *	desc[]	| addr | len | flags | next |	 a buffer; NEXT chains it on
 *	avail	| flags | idx | ring[size] ... | used_event |	heads it offers
 *	used	| flags | idx | {id, len}[size] ... | avail_event | we give back
 *
 * Both idx run freely modulo 2^16 and are taken modulo size (a power of two)
 * to index. The driver stores idx after the entries it covers, and so do we:
 * idx is loaded with acquire and stored with release order.
 *
 * This file is the only one that touches ring memory. A chain is walked once,
 * every descriptor is copied before it is checked, and what virtq_pop hands
 * out is bounded and translated: devices never see a descriptor. Whatever the
 * driver gets wrong is -EPROTO, after which the transport sets
 * DEVICE_NEEDS_RESET and leaves the queue alone.
 *
 * With EVENT_IDX (2.7.7, 2.7.10) each side says at which index it wants to
 * hear of the other, instead of always or never. That lets a queue of input
 * sleep until half of it is free: three exits for 128 KiB, not for 4.
 *
 * Not offered: INDIRECT_DESC (a second table to walk), packed rings.
 *
 * Locking: the owner's; every call of one queue happens under one lock.
 */
#ifndef HUSK_DEVICES_VIRTQ_H
#define HUSK_DEVICES_VIRTQ_H

#include "core/gmem.h"
#include "lib/pack.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define VIRTQ_MAX_SIZE	128u	   /* descriptors, of any queue of ours */
#define VIRTQ_MAX_BYTES (4u << 20) /* in one chain, each way */

/*
 * When the driver is to kick: for each buffer that it offers to an empty
 * queue, once it has offered half of those that it has (without EVENT_IDX:
 * each), or not at all.
 */
enum virtq_notify {
	VIRTQ_NOTIFY_EACH,
	VIRTQ_NOTIFY_HALF,
	VIRTQ_NOTIFY_NONE,
};

/* What a template must keep; no host address in it. */
struct virtq_state {
	gpa_t desc, avail, used;
	uint16_t size;		/* as the driver chose it, <= max */
	uint16_t last_avail;	/* next entry of the available ring to take */
	uint16_t next_used;	/* next entry of the used ring to fill */
	uint16_t asked;		/* next_used when virtq_wants_irq was asked */
	uint16_t most;		/* entries that ever waited at once */
	bool event;		/* the driver has accepted EVENT_IDX */
	bool ready;
	uint8_t notify;		/* enum virtq_notify: what was asked last */
};

struct virtq {
	struct virtq_state s;
	uint16_t max;		/* what the device offers, a power of two */
	const struct gmem *mem;	/* borrowed, outlives the queue */
};

/* One request: what the driver wrote for us, then what we may write. */
struct vreq {
	uint16_t head;
	unsigned nr_out, nr_in;		/* entries of iov: out first, then in */
	uint32_t len_out, len_in;	/* bytes */
	struct iovec iov[VIRTQ_MAX_SIZE];
};

/*@ predicate virtq_area(struct virtq *q, integer at, integer len,
			 integer align) =
	at % align == 0 && (gmem_has(q->mem, 0, at, len) ||
			    gmem_has(q->mem, 1, at, len));

    predicate virtq_live(struct virtq *q) =
	0 < q->s.size <= VIRTQ_MAX_SIZE &&
	virtq_area(q, q->s.desc, 16 * q->s.size, 16) &&
	virtq_area(q, q->s.avail, 6 + 2 * q->s.size, 2) &&
	virtq_area(q, q->s.used, 6 + 8 * q->s.size, 4);

    predicate virtq_walks(struct virtq *q, struct vreq *r) =
	\valid_read(q) && \valid(r) && gmem_ok(q->mem) &&
	q->s.size <= VIRTQ_MAX_SIZE && \separated(r, q, q->mem);

    predicate vreq_ok(struct vreq *r, integer n) =
	r->nr_out + r->nr_in == n && n <= VIRTQ_MAX_SIZE &&
	r->len_out <= VIRTQ_MAX_BYTES && r->len_in <= VIRTQ_MAX_BYTES &&
	(\forall integer k; 0 <= k < n ==> 0 < r->iov[k].iov_len &&
	    \valid((uint8_t *)r->iov[k].iov_base +
		   (0 .. r->iov[k].iov_len - 1))); */

void virtq_init(struct virtq *q, const struct gmem *mem, uint16_t max);

/* Back to the state after reset: not ready, indices 0. */
void virtq_reset(struct virtq *q);

/*
 * Make a configured queue live (QueueReady written 1): size a power of two
 * within max, areas aligned and wholly in RAM. -EPROTO otherwise.
 */
/*@ requires \valid(q) && gmem_ok(q->mem) && q->max <= VIRTQ_MAX_SIZE;
    requires \separated(q, q->mem);
    assigns q->s.ready;
    ensures \result == 0 ==> virtq_live(q) && q->s.size <= q->max; */
int virtq_enable(struct virtq *q);

/* 1 and *r filled, 0 when nothing is offered, -EPROTO. */
/*@ requires virtq_walks(q, r) && \valid(q);
    requires q->s.ready ==> virtq_live(q);
    assigns q->s.last_avail, q->s.most, *r;
    ensures head: \result == 1 ==> r->head < q->s.size;
    ensures some: \result == 1 ==> 1 <= r->nr_out + r->nr_in <= q->s.size;
    ensures ram: \result == 1 ==> vreq_ok(r, r->nr_out + r->nr_in); */
int virtq_pop(struct virtq *q, struct vreq *r);

/* Put the request of the last virtq_pop back; nothing may lie between. */
void virtq_unpop(struct virtq *q);

/* Give a head back, `written` bytes of its in-part filled. */
int virtq_push(struct virtq *q, uint16_t head, uint32_t written);

/* True when requests wait. -EPROTO conditions count as true: pop tells. */
bool virtq_has_work(const struct virtq *q);

/* Was anything pushed since the last call that the driver wants to know? */
bool virtq_wants_irq(struct virtq *q);

/*
 * Ask the driver when to kick; EACH until asked otherwise. A hint: after
 * asking for more, look at virtq_has_work once more. HALF counts from now, so
 * ask when nothing waits. It is half of what was ever seen to wait at once,
 * which a driver that got all of it back does offer again.
 *
 * With EVENT_IDX a driver owes no kick for what it offered before virtq_pop
 * found the queue empty: who stops earlier must come back by himself.
 */
void virtq_set_notify(struct virtq *q, enum virtq_notify when);

/*
 * State to and from a template. Loading checks a live queue as virtq_enable
 * does, against the memory that the queue was made with: -EPROTO.
 */
void virtq_save(const struct virtq *q, struct pack *p);
int virtq_load(struct virtq *q, struct unpack *u);

#endif
