// SPDX-License-Identifier: MIT
/*
 * Guests that break the rules of split virtqueues, in both devices: the
 * device stops for its driver, nothing else does.
 */
#include "stage.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <string.h>

#define NEXT  VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE

/* ---- chains ---- */

#define MAX_ROWS 32
#define ROUNDS	 500u

struct chain {
	struct {
		gpa_t at;
		uint32_t len;
		uint16_t flags, next;
	} d[3];
};

/* Each one in a queue of its own, of a disk set up anew. */
static void run_chains(struct machine *m, const struct chain *c, unsigned nr)
{
	unsigned status[MAX_ROWS], i, k;

	assert_true(nr <= MAX_ROWS);
	for (i = 0; i < nr; i++) {
		stage_do_disk(m, 8);
		for (k = 0; k < 3; k++)
			mockring_set_desc(&m->ring[0], (uint16_t)k,
					  c[i].d[k].at, c[i].d[k].len,
					  c[i].d[k].flags, c[i].d[k].next);
		mockring_offer(&m->ring[0], 0);
		machine_do_kick(m, RAW_DISK, 0);
		machine_do_kick(m, RAW_DISK, 0);
		status[i] = stage_do_status(m, RAW_DISK);
	}
	stage_run(m);
	for (i = 0; i < nr; i++)
		stage_check_broken(m, status[i]);
}

#define HEAD                                                                   \
	{                                                                      \
		STAGE_HEADER, 16, NEXT, 1                                      \
	}
#define LAST                                                                   \
	{                                                                      \
		STAGE_STATUS, 1, WRITE, 0                                      \
	}

static void loops(void **state)
{
	static const struct chain rows[] = {
		{ { { STAGE_HEADER, 16, NEXT, 0 } } },
		{ { HEAD, { STAGE_BUF, 512, WRITE | NEXT, 1 } } },
		{ { HEAD,
		    { STAGE_BUF, 512, WRITE | NEXT, 2 },
		    { STAGE_BUF, 512, WRITE | NEXT, 1 } } },
	};

	run_chains(*state, rows, 3);
}

static void next_beyond_the_table(void **state)
{
	static const struct chain rows[] = {
		{ { { STAGE_HEADER, 16, NEXT, 8 } } },
		{ { { STAGE_HEADER, 16, NEXT, 128 } } },
		{ { { STAGE_HEADER, 16, NEXT, 0x8000 } } },
		{ { { STAGE_HEADER, 16, NEXT, 0xffff } } },
	};

	run_chains(*state, rows, 4);
}

static void wild_and_wrapping_addresses(void **state)
{
	static const gpa_t at[] = {
		RAW_MEMORY,	    RAW_MEMORY - 511,	0xd0000000,
		0xfec00000,	    0xfee00000,		0xffffffff,
		0x100000000,	    0x7fffffffffffffff, 0x8000000000000000,
		0xffffffffff000000, UINT64_MAX,		UINT64_MAX - 510,
	};
	struct chain rows[24];
	unsigned i;

	for (i = 0; i < 24; i++) {
		/* What the device reads, then what it writes. */
		rows[i] = i < 12 ? (struct chain){ { { at[i], 512, NEXT, 1 },
						     LAST } }
				 : (struct chain){ { HEAD,
						     { at[i - 12], 512,
						       WRITE | NEXT, 2 },
						     LAST } };
	}
	run_chains(*state, rows, 24);
}

static void zero_and_huge_lengths(void **state)
{
	static const struct chain rows[] = {
		{ { { STAGE_HEADER, 0, NEXT, 1 }, LAST } },
		{ { HEAD, { STAGE_BUF, 0, WRITE | NEXT, 2 }, LAST } },
		{ { HEAD, { STAGE_STATUS, 0, WRITE, 0 } } },
		{ { HEAD, { STAGE_BUF, UINT32_MAX, WRITE | NEXT, 2 }, LAST } },
		{ { HEAD, { STAGE_BUF, 0x80000000, WRITE | NEXT, 2 }, LAST } },
		/* In memory, and more than any request may be. */
		{ { HEAD, { 0, VIRTQ_MAX_BYTES + 1, WRITE, 0 } } },
		{ { HEAD, { 0, VIRTQ_MAX_BYTES, WRITE | NEXT, 2 }, LAST } },
	};

	run_chains(*state, rows, 7);
}

