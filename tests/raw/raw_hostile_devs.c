// SPDX-License-Identifier: MIT
/*
 * Guests whose rings are in order and whose requests are not: to the disk,
 * to the console's control queue and to its ports.
 */
#include "stage.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_console.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <unistd.h>

#define SECTORS 2048u

/* ---- the disk ---- */

/* Offer a request in these descriptors, kick, look. */
static unsigned do_request(struct machine *m, const struct mockbuf *b,
			   unsigned nr)
{
	stage_do_disk(m, 8);
	mockring_add(&m->ring[0], b, nr);
	machine_do_kick(m, RAW_DISK, 0);
	return stage_do_status(m, RAW_DISK);
}

static void requests_without_head_or_status(void **state)
{
	static const struct mockbuf rows[][3] = {
		/* A header of 15 bytes, of none; no status; no room for it. */
		{ { STAGE_HEADER, 15, false }, { STAGE_STATUS, 1, true } },
		{ { STAGE_BUF, 513, true } },
		{ { STAGE_HEADER, 16, false } },
		{ { STAGE_HEADER, 16, false }, { STAGE_BUF, 512, false } },
	};
	static const unsigned nr[] = { 2, 1, 1, 2 };
	struct machine *m = *state;
	unsigned status[4], i;

	for (i = 0; i < 4; i++)
		status[i] = do_request(m, rows[i], nr[i]);
	stage_run(m);
	for (i = 0; i < 4; i++)
		stage_check_broken(m, status[i]);
}

struct row {
	uint32_t type;
	uint64_t sector;
	uint32_t len;
	uint8_t want;
};

static void run_rows(struct machine *m, const struct row *rows, unsigned nr)
{
	gpa_t head = RAW_DATA + 0x2000, status = RAW_DATA + 0x3000;
	unsigned i, live[32];

	for (i = 0; i < nr; i++, head += 16, status++) {
		const struct virtio_blk_outhdr h = { .type = rows[i].type,
						     .sector = rows[i].sector };
		const struct mockbuf b[] = {
			{ head, sizeof(h), false },
			{ RAW_DATA + 0x10000, rows[i].len, true },
			{ status, 1, true },
		};

		memcpy(machine_ptr(m, head, sizeof(h)), &h, sizeof(h));
		*(uint8_t *)machine_ptr(m, status, 1) = 0xee;
		live[i] = do_request(m, b, 3);
	}
	stage_run(m);
	for (status = RAW_DATA + 0x3000, i = 0; i < nr; i++, status++) {
		stage_check_sound(m, live[i]);
		assert_int_equal(*(uint8_t *)machine_ptr(m, status, 1),
				 rows[i].want);
	}
}

static void sectors_that_do_not_exist(void **state)
{
	static const struct row rows[] = {
		{ VIRTIO_BLK_T_IN, SECTORS, 512, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, SECTORS - 1, 1024, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, UINT64_MAX, 512, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, UINT64_MAX >> 9, 512, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, 1ull << 55, 512, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, (1ull << 55) - 1, 1024, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, 0, 511, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, 0, 513, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, 0, 1, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, SECTORS - 1, 512, VIRTIO_BLK_S_OK },
		{ VIRTIO_BLK_T_IN, 0, 1u << 20, VIRTIO_BLK_S_OK },
		{ VIRTIO_BLK_T_IN, 1, 1u << 20, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_GET_ID, 0, 19, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_GET_ID, 0, 20, VIRTIO_BLK_S_OK },
	};

	run_rows(*state, rows, sizeof(rows) / sizeof(rows[0]));
}

static void writes_and_unknown_requests(void **state)
{
	static const struct row rows[] = {
		{ VIRTIO_BLK_T_OUT, 0, 512, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_OUT, UINT64_MAX, 512, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_FLUSH, 0, 512, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_DISCARD, 0, 512, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_WRITE_ZEROES, 0, 512, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_SCSI_CMD, 0, 512, VIRTIO_BLK_S_UNSUPP },
		{ 0x80000000, 0, 512, VIRTIO_BLK_S_UNSUPP },
		{ UINT32_MAX, 0, 512, VIRTIO_BLK_S_UNSUPP },
	};
	struct machine *m = *state;
	unsigned char sector[BLK_SECTOR];

	run_rows(m, rows, sizeof(rows) / sizeof(rows[0]));
	assert_int_equal(pread(m->disk.fd, sector, sizeof(sector), 0),
			 sizeof(sector));
	for (unsigned i = 0; i < sizeof(sector); i++)
		assert_int_equal(sector[i], 0);
}

