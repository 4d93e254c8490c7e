/* LINK: tests/unit/mockdrv.c vmm/core/gmem.c */
/* LINK: vmm/devices/virtio/virtq.c vmm/devices/virtio/vmmio.c */
/* LINK: vmm/devices/virtio/vdev.c vmm/devices/virtio/blk.c */
// SPDX-License-Identifier: MIT
/*
 * The read-only disk: the right bytes for every way to cut a request into
 * descriptors, an error for what is beyond the disk or not to be done, and a
 * broken device for requests without a place for an answer.
 *
 * The disk of the tests is made of a formula, so any sector is known.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <string.h>

#include "devices/virtio/blk.h"
#include "devices/virtio/vmmio.h"
#include "mockdrv.h"

#define NR_SECTORS 100u
#define NO_STATUS  0xee

struct formula {
	int ret;
	unsigned reads;
	void (*meanwhile)(void);
};

static uint8_t disk_byte(uint64_t off)
{
	return (uint8_t)(off ^ (off >> 8) * 31);
}

static int formula_read(void *disk, struct iovec *iov, unsigned nr,
			uint64_t off)
{
	struct formula *f = disk;
	unsigned i;
	size_t j;

	f->reads++;
	if (f->meanwhile)
		f->meanwhile();
	if (f->ret)
		return f->ret;
	for (i = 0; i < nr; i++)
		for (j = 0; j < iov[i].iov_len; j++, off++) {
			assert_true(off < NR_SECTORS * 512);
			((uint8_t *)iov[i].iov_base)[j] = disk_byte(off);
		}
	return 0;
}

static const struct disk_ops formula_ops = { formula_read };

static struct mockdrv drv;
static struct blk blk;
static struct formula disk;
static gpa_t header, data, status;

static int set_up(void **state)
{
	struct irq_line irq;

	(void)state;
	mockdrv_init(&drv);
	disk = (struct formula){ 0 };
	irq = mockdrv_irq(&drv);
	blk_init(&blk, &drv.mem, &irq, &formula_ops, &disk, NR_SECTORS);
	mockdrv_start(&drv, &blk.vdev);
	header = mockdrv_alloc(&drv, 512);
	data = mockdrv_alloc(&drv, 64 * 1024);
	status = mockdrv_alloc(&drv, 1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	blk_fini(&blk);
	mockdrv_fini(&drv);
	return 0;
}

static void put_header(uint32_t type, uint64_t sector)
{
	const struct virtio_blk_outhdr h = { .type = type, .sector = sector };

	memcpy(mockdrv_ptr(&drv, header, 16), &h, sizeof(h));
	*(uint8_t *)mockdrv_ptr(&drv, status, 1) = NO_STATUS;
	memset(mockdrv_ptr(&drv, data, 64 * 1024), 0xaa, 64 * 1024);
}

static void offer(const struct mockbuf *b, unsigned nr)
{
	mockring_add(&drv.ring[0], b, nr);
	mockdrv_kick_if_wanted(&drv, 0);
}

/* A request in the usual three pieces; the status, *written the length. */
static uint8_t request(uint32_t type, uint64_t sector, uint32_t len,
		       uint32_t *written)
{
	struct mockbuf b[3] = { { header, 16, false } };
	unsigned n = 1;
	uint16_t head;

	put_header(type, sector);
	if (len)
		b[n++] = (struct mockbuf){ data, len, true };
	b[n++] = (struct mockbuf){ status, 1, true };
	offer(b, n);
	assert_true(mockring_collect(&drv.ring[0], &head, written));
	assert_false(mockdrv_is_broken(&drv));
	return *(uint8_t *)mockdrv_ptr(&drv, status, 1);
}

static void check_data(gpa_t gpa, uint64_t off, uint32_t len)
{
	const uint8_t *p = mockdrv_ptr(&drv, gpa, len);
	uint32_t i;

	for (i = 0; i < len; i++)
		if (p[i] != disk_byte(off + i))
			fail_msg("byte %u", i);
}

/* ---- identity ---- */

