/* LINK: tests/unit/mockdrv.c vmm/core/gmem.c */
/* LINK: vmm/devices/virtio/virtq.c vmm/devices/virtio/vmmio.c */
/* LINK: vmm/devices/virtio/vdev.c */
// SPDX-License-Identifier: MIT
/*
 * The device's side of a virtqueue: what an honest driver offers comes out
 * once, whole and in order; whatever a dishonest one writes is refused and
 * nothing outside guest memory is ever named.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "mockdrv.h"

#define RING 0x10000u
#define DATA 0x20000u
#define SIZE 8u

static struct gmem mem;
static struct mockring ring;
static struct virtq q;
static struct vreq req;

static int set_up(void **state)
{
	(void)state;
	mock_mem_init(&mem);
	mockring_init(&ring, &mem, RING, SIZE);
	virtq_init(&q, &mem, VIRTQ_MAX_SIZE);
	mockring_attach(&ring, &q);
	return virtq_enable(&q);
}

static int tear_down(void **state)
{
	(void)state;
	gmem_fini(&mem);
	return 0;
}

/* ---- honest drivers ---- */

static void nothing_offered(void **state)
{
	(void)state;
	assert_false(virtq_has_work(&q));
	assert_int_equal(virtq_pop(&q, &req), 0);
}

static void one_request(void **state)
{
	const struct mockbuf b[] = {
		{ DATA, 16, false },
		{ DATA + 0x100, 3, false },
		{ DATA + 0x200, 100, true },
		{ DATA + 0x300, 1, true },
	};
	uint16_t head = mockring_add(&ring, b, 4), back;
	uint32_t len;

	(void)state;
	assert_true(virtq_has_work(&q));
	assert_int_equal(virtq_pop(&q, &req), 1);
	assert_int_equal(req.head, head);
	assert_int_equal(req.nr_out, 2);
	assert_int_equal(req.nr_in, 2);
	assert_int_equal(req.len_out, 19);
	assert_int_equal(req.len_in, 101);
	assert_ptr_equal(req.iov[1].iov_base, gmem_ptr(&mem, DATA + 0x100, 3));
	assert_int_equal(req.iov[1].iov_len, 3);
	assert_ptr_equal(req.iov[2].iov_base, gmem_ptr(&mem, DATA + 0x200, 1));
	assert_int_equal(req.iov[3].iov_len, 1);
	assert_int_equal(virtq_pop(&q, &req), 0);
	assert_false(mockring_collect(&ring, &back, &len));
	assert_int_equal(virtq_push(&q, req.head, 42), 0);
	assert_true(mockring_collect(&ring, &back, &len));
	assert_int_equal(back, head);
	assert_int_equal(len, 42);
}

static void full_ring_in_order(void **state)
{
	uint16_t head[SIZE], back;
	uint32_t len;
	unsigned i;

	(void)state;
	for (i = 0; i < SIZE; i++) {
		const struct mockbuf b = { DATA + i, 1, i & 1 };

		head[i] = mockring_add(&ring, &b, 1);
	}
	for (i = 0; i < SIZE; i++) {
		assert_int_equal(virtq_pop(&q, &req), 1);
		assert_int_equal(req.head, head[i]);
	}
	assert_int_equal(virtq_pop(&q, &req), 0);
	/* Given back in another order than taken. */
	for (i = SIZE; i-- > 0;)
		assert_int_equal(virtq_push(&q, head[i], i), 0);
	for (i = SIZE; i-- > 0;) {
		assert_true(mockring_collect(&ring, &back, &len));
		assert_int_equal(back, head[i]);
		assert_int_equal(len, i);
	}
}

