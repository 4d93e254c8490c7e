// SPDX-License-Identifier: MIT
/* LINK: vmm/pool/wire.c vmm/job/status.c vmm/job/outcome.c vmm/job/version.c */
/* LINK: vmm/arch/x86_64/words.c */
/*
 * What goes between a pool's clients and machines: what is packed comes out
 * the same, and nothing else comes out at all. Each field is broken once.
 */
#include "pool/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>

static char sh[] = "sh", dash_c[] = "-c", empty[] = "";
static char *const words[] = { sh, dash_c, empty, NULL };
static char *const no_words[] = { NULL };
static const char *env[2];

static struct config sample(void)
{
	env[0] = "A=b";
	env[1] = "C=";
	return (struct config){
		.timeout_ns = 1500000000,
		.timeout_from = TIMEOUT_FROM_STDIN,
		.cpu_time_ns = 7,
		.tmp_size = 4096,
		.output_limit = UINT64_MAX,
		.on_output_limit = OUTPUT_KILL,
		.pids_max = 9,
		.uid = 1,
		.gid = 2,
		.result_fd = -1,
		.result_file = "/some/where",
		.status_fd = -1,
		.console_file = "log",
		.console_limit = 1ull << 33,
		.warm_fixed = "env",
		.hostname = "here",
		.workdir = "/tmp",
		.nr_env = 2,
		.env = env,
		.argv = (char **)(uintptr_t)words,
	};
}

static size_t pack(const struct config *c, uint8_t **msg)
{
	struct err e;
	long n = pool_request_pack(c, 12345, msg, &e);

	assert_true(n > 0);
	assert_int_equal(pool_wire_size(*msg, POOL_HEAD, POOL_REQUEST), n);
	return (size_t)n;
}

static void test_request(void **state)
{
	struct config in = sample();
	struct pool_request out;
	const struct config *c = &out.config;
	uint8_t *msg;
	size_t len = pack(&in, &msg);

	(void)state;
	assert_int_equal(pool_request_parse(&out, msg, len), 0);
	assert_int_equal(out.t0_ns, 12345);
	assert_int_equal(c->timeout_ns, in.timeout_ns);
	assert_int_equal(c->timeout_from, in.timeout_from);
	assert_int_equal(c->cpu_time_ns, 7);
	assert_int_equal(c->tmp_size, 4096);
	assert_true(c->output_limit == UINT64_MAX);
	assert_true(c->console_limit == 1ull << 33);
	assert_int_equal(c->on_output_limit, OUTPUT_KILL);
	assert_int_equal(c->pids_max, 9);
	assert_int_equal(c->uid, 1);
	assert_int_equal(c->gid, 2);
	assert_string_equal(c->warm_fixed, "env");
	assert_string_equal(c->hostname, "here");
	assert_string_equal(c->workdir, "/tmp");
	assert_int_equal(c->nr_env, 2);
	assert_string_equal(c->env[0], "A=b");
	assert_string_equal(c->env[1], "C=");
	assert_string_equal(c->argv[0], "sh");
	assert_string_equal(c->argv[2], "");
	assert_null(c->argv[3]);
	/* No path of the client's: only that there is a file. */
	assert_non_null(c->result_file);
	assert_null(strchr(c->result_file, '/'));
	assert_int_equal(c->result_fd, -1);
	assert_int_equal(c->status_fd, -1);
	assert_null(c->status_file);
	assert_false(c->timeline);
	assert_int_equal(pool_request_fds(c), 5);
	pool_request_fini(&out);
	free(msg);
}

/* The warm process is the job: no arguments, nothing optional. */
static void test_least_request(void **state)
{
	struct config in = { .pids_max = 1, .result_fd = -1, .status_fd = 5,
			     .hostname = "h", .workdir = "/",
			     .argv = (char **)(uintptr_t)no_words };
	struct pool_request out;
	uint8_t *msg;
	size_t len = pack(&in, &msg);

	(void)state;
	assert_int_equal(pool_request_parse(&out, msg, len), 0);
	assert_null(out.config.argv[0]);
	assert_null(out.config.warm_fixed);
	assert_null(out.config.result_file);
	assert_int_equal(out.config.result_fd, -1);
	/* A status is written by the client, but it has counts of memory. */
	assert_true(out.config.timeline);
	assert_int_equal(pool_request_fds(&out.config), 3);
	pool_request_fini(&out);
	free(msg);
}

