// SPDX-License-Identifier: MIT
/* LINK: vmm/job/status.c vmm/job/outcome.c vmm/job/version.c */
/* LINK: vmm/arch/x86_64/words.c */
/*
 * The status object and the timeline against files in tests/golden, which
 * show in a review how the format changed; GOLDEN_WRITE=1 rewrites them. And
 * against a JSON reader with the worst that can be in an outcome.
 */
#include "job/status.h"

#include "job/version.h"
#include "json_read.h"
#include "lib/cleanup.h"
#include "same_text.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MS 1000000ull

/* ---- the JSON reader ---- */

/* The reader itself must be able to say no. */
static void test_reader(void **state)
{
	static const char *const bad[] = {
		"{}",		"{\n",	     "{\"a\":}\n", "{\"a\"}\n",
		"{\"a\":1,}\n", "[1 2]\n",   "\"\\x\"\n",  "\"\\u12g4\"\n",
		"\"\t\"\n",	"01\n",	     "-\n",	   "{}}\n",
		"{\"a\":1\n",	"\"\\u00\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (is_json_line(bad[i]))
			fail_msg("took %s", bad[i]);
	assert_true(is_json_line("{\"a\":[1,-2,null,\"\\u00ff\\n\"],"
				 "\"b\":{}}\n"));
}

/* ---- golden files ---- */

/* So must the comparison. */
static void test_comparison(void **state)
{
	(void)state;
	assert_int_equal(texts_part("abc", "abc"), -1);
	assert_int_equal(texts_part("abc", "abd"), 2);
	assert_int_equal(texts_part("ab", "abc"), 2);
	assert_int_equal(texts_part("abc", ""), 0);
}

/* The commit differs from build to build: the files have a placeholder. */
static void mask_commit(char *s)
{
	char *p = strstr(s, version_commit);
	size_t len = strlen(version_commit);
	static const char mask[] = "COMMIT";

	assert_non_null(p);
	memmove(p + strlen(mask), p + len, strlen(p + len) + 1);
	memcpy(p, mask, strlen(mask));
}

static void compare_golden(const char *name, const char *got)
{
	char path[200], expected[STATUS_MAX] = "";
	auto_file f = NULL;
	size_t n;

	snprintf(path, sizeof(path), "tests/golden/%s", name);
	if (getenv("GOLDEN_WRITE")) {
		f = fopen(path, "w");
		assert_non_null(f);
		assert_true(fputs(got, f) >= 0);
		return;
	}
	f = fopen(path, "r");
	if (!f)
		fail_msg("no %s here; tests run in the top folder", path);
	n = fread(expected, 1, sizeof(expected) - 1, f);
	expected[n] = '\0';
	assert_same_text(got, expected);
}

static char cmd[] = "/bin/true";
static char *argv[] = {cmd, NULL};

static const struct config plain_config = {
	.memory = 256ull << 20,
	.cpus = 1,
	.pids_max = 512,
	.output_limit = UINT64_MAX,
	.result_fd = -1,
	.status_fd = -1,
	.uid = 65534,
	.gid = 65534,
	.argv = argv,
};

static const struct identity plain_id = {
	.kernel = "/usr/share/husk/vmlinux",
	.image = "/usr/share/husk/base.ext4",
	.kernel_size = 9876543,
	.kernel_mtime = 1700000000,
	.image_size = 734003200,
	.image_mtime = 1700000001,
	.kernel_salt = "husk-6.12",
	.image_uuid = "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
};

static const struct outcome plain_outcome = {
	.verdict = VERDICT_EXITED,
	.code = 3,
	.guest_said = true,
	.clock = {1000 * MS, 1002 * MS + 345678, 1041 * MS, 1055 * MS,
		  1068 * MS, 1070 * MS},
	.wall_ns = 11 * MS,
	.cpu_user_ns = 7 * MS,
	.cpu_sys_ns = 2 * MS,
	.mem_peak = 1234944,
	.pids_peak = 2,
	.exits = {100, 60, 20, 4, 0, 1, 3},
	.guest_pages = 4500,
	.private_bytes = 1 << 20,
	.stream = {{0, 0, false},
		   {5, 5, false},
		   {70000, 65536, true},
		   {1, 1, false}},
};

static void check_status(const char *name, const struct config *c,
			 const struct identity *id, const struct outcome *o)
{
	char buf[STATUS_MAX];
	size_t len = status_format(buf, sizeof(buf), c, id, o);

	assert_int_equal(len, strlen(buf));
	assert_true(is_json_line(buf));
	mask_commit(buf);
	compare_golden(name, buf);
}

static void test_exited(void **state)
{
	(void)state;
	check_status("status-exited.json", &plain_config, &plain_id,
		     &plain_outcome);
}

/* Every option given, an end by the clock, nothing after T2. */
static void test_timeout(void **state)
{
	struct config c = plain_config;
	struct outcome o = plain_outcome;

	(void)state;
	c.timeout_ns = 1500 * MS;
	c.timeout_from = TIMEOUT_FROM_STDIN;
	c.cpu_time_ns = 1;
	c.tmp_size = 4096;
	c.output_limit = 0;
	c.on_output_limit = OUTPUT_KILL;
	o.verdict = VERDICT_TIMEOUT;
	o.code = 0;
	o.guest_said = false;
	o.clock[CLOCK_T3_FIRST_BYTE] = 0;
	o.clock[CLOCK_T4_EXIT] = 2500 * MS;
	o.clock[CLOCK_T5_REAPED] = 0;
	check_status("status-timeout.json", &c, &plain_id, &o);
}

/* Nothing was reached, nothing is known. */
static void test_error(void **state)
{
	struct outcome o = {
		.verdict = VERDICT_ERROR,
		.code = ENOENT,
		.reason = "open '/x': No such file or directory",
		.clock = {5},
	};
	struct identity id = {.kernel = "/x"};

	(void)state;
	check_status("status-error.json", &plain_config, &id, &o);
}

static const struct {
	enum verdict verdict;
	int code;
	const char *member;
} code_names[] = {
	{VERDICT_EXITED, 9, "\"code\":9,\"code_name\":null,"},
	{VERDICT_SIGNALED, SIGSEGV, "\"code\":11,\"code_name\":\"SIGSEGV\","},
	{VERDICT_SIGNALED, 63, "\"code\":63,\"code_name\":null,"},
	{VERDICT_SIGNALED, -5, "\"code\":-5,\"code_name\":null,"},
	{VERDICT_OOM, SIGKILL, "\"code\":9,\"code_name\":\"SIGKILL\","},
	{VERDICT_INTERRUPTED, SIGTERM,
	 "\"code\":15,\"code_name\":\"SIGTERM\","},
	{VERDICT_START_FAILED, EACCES, "\"code\":13,\"code_name\":\"EACCES\","},
	{VERDICT_START_FAILED, 9999, "\"code\":9999,\"code_name\":null,"},
	{VERDICT_ERROR, 0, "\"code\":0,\"code_name\":null,"},
};

static void test_code_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(code_names) / sizeof(code_names[0]);
	     i++) {
		struct outcome o = {
			.verdict = code_names[i].verdict,
			.code = code_names[i].code,
		};
		char buf[STATUS_MAX];

		status_format(buf, sizeof(buf), &plain_config, &plain_id, &o);
		if (!strstr(buf, code_names[i].member))
			fail_msg("%s not in %s", code_names[i].member, buf);
		assert_true(is_json_line(buf));
	}
}