static void indices_wrap(void **state)
{
	const struct mockbuf b = { DATA, 5, true };
	uint16_t head, back;
	uint32_t len;
	unsigned i;

	(void)state;
	mockring_skip_to(&ring, &q, 65530);
	for (i = 0; i < 20; i++) {
		head = mockring_add(&ring, &b, 1);
		assert_int_equal(virtq_pop(&q, &req), 1);
		assert_int_equal(req.head, head);
		assert_int_equal(virtq_push(&q, head, i), 0);
		assert_true(mockring_collect(&ring, &back, &len));
		assert_int_equal(back, head);
		assert_int_equal(len, i);
	}
	assert_int_equal(mockring_used_idx(&ring), (uint16_t)(65530 + 20));
	/* A full ring across the wrap. */
	mockring_skip_to(&ring, &q, 65535);
	for (i = 0; i < SIZE; i++)
		mockring_add(&ring, &b, 1);
	for (i = 0; i < SIZE; i++)
		assert_int_equal(virtq_pop(&q, &req), 1);
	assert_int_equal(virtq_pop(&q, &req), 0);
}

static void chain_as_long_as_the_table(void **state)
{
	struct mockbuf b[SIZE];
	unsigned i;

	(void)state;
	for (i = 0; i < SIZE; i++)
		b[i] = (struct mockbuf){ DATA + 16 * i, i + 1, i >= 3 };
	mockring_add(&ring, b, SIZE);
	assert_int_equal(virtq_pop(&q, &req), 1);
	assert_int_equal(req.nr_out, 3);
	assert_int_equal(req.nr_in, SIZE - 3);
	assert_int_equal(req.len_out, 6);
	assert_int_equal(req.len_in, 36 - 6);
}

static void unpop_puts_back(void **state)
{
	const struct mockbuf b[] = { { DATA, 1, false }, { DATA, 2, false } };
	uint16_t first = mockring_add(&ring, &b[0], 1);
	uint16_t second = mockring_add(&ring, &b[1], 1);

	(void)state;
	assert_int_equal(virtq_pop(&q, &req), 1);
	virtq_unpop(&q);
	assert_true(virtq_has_work(&q));
	assert_int_equal(virtq_pop(&q, &req), 1);
	assert_int_equal(req.head, first);
	assert_int_equal(virtq_pop(&q, &req), 1);
	assert_int_equal(req.head, second);
	/* Across the wrap of the index. */
	mockring_skip_to(&ring, &q, 65535);
	mockring_offer(&ring, first);
	assert_int_equal(virtq_pop(&q, &req), 1);
	virtq_unpop(&q);
	assert_int_equal(q.s.last_avail, 65535);
	assert_int_equal(virtq_pop(&q, &req), 1);
}

static void every_size(void **state)
{
	const struct mockbuf b = { DATA, 5, true };
	uint16_t size;
	unsigned i;

	(void)state;
	for (size = 1; size <= VIRTQ_MAX_SIZE; size = (uint16_t)(size * 2)) {
		mockring_init(&ring, &mem, RING, size);
		virtq_reset(&q);
		mockring_attach(&ring, &q);
		assert_int_equal(virtq_enable(&q), 0);
		for (i = 0; i < size; i++)
			mockring_add(&ring, &b, 1);
		for (i = 0; i < size; i++)
			assert_int_equal(virtq_pop(&q, &req), 1);
		assert_int_equal(virtq_pop(&q, &req), 0);
	}
}

static void kicks_and_interrupts(void **state)
{
	const struct mockbuf b = { DATA, 5, true };
	unsigned i;

	(void)state;
	/* Nothing pushed, nothing to tell. */
	assert_false(virtq_wants_irq(&q));
	for (i = 0; i < 2; i++)
		mockring_add(&ring, &b, 1);
	assert_int_equal(virtq_pop(&q, &req), 1);
	assert_int_equal(virtq_push(&q, req.head, 5), 0);
	assert_true(virtq_wants_irq(&q));
	assert_false(virtq_wants_irq(&q));
	mockring_set_avail_flags(&ring, VRING_AVAIL_F_NO_INTERRUPT);
	assert_int_equal(virtq_pop(&q, &req), 1);
	assert_int_equal(virtq_push(&q, req.head, 5), 0);
	assert_false(virtq_wants_irq(&q));

	assert_int_equal(mockring_used_flags(&ring), 0);
	virtq_set_notify(&q, VIRTQ_NOTIFY_NONE);
	assert_int_equal(mockring_used_flags(&ring), VRING_USED_F_NO_NOTIFY);
	virtq_set_notify(&q, VIRTQ_NOTIFY_NONE);
	virtq_set_notify(&q, VIRTQ_NOTIFY_EACH);
	assert_int_equal(mockring_used_flags(&ring), 0);
}

