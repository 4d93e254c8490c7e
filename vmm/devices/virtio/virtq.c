// SPDX-License-Identifier: MIT
/*
 * See virtq.h for the layout and the rules. Ring memory is translated anew on
 * each use, with its length: the look-up is a dozen instructions, and no host
 * pointer outlives a call, which keeps the queue's state free of addresses.
 */
#include "devices/virtio/virtq.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

#define AVAIL_LEN(size) (6u + 2u * (uint64_t)(size))
#define USED_LEN(size)	(6u + 8u * (uint64_t)(size))
#define DESC_LEN(size)	(16u * (uint64_t)(size))

void virtq_init(struct virtq *q, const struct gmem *mem, uint16_t max)
{
	assert(max && max <= VIRTQ_MAX_SIZE && !(max & (max - 1)));
	*q = (struct virtq){ .max = max, .mem = mem };
	virtq_reset(q);
}

void virtq_reset(struct virtq *q)
{
	q->s = (struct virtq_state){ .size = q->max };
}

/*@ requires \valid_read(q) && gmem_ok(q->mem) && align > 0;
    assigns \nothing;
    ensures \result ==> gpa % align == 0 && (gmem_has(q->mem, 0, gpa, len) ||
		gmem_has(q->mem, 1, gpa, len)); */
static bool area_ok(const struct virtq *q, gpa_t gpa, uint64_t len,
		    unsigned align)
{
	return gpa % align == 0 && gmem_ptr(q->mem, gpa, len);
}

int virtq_enable(struct virtq *q)
{
	uint16_t size = q->s.size;

	if (!size || size > q->max || (size & (size - 1)))
		return -EPROTO;
	if (!area_ok(q, q->s.desc, DESC_LEN(size), 16) ||
	    !area_ok(q, q->s.avail, AVAIL_LEN(size), 2) ||
	    !area_ok(q, q->s.used, USED_LEN(size), 4))
		return -EPROTO;
	q->s.ready = true;
	return 0;
}

static struct vring_avail *avail_ring(const struct virtq *q)
{
	return gmem_ptr(q->mem, q->s.avail, AVAIL_LEN(q->s.size));
}

static struct vring_used *used_ring(const struct virtq *q)
{
	return gmem_ptr(q->mem, q->s.used, USED_LEN(q->s.size));
}

/* The driver's and our word of when to hear of the other: last in each ring. */
static uint16_t *used_event(const struct virtq *q)
{
	return &avail_ring(q)->ring[q->s.size];
}

static uint16_t *avail_event(const struct virtq *q)
{
	return (void *)&used_ring(q)->ring[q->s.size];
}

/* Entries offered and not taken: 0..65535, more than size is a lie. */
/*@ assigns \result \from *q; */
static uint16_t pending(const struct virtq *q)
{
	/* Pairs with the driver's store of idx after its ring entries. */
	uint16_t idx = __atomic_load_n(&avail_ring(q)->idx, __ATOMIC_ACQUIRE);

	return (uint16_t)(idx - q->s.last_avail);
}

bool virtq_has_work(const struct virtq *q)
{
	return q->s.ready && pending(q) != 0;
}

/* Where in a ring the free-running index stands. */
/*@ requires \valid_read(q) && q->s.size > 0;
    assigns \result \from q->s.size, idx;
    ensures \result < q->s.size; */
static uint16_t ring_slot(const struct virtq *q, uint16_t idx)
{
	return idx & (uint16_t)(q->s.size - 1);
}

/*@ requires slot < q->s.size;
    assigns \result \from slot, *q; */
static uint16_t read_head(const struct virtq *q, uint16_t slot)
{
	return __atomic_load_n(&avail_ring(q)->ring[slot], __ATOMIC_RELAXED);
}

/* Copy descriptor `i`, once; everything after looks at the copy. */
/*@ requires i < q->s.size;
    assigns \result \from i, *q; */
static struct vring_desc read_desc(const struct virtq *q, uint16_t i)
{
	const struct vring_desc *table;
	struct vring_desc d;

	table = gmem_ptr(q->mem, q->s.desc, DESC_LEN(q->s.size));
	memcpy(&d, &table[i], sizeof(d));
	return d;
}