/* The largest numbers and the worst texts still fit, and are JSON. */
static void test_worst(void **state)
{
	static char path[5000];
	char buf[STATUS_MAX];
	struct config c = plain_config;
	struct identity id;
	struct outcome o;
	size_t len;

	(void)state;
	for (int fill = 1; fill < 256; fill++) {
		memset(path, fill, sizeof(path) - 1);
		memset(&o, 0xff, sizeof(o));
		memset(&id, 0xff, sizeof(id));
		o.verdict = VERDICT_GUEST_CRASH;
		o.guest_said = true;
		for (unsigned i = 0; i < STREAM_NR; i++)
			o.stream[i].truncated = false;
		memset(o.reason, fill, sizeof(o.reason) - 1);
		o.reason[sizeof(o.reason) - 1] = '\0';
		o.clock[CLOCK_T0_START] = 0;
		memset(id.kernel_salt, fill, sizeof(id.kernel_salt) - 1);
		id.kernel_salt[sizeof(id.kernel_salt) - 1] = '\0';
		memset(id.image_uuid, fill, sizeof(id.image_uuid) - 1);
		id.image_uuid[sizeof(id.image_uuid) - 1] = '\0';
		id.kernel = id.image = path;
		id.kernel_mtime = id.image_mtime = INT64_MIN;
		c.memory = c.timeout_ns = c.cpu_time_ns = UINT64_MAX;
		c.tmp_size = UINT64_MAX;
		c.output_limit = UINT64_MAX - 1;
		c.cpus = c.pids_max = c.uid = c.gid = UINT32_MAX;
		len = status_format(buf, sizeof(buf), &c, &id, &o);
		assert_true(len < sizeof(buf) - 1);
		assert_true(is_json_line(buf));
	}
}

/* A buffer that is too small is filled, not overrun. */
static void test_small_buffer(void **state)
{
	(void)state;
	for (size_t size = 1; size < 200; size += 7) {
		char *buf = malloc(size);

		assert_non_null(buf);
		assert_int_equal(status_format(buf, size, &plain_config,
					       &plain_id, &plain_outcome),
				 size - 1);
		assert_int_equal(
			status_timeline(buf, size, &plain_outcome, true),
			size - 1);
		free(buf);
	}
}

static void test_timeline(void **state)
{
	struct outcome o = plain_outcome;
	char buf[4096];

	(void)state;
	status_timeline(buf, sizeof(buf), &o, false);
	compare_golden("timeline.txt", buf);
	status_timeline(buf, sizeof(buf), &o, true);
	compare_golden("timeline-colour.txt", buf);
	o.clock[CLOCK_T3_FIRST_BYTE] = 0;
	o.clock[CLOCK_T5_REAPED] = 0;
	memset(o.exits, 0, sizeof(o.exits));
	status_timeline(buf, sizeof(buf), &o, true);
	compare_golden("timeline-partial.txt", buf);
}

/* No colour without being asked, and no points out of order break it. */
static void test_timeline_odd(void **state)
{
	struct outcome o = {.clock = {100 * MS, 50 * MS, 400 * MS, 200 * MS,
				      UINT64_MAX, 1}};
	char buf[4096];
	size_t len;

	(void)state;
	len = status_timeline(buf, sizeof(buf), &o, false);
	assert_null(strchr(buf, '\033'));
	assert_true(len < sizeof(buf) - 1);
	memset(o.exits, 0xff, sizeof(o.exits));
	o.guest_pages = o.private_bytes = UINT64_MAX / 4;
	len = status_timeline(buf, sizeof(buf), &o, true);
	assert_true(len < sizeof(buf) - 1);
	assert_int_equal(buf[len - 1], '\n');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reader),
		cmocka_unit_test(test_comparison),
		cmocka_unit_test(test_exited),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_code_names),
		cmocka_unit_test(test_worst),
		cmocka_unit_test(test_small_buffer),
		cmocka_unit_test(test_timeline),
		cmocka_unit_test(test_timeline_odd),
	};

	return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