static void readable_after_writable(void **state)
{
	static const struct chain rows[] = {
		{ { HEAD,
		    { STAGE_BUF, 512, WRITE | NEXT, 2 },
		    { STAGE_STATUS, 1, 0, 0 } } },
		{ { { STAGE_HEADER, 16, WRITE | NEXT, 1 },
		    { STAGE_BUF, 512, NEXT, 2 },
		    LAST } },
	};

	run_chains(*state, rows, 2);
}

static void indirect_that_was_not_offered(void **state)
{
	static const struct chain rows[] = {
		{ { { STAGE_BUF, 48, VRING_DESC_F_INDIRECT, 0 } } },
		{ { { STAGE_BUF, 48, VRING_DESC_F_INDIRECT | NEXT, 1 },
		    LAST } },
		{ { HEAD, { STAGE_BUF, 16, VRING_DESC_F_INDIRECT, 0 } } },
	};

	run_chains(*state, rows, 3);
}

/* ---- the available ring ---- */

static void heads_beyond_the_table(void **state)
{
	static const uint16_t heads[] = { 8, 9, 128, 0x8000, 0xffff };
	struct machine *m = *state;
	unsigned status[5], i;

	for (i = 0; i < 5; i++) {
		stage_do_disk(m, 8);
		mockring_offer(&m->ring[0], heads[i]);
		machine_do_kick(m, RAW_DISK, 0);
		status[i] = stage_do_status(m, RAW_DISK);
	}
	stage_run(m);
	for (i = 0; i < 5; i++)
		stage_check_broken(m, status[i]);
}

static void indices_that_jump(void **state)
{
	static const uint16_t to[] = { 9, 0x7fff, 0x8000, 0xffff };
	struct machine *m = *state;
	unsigned status[4], back, i;

	for (i = 0; i < 4; i++) {
		stage_do_disk(m, 8);
		mockring_set_avail_idx(&m->ring[0], to[i]);
		machine_do_kick(m, RAW_DISK, 0);
		status[i] = stage_do_status(m, RAW_DISK);
	}
	/* Forward by one, and after it was served, back. */
	stage_do_disk(m, 8);
	stage_put_request(m, VIRTIO_BLK_T_IN, 0, 512);
	machine_do_kick(m, RAW_DISK, 0);
	machine_do(m, RAW_WRITE16, m->ring[0].avail + 2, 0);
	machine_do_kick(m, RAW_DISK, 0);
	back = stage_do_status(m, RAW_DISK);
	stage_run(m);
	for (i = 0; i < 4; i++)
		stage_check_broken(m, status[i]);
	stage_check_broken(m, back);
}

/* The same chain eight times at once: served eight times, no harm. */
static void one_head_many_times(void **state)
{
	struct machine *m = *state;
	unsigned status;

	stage_do_disk(m, 8);
	stage_put_request(m, VIRTIO_BLK_T_IN, 5, 512);
	machine_do(m, RAW_WRITE16, m->ring[0].avail + 2, 8);
	for (unsigned i = 0; i < 8; i++)
		mockring_set_avail(&m->ring[0], (uint16_t)i,
				   m->ring[0].size - 8);
	machine_do_kick(m, RAW_DISK, 0);
	status = stage_do_status(m, RAW_DISK);
	stage_run(m);
	stage_check_sound(m, status);
	assert_int_equal(mockring_used_idx(&m->ring[0]), 8);
}

/* ---- where rings lie ---- */

struct area {
	uint64_t size, desc, avail, used;
};

static void set_area(struct machine *m, const struct area *a)
{
	static const uint32_t lows[] = { VIRTIO_MMIO_QUEUE_DESC_LOW,
					 VIRTIO_MMIO_QUEUE_AVAIL_LOW,
					 VIRTIO_MMIO_QUEUE_USED_LOW };
	const uint64_t at[] = { a->desc, a->avail, a->used };
	unsigned i;

	machine_do(m, RAW_WRITE32, machine_reg(RAW_DISK, VIRTIO_MMIO_STATUS),
		   0);
	machine_do(m, RAW_WRITE32, machine_reg(RAW_DISK, VIRTIO_MMIO_STATUS),
		   3);
	machine_do(m, RAW_WRITE32,
		   machine_reg(RAW_DISK, VIRTIO_MMIO_DRIVER_FEATURES_SEL), 1);
	machine_do(m, RAW_WRITE32,
		   machine_reg(RAW_DISK, VIRTIO_MMIO_DRIVER_FEATURES), 1);
	machine_do(m, RAW_WRITE32, machine_reg(RAW_DISK, VIRTIO_MMIO_STATUS),
		   11);
	machine_do(m, RAW_WRITE32, machine_reg(RAW_DISK, VIRTIO_MMIO_QUEUE_NUM),
		   a->size);
	for (i = 0; i < 3; i++) {
		machine_do(m, RAW_WRITE32, machine_reg(RAW_DISK, lows[i]),
			   (uint32_t)at[i]);
		machine_do(m, RAW_WRITE32, machine_reg(RAW_DISK, lows[i] + 4),
			   at[i] >> 32);
	}
	machine_do(m, RAW_WRITE32,
		   machine_reg(RAW_DISK, VIRTIO_MMIO_QUEUE_READY), 1);
	machine_do(m, RAW_WRITE32, machine_reg(RAW_DISK, VIRTIO_MMIO_STATUS),
		   15);
	machine_do_kick(m, RAW_DISK, 0);
}

