/* SPDX-License-Identifier: MIT */
/*
 * The driver's side of virtio, for tests and fuzzers: a split virtqueue in
 * guest memory (struct mockring), and a driver of a whole device that reaches
 * it through the registers as a guest does (struct mockdrv).
 *
 * It can behave, and every step can also be made by hand and wrong: ring
 * memory is open through mockring_*, registers through mockdrv_read and
 * mockdrv_write. A mistake in a test itself ends the program (assert); what
 * the device answers is only handed back.
 */
#ifndef HUSK_TESTS_MOCKDRV_H
#define HUSK_TESTS_MOCKDRV_H

#include "devices/virtio/vdev.h"
#include "devices/virtio/virtq.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Guest memory of the tests: 6 and 2 MiB with a hole between, so
 * that ends of regions are near. The last page of the first region is left to
 * tests of that end by mockdrv_alloc.
 */
#define MOCK_LOW_END	(6ull << 20)
#define MOCK_HIGH	(16ull << 20)
#define MOCK_HIGH_END	(18ull << 20)

void mock_mem_init(struct gmem *m);

/* One buffer of a chain as a driver describes it. */
struct mockbuf {
	gpa_t gpa;
	uint32_t len;
	bool in;		/* the device writes */
};

struct mockring {
	const struct gmem *mem;
	uint16_t size;
	gpa_t desc, avail, used;
	uint16_t avail_idx;	/* entries ever offered */
	uint16_t used_idx;	/* used entries ever looked at */
	uint16_t told_idx;	/* avail_idx when a kick was last thought of */
	bool event;		/* EVENT_IDX: kicks and interrupts by index */
	uint16_t nr_free;
	uint16_t free[VIRTQ_MAX_SIZE];
	uint16_t link[VIRTQ_MAX_SIZE];	/* next of a chain in flight */
	uint16_t chain[VIRTQ_MAX_SIZE]; /* its length by head; 0: none */
};

/* Lay a ring out at `gpa`, which must be 16-aligned; returns its end. */
gpa_t mockring_init(struct mockring *r, const struct gmem *mem, gpa_t gpa,
		    uint16_t size);

/* Tell a queue of the device where the ring is, without any transport. */
void mockring_attach(const struct mockring *r, struct virtq *q);

/* Raw access. Index and slot wrap at the ring's size. */
void mockring_set_desc(struct mockring *r, uint16_t i, gpa_t addr, uint32_t len,
		       uint16_t flags, uint16_t next);
void mockring_set_avail(struct mockring *r, uint16_t slot, uint16_t head);
void mockring_set_avail_idx(struct mockring *r, uint16_t idx);
void mockring_set_avail_flags(struct mockring *r, uint16_t flags);
uint16_t mockring_used_idx(const struct mockring *r);
uint16_t mockring_used_flags(const struct mockring *r);
/* With EVENT_IDX: what the driver writes, what the device wrote. */
void mockring_set_used_event(struct mockring *r, uint16_t idx);
uint16_t mockring_avail_event(const struct mockring *r);
/* Would a driver that offers n more buffers have to kick? */
bool mockring_would_kick(const struct mockring *r, unsigned n);
void mockring_used(const struct mockring *r, uint16_t slot, uint32_t *id,
		   uint32_t *len);

/* Start both sides' indices elsewhere; before anything is offered. */
void mockring_skip_to(struct mockring *r, struct virtq *q, uint16_t idx);

/* Offer `head` whatever it is. */
void mockring_offer(struct mockring *r, uint16_t head);

/* Describe a chain and offer it; returns its head. Must fit. */
uint16_t mockring_add(struct mockring *r, const struct mockbuf *buf,
		      unsigned nr);

/* Next used entry: true with head and length, its descriptors free again. */
bool mockring_collect(struct mockring *r, uint16_t *head, uint32_t *len);

struct mockdrv {
	struct gmem mem;
	struct vdev *dev;	/* borrowed */
	unsigned nr_irqs;	/* edges since mockdrv_init */
	gpa_t next;		/* of mockdrv_alloc */
	bool event;		/* EVENT_IDX was negotiated */
	struct mockring ring[20];
};

/* Memory only; the device is made with d->mem and mockdrv_irq, then started */
void mockdrv_init(struct mockdrv *d);
void mockdrv_fini(struct mockdrv *d);
struct irq_line mockdrv_irq(struct mockdrv *d);

/* `len` bytes of guest memory, 16-aligned, never given back. */
gpa_t mockdrv_alloc(struct mockdrv *d, uint32_t len);
/* Host view of guest bytes; the range must be RAM. */
void *mockdrv_ptr(struct mockdrv *d, gpa_t gpa, uint64_t len);

/* Registers, 32 bits at the offset. */
uint32_t mockdrv_read(struct mockdrv *d, uint32_t off);
void mockdrv_write(struct mockdrv *d, uint32_t off, uint32_t val);

/* The steps of 3.1.1, one by one. */
void mockdrv_begin(struct mockdrv *d, struct vdev *dev);    /* to DRIVER */
void mockdrv_negotiate(struct mockdrv *d, uint64_t refuse); /* FEATURES_OK */
void mockdrv_set_queue(struct mockdrv *d, unsigned i, uint16_t size);
void mockdrv_go(struct mockdrv *d);			    /* DRIVER_OK */

/* All of them: every queue of the device at the size it offers. */
void mockdrv_start(struct mockdrv *d, struct vdev *dev);

void mockdrv_kick(struct mockdrv *d, unsigned i);
/* As a driver does: not when the device asked to be left alone. */
bool mockdrv_kick_if_wanted(struct mockdrv *d, unsigned i);
/* InterruptStatus, read and acknowledged. */
uint32_t mockdrv_ack(struct mockdrv *d);
bool mockdrv_is_broken(struct mockdrv *d);

#endif
