/* LINK: vmm/backends/control.c */
// SPDX-License-Identifier: MIT
/*
 * The host's end of the guest protocol: a conversation arrives whole however
 * it is cut into pieces, and every step out of it is noticed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/control.h"

static struct control c;
static unsigned nr_moved;

static void on_moved(void *opaque)
{
	assert_ptr_equal(opaque, &c);
	nr_moved++;
}

static char *const argv_cc[] = { (char[]){ "cc" }, (char[]){ "-o" },
				 (char[]){ "" }, NULL };
static const char *const env_two[] = { "A=1", "B=" };

static const struct husk_job job = {
	.uid = 1, .gid = 2, .pids_max = 3, .tmp_size = 4, .cpu_time_ns = 5,
	.seed = { 9, 8, 7 },
};

static int set_up(void **state)
{
	const struct control_job s = { "host", "/work", argv_cc, env_two, 2 };
	struct err e;

	(void)state;
	nr_moved = 0;
	return control_init(&c, &job, &s, on_moved, &c, &e);
}

static int tear_down(void **state)
{
	(void)state;
	control_fini(&c);
	control_fini(&c);
	return 0;
}

/* ---- what the guest sends ---- */

static uint8_t out[2048];
static size_t nr_out;

static void begin(void)
{
	nr_out = 0;
}

static void add(const void *p, size_t len)
{
	assert_true(nr_out + len <= sizeof(out));
	memcpy(out + nr_out, p, len);
	nr_out += len;
}

static void add_head(uint16_t type, uint32_t len)
{
	const struct husk_frame f = { HUSK_MAGIC, HUSK_VERSION, type, len };

	add(&f, sizeof(f));
}

static void add_ready(void)
{
	const struct husk_ready r = { 11, 22, 33 };

	add_head(HUSK_READY, sizeof(r));
	add(&r, sizeof(r));
}

static void add_started(void)
{
	add_head(HUSK_STARTED, 0);
}

static void add_end(uint32_t kind, uint32_t code, const char *reason)
{
	struct husk_end end = {
		.kind = kind, .code = code, .wall_ns = 5, .mem_peak = 6,
		.reason_len = (uint32_t)strlen(reason),
	};

	add_head(HUSK_END, (uint32_t)sizeof(end) + end.reason_len);
	add(&end, sizeof(end));
	add(reason, end.reason_len);
}

/* Give bytes in heap blocks of their exact size. */
static void take(const uint8_t *p, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct iovec iov = { copy, len };

	assert_non_null(copy);
	memcpy(copy, p, len);
	assert_int_equal(control_ops.take(&c, &iov, 1, len), len);
	free(copy);
}

static void send_all(void)
{
	take(out, nr_out);
}

static void conversation(void)
{
	begin();
	add_ready();
	add_started();
	add_end(HUSK_END_EXITED, 7, "well done");
}

static void check_conversation(void)
{
	assert_int_equal(c.state, CONTROL_ENDED);
	assert_int_equal(c.ready.uptime_ns, 11);
	assert_int_equal(c.ready.mem_free, 33);
	assert_int_equal(c.end.kind, HUSK_END_EXITED);
	assert_int_equal(c.end.code, 7);
	assert_int_equal(c.end.wall_ns, 5);
	assert_int_equal(c.end.mem_peak, 6);
	assert_string_equal(c.reason, "well done");
	assert_int_equal(nr_moved, 3);
}

/* Start over with a fresh control end. */
static void again(void)
{
	tear_down(NULL);
	assert_int_equal(set_up(NULL), 0);
}

static void all_at_once(void **state)
{
	(void)state;
	conversation();
	send_all();
	check_conversation();
}

static void byte_by_byte(void **state)
{
	size_t i;

	(void)state;
	conversation();
	for (i = 0; i < nr_out; i++)
		take(out + i, 1);
	check_conversation();
}

static void cut_at_every_byte(void **state)
{
	size_t i, j;

	(void)state;
	conversation();
	for (i = 0; i <= nr_out; i++)
		for (j = i; j <= nr_out; j++) {
			again();
			take(out, i);
			take(out + i, j - i);
			take(out + j, nr_out - j);
			check_conversation();
		}
}