static void a_queue_that_is_not_ready(void **state)
{
	const struct mockbuf b = { DATA, 5, true };

	(void)state;
	mockring_add(&ring, &b, 1);
	virtq_reset(&q);
	assert_int_equal(q.s.size, VIRTQ_MAX_SIZE);
	mockring_attach(&ring, &q);
	assert_false(virtq_has_work(&q));
	assert_false(virtq_wants_irq(&q));
	assert_int_equal(virtq_pop(&q, &req), 0);
	virtq_set_notify(&q, VIRTQ_NOTIFY_NONE);
	assert_int_equal(mockring_used_flags(&ring), 0);
	assert_int_equal(virtq_enable(&q), 0);
	assert_int_equal(virtq_pop(&q, &req), 1);
}

/* ---- where rings may lie ---- */

static void enables_only_what_fits(void **state)
{
	static const struct {
		uint16_t size;
		gpa_t desc, avail, used;
		bool ok;
	} t[] = {
		{ 8, 0x1000, 0x2000, 0x3000, true },
		{ 1, 0x1000, 0x2000, 0x3000, true },
		{ 128, 0x1000, 0x2000, 0x3000, true },
		{ 0, 0x1000, 0x2000, 0x3000, false },
		{ 3, 0x1000, 0x2000, 0x3000, false },
		{ 127, 0x1000, 0x2000, 0x3000, false },
		{ 256, 0x1000, 0x2000, 0x3000, false },
		{ 0x8000, 0x1000, 0x2000, 0x3000, false },
		/* alignment: 16, 2, 4 */
		{ 8, 0x1008, 0x2000, 0x3000, false },
		{ 8, 0x1010, 0x2000, 0x3000, true },
		{ 8, 0x1000, 0x2001, 0x3000, false },
		{ 8, 0x1000, 0x2002, 0x3000, true },
		{ 8, 0x1000, 0x2000, 0x3002, false },
		{ 8, 0x1000, 0x2000, 0x3004, true },
		/* the last byte is the last of RAM: 128, 22, 70 bytes */
		{ 8, MOCK_LOW_END - 128, 0x2000, 0x3000, true },
		{ 8, MOCK_LOW_END - 112, 0x2000, 0x3000, false },
		{ 8, 0x1000, MOCK_LOW_END - 22, 0x3000, true },
		{ 8, 0x1000, MOCK_LOW_END - 20, 0x3000, false },
		{ 8, 0x1000, 0x2000, MOCK_LOW_END - 72, true },
		{ 8, 0x1000, 0x2000, MOCK_LOW_END - 68, false },
		{ 8, MOCK_HIGH, MOCK_HIGH, MOCK_HIGH_END - 72, true },
		{ 8, MOCK_HIGH_END, 0x2000, 0x3000, false },
		{ 8, MOCK_LOW_END, 0x2000, 0x3000, false },
		{ 8, MOCK_HIGH - 16, 0x2000, 0x3000, false },
		{ 8, 0x1000, MOCK_HIGH - 2, 0x3000, false },
		{ 8, UINT64_MAX & ~15ull, 0x2000, 0x3000, false },
		{ 8, 0x1000, UINT64_MAX - 1, 0x3000, false },
		{ 8, 0x1000, 0x2000, UINT64_MAX - 3, false },
		/* on top of each other is foolish, and harmless */
		{ 8, 0x1000, 0x1000, 0x1000, true },
		{ 8, 0, 0, 0, true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		virtq_reset(&q);
		q.s.size = t[i].size;
		q.s.desc = t[i].desc;
		q.s.avail = t[i].avail;
		q.s.used = t[i].used;
		if (virtq_enable(&q) != (t[i].ok ? 0 : -EPROTO) ||
		    q.s.ready != t[i].ok)
			fail_msg("row %zu", i);
	}
}

/* ---- dishonest drivers ---- */

static void refuses(int line)
{
	uint16_t before = q.s.last_avail;

	if (virtq_pop(&q, &req) != -EPROTO)
		fail_msg("line %d: taken", line);
	assert_int_equal(q.s.last_avail, before);
	mockring_set_avail_idx(&ring, before);
}

#define REFUSED() refuses(__LINE__)

static void heads_out_of_range(void **state)
{
	static const uint16_t bad[] = { SIZE, SIZE + 1, 0x8000, 65535 };
	size_t i;

	(void)state;
	mockring_set_desc(&ring, 0, DATA, 1, 0, 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		mockring_offer(&ring, bad[i]);
		REFUSED();
	}
}

static void next_out_of_range(void **state)
{
	(void)state;
	mockring_set_desc(&ring, 0, DATA, 1, VRING_DESC_F_NEXT, SIZE);
	mockring_offer(&ring, 0);
	REFUSED();
	mockring_set_desc(&ring, 0, DATA, 1, VRING_DESC_F_NEXT, 65535);
	mockring_offer(&ring, 0);
	REFUSED();
	/* Without the flag next is only noise. */
	mockring_set_desc(&ring, 0, DATA, 1, 0, 65535);
	mockring_offer(&ring, 0);
	assert_int_equal(virtq_pop(&q, &req), 1);
}

static void loops(void **state)
{
	uint16_t i;

	(void)state;
	mockring_set_desc(&ring, 0, DATA, 1, VRING_DESC_F_NEXT, 0);
	mockring_offer(&ring, 0);
	REFUSED();
	for (i = 0; i < SIZE; i++)
		mockring_set_desc(&ring, i, DATA, 1, VRING_DESC_F_NEXT,
				  (uint16_t)((i + 1) % SIZE));
	mockring_offer(&ring, 3);
	REFUSED();
	/* A tail that leads into a loop. */
	mockring_set_desc(&ring, 7, DATA, 1, VRING_DESC_F_NEXT, 6);
	mockring_offer(&ring, 0);
	REFUSED();
}

static void avail_index_jumps(void **state)
{
	static const uint16_t jumps[] = { SIZE + 1, SIZE + 2, 0x7fff, 0x8000,
					  0xffff };
	size_t i;

	(void)state;
	for (i = 0; i < SIZE; i++) {
		mockring_set_desc(&ring, (uint16_t)i, DATA, 1, 0, 0);
		mockring_set_avail(&ring, (uint16_t)i, (uint16_t)i);
	}
	for (i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		mockring_set_avail_idx(&ring, jumps[i]);
		assert_true(virtq_has_work(&q));
		REFUSED();
	}
	/* Exactly the size is a full ring. */
	mockring_set_avail_idx(&ring, SIZE);
	assert_int_equal(virtq_pop(&q, &req), 1);
}

static void lengths_and_ranges(void **state)
{
	static const struct {
		gpa_t gpa;
		uint32_t len;
		bool ok;
	} t[] = {
		{ DATA, 1, true },
		{ DATA, 0, false },
		{ 0, 1, true },
		{ MOCK_LOW_END - 1, 1, true },
		{ MOCK_LOW_END - 1, 2, false },
		{ MOCK_LOW_END - 4096, 4096, true },
		{ MOCK_LOW_END - 4095, 4096, false },
		{ MOCK_LOW_END, 1, false },
		{ MOCK_HIGH - 1, 1, false },
		{ MOCK_HIGH - 1, 2, false },
		{ MOCK_HIGH, 1, true },
		{ MOCK_HIGH_END - 1, 1, true },
		{ MOCK_HIGH_END - 1, 2, false },
		{ UINT64_MAX, 1, false },
		{ UINT64_MAX, 2, false },
		{ UINT64_MAX - 99, 100, false },
		{ UINT64_MAX - 99, 4096, false },
		{ 0xd0000000, 4, false },
		{ DATA, UINT32_MAX, false },
		{ DATA, VIRTQ_MAX_BYTES, true },
		{ DATA, VIRTQ_MAX_BYTES + 1, false },
	};
	size_t i;
	unsigned in;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		for (in = 0; in < 2; in++) {
			mockring_set_desc(&ring, 0, t[i].gpa, t[i].len,
					  in ? VRING_DESC_F_WRITE : 0, 0);
			mockring_set_avail_idx(&ring, q.s.last_avail);
			mockring_offer(&ring, 0);
			if (virtq_pop(&q, &req) != (t[i].ok ? 1 : -EPROTO))
				fail_msg("row %zu, in %u", i, in);
		}
}

static void too_many_bytes_in_all(void **state)
{
	(void)state;
	mockring_set_desc(&ring, 0, DATA, VIRTQ_MAX_BYTES, VRING_DESC_F_NEXT,
			  1);
	mockring_set_desc(&ring, 1, DATA, 1, 0, 0);
	mockring_offer(&ring, 0);
	REFUSED();
	/* The limit is one for each direction. */
	mockring_set_desc(&ring, 1, DATA, 1, VRING_DESC_F_WRITE, 0);
	mockring_offer(&ring, 0);
	assert_int_equal(virtq_pop(&q, &req), 1);
	assert_int_equal(req.len_out, VIRTQ_MAX_BYTES);
}

static void readable_after_writable(void **state)
{
	(void)state;
	mockring_set_desc(&ring, 0, DATA, 1,
			  VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	mockring_set_desc(&ring, 1, DATA, 1, 0, 0);
	mockring_offer(&ring, 0);
	REFUSED();
}

static void indirect_is_not_offered(void **state)
{
	(void)state;
	mockring_set_desc(&ring, 0, DATA, 64, VRING_DESC_F_INDIRECT, 0);
	mockring_offer(&ring, 0);
	REFUSED();
	mockring_set_desc(&ring, 0, DATA, 64, VRING_DESC_F_NEXT, 1);
	mockring_set_desc(&ring, 1, DATA, 64,
			  VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE, 0);
	mockring_offer(&ring, 0);
	REFUSED();
	/* Flags of no meaning are ignored. */
	mockring_set_desc(&ring, 0, DATA, 64, 0xfff8, 0);
	mockring_offer(&ring, 0);
	assert_int_equal(virtq_pop(&q, &req), 1);
	assert_int_equal(req.nr_out, 1);
}

/* The table describes itself: what the device does there is its own loss. */
static void buffers_on_top_of_the_rings(void **state)
{
	const struct mockbuf b[] = {
		{ RING, 128, false }, { RING, 16 * SIZE, true },
		{ 0, 64, true },
	};
	unsigned i;

	(void)state;
	mockring_add(&ring, b, 3);
	assert_int_equal(virtq_pop(&q, &req), 1);
	for (i = req.nr_out; i < req.nr_out + req.nr_in; i++)
		memset(req.iov[i].iov_base, 0xff, req.iov[i].iov_len);
	assert_int_equal(virtq_push(&q, req.head, UINT32_MAX), 0);
	mockring_offer(&ring, 0);
	assert_int_equal(virtq_pop(&q, &req), -EPROTO);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(nothing_offered),
		TEST(one_request),
		TEST(full_ring_in_order),
		TEST(indices_wrap),
		TEST(chain_as_long_as_the_table),
		TEST(unpop_puts_back),
		TEST(every_size),
		TEST(kicks_and_interrupts),
		TEST(a_queue_that_is_not_ready),
		TEST(enables_only_what_fits),
		TEST(heads_out_of_range),
		TEST(next_out_of_range),
		TEST(loops),
		TEST(avail_index_jumps),
		TEST(lengths_and_ranges),
		TEST(too_many_bytes_in_all),
		TEST(readable_after_writable),
		TEST(indirect_is_not_offered),
		TEST(buffers_on_top_of_the_rings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