static void areas_out_of_ram_or_unaligned(void **state)
{
	static const struct area rows[] = {
		{ 8, RAW_MEMORY, RAW_DATA, RAW_DATA + 64 },
		{ 8, RAW_MEMORY - 112, RAW_DATA, RAW_DATA + 64 },
		{ 8, RAW_DATA, RAW_MEMORY - 20, RAW_DATA + 256 },
		{ 8, RAW_DATA, RAW_DATA + 256, RAW_MEMORY - 68 },
		{ 8, UINT64_MAX - 15, RAW_DATA, RAW_DATA + 64 },
		{ 8, RAW_DATA, UINT64_MAX - 1, RAW_DATA + 64 },
		{ 8, RAW_DATA, RAW_DATA + 256, UINT64_MAX - 3 },
		{ 8, 0xd0000000, 0xd0000100, 0xd0000200 },
		{ 8, RAW_DATA + 8, RAW_DATA + 256, RAW_DATA + 512 },
		{ 8, RAW_DATA, RAW_DATA + 257, RAW_DATA + 512 },
		{ 8, RAW_DATA, RAW_DATA + 256, RAW_DATA + 514 },
		/* Sizes that are none. */
		{ 0, RAW_DATA, RAW_DATA + 0x1000, RAW_DATA + 0x2000 },
		{ 3, RAW_DATA, RAW_DATA + 0x1000, RAW_DATA + 0x2000 },
		{ 127, RAW_DATA, RAW_DATA + 0x1000, RAW_DATA + 0x2000 },
		{ 256, RAW_DATA, RAW_DATA + 0x1000, RAW_DATA + 0x2000 },
		{ 0x10008, RAW_DATA, RAW_DATA + 0x1000, RAW_DATA + 0x2000 },
		{ UINT32_MAX, RAW_DATA, RAW_DATA + 0x1000, RAW_DATA + 0x2000 },
	};
	struct machine *m = *state;
	unsigned status[MAX_ROWS], ready[MAX_ROWS], i;
	const unsigned nr = sizeof(rows) / sizeof(rows[0]);

	for (i = 0; i < nr; i++) {
		set_area(m, &rows[i]);
		ready[i] = machine_do(
			m, RAW_READ32,
			machine_reg(RAW_DISK, VIRTIO_MMIO_QUEUE_READY), 7);
		status[i] = stage_do_status(m, RAW_DISK);
	}
	stage_run(m);
	for (i = 0; i < nr; i++) {
		assert_int_equal(machine_answer(m, ready[i]), 0);
		stage_check_broken(m, status[i]);
	}
}

/* All three on one another, at the very end of memory, and over page tables. */
static void areas_on_one_another(void **state)
{
	static const struct area rows[] = {
		{ 8, RAW_DATA, RAW_DATA, RAW_DATA },
		{ 128, RAW_MEMORY - 2048, RAW_MEMORY - 262, RAW_MEMORY - 1032 },
		{ 8, 0x2000, 0x2000, RAW_DATA },
	};
	struct machine *m = *state;
	unsigned i, k;

	for (i = 0; i < 3; i++) {
		set_area(m, &rows[i]);
		for (k = 0; k < 16; k++)
			machine_do_kick(m, RAW_DISK, 0);
	}
	stage_run(m);
}

