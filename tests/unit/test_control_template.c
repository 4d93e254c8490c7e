/* LINK: vmm/backends/control.c */
// SPDX-License-Identifier: MIT
/*
 * The host's end of the guest protocol where templates are made and copied:
 * when a guest may rest, and what a copy is given.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "backends/control.h"

static struct control c;

static void on_moved(void *opaque)
{
	assert_ptr_equal(opaque, &c);
}

static char *const argv_cc[] = { (char[]){ "cc" }, NULL };
static const struct husk_job job = { .pids_max = 3, .tmp_size = 4 };
static const struct husk_rest rest = { 1, 2, 3, 0, 4 };

static int set_up(void **state)
{
	const struct control_job s = { "host", "/work", argv_cc, NULL, 0 };
	struct err e;

	(void)state;
	return control_init(&c, &job, &s, on_moved, &c, &e);
}

static int tear_down(void **state)
{
	(void)state;
	control_fini(&c);
	return 0;
}

/* ---- what the guest sends ---- */

static void send(enum husk_frame_type type, const void *payload, uint32_t len)
{
	struct husk_frame f = { HUSK_MAGIC, HUSK_VERSION, (uint16_t)type, len };
	uint8_t buf[256];
	struct iovec iov = { buf, sizeof(f) + len };

	memcpy(buf, &f, sizeof(f));
	memcpy(buf + sizeof(f), payload, len);
	control_ops.take(&c, &iov, 1, iov.iov_len);
}

static void say(enum husk_frame_type type)
{
	send(type, "", 0);
}

static void say_ready(void)
{
	const struct husk_ready r = { 1, 2, 3 };

	send(HUSK_READY, &r, sizeof(r));
}

static void say_end(uint32_t code)
{
	const struct husk_end e = { .kind = HUSK_END_EXITED, .code = code };

	send(HUSK_END, &e, sizeof(e));
}

/* ---- tests ---- */

static void check_frame(enum husk_frame_type type, const void *payload,
			size_t len)
{
	uint8_t got[1024];
	struct iovec iov = { got, sizeof(got) };
	struct husk_frame f;

	assert_int_equal(control_ops.give(&c, &iov, 1), sizeof(f) + len);
	memcpy(&f, got, sizeof(f));
	assert_int_equal(f.type, type);
	assert_int_equal(f.len, len);
	assert_memory_equal(got + sizeof(f), payload, len);
}

static void rest_then_resting(void **state)
{
	struct err e;

	(void)state;
	tear_down(NULL);
	assert_int_equal(control_init_rest(&c, &rest, on_moved, &c, &e), 0);
	say_ready();
	check_frame(HUSK_REST, &rest, sizeof(rest));
	say(HUSK_RESTING);
	assert_int_equal(c.state, CONTROL_RESTING);
	/* The guest of a template has nothing more to say. */
	say_end(0);
	assert_int_equal(c.state, CONTROL_BAD);
}

static void resting_only_when_asked(void **state)
{
	(void)state;
	say_ready();
	say(HUSK_RESTING);
	assert_int_equal(c.state, CONTROL_BAD);
	tear_down(NULL);
	assert_int_equal(set_up(NULL), 0);
	say_ready();
	say(HUSK_STARTED);
	say(HUSK_RESTING);
	assert_int_equal(c.state, CONTROL_BAD);
}

static void hold_rests_after_the_start(void **state)
{
	const struct control_job s = { "host", "/work", argv_cc, NULL, 0 };
	struct husk_job held = job;
	unsigned early;
	struct err e;

	(void)state;
	held.flags = HUSK_JOB_HOLD;
	for (early = 0; early < 2; early++) {
		tear_down(NULL);
		assert_int_equal(control_init(&c, &held, &s, on_moved, &c, &e),
				 0);
		say_ready();
		if (!early)
			say(HUSK_STARTED);
		say(HUSK_RESTING);
		assert_int_equal(c.state,
				 early ? CONTROL_BAD : CONTROL_RESTING);
	}
}

static void go_carries_what_is_new(void **state)
{
	const struct husk_go go = { .pids_max = 7, .cpu_time_ns = 8 };
	uint8_t got[1024];
	struct iovec iov = { got, sizeof(got) };
	struct husk_go g;
	struct err e;

	(void)state;
	tear_down(NULL);
	assert_int_equal(control_init_go(&c, &go, "name", on_moved, &c, &e),
			 0);
	assert_int_equal(control_ops.give(&c, &iov, 1), -EAGAIN);
	control_resume(&c, 11, 22);
	assert_int_equal(c.state, CONTROL_STARTED);
	assert_int_equal(control_ops.give(&c, &iov, 1),
			 sizeof(struct husk_frame) + sizeof(g) + 4);
	memcpy(&g, got + sizeof(struct husk_frame), sizeof(g));
	assert_int_equal(g.pids_max, 7);
	assert_int_equal(g.cpu_time_ns, 8);
	assert_int_equal(g.counter, 11);
	assert_int_equal(g.counter_khz, 22);
	assert_int_equal(g.hostname_len, 4);
	assert_true(g.realtime_ns > 1577836800ull * 1000000000);
	assert_memory_equal(got + sizeof(struct husk_frame) + sizeof(g),
			    "name", 4);
	say_end(3);
	assert_int_equal(c.state, CONTROL_ENDED);
	assert_int_equal(c.end.code, 3);
}

static void a_copy_gets_its_job_at_once(void **state)
{
	uint8_t got[1024];
	struct iovec iov = { got, sizeof(got) };

	(void)state;
	control_resume(&c, 11, 22);
	assert_int_equal(c.state, CONTROL_READY);
	assert_int_equal(control_ops.give(&c, &iov, 1), c.frame_len);
	say(HUSK_STARTED);
	say_end(0);
	assert_int_equal(c.state, CONTROL_ENDED);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(rest_then_resting),
		TEST(resting_only_when_asked),
		TEST(hold_rests_after_the_start),
		TEST(go_carries_what_is_new),
		TEST(a_copy_gets_its_job_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