/* A configuration that the command line would not let through. */
static void refuse(void (*spoil)(struct config *c))
{
	struct config in = sample();
	struct pool_request out;
	uint8_t *msg;
	size_t len;

	spoil(&in);
	len = pack(&in, &msg);
	assert_int_equal(pool_request_parse(&out, msg, len), -EPROTO);
	assert_null(out.argv);
	free(msg);
}

#define SPOIL(name, what)                                                      \
	static void spoil_##name(struct config *c)                             \
	{                                                                      \
		what;                                                          \
	}

static char long_path[CONFIG_WORKDIR_MAX + 1];

SPOIL(timeout, c->timeout_ns = CONFIG_TIME_MAX + 1)
SPOIL(cpu_time, c->cpu_time_ns = UINT64_MAX)
SPOIL(tmp_small, c->tmp_size = 4095)
SPOIL(tmp_large, c->tmp_size = CONFIG_MEMORY_MAX + 1)
SPOIL(pids_none, c->pids_max = 0)
SPOIL(pids_many, c->pids_max = CONFIG_PIDS_MAX + 1)
SPOIL(uid, c->uid = UINT32_MAX)
SPOIL(gid, c->gid = CONFIG_ID_MAX + 1)
SPOIL(two_results, c->result_fd = 3)
SPOIL(host_none, c->hostname = "")
SPOIL(host_chars, c->hostname = "a b")
SPOIL(workdir, c->workdir = "tmp")
SPOIL(workdir_long, c->workdir = long_path)
SPOIL(option, c->warm_fixed = "e\nv")
SPOIL(option_long, c->warm_fixed = "abcdefghijklmnopq")
SPOIL(env_equals, c->env[1] = "C")
SPOIL(env_name, c->env[0] = "=b")
SPOIL(command, c->argv = (char **)(uintptr_t)(words + 2))

static void test_request_values(void **state)
{
	static void (*const spoils[])(struct config *c) = {
		spoil_timeout,	 spoil_cpu_time,     spoil_tmp_small,
		spoil_tmp_large, spoil_pids_none,    spoil_pids_many,
		spoil_uid,	 spoil_gid,	     spoil_two_results,
		spoil_host_none, spoil_host_chars,   spoil_workdir,
		spoil_option,	 spoil_workdir_long, spoil_option_long,
		spoil_env_name,	 spoil_env_equals,   spoil_command,
	};
	size_t i;

	(void)state;
	memset(long_path, '/', CONFIG_WORKDIR_MAX);
	for (i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++)
		refuse(spoils[i]);
}

/* Every byte of head and numbers, and the length, matter or are in range. */
static void test_request_bytes(void **state)
{
	struct config in = sample();
	struct pool_request out;
	uint8_t *msg, *copy;
	size_t len = pack(&in, &msg), i;

	(void)state;
	copy = malloc(len + 1);
	assert_non_null(copy);
	for (i = 0; i < len; i++) {
		memcpy(copy, msg, i);
		assert_int_equal(pool_request_parse(&out, copy, i), -EPROTO);
	}
	memcpy(copy, msg, len);
	copy[len] = 0;
	assert_int_equal(pool_request_parse(&out, copy, len + 1), -EPROTO);
	for (i = 0; i < POOL_HEAD; i++) {
		copy[i] ^= 1;
		assert_int_equal(pool_request_parse(&out, copy, len), -EPROTO);
		copy[i] ^= 1;
	}
	copy[len - 1] = 'x'; /* the last string has no end */
	assert_int_equal(pool_request_parse(&out, copy, len), -EPROTO);
	free(copy);
	free(msg);
}

static void test_request_too_long(void **state)
{
	static char big[POOL_REQUEST_MAX];
	char *argv[] = { sh, big, NULL };
	struct config in = sample();
	uint8_t *msg = NULL;
	struct err e;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	in.argv = argv;
	assert_int_equal(pool_request_pack(&in, 0, &msg, &e), -E2BIG);
	assert_null(msg);
}