static void says_what_it_is(void **state)
{
	(void)state;
	assert_int_equal(mockdrv_read(&drv, VIRTIO_MMIO_DEVICE_ID),
			 VIRTIO_ID_BLOCK);
	assert_int_equal(mockdrv_read(&drv, VIRTIO_MMIO_CONFIG), NR_SECTORS);
	assert_int_equal(mockdrv_read(&drv, VIRTIO_MMIO_CONFIG + 4), 0);
	/* seg_max leaves room for header and status in the queue. */
	assert_int_equal(mockdrv_read(&drv, VIRTIO_MMIO_CONFIG + 12), 126);
	assert_int_equal(vmmio_bus_ops.read(&blk.vdev, VIRTIO_MMIO_CONFIG, 1),
			 NR_SECTORS);
	assert_int_equal(mockdrv_read(&drv, VIRTIO_MMIO_CONFIG + 0x200), 0);
	mockdrv_write(&drv, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	assert_int_equal(mockdrv_read(&drv, VIRTIO_MMIO_DEVICE_FEATURES),
			 1u << VIRTIO_BLK_F_RO | 1u << VIRTIO_BLK_F_SEG_MAX);
}

static void identity_string(void **state)
{
	uint32_t n;

	(void)state;
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 20, &n),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(n, 21);
	assert_string_equal(mockdrv_ptr(&drv, data, 20), "husk-root");
	/* No room for all of it. */
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 19, &n),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(n, 0);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 0, &n),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(n, 1);
	/* More room than that: what is said to be written was written. */
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 512, &n),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(n, 20);
}

/* ---- reading ---- */

static void reads_sectors(void **state)
{
	uint32_t n;

	(void)state;
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 512, &n),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(n, 513);
	check_data(data, 0, 512);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 37, 8 * 512, &n),
			 VIRTIO_BLK_S_OK);
	check_data(data, 37 * 512, 8 * 512);
	assert_int_equal(request(VIRTIO_BLK_T_IN, NR_SECTORS - 1, 512, &n),
			 VIRTIO_BLK_S_OK);
	check_data(data, (NR_SECTORS - 1) * 512, 512);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, NR_SECTORS * 512, &n),
			 VIRTIO_BLK_S_OK);
	check_data(data, 0, NR_SECTORS * 512);
	/* Nothing of nothing is fine, at the end as well. */
	assert_int_equal(request(VIRTIO_BLK_T_IN, NR_SECTORS, 0, &n),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(n, 1);
	assert_int_equal(blk.nr_errors, 0);
}

static void refuses_what_is_beyond(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t len;
	} t[] = {
		{ NR_SECTORS, 512 },
		{ NR_SECTORS - 1, 1024 },
		{ NR_SECTORS + 1, 0 },
		{ NR_SECTORS + 1, 512 },
		{ UINT64_MAX, 512 },
		{ UINT64_MAX, 0 },
		{ UINT64_MAX / 512, 512 },
		{ UINT64_MAX / 512 + 1, 512 },
		{ 1ull << 55, 512 },
		{ 1ull << 63, 1024 },
		{ 0, 511 },
		{ 0, 513 },
		{ 0, 1 },
		{ 1, (NR_SECTORS - 1) * 512 + 512 },
	};
	uint32_t n;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		if (request(VIRTIO_BLK_T_IN, t[i].sector, t[i].len, &n) !=
		    VIRTIO_BLK_S_IOERR)
			fail_msg("row %zu", i);
		/* Data that was not written is not said to be (2.7.8.2). */
		assert_int_equal(n, t[i].len ? 0 : 1);
	}
	assert_int_equal(disk.reads, 0);
	assert_int_equal(blk.nr_errors, 0);
}

static void host_cannot_read(void **state)
{
	uint32_t n;

	(void)state;
	disk.ret = -EIO;
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 512, &n),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk.nr_errors, 1);
	disk.ret = 0;
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 512, &n),
			 VIRTIO_BLK_S_OK);
}