/* Add one checked descriptor to the request, as its entry `n`. */
/*@ requires virtq_walks(q, r);
    requires n < VIRTQ_MAX_SIZE && vreq_ok(r, n);
    assigns r->nr_out, r->nr_in, r->len_out, r->len_in, r->iov[n];
    ensures \result <= 0 && (\result == 0 ==> vreq_ok(r, n + 1)); */
static int add_buffer(const struct virtq *q, struct vreq *r, unsigned n,
		      struct vring_desc d)
{
	bool in = d.flags & VRING_DESC_F_WRITE;
	uint64_t total = (uint64_t)(in ? r->len_in : r->len_out) + d.len;
	void *hva;

	/* 2.7.4.2: what the device reads comes before what it writes. */
	if (!in && r->nr_in)
		return -EPROTO;
	hva = gmem_ptr(q->mem, d.addr, d.len);
	if (!hva || total > VIRTQ_MAX_BYTES)
		return -EPROTO;
	r->iov[n].iov_base = hva;
	r->iov[n].iov_len = d.len;
	if (in) {
		r->len_in = (uint32_t)total;
		r->nr_in++;
	} else {
		r->len_out = (uint32_t)total;
		r->nr_out++;
	}
	return 0;
}

/*@ requires virtq_walks(q, r) && vreq_ok(r, 0);
    assigns r->nr_out, r->nr_in, r->len_out, r->len_in,
	    r->iov[0 .. VIRTQ_MAX_SIZE - 1];
    ensures \result <= 0;
    ensures \result == 0 ==> r->head < q->s.size &&
		1 <= r->nr_out + r->nr_in <= q->s.size &&
		vreq_ok(r, r->nr_out + r->nr_in); */
static int walk_chain(const struct virtq *q, struct vreq *r)
{
	uint16_t i = r->head;
	unsigned steps;

	/* A chain longer than the table has a loop in it (2.7.5.3.1). */
	/*@ loop invariant steps <= q->s.size;
	    loop invariant vreq_ok(r, steps);
	    loop invariant 0 < steps ==> r->head < q->s.size;
	    loop invariant steps == 0 ==> i == r->head;
	    loop assigns steps, i, r->nr_out, r->nr_in, r->len_out, r->len_in,
			 r->iov[0 .. VIRTQ_MAX_SIZE - 1];
	    loop variant q->s.size - steps; */
	for (steps = 0; steps < q->s.size; steps++) {
		struct vring_desc d;
		int ret;

		if (i >= q->s.size)
			return -EPROTO;
		d = read_desc(q, i);
		if (d.flags & VRING_DESC_F_INDIRECT)
			return -EPROTO;
		/* What the request is filled with, memory is not. */
		/*@ assert q->mem == \at(q->mem, Pre); */
		/*@ assert \valid_read(q->mem); */
		/*@ assert q->mem->nr == \at(q->mem->nr, Pre); */
		/*@ assert \forall integer k; 0 <= k < GMEM_NR_REGIONS ==>
			q->mem->region[k].base ==
			\at(q->mem->region[k].base, Pre); */
		/*@ assert \forall integer k; 0 <= k < GMEM_NR_REGIONS ==>
			q->mem->region[k].len ==
			\at(q->mem->region[k].len, Pre); */
		/*@ assert \forall integer k; 0 <= k < GMEM_NR_REGIONS ==>
			q->mem->region[k].hva ==
			\at(q->mem->region[k].hva, Pre); */
		/*@ assert gmem_ok(q->mem); */
		ret = add_buffer(q, r, steps, d);
		if (ret)
			return ret;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		i = d.next;
	}
	return -EPROTO;
}

/*
 * The entry whose offer is to come with a kick. Never is what lies furthest
 * off: that one kick in 65536 offers comes nevertheless does no harm.
 */
static uint16_t kick_at(const struct virtq *q)
{
	uint16_t next = q->s.last_avail;

	if (q->s.notify == VIRTQ_NOTIFY_NONE)
		return (uint16_t)(next - 1);
	if (q->s.notify == VIRTQ_NOTIFY_HALF && q->s.most > 1)
		return (uint16_t)(next + q->s.most / 2 - 1);
	return next;
}