static void scattered(void **state)
{
	struct iovec iov[3];

	(void)state;
	conversation();
	iov[0] = (struct iovec){ out, 5 };
	iov[1] = (struct iovec){ out + 5, 0 };
	iov[2] = (struct iovec){ out + 5, nr_out - 5 };
	assert_int_equal(control_ops.take(&c, iov, 3, nr_out), nr_out);
	check_conversation();
}

static void longest_reason(void **state)
{
	char reason[HUSK_REASON_MAX + 2];

	(void)state;
	memset(reason, 'r', sizeof(reason));
	reason[HUSK_REASON_MAX] = '\0';
	begin();
	add_end(HUSK_END_ERROR, EIO, reason);
	send_all();
	assert_int_equal(c.state, CONTROL_ENDED);
	assert_string_equal(c.reason, reason);
	again();
	reason[HUSK_REASON_MAX] = 'r';
	reason[HUSK_REASON_MAX + 1] = '\0';
	begin();
	add_end(HUSK_END_ERROR, EIO, reason);
	send_all();
	assert_int_equal(c.state, CONTROL_BAD);
}

static void reasons_are_printable(void **state)
{
	struct husk_end end = { .kind = HUSK_END_ERROR, .code = 1,
				.reason_len = 9 };

	(void)state;
	begin();
	add_head(HUSK_END, sizeof(end) + 9);
	add(&end, sizeof(end));
	add("a\n\x1b[\0\x7f\xc3\xa9~", 9);
	send_all();
	assert_int_equal(c.state, CONTROL_ENDED);
	assert_string_equal(c.reason, "a??[????~");
}

/* ---- what does not fit ---- */

static void bad(int line)
{
	unsigned before = nr_moved;

	send_all();
	if (c.state != CONTROL_BAD)
		fail_msg("line %d: state %d", line, c.state);
	assert_true(nr_moved > before);
	/* Nothing brings it back. */
	conversation();
	send_all();
	assert_int_equal(c.state, CONTROL_BAD);
	again();
	begin();
}

#define BAD() bad(__LINE__)

static void headers(void **state)
{
	static const struct husk_frame f[] = {
		{ HUSK_MAGIC + 1, HUSK_VERSION, HUSK_STARTED, 0 },
		{ 0, HUSK_VERSION, HUSK_READY, 24 },
		{ HUSK_MAGIC, 0, HUSK_READY, 24 },
		{ HUSK_MAGIC, HUSK_VERSION + 1, HUSK_READY, 24 },
		{ HUSK_MAGIC, HUSK_VERSION, HUSK_READY, HUSK_REPORT_MAX + 1 },
		{ HUSK_MAGIC, HUSK_VERSION, HUSK_READY, UINT32_MAX },
		{ HUSK_MAGIC, HUSK_VERSION, HUSK_END, UINT32_MAX - 11 },
	};
	size_t i;

	(void)state;
	begin();
	for (i = 0; i < sizeof(f) / sizeof(f[0]); i++) {
		add(&f[i], sizeof(f[i]));
		BAD();
	}
}

static void types(void **state)
{
	static const uint16_t t[] = { 0, HUSK_JOB, HUSK_REST, HUSK_GO,
				      HUSK_GO + 1, UINT16_MAX };
	size_t i;

	(void)state;
	begin();
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		add_head(t[i], 0);
		BAD();
	}
}

static void lengths(void **state)
{
	uint8_t zeros[HUSK_REPORT_MAX] = { 0 };
	struct husk_end end = { .kind = HUSK_END_ERROR, .code = 1 };
	uint32_t len;

	(void)state;
	begin();
	for (len = 0; len <= HUSK_REPORT_MAX; len++) {
		if (len == sizeof(struct husk_ready))
			continue;
		add_head(HUSK_READY, len);
		add(zeros, len);
		BAD();
	}
	add_ready();
	add_head(HUSK_STARTED, 1);
	add(zeros, 1);
	BAD();
	for (len = 0; len <= HUSK_REPORT_MAX; len++) {
		if (len == sizeof(end))
			continue;
		add_head(HUSK_END, len);
		add(&end, len < sizeof(end) ? len : sizeof(end));
		add(zeros, len < sizeof(end) ? 0 : len - sizeof(end));
		BAD();
	}
	/* A reason that is said to be longer than its frame, or shorter. */
	end.reason_len = 4;
	add_head(HUSK_END, sizeof(end) + 3);
	add(&end, sizeof(end));
	add("abc", 3);
	BAD();
	add_head(HUSK_END, sizeof(end) + 5);
	add(&end, sizeof(end));
	add("abcde", 5);
	BAD();
	end.reason_len = UINT32_MAX;
	add_head(HUSK_END, sizeof(end) - 1);
	add(&end, sizeof(end) - 1);
	BAD();
}