static void test_signal(void **state)
{
	static const int good[] = { SIGINT, SIGTERM, SIGHUP };
	static const int bad[] = { 0, SIGKILL, SIGCHLD, -1, 64 };
	uint8_t msg[POOL_SIGNAL_LEN];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		pool_signal_pack(msg, good[i]);
		assert_int_equal(pool_signal_parse(msg, sizeof(msg)), good[i]);
		assert_int_equal(pool_signal_parse(msg, sizeof(msg) - 1), 0);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		pool_signal_pack(msg, bad[i]);
		assert_int_equal(pool_signal_parse(msg, sizeof(msg)), 0);
	}
	assert_int_equal(pool_wire_size(msg, sizeof(msg), POOL_REQUEST), 0);
}

static const struct identity files = {
	.kernel = "/boot/vmlinux",
	.image = "/dev/vda",
	.kernel_size = 1,
	.image_size = 2,
	.kernel_mtime = -3,
	.image_mtime = 4,
	.kernel_salt = "salt",
	.image_uuid = "01234567-89ab-cdef-0123-456789abcdef",
};

static struct outcome sample_outcome(void)
{
	struct outcome o = {
		.verdict = VERDICT_OOM,
		.code = 9,
		.guest_said = true,
		.reason = "out of memory",
		.clock = { 1, 2, 3, 4, 5, 6 },
		.wall_ns = 10,
		.cpu_user_ns = 11,
		.cpu_sys_ns = 12,
		.mem_peak = 13,
		.pids_peak = 14,
		.exits = { 1, 2, 3, 4, 5, 6, 7 },
		.guest_pages = 15,
		.private_bytes = 16,
		.stream = { [STREAM_STDERR] = { 17, 18, true } },
	};

	return o;
}

static size_t pack_reply(uint8_t msg[POOL_REPLY_MAX], const struct outcome *o)
{
	const struct config c = { .memory = 1ull << 30, .cpus = 4 };

	return pool_reply_pack(msg, &c, o, &files);
}

/* Both ends say the same to the user: the object is the same bytes. */
static void test_reply(void **state)
{
	struct outcome o = sample_outcome();
	char want[STATUS_MAX], got[STATUS_MAX];
	uint8_t msg[POOL_REPLY_MAX];
	struct config c = sample();
	struct pool_reply r;
	size_t len = pack_reply(msg, &o), i;

	(void)state;
	assert_int_equal(pool_wire_size(msg, len, POOL_REPLY), len);
	assert_int_equal(pool_reply_parse(&r, msg, len), 0);
	assert_true(r.memory == 1ull << 30);
	assert_int_equal(r.cpus, 4);
	status_format(want, sizeof(want), &c, &files, &o);
	status_format(got, sizeof(got), &c, &r.id, &r.outcome);
	assert_string_equal(got, want);
	for (i = 0; i < len; i++)
		assert_int_equal(pool_reply_parse(&r, msg, i), -EPROTO);
}

static void test_reply_of_a_stranger(void **state)
{
	struct outcome o = sample_outcome();
	uint8_t msg[POOL_REPLY_MAX];
	struct pool_reply r;
	size_t len;

	(void)state;
	o.verdict = VERDICT_NONE;
	len = pack_reply(msg, &o);
	assert_int_equal(pool_reply_parse(&r, msg, len), -EPROTO);
	o.verdict = VERDICT_ERROR + 1;
	len = pack_reply(msg, &o);
	assert_int_equal(pool_reply_parse(&r, msg, len), -EPROTO);
	o = sample_outcome();
	o.code = -1;
	len = pack_reply(msg, &o);
	assert_int_equal(pool_reply_parse(&r, msg, len), -EPROTO);
	o.code = 4095;
	len = pack_reply(msg, &o);
	assert_int_equal(pool_reply_parse(&r, msg, len), 0);
	/* The longest reason that there is. */
	memset(o.reason, 'r', sizeof(o.reason) - 1);
	len = pack_reply(msg, &o);
	assert_int_equal(pool_reply_parse(&r, msg, len), 0);
	assert_string_equal(r.outcome.reason, o.reason);
	/* Its length one more than its buffer has; and a NUL inside. */
	msg[POOL_HEAD + 9]++;
	assert_int_equal(pool_reply_parse(&r, msg, len), -EPROTO);
	msg[POOL_HEAD + 9]--;
	msg[POOL_HEAD + 21] = 0;
	assert_int_equal(pool_reply_parse(&r, msg, len), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_least_request),
		cmocka_unit_test(test_request_values),
		cmocka_unit_test(test_request_bytes),
		cmocka_unit_test(test_request_too_long),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_reply),
		cmocka_unit_test(test_reply_of_a_stranger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