static void ask_for_kick(const struct virtq *q)
{
	bool never = q->s.notify == VIRTQ_NOTIFY_NONE;

	if (q->s.event)
		__atomic_store_n(avail_event(q), kick_at(q), __ATOMIC_RELAXED);
	else
		__atomic_store_n(&used_ring(q)->flags,
				 (uint16_t)(never ? VRING_USED_F_NO_NOTIFY : 0),
				 __ATOMIC_RELAXED);
	/* The driver may have offered buffers before it could see this. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* What waits, and when that is nothing, an arrangement to hear of the next. */
/*@ assigns \result \from *q; */
static uint16_t pending_or_ask(const struct virtq *q)
{
	uint16_t n = pending(q);

	if (n || !q->s.event || q->s.notify != VIRTQ_NOTIFY_EACH)
		return n;
	ask_for_kick(q);
	return pending(q);
}

int virtq_pop(struct virtq *q, struct vreq *r)
{
	uint16_t n;
	int ret;

	if (!q->s.ready)
		return 0;
	n = pending_or_ask(q);
	if (!n)
		return 0;
	if (n > q->s.size)
		return -EPROTO;
	if (n > q->s.most)
		q->s.most = n;
	r->head = read_head(q, ring_slot(q, q->s.last_avail));
	r->nr_out = r->nr_in = 0;
	r->len_out = r->len_in = 0;
	ret = walk_chain(q, r);
	if (ret)
		return ret;
	q->s.last_avail++;
	return 1;
}

void virtq_unpop(struct virtq *q)
{
	q->s.last_avail--;
}

int virtq_push(struct virtq *q, uint16_t head, uint32_t written)
{
	struct vring_used *used = used_ring(q);
	uint16_t slot = ring_slot(q, q->s.next_used);
	struct vring_used_elem elem = { .id = head, .len = written };

	if (!used)
		return -EPROTO;
	memcpy(&used->ring[slot], &elem, sizeof(elem));
	q->s.next_used++;
	/* The driver reads the entry after it has seen idx move. */
	__atomic_store_n(&used->idx, q->s.next_used, __ATOMIC_RELEASE);
	return 0;
}

bool virtq_wants_irq(struct virtq *q)
{
	uint16_t flags, old = q->s.asked, new = q->s.next_used;

	if (!q->s.ready || old == new)
		return false;
	q->s.asked = new;
	/* Our idx must be visible before we look whether to interrupt. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (q->s.event)
		return vring_need_event(
			__atomic_load_n(used_event(q), __ATOMIC_RELAXED), new,
			old);
	flags = __atomic_load_n(&avail_ring(q)->flags, __ATOMIC_RELAXED);
	return !(flags & VRING_AVAIL_F_NO_INTERRUPT);
}

void virtq_set_notify(struct virtq *q, enum virtq_notify when)
{
	if (!q->s.ready || q->s.notify == when)
		return;
	q->s.notify = (uint8_t)when;
	ask_for_kick(q);
}

void virtq_save(const struct virtq *q, struct pack *p)
{
	pack_u64(p, q->s.desc);
	pack_u64(p, q->s.avail);
	pack_u64(p, q->s.used);
	pack_u16(p, q->s.size);
	pack_u16(p, q->s.last_avail);
	pack_u16(p, q->s.next_used);
	pack_u16(p, q->s.most);
	pack_bool(p, q->s.event);
	pack_bool(p, q->s.ready);
	pack_u8(p, q->s.notify);
}

int virtq_load(struct virtq *q, struct unpack *u)
{
	bool ready;

	q->s.desc = unpack_u64(u);
	q->s.avail = unpack_u64(u);
	q->s.used = unpack_u64(u);
	q->s.size = unpack_u16(u);
	q->s.last_avail = unpack_u16(u);
	q->s.next_used = unpack_u16(u);
	/* Nobody saves between a push and the interrupt for it. */
	q->s.asked = q->s.next_used;
	q->s.most = unpack_u16(u);
	q->s.event = unpack_bool(u);
	ready = unpack_bool(u);
	q->s.notify = unpack_u8(u);
	q->s.ready = false;
	if (u->failed)
		return -EPROTO;
	return ready ? virtq_enable(q) : 0;
}