static void order(void **state)
{
	(void)state;
	begin();
	add_started();
	BAD();
	add_ready();
	add_ready();
	BAD();
	add_ready();
	add_started();
	add_ready();
	BAD();
	add_ready();
	add_started();
	add_started();
	BAD();
	add_end(HUSK_END_EXITED, 0, "");
	BAD();
	add_ready();
	add_end(HUSK_END_EXITED, 0, "");
	BAD();
	add_ready();
	add_end(HUSK_END_OOM, 9, "");
	BAD();
	add_end(HUSK_END_ERROR, 1, "");
	add_end(HUSK_END_ERROR, 1, "");
	BAD();
	conversation();
	add_started();
	BAD();
	conversation();
	add_ready();
	BAD();
}

static void kinds_and_codes(void **state)
{
	static const struct {
		bool started;
		uint32_t kind, code;
		bool ok;
	} t[] = {
		{ true, HUSK_END_EXITED, 0, true },
		{ true, HUSK_END_EXITED, 255, true },
		{ true, HUSK_END_EXITED, 256, false },
		{ true, HUSK_END_EXITED, UINT32_MAX, false },
		{ true, HUSK_END_SIGNALED, 0, false },
		{ true, HUSK_END_SIGNALED, 1, true },
		{ true, HUSK_END_SIGNALED, 64, true },
		{ true, HUSK_END_SIGNALED, 65, false },
		{ true, HUSK_END_OOM, 9, true },
		{ true, HUSK_END_CPU_TIME, 9, true },
		{ true, HUSK_END_CPU_TIME, UINT32_MAX, false },
		{ false, HUSK_END_SIGNALED, 9, false },
		{ false, HUSK_END_CPU_TIME, 9, false },
		{ false, HUSK_END_START_FAILED, 2, true },
		{ false, HUSK_END_START_FAILED, 0, false },
		{ false, HUSK_END_START_FAILED, 4095, true },
		{ false, HUSK_END_START_FAILED, 4096, false },
		/* what has started cannot have failed to */
		{ true, HUSK_END_START_FAILED, 2, false },
		{ false, HUSK_END_ERROR, 5, true },
		{ true, HUSK_END_ERROR, 5, true },
		{ true, HUSK_END_ERROR, 0, false },
		{ true, HUSK_END_ERROR, 0x80000000, false },
		{ true, 0, 0, false },
		{ true, HUSK_END_ERROR + 1, 1, false },
		{ true, UINT32_MAX, 1, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		again();
		begin();
		add_ready();
		if (t[i].started)
			add_started();
		add_end(t[i].kind, t[i].code, "");
		send_all();
		if (c.state != (t[i].ok ? CONTROL_ENDED : CONTROL_BAD))
			fail_msg("row %zu", i);
	}
	/* Before READY only init itself can have failed. */
	again();
	begin();
	add_end(HUSK_END_START_FAILED, 2, "");
	BAD();
	add_end(HUSK_END_ERROR, 2, "no /dev");
	send_all();
	assert_int_equal(c.state, CONTROL_ENDED);
	assert_string_equal(c.reason, "no /dev");
}

static void a_flood_of_bytes(void **state)
{
	uint8_t noise[4096];
	unsigned i;

	(void)state;
	memset(noise, 0x55, sizeof(noise));
	for (i = 0; i < 100; i++)
		take(noise, sizeof(noise));
	assert_int_equal(c.state, CONTROL_BAD);
	assert_true(c.have <= sizeof(c.buf));
	assert_int_equal(nr_moved, 1);
}

/* ---- the job ---- */

static void job_is_given_when_wanted(void **state)
{
	uint8_t got[1024];
	struct iovec iov = { got, sizeof(got) };
	struct husk_frame f;
	struct husk_job j;
	const char *s;
	ssize_t n;

	(void)state;
	assert_int_equal(control_ops.give(&c, &iov, 1), -EAGAIN);
	begin();
	add_ready();
	send_all();
	n = control_ops.give(&c, &iov, 1);
	assert_int_equal(n, c.frame_len);
	assert_int_equal(control_ops.give(&c, &iov, 1), -EAGAIN);
	memcpy(&f, got, sizeof(f));
	assert_int_equal(f.magic, HUSK_MAGIC);
	assert_int_equal(f.version, HUSK_VERSION);
	assert_int_equal(f.type, HUSK_JOB);
	assert_int_equal(f.len, (size_t)n - sizeof(f));
	memcpy(&j, got + sizeof(f), sizeof(j));
	assert_int_equal(j.uid, 1);
	assert_int_equal(j.gid, 2);
	assert_int_equal(j.argc, 3);
	assert_int_equal(j.envc, 2);
	assert_int_equal(j.pids_max, 3);
	assert_int_equal(j.tmp_size, 4);
	assert_int_equal(j.cpu_time_ns, 5);
	assert_memory_equal(j.seed, job.seed, sizeof(j.seed));
	/* After 2020, by the clock of this machine. */
	assert_true(j.realtime_ns > 1577836800ull * 1000000000);
	assert_int_equal(j.strings_len, f.len - sizeof(j));
	s = (char *)got + sizeof(f) + sizeof(j);
	assert_memory_equal(s, "host\0/work\0cc\0-o\0\0A=1\0B=", 25);
	assert_int_equal(j.strings_len, 25);
}

static void job_in_small_pieces(void **state)
{
	uint8_t got[1024], whole[1024];
	struct iovec iov;
	size_t have = 0;
	ssize_t n;

	(void)state;
	begin();
	add_ready();
	send_all();
	for (;;) {
		iov = (struct iovec){ got + have, 7 };
		n = control_ops.give(&c, &iov, 1);
		if (n < 0)
			break;
		have += (size_t)n;
	}
	assert_int_equal(n, -EAGAIN);
	assert_int_equal(have, c.frame_len);
	memcpy(whole, c.frame, c.frame_len);
	assert_memory_equal(got, whole, have);
}

static void job_of_the_greatest_size(void **state)
{
	const size_t room = HUSK_JOB_MAX - sizeof(struct husk_job);
	/* "h", "/", and one argument with its NUL fill the rest. */
	size_t arg_len = room - 2 - 2 - 1;
	char *arg = malloc(arg_len + 2);
	char *argv[] = { arg, NULL };
	struct control_job s = { "h", "/", argv, NULL, 0 };
	struct control big;
	struct err e = { 0 };

	(void)state;
	memset(arg, 'a', arg_len + 1);
	arg[arg_len] = '\0';
	assert_int_equal(control_init(&big, &job, &s, on_moved, &c, &e), 0);
	assert_int_equal(big.frame_len,
			 sizeof(struct husk_frame) + HUSK_JOB_MAX);
	control_fini(&big);
	arg[arg_len] = 'a';
	arg[arg_len + 1] = '\0';
	assert_int_equal(control_init(&big, &job, &s, on_moved, &c, &e),
			 -E2BIG);
	assert_non_null(strstr(e.msg, "stdin"));
	control_fini(&big);
	free(arg);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(all_at_once),
		TEST(byte_by_byte),
		TEST(cut_at_every_byte),
		TEST(scattered),
		TEST(longest_reason),
		TEST(reasons_are_printable),
		TEST(headers),
		TEST(types),
		TEST(lengths),
		TEST(order),
		TEST(kinds_and_codes),
		TEST(a_flood_of_bytes),
		TEST(job_is_given_when_wanted),
		TEST(job_in_small_pieces),
		TEST(job_of_the_greatest_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
