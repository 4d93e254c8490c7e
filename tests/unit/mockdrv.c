// SPDX-License-Identifier: MIT
/*
 * See mockdrv.h. Nothing here looks into the device: what it knows came out
 * of registers and ring memory, as in a guest. The exception is
 * mockring_skip_to, since 65535 requests before each test of the wrap would
 * only be slow.
 */
#include "mockdrv.h"

#include "devices/virtio/vmmio.h"

#include <assert.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

void mock_mem_init(struct gmem *m)
{
	struct err e;
	int r = gmem_init(m, 8u << 20, MOCK_LOW_END, MOCK_HIGH, &e);
	uint8_t *end = m->region[1].hva + m->region[1].len;
	size_t before, after;

	assert(!r);
	/* The reservation is larger than RAM: who goes there shall fall. */
	before = (size_t)(m->region[0].hva - m->map);
	after = m->map_len - (size_t)(end - m->map);
	r |= mprotect(m->map, before, PROT_NONE);
	r |= mprotect(end, after, PROT_NONE);
	assert(!r);
	(void)r;
}

static void *at(const struct gmem *m, gpa_t gpa, uint64_t len)
{
	void *p = gmem_ptr(m, gpa, len);

	assert(p);
	return p;
}

static void put16(const struct gmem *m, gpa_t gpa, uint16_t v)
{
	__atomic_store_n((uint16_t *)at(m, gpa, 2), v, __ATOMIC_RELEASE);
}

static uint16_t get16(const struct gmem *m, gpa_t gpa)
{
	return __atomic_load_n((uint16_t *)at(m, gpa, 2), __ATOMIC_ACQUIRE);
}

/* ---- the ring ---- */

gpa_t mockring_init(struct mockring *r, const struct gmem *mem, gpa_t gpa,
		    uint16_t size)
{
	uint16_t i;

	assert(gpa % 16 == 0 && size && size <= VIRTQ_MAX_SIZE);
	*r = (struct mockring){ .mem = mem, .size = size, .desc = gpa };
	r->avail = r->desc + 16u * size;
	r->used = (r->avail + 6u + 2u * size + 3u) & ~(gpa_t)3;
	for (i = 0; i < size; i++)
		r->free[r->nr_free++] = (uint16_t)(size - 1 - i);
	memset(at(mem, r->desc, 16u * size), 0, 16u * size);
	memset(at(mem, r->avail, 6u + 2u * size), 0, 6u + 2u * size);
	memset(at(mem, r->used, 6u + 8u * size), 0, 6u + 8u * size);
	return (r->used + 6u + 8u * size + 15u) & ~(gpa_t)15;
}

void mockring_attach(const struct mockring *r, struct virtq *q)
{
	q->s.size = r->size;
	q->s.desc = r->desc;
	q->s.avail = r->avail;
	q->s.used = r->used;
}

void mockring_set_desc(struct mockring *r, uint16_t i, gpa_t addr, uint32_t len,
		       uint16_t flags, uint16_t next)
{
	const struct vring_desc d = { addr, len, flags, next };

	i = (uint16_t)(i % r->size);
	memcpy(at(r->mem, r->desc + 16u * i, 16), &d, sizeof(d));
}

void mockring_set_avail(struct mockring *r, uint16_t slot, uint16_t head)
{
	slot = (uint16_t)(slot % r->size);
	put16(r->mem, r->avail + 4u + 2u * slot, head);
}

void mockring_set_avail_idx(struct mockring *r, uint16_t idx)
{
	r->avail_idx = idx;
	put16(r->mem, r->avail + 2, idx);
}

void mockring_set_avail_flags(struct mockring *r, uint16_t flags)
{
	put16(r->mem, r->avail, flags);
}

uint16_t mockring_used_idx(const struct mockring *r)
{
	return get16(r->mem, r->used + 2);
}

uint16_t mockring_used_flags(const struct mockring *r)
{
	return get16(r->mem, r->used);
}

void mockring_set_used_event(struct mockring *r, uint16_t idx)
{
	put16(r->mem, r->avail + 4u + 2u * r->size, idx);
}