/* A request that reads a sector over the ring it came from. */
static void a_request_over_its_own_ring(void **state)
{
	struct machine *m = *state;
	const struct mockring *r = &m->ring[0];

	stage_do_disk(m, 8);
	stage_put_request(m, VIRTIO_BLK_T_IN, 255, 512);
	for (uint16_t i = 0; i < 8; i++)
		mockring_set_desc(&m->ring[0], i, r->desc, 512,
				  i % 3 == 2 ? WRITE : WRITE | NEXT, i + 1);
	mockring_set_desc(&m->ring[0], 0, STAGE_HEADER, 16, NEXT, 1);
	mockring_offer(&m->ring[0], 0);
	for (unsigned i = 0; i < 4; i++)
		machine_do_kick(m, RAW_DISK, 0);
	stage_run(m);
}

/* ---- while it is read ---- */

/* Append the commands [first, first + nr) once more. */
static void do_again(struct machine *m, unsigned first, unsigned nr)
{
	unsigned i;

	for (i = first; i < first + nr; i++) {
		const struct command *c =
			machine_ptr(m, RAW_LIST + i * sizeof(*c), sizeof(*c));

		machine_do(m, c->op, c->at, c->val);
	}
}

/*
 * The second vCPU flips address, length and next of the data descriptor for
 * ever, between good values and wild ones; the first sets the disk up, kicks
 * and looks, again and again. Each time the request was served whole or the
 * device stopped.
 */
static void descriptors_that_change_while_read(void **state)
{
	static const uint64_t at[] = { RAW_MEMORY - 256, STAGE_BUF, 0xd0000050,
				       STAGE_BUF, UINT64_MAX };
	struct machine *m = *state;
	unsigned first, nr, i, n = 0, status[ROUNDS];
	gpa_t d;

	first = m->nr_commands;
	stage_do_disk(m, 8);
	nr = m->nr_commands - first;
	stage_put_request(m, VIRTIO_BLK_T_IN, 0, 512);
	d = m->ring[0].desc + sizeof(struct vring_desc);
	for (i = 0; i < 5; i++) {
		stage_do_2(m, n++, RAW_WRITE64, d, at[i]);
		stage_do_2(m, n++, RAW_WRITE32, d + 8,
			   i & 1 ? 512 : 0xfffffe00);
		stage_do_2(m, n++, RAW_WRITE16, d + 14, i & 1 ? 2 : 0xffff);
	}
	stage_loop_2(m, n);
	for (i = 0; i < ROUNDS; i++) {
		machine_do_kick(m, RAW_DISK, 0);
		status[i] = stage_do_status(m, RAW_DISK);
		do_again(m, first, nr);
	}
	stage_start_2(m);
	stage_run(m);
	for (i = 0; i < ROUNDS; i++)
		assert_true((machine_answer(m, status[i]) & ~0x40u) == 15);
}

/* One vCPU kicks, the other resets the device and sets it up again. */
static void reset_in_flight(void **state)
{
	struct machine *m = *state;
	unsigned first, nr, i;

	first = m->nr_commands;
	stage_do_disk(m, 8);
	stage_put_request(m, VIRTIO_BLK_T_IN, 0, 1u << 18);
	nr = m->nr_commands - first;
	for (i = 0; i < nr; i++) {
		const struct command *c = machine_ptr(
			m, RAW_LIST + (first + i) * sizeof(*c), sizeof(*c));

		stage_do_2(m, i, c->op, c->at, c->val);
	}
	stage_loop_2(m, nr);
	for (i = 0; i < ROUNDS; i++)
		machine_do_kick(m, RAW_DISK, 0);
	stage_start_2(m);
	stage_run(m);
	assert_true(mockring_used_idx(&m->ring[0]) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE("virtio 2.7.5.2, 2.7.5.3.1:", loops),
		CASE("virtio 2.7.5.2:", next_beyond_the_table),
		CASE("virtio 2.7.5:", wild_and_wrapping_addresses),
		CASE("virtio 2.7.5.2:", zero_and_huge_lengths),
		CASE("virtio 2.7.4.2:", readable_after_writable),
		CASE("virtio 2.7.5.3.1:", indirect_that_was_not_offered),
		CASE("virtio 2.7.6:", heads_beyond_the_table),
		CASE("virtio 2.7.6.1:", indices_that_jump),
		CASE("virtio 2.7.13.1:", one_head_many_times),
		CASE("virtio 2.7, 2.7.1:", areas_out_of_ram_or_unaligned),
		CASE("virtio 2.7:", areas_on_one_another),
		CASE("virtio 2.7.13.1:", a_request_over_its_own_ring),
		CASE_2("virtio 2.7.13.1:", descriptors_that_change_while_read),
		CASE_2("virtio 2.4:", reset_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