/* Header and status cut into single bytes: the driver's right (2.7.4.1). */
static void a_request_in_single_bytes(void **state)
{
	struct machine *m = *state;
	struct mockbuf b[120];
	unsigned i, status;

	for (i = 0; i < 16; i++)
		b[i] = (struct mockbuf){ STAGE_HEADER + i, 1, false };
	/* 103 single bytes and a large one, the status its last. */
	for (; i < 119; i++)
		b[i] = (struct mockbuf){ STAGE_BUF + i - 16, 1, true };
	b[119] = (struct mockbuf){ STAGE_BUF + 103, 1024 - 103 + 1, true };
	*(uint32_t *)machine_ptr(m, STAGE_HEADER, 16) = VIRTIO_BLK_T_IN;
	stage_do_disk(m, 128);
	mockring_add(&m->ring[0], b, 120);
	machine_do_kick(m, RAW_DISK, 0);
	status = stage_do_status(m, RAW_DISK);
	stage_run(m);
	stage_check_sound(m, status);
	assert_int_equal(*(uint8_t *)machine_ptr(m, STAGE_BUF + 1024, 1), 0);
	assert_int_equal(*(uint8_t *)machine_ptr(m, STAGE_BUF + 600, 1), 1);
}

/* ---- control messages ---- */

/* Offer a message of `len` bytes on the control queue and kick. */
static void do_message(struct machine *m, unsigned slot, uint32_t id,
		       uint16_t event, uint16_t value, uint32_t len)
{
	const struct virtio_console_control c = { id, event, value };
	const struct mockbuf b = { STAGE_MSG + 8 * (slot % 32), len, false };
	uint16_t head;
	uint32_t used;

	memcpy(machine_ptr(m, b.gpa, sizeof(c)), &c, sizeof(c));
	mockring_add(&m->ring[3], &b, 1);
	machine_do_kick(m, RAW_CONSOLE, 3);
	while (mockring_collect(&m->ring[3], &head, &used))
		;
}

static const uint16_t queues[] = { 8, 8, 16, 16, 8, 8 };

static void messages_too_short(void **state)
{
	struct machine *m = *state;
	unsigned status[7], len;

	for (len = 1; len < 8; len++) {
		machine_do_driver(m, RAW_CONSOLE, queues, 6);
		do_message(m, len, 0, VIRTIO_CONSOLE_DEVICE_READY, 1, len);
		status[len - 1] = stage_do_status(m, RAW_CONSOLE);
	}
	stage_run(m);
	for (len = 1; len < 8; len++)
		stage_check_broken(m, status[len - 1]);
}

/* Ports that do not exist, events of the device or of nobody, out of order. */
static void messages_of_nonsense(void **state)
{
	static const uint32_t ids[] = { 0, 4, 5, 8, 0x7fffffff, UINT32_MAX };
	static const uint16_t events[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 0xffff };
	static const uint16_t values[] = { 0, 1, 2, 0xffff };
	struct machine *m = *state;
	unsigned status, i, n = 6 * 10 * 4;

	machine_do_driver(m, RAW_CONSOLE, queues, 6);
	/* As many as the queue has, over and over. */
	for (i = 0; i < 16; i++)
		mockring_set_desc(&m->ring[3], (uint16_t)i, STAGE_MSG + 8 * i,
				  8, 0, 0);
	for (i = 0; i < 16; i++)
		mockring_set_avail(&m->ring[3], (uint16_t)i, (uint16_t)i);
	for (i = 0; i < n; i++) {
		gpa_t at = STAGE_MSG + 8 * (i % 16);

		machine_do(m, RAW_WRITE32, at, ids[i % 6]);
		machine_do(m, RAW_WRITE16, at + 4, events[i / 6 % 10]);
		machine_do(m, RAW_WRITE16, at + 6, values[i / 60]);
		machine_do(m, RAW_WRITE16, m->ring[3].avail + 2, i + 1);
		machine_do_kick(m, RAW_CONSOLE, 3);
	}
	status = stage_do_status(m, RAW_CONSOLE);
	stage_run(m);
	stage_check_sound(m, status);
	assert_int_equal(mockring_used_idx(&m->ring[3]), n);
	assert_int_equal(m->nr_taken, 0);
}