static void is_never_written(void **state)
{
	static const struct {
		uint32_t type;
		uint8_t status;
	} t[] = {
		{ VIRTIO_BLK_T_OUT, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_SECURE_ERASE, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_SCSI_CMD, VIRTIO_BLK_S_UNSUPP },
		{ 3, VIRTIO_BLK_S_UNSUPP },
		{ UINT32_MAX, VIRTIO_BLK_S_UNSUPP },
	};
	struct mockbuf b[3];
	uint16_t head;
	uint32_t n;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		put_header(t[i].type, 0);
		b[0] = (struct mockbuf){ header, 16, false };
		b[1] = (struct mockbuf){ data, 512, false };
		b[2] = (struct mockbuf){ status, 1, true };
		offer(b, 3);
		assert_true(mockring_collect(&drv.ring[0], &head, &n));
		assert_int_equal(n, 1);
		assert_int_equal(*(uint8_t *)mockdrv_ptr(&drv, status, 1),
				 t[i].status);
		/* The same with data the wrong way round. */
		assert_int_equal(request(t[i].type, 0, 512, &n), t[i].status);
		assert_int_equal(n, 0);
		assert_int_equal(*(uint8_t *)mockdrv_ptr(&drv, data, 1), 0xaa);
	}
	assert_int_equal(disk.reads, 0);
}

/* ---- every way to cut a request ---- */

/* Header in pieces [0,a) [a,b) [b,16), two sectors and status cut at c, d. */
static void read_in_pieces(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	const uint32_t in = 1025;
	struct mockbuf buf[8];
	uint32_t cut_out[4] = { 0, a, b, 16 }, cut_in[4] = { 0, c, d, in };
	unsigned i, n = 0;
	uint16_t head;
	uint32_t len;

	put_header(VIRTIO_BLK_T_IN, 3);
	((uint8_t *)mockdrv_ptr(&drv, data, in))[in - 1] = NO_STATUS;
	for (i = 0; i < 3; i++) {
		len = cut_out[i + 1] - cut_out[i];
		if (len)
			buf[n++] = (struct mockbuf){ header + cut_out[i], len,
						     false };
	}
	for (i = 0; i < 3; i++) {
		len = cut_in[i + 1] - cut_in[i];
		if (len)
			buf[n++] = (struct mockbuf){ data + cut_in[i], len,
						     true };
	}
	offer(buf, n);
	assert_true(mockring_collect(&drv.ring[0], &head, &len));
	assert_int_equal(len, in);
	check_data(data, 3 * 512, 1024);
	assert_int_equal(((uint8_t *)mockdrv_ptr(&drv, data, in))[in - 1],
			 VIRTIO_BLK_S_OK);
}

static void every_cut(void **state)
{
	static const uint32_t in[] = { 0, 1, 511, 512, 513, 1023, 1024, 1025 };
	uint32_t a, b;
	size_t c, d;

	(void)state;
	for (a = 0; a <= 16; a++)
		for (b = a; b <= 16; b++)
			read_in_pieces(a, b, 512, 1024);
	for (c = 0; c < sizeof(in) / sizeof(in[0]); c++)
		for (d = c; d < sizeof(in) / sizeof(in[0]); d++)
			read_in_pieces(0, 16, in[c], in[d]);
}

static void as_many_pieces_as_there_are(void **state)
{
	struct mockbuf b[128];
	uint16_t head;
	uint32_t len;
	unsigned i;

	(void)state;
	put_header(VIRTIO_BLK_T_IN, 0);
	b[0] = (struct mockbuf){ header, 16, false };
	for (i = 0; i < 126; i++)
		b[1 + i] = (struct mockbuf){ data + 256 * i, 256, true };
	b[127] = (struct mockbuf){ status, 1, true };
	offer(b, 128);
	assert_true(mockring_collect(&drv.ring[0], &head, &len));
	assert_int_equal(len, 126 * 256 + 1);
	check_data(data, 0, 126 * 256);
}

/* The answer goes where the question came from. */
static void overlapping_buffers(void **state)
{
	const struct mockbuf b[] = {
		{ header, 16, false }, { header, 512, true },
		{ header, 1, true },
	};
	uint16_t head;
	uint32_t len;

	(void)state;
	put_header(VIRTIO_BLK_T_IN, 1);
	offer(b, 3);
	assert_true(mockring_collect(&drv.ring[0], &head, &len));
	check_data(header + 1, 513, 511);
	assert_int_equal(*(uint8_t *)mockdrv_ptr(&drv, header, 1),
			 VIRTIO_BLK_S_OK);
}

/* ---- broken drivers ---- */