uint16_t mockring_avail_event(const struct mockring *r)
{
	return get16(r->mem, r->used + 4u + 8u * r->size);
}

static bool wants_kick(const struct mockring *r, uint16_t new, uint16_t old)
{
	if (r->event)
		return vring_need_event(mockring_avail_event(r), new, old);
	return !(mockring_used_flags(r) & VRING_USED_F_NO_NOTIFY);
}

bool mockring_would_kick(const struct mockring *r, unsigned n)
{
	return wants_kick(r, (uint16_t)(r->avail_idx + n), r->avail_idx);
}

void mockring_used(const struct mockring *r, uint16_t slot, uint32_t *id,
		   uint32_t *len)
{
	struct vring_used_elem e;

	slot = (uint16_t)(slot % r->size);
	memcpy(&e, at(r->mem, r->used + 4u + 8u * slot, 8), sizeof(e));
	*id = e.id;
	*len = e.len;
}

void mockring_skip_to(struct mockring *r, struct virtq *q, uint16_t idx)
{
	mockring_set_avail_idx(r, idx);
	put16(r->mem, r->used + 2, idx);
	r->used_idx = r->told_idx = idx;
	q->s.last_avail = q->s.next_used = idx;
}

void mockring_offer(struct mockring *r, uint16_t head)
{
	mockring_set_avail(r, r->avail_idx, head);
	mockring_set_avail_idx(r, (uint16_t)(r->avail_idx + 1));
}

uint16_t mockring_add(struct mockring *r, const struct mockbuf *buf,
		      unsigned nr)
{
	uint16_t head, i;

	assert(nr && nr <= r->nr_free);
	head = i = r->free[--r->nr_free];
	r->chain[head] = (uint16_t)nr;
	for (;; buf++) {
		uint16_t flags = buf->in ? VRING_DESC_F_WRITE : 0;
		bool last = --nr == 0;
		uint16_t next = last ? 0 : r->free[--r->nr_free];

		if (!last)
			flags |= VRING_DESC_F_NEXT;
		mockring_set_desc(r, i, buf->gpa, buf->len, flags, next);
		if (last)
			break;
		r->link[i] = next;
		i = next;
	}
	mockring_offer(r, head);
	return head;
}

bool mockring_collect(struct mockring *r, uint16_t *head, uint32_t *len)
{
	uint16_t i;
	uint32_t id;

	if (mockring_used_idx(r) == r->used_idx)
		return false;
	mockring_used(r, r->used_idx++, &id, len);
	if (r->event)
		mockring_set_used_event(r, r->used_idx);
	/* A head that is not in flight came back twice or never left. */
	assert(id < r->size && r->chain[id]);
	*head = i = (uint16_t)id;
	for (; r->chain[id]; r->chain[id]--) {
		r->free[r->nr_free++] = i;
		i = r->link[i];
	}
	return true;
}

/* ---- the driver ---- */

static void count_irq(void *opaque, unsigned pin)
{
	struct mockdrv *d = opaque;

	(void)pin;
	d->nr_irqs++;
}

struct irq_line mockdrv_irq(struct mockdrv *d)
{
	return (struct irq_line){ count_irq, d, 0 };
}

void mockdrv_init(struct mockdrv *d)
{
	memset(d, 0, sizeof(*d));
	mock_mem_init(&d->mem);
	d->next = 0x1000;
}

void mockdrv_fini(struct mockdrv *d)
{
	gmem_fini(&d->mem);
}

gpa_t mockdrv_alloc(struct mockdrv *d, uint32_t len)
{
	gpa_t gpa = d->next;

	d->next = (gpa + len + 15u) & ~(gpa_t)15;
	assert(d->next <= MOCK_LOW_END - GMEM_PAGE);
	return gpa;
}

void *mockdrv_ptr(struct mockdrv *d, gpa_t gpa, uint64_t len)
{
	return at(&d->mem, gpa, len);
}

uint32_t mockdrv_read(struct mockdrv *d, uint32_t off)
{
	return (uint32_t)vmmio_bus_ops.read(d->dev, off, 4);
}

void mockdrv_write(struct mockdrv *d, uint32_t off, uint32_t val)
{
	vmmio_bus_ops.write(d->dev, off, 4, val);
}