/* A port opened and closed for ever, and nobody takes what we say of it. */
static void answers_that_nobody_takes(void **state)
{
	struct machine *m = *state;
	unsigned status, i;

	stage_do_console(m);
	for (i = 0; i < 5000; i++) {
		machine_do(m, RAW_WRITE16, STAGE_MSG + 32 + 6, i & 1);
		machine_do(m, RAW_WRITE16, m->ring[3].avail + 2, 3 + i);
		machine_do_kick(m, RAW_CONSOLE, 3);
	}
	status = stage_do_status(m, RAW_CONSOLE);
	stage_run(m);
	stage_check_sound(m, status);
}

/* Buffers for our messages: too small, none, not writable. */
static void no_room_for_answers(void **state)
{
	static const struct mockbuf rows[] = { { STAGE_BUF, 7, true },
					       { STAGE_BUF, 64, false } };
	struct machine *m = *state;
	unsigned status[2], i;

	for (i = 0; i < 2; i++) {
		machine_do_driver(m, RAW_CONSOLE, queues, 6);
		mockring_add(&m->ring[2], &rows[i], 1);
		do_message(m, i, 0, VIRTIO_CONSOLE_DEVICE_READY, 1, 8);
		status[i] = stage_do_status(m, RAW_CONSOLE);
	}
	stage_run(m);
	for (i = 0; i < 2; i++)
		stage_check_broken(m, status[i]);
}

/* ---- ports ---- */

static void more_than_a_request_may_be(void **state)
{
	const struct mockbuf b[] = { { 0x400000, 3u << 20, false },
				     { 0x400000, 1u << 20, false },
				     { 0x400000, 1, false } };
	struct machine *m = *state;
	unsigned fits, more;

	stage_do_console(m);
	mockring_add(&m->ring[5], b, 2);
	machine_do_kick(m, RAW_CONSOLE, 5);
	fits = stage_do_status(m, RAW_CONSOLE);
	stage_do_console(m);
	mockring_add(&m->ring[5], b, 3);
	machine_do_kick(m, RAW_CONSOLE, 5);
	more = stage_do_status(m, RAW_CONSOLE);
	stage_run(m);
	stage_check_sound(m, fits);
	stage_check_broken(m, more);
}

/* Output before the port was opened, to ports for input, to no port. */
static void output_where_none_belongs(void **state)
{
	static const uint16_t all[] = { 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 2, 2 };
	const struct mockbuf b = { STAGE_BUF, 4096, false };
	struct machine *m = *state;
	unsigned status, i;

	machine_do_driver(m, RAW_CONSOLE, all, 12);
	for (i = 0; i < 12; i++) {
		if (i != 3)
			mockring_add(&m->ring[i], &b, 1);
		machine_do_kick(m, RAW_CONSOLE, i);
	}
	status = stage_do_status(m, RAW_CONSOLE);
	stage_run(m);
	assert_int_equal(machine_answer(m, status) & 0x80, 0);
	/* Five ports, each took its buffer at most. */
	assert_true(m->nr_taken <= 5 * 4096);
}

/* A stream that never ends costs the host no memory, only whom it goes to. */
static void output_without_end(void **state)
{
	const struct mockbuf b = { 0x400000, 1u << 20, false };
	struct machine *m = *state;
	unsigned status, i;

	stage_do_console(m);
	mockring_add(&m->ring[5], &b, 1);
	for (i = 0; i < 300; i++) {
		machine_do(m, RAW_WRITE16, m->ring[5].avail + 2, 1 + i);
		machine_do_kick(m, RAW_CONSOLE, 5);
	}
	status = stage_do_status(m, RAW_CONSOLE);
	stage_run(m);
	stage_check_sound(m, status);
	assert_int_equal(mockring_used_idx(&m->ring[5]), 300);
	assert_int_equal(m->nr_taken, RAW_TAKEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE("virtio 5.2.6:", requests_without_head_or_status),
		CASE("virtio 5.2.6.1:", sectors_that_do_not_exist),
		CASE("virtio 5.2.6.1:", writes_and_unknown_requests),
		CASE("virtio 2.7.4.1:", a_request_in_single_bytes),
		CASE("virtio 5.3.6.2:", messages_too_short),
		CASE("virtio 5.3.6.2:", messages_of_nonsense),
		CASE("virtio 5.3.6.2:", answers_that_nobody_takes),
		CASE("virtio 5.3.6.2:", no_room_for_answers),
		CASE("virtio 2.7.5.2:", more_than_a_request_may_be),
		CASE("virtio 5.3.6:", output_where_none_belongs),
		CASE("virtio 5.3.6:", output_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