static void no_place_for_an_answer(void **state)
{
	static const struct {
		uint32_t out, in;
	} t[] = { { 16, 0 }, { 15, 1 }, { 0, 1 }, { 1, 513 }, { 0, 512 } };
	uint16_t head;
	uint32_t len;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct mockbuf b[2];
		unsigned n = 0;

		mockdrv_start(&drv, &blk.vdev);
		put_header(VIRTIO_BLK_T_IN, 0);
		if (t[i].out)
			b[n++] = (struct mockbuf){ header, t[i].out, false };
		if (t[i].in)
			b[n++] = (struct mockbuf){ data, t[i].in, true };
		offer(b, n);
		assert_true(mockdrv_is_broken(&drv));
		assert_false(mockring_collect(&drv.ring[0], &head, &len));
		/* It stays that way. */
		mockdrv_kick(&drv, 0);
		assert_false(mockring_collect(&drv.ring[0], &head, &len));
	}
	assert_int_equal(disk.reads, 0);
}

static void good_requests_before_a_bad_one(void **state)
{
	const struct mockbuf b[] = { { header, 16, false },
				     { status, 1, true } };
	uint16_t head;
	uint32_t len;

	(void)state;
	put_header(VIRTIO_BLK_T_IN, 0);
	mockring_add(&drv.ring[0], b, 2);
	mockring_add(&drv.ring[0], b, 1);
	mockring_add(&drv.ring[0], b, 2);
	mockdrv_kick(&drv, 0);
	assert_true(mockdrv_is_broken(&drv));
	assert_true(mockring_collect(&drv.ring[0], &head, &len));
	assert_false(mockring_collect(&drv.ring[0], &head, &len));
}

static void offer_again(void)
{
	/* Another vCPU puts every request back as soon as it is taken. */
	mockring_offer(&drv.ring[0], 0);
}

static void one_kick_is_bounded_work(void **state)
{
	const struct mockbuf b[] = { { header, 16, false },
				     { data, 512, true },
				     { status, 1, true } };
	uint16_t head;

	(void)state;
	put_header(VIRTIO_BLK_T_IN, 0);
	head = mockring_add(&drv.ring[0], b, 3);
	assert_int_equal(head, 0);
	disk.meanwhile = offer_again;
	mockdrv_kick(&drv, 0);
	assert_true(disk.reads <= VIRTQ_MAX_SIZE);
	/* What is left is served by the kick that follows each offer. */
	disk.meanwhile = NULL;
	disk.reads = 0;
	mockdrv_kick(&drv, 0);
	assert_int_equal(disk.reads, 1);
	assert_false(mockdrv_is_broken(&drv));
}

static void leave(void)
{
	vdev_leave(&blk.vdev);
}

/* Whoever ends the machine waits for the request under way, not for all. */
static void the_end_waits_for_one_request(void **state)
{
	const struct mockbuf b[] = { { header, 16, false },
				     { data, 512, true },
				     { status, 1, true } };
	unsigned i;

	(void)state;
	put_header(VIRTIO_BLK_T_IN, 0);
	for (i = 0; i < 10; i++)
		mockring_add(&drv.ring[0], b, 3);
	disk.meanwhile = leave;
	mockdrv_kick(&drv, 0);
	assert_int_equal(disk.reads, 1);
	mockdrv_kick(&drv, 0);
	assert_int_equal(disk.reads, 1);
	assert_false(mockdrv_is_broken(&drv));
}

static void one_interrupt_for_a_batch(void **state)
{
	const struct mockbuf b[] = { { header, 16, false },
				     { status, 1, true } };
	unsigned i;

	(void)state;
	put_header(VIRTIO_BLK_T_IN, 0);
	for (i = 0; i < 10; i++)
		mockring_add(&drv.ring[0], b, 2);
	mockdrv_kick(&drv, 0);
	assert_int_equal(drv.nr_irqs, 1);
	assert_int_equal(mockdrv_ack(&drv), VIRTIO_MMIO_INT_VRING);
	mockdrv_kick(&drv, 0);
	assert_int_equal(drv.nr_irqs, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(says_what_it_is),
		TEST(identity_string),
		TEST(reads_sectors),
		TEST(refuses_what_is_beyond),
		TEST(host_cannot_read),
		TEST(is_never_written),
		TEST(every_cut),
		TEST(as_many_pieces_as_there_are),
		TEST(overlapping_buffers),
		TEST(no_place_for_an_answer),
		TEST(good_requests_before_a_bad_one),
		TEST(one_kick_is_bounded_work),
		TEST(the_end_waits_for_one_request),
		TEST(one_interrupt_for_a_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
