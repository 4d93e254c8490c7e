/* LINK: tests/unit/mockdrv.c vmm/core/gmem.c */
/* LINK: vmm/devices/virtio/virtq.c vmm/devices/virtio/vmmio.c */
/* LINK: vmm/devices/virtio/vdev.c */
// SPDX-License-Identifier: MIT
/*
 * One queue, a driver that writes anything into its memory between calls, and
 * a device that takes and gives back. What comes out of virtq_pop lies in
 * guest memory, is as long as it says and within the limits; a head comes out
 * only when it was offered.
 */
#include <errno.h>
#include <linux/virtio_ring.h>

#include "../unit/mockdrv.h"
#include "feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_STEPS 400
#define RING_LOW  0x1000u

struct fuzz {
	struct feed f;
	struct gmem mem;
	struct mockring ring;
	struct virtq q;
	struct vreq req;
	uint16_t taken[VIRTQ_MAX_SIZE]; /* popped, not pushed */
	unsigned nr_taken;
	bool broken;
};

/* Somewhere low, or so that the end of a ring is the end of RAM, or wild. */
static gpa_t place(struct feed *f)
{
	uint8_t how = feed_u8(f);

	switch (how % 4) {
	case 0:
		return RING_LOW + 16u * feed_u16(f);
	case 1:
		return (how & 4 ? MOCK_LOW_END : MOCK_HIGH_END) -
		       2u * feed_u16(f);
	case 2:
		return MOCK_HIGH + 4u * feed_u8(f);
	default:
		return feed_u64(f);
	}
}

static void set_up(struct fuzz *z)
{
	static const uint16_t sizes[] = { 1, 2, 4, 8, 16, 64, 128, 3 };

	uint8_t how = feed_u8(&z->f);

	mock_mem_init(&z->mem);
	virtq_init(&z->q, &z->mem, VIRTQ_MAX_SIZE);
	z->q.s.event = how & 0x80;
	z->ring.mem = &z->mem;
	z->ring.size = z->q.s.size = sizes[how % 8];
	z->ring.desc = z->q.s.desc = place(&z->f);
	z->ring.avail = z->q.s.avail = place(&z->f);
	z->ring.used = z->q.s.used = place(&z->f);
}

static void check_request(const struct fuzz *z)
{
	const struct vreq *r = &z->req;
	uint64_t len[2] = { 0, 0 };
	unsigned i, j;

	REQUIRE(r->head < z->q.s.size);
	REQUIRE(r->nr_out + r->nr_in >= 1);
	REQUIRE(r->nr_out + r->nr_in <= z->q.s.size);
	for (i = 0; i < r->nr_out + r->nr_in; i++) {
		const uint8_t *p = r->iov[i].iov_base;
		bool inside = false;

		for (j = 0; j < z->mem.nr; j++) {
			const struct gmem_region *g = &z->mem.region[j];

			inside |= p >= g->hva && r->iov[i].iov_len <= g->len &&
				  p <= g->hva + g->len - r->iov[i].iov_len;
		}
		REQUIRE(inside && r->iov[i].iov_len);
		len[i >= r->nr_out] += r->iov[i].iov_len;
	}
	REQUIRE(len[0] == r->len_out && len[1] == r->len_in);
	REQUIRE(len[0] <= VIRTQ_MAX_BYTES && len[1] <= VIRTQ_MAX_BYTES);
}

static void pop(struct fuzz *z)
{
	uint16_t before = z->q.s.last_avail;
	bool work = virtq_has_work(&z->q);
	int ret = virtq_pop(&z->q, &z->req);

	REQUIRE(ret == 0 || ret == 1 || ret == -EPROTO);
	REQUIRE(work == (ret != 0));
	REQUIRE(z->q.s.last_avail == (uint16_t)(before + (ret == 1)));
	if (ret < 0)
		z->broken = true;
	if (ret != 1)
		return;
	check_request(z);
	/* A device of ours has one request in hand; give some more slack. */
	if (z->nr_taken == VIRTQ_MAX_SIZE) {
		virtq_unpop(&z->q);
		REQUIRE(z->q.s.last_avail == before);
		return;
	}
	z->taken[z->nr_taken++] = z->req.head;
}

static void push(struct fuzz *z)
{
	uint16_t before = z->q.s.next_used, head;

	if (!z->nr_taken)
		return;
	head = z->taken[--z->nr_taken];
	REQUIRE(!virtq_push(&z->q, head, feed_u32(&z->f)));
	REQUIRE(z->q.s.next_used == (uint16_t)(before + 1));
}

static void write_memory(struct fuzz *z)
{
	gpa_t at = z->ring.desc + feed_u16(&z->f);
	uint8_t buf[16];

	feed_bytes(&z->f, buf, sizeof(buf));
	gmem_write(&z->mem, at, buf, sizeof(buf));
}

static void write_desc(struct fuzz *z)
{
	struct feed *f = &z->f;
	uint16_t i = feed_u8(f);
	gpa_t addr = place(f);
	uint32_t len = feed_u8(f) & 1 ? feed_u32(f) : feed_u8(f);

	mockring_set_desc(&z->ring, i, addr, len, feed_u8(f), feed_u8(f));
}

static void step(struct fuzz *z)
{
	uint8_t op = feed_u8(&z->f);

	switch (op % 9) {
	case 0:
		write_desc(z);
		break;
	case 1:
		mockring_offer(&z->ring, feed_u8(&z->f));
		break;
	case 2:
		mockring_set_avail_idx(&z->ring, feed_u16(&z->f));
		break;
	case 3:
		write_memory(z);
		break;
	case 4:
		mockring_set_avail_flags(&z->ring, feed_u8(&z->f));
		virtq_wants_irq(&z->q);
		break;
	case 5:
		virtq_set_notify(&z->q, op / 9 % 3);
		break;
	case 6:
		push(z);
		break;
	default:
		pop(z);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz z;
	unsigned i;

	memset(&z, 0, sizeof(z));
	z.f = (struct feed){ data, size };
	set_up(&z);
	if (virtq_enable(&z.q) == 0) {
		REQUIRE(gmem_ptr(&z.mem, z.q.s.desc, 16u * z.q.s.size));
		REQUIRE(z.q.s.desc % 16 == 0 && z.q.s.avail % 2 == 0 &&
			z.q.s.used % 4 == 0);
		for (i = 0; i < MAX_STEPS && z.f.left && !z.broken; i++)
			step(&z);
	} else {
		REQUIRE(virtq_pop(&z.q, &z.req) == 0);
		REQUIRE(!virtq_has_work(&z.q) && !virtq_wants_irq(&z.q));
	}
	gmem_fini(&z.mem);
	return 0;
}
