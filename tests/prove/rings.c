// SPDX-License-Identifier: MIT
/*
 * Every access to ring memory, for Frama-C's Eva: it runs the real virtq.c
 * and gmem.c with sets of values in place of values, so what raises no alarm
 * here cannot happen for any member of the sets.
 *
 * The bound: queues of each size up to VIRTQ_MAX_SIZE; the three areas
 * at every place that virtq_live allows in a machine of two regions of 2 MiB
 * (that virtq_enable lets no other through is proven by WP, for regions of
 * any place and length); indices, heads, lengths and all bytes of RAM anything
 * at each read. One call from any such state: the calls change no area, so
 * it holds for any number of them.
 */
#include <stdbool.h>

#include "devices/virtio/virtq.c"

#define LEN  (2u << 20)
#define HIGH (4ull << 30)

static uint8_t low[LEN], high[LEN];
static struct gmem mem = { 2, { { 0, LEN, low }, { HIGH, LEN, high } } };
static struct vreq req;

static uint16_t any16(void)
{
	return (uint16_t)Frama_C_unsigned_int_interval(0, UINT16_MAX);
}

static gpa_t place(gpa_t base, unsigned len, unsigned align)
{
	uint64_t i = Frama_C_unsigned_long_interval(0, (LEN - len) / align);

	return base + align * i;
}

static void call_any(struct virtq *q)
{
	switch (Frama_C_interval(0, 5)) {
	case 0:
		virtq_pop(q, &req);
		break;
	case 1:
		virtq_push(q, any16(),
			   Frama_C_unsigned_int_interval(0, UINT32_MAX));
		break;
	case 2:
		virtq_has_work(q);
		break;
	case 3:
		virtq_wants_irq(q);
		break;
	case 4:
		virtq_set_notify(q, (enum virtq_notify)Frama_C_interval(0, 2));
		break;
	default:
		virtq_unpop(q);
		break;
	}
}

static void check(uint16_t size, gpa_t base)
{
	struct virtq q = { .mem = &mem, .max = VIRTQ_MAX_SIZE };
	uint16_t slot;

	q.s.size = size;
	q.s.desc = place(base, DESC_LEN(size), 16);
	q.s.avail = place(base, AVAIL_LEN(size), 2);
	q.s.used = place(base, USED_LEN(size), 4);
	q.s.last_avail = any16();
	q.s.next_used = any16();
	q.s.asked = any16();
	q.s.most = any16();
	q.s.event = Frama_C_nondet(0, 1);
	q.s.notify = (uint8_t)Frama_C_interval(0, 2);
	q.s.ready = true;
	slot = ring_slot(&q, any16());
	/*@ assert slot < size; */
	(void)slot;
	call_any(&q);
}

int main(void)
{
	unsigned size;

	Frama_C_make_unknown((char *)low, LEN);
	Frama_C_make_unknown((char *)high, LEN);
	for (size = 1; size <= VIRTQ_MAX_SIZE; size *= 2) {
		check((uint16_t)size, 0);
		check((uint16_t)size, HIGH);
	}
	return 0;
}