static void add_status(struct mockdrv *d, uint32_t bit)
{
	mockdrv_write(d, VIRTIO_MMIO_STATUS,
		      mockdrv_read(d, VIRTIO_MMIO_STATUS) | bit);
}

void mockdrv_begin(struct mockdrv *d, struct vdev *dev)
{
	d->dev = dev;
	mockdrv_write(d, VIRTIO_MMIO_STATUS, 0);
	add_status(d, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	add_status(d, VIRTIO_CONFIG_S_DRIVER);
}

void mockdrv_negotiate(struct mockdrv *d, uint64_t refuse)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		uint32_t f;

		mockdrv_write(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, i);
		f = mockdrv_read(d, VIRTIO_MMIO_DEVICE_FEATURES);
		mockdrv_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		mockdrv_write(d, VIRTIO_MMIO_DRIVER_FEATURES,
			      f & ~(uint32_t)(refuse >> (32 * i)));
		if (!i)
			d->event = (f & ~(uint32_t)refuse) &
				   1u << VIRTIO_RING_F_EVENT_IDX;
	}
	add_status(d, VIRTIO_CONFIG_S_FEATURES_OK);
}

static void set_address(struct mockdrv *d, uint32_t low, gpa_t gpa)
{
	mockdrv_write(d, low, (uint32_t)gpa);
	mockdrv_write(d, low + 4, (uint32_t)(gpa >> 32));
}

void mockdrv_set_queue(struct mockdrv *d, unsigned i, uint16_t size)
{
	struct mockring *r = &d->ring[i];
	/* Descriptors, 6 + 2n and 6 + 8n bytes, and what alignment takes. */
	gpa_t gpa = mockdrv_alloc(d, 26u * size + 64u);

	mockring_init(r, &d->mem, gpa, size);
	r->event = d->event;
	mockdrv_write(d, VIRTIO_MMIO_QUEUE_SEL, i);
	mockdrv_write(d, VIRTIO_MMIO_QUEUE_NUM, size);
	set_address(d, VIRTIO_MMIO_QUEUE_DESC_LOW, r->desc);
	set_address(d, VIRTIO_MMIO_QUEUE_AVAIL_LOW, r->avail);
	set_address(d, VIRTIO_MMIO_QUEUE_USED_LOW, r->used);
	mockdrv_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
}

void mockdrv_go(struct mockdrv *d)
{
	add_status(d, VIRTIO_CONFIG_S_DRIVER_OK);
}

void mockdrv_start(struct mockdrv *d, struct vdev *dev)
{
	unsigned i;

	mockdrv_begin(d, dev);
	mockdrv_negotiate(d, 0);
	for (i = 0; i < sizeof(d->ring) / sizeof(d->ring[0]); i++) {
		uint32_t max;

		mockdrv_write(d, VIRTIO_MMIO_QUEUE_SEL, i);
		max = mockdrv_read(d, VIRTIO_MMIO_QUEUE_NUM_MAX);
		if (max)
			mockdrv_set_queue(d, i, (uint16_t)max);
	}
	mockdrv_go(d);
}

void mockdrv_kick(struct mockdrv *d, unsigned i)
{
	mockdrv_write(d, VIRTIO_MMIO_QUEUE_NOTIFY, i);
}

bool mockdrv_kick_if_wanted(struct mockdrv *d, unsigned i)
{
	struct mockring *r = &d->ring[i];
	uint16_t old = r->told_idx;

	r->told_idx = r->avail_idx;
	if (!wants_kick(r, r->avail_idx, old))
		return false;
	mockdrv_kick(d, i);
	return true;
}

uint32_t mockdrv_ack(struct mockdrv *d)
{
	uint32_t isr = mockdrv_read(d, VIRTIO_MMIO_INTERRUPT_STATUS);

	mockdrv_write(d, VIRTIO_MMIO_INTERRUPT_ACK, isr);
	return isr;
}

bool mockdrv_is_broken(struct mockdrv *d)
{
	return mockdrv_read(d, VIRTIO_MMIO_STATUS) &
	       VIRTIO_CONFIG_S_NEEDS_RESET;
}
