/* LINK: guest-init/cgroup.c */
// SPDX-License-Identifier: MIT
/*
 * The cgroup's files, as plain files in a folder: what is read out of them
 * and what is written to them. That a real cgroup obeys is for the tests
 * that have a guest.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../guest-init/cgroup.h"

struct folder {
	char path[64];
	int fd;
};

static const char *const files[] = {
	"cgroup.subtree_control",
	"cgroup.kill",
	"memory.max",
	"memory.oom.group",
	"pids.max",
	"cpu.stat",
	"memory.events",
	"memory.peak",
	"pids.peak",
	"memory.stat",
};

static void put(const struct folder *f, const char *name, const char *text)
{
	int fd = openat(f->fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	size_t len = strlen(text);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
}

static void get(const struct folder *f, const char *name, char *buf, size_t n)
{
	int fd = openat(f->fd, name, O_RDONLY);
	ssize_t len;

	assert_true(fd >= 0);
	len = read(fd, buf, n - 1);
	assert_true(len >= 0);
	buf[len] = '\0';
	close(fd);
}

static int make_folder(void **state)
{
	struct folder *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->path, sizeof(f->path), "/tmp/husk-cgroup-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	f->fd = open(f->path, O_RDONLY | O_DIRECTORY);
	assert_true(f->fd >= 0);
	*state = f;
	return 0;
}

static int remove_folder(void **state)
{
	struct folder *f = *state;

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		unlinkat(f->fd, files[i], 0);
	unlinkat(f->fd, "job", AT_REMOVEDIR);
	close(f->fd);
	assert_int_equal(rmdir(f->path), 0);
	free(f);
	return 0;
}

static void finds_a_field(void **state)
{
	const char *text = "ab 2\na 1\n\nmax 18446744073709551615\n"
			   "over 18446744073709551616\nword x\nlast 7";
	uint64_t v = 99;

	(void)state;
	assert_true(cgroup_field(text, "a", &v));
	assert_int_equal(v, 1);
	assert_true(cgroup_field(text, "ab", &v));
	assert_int_equal(v, 2);
	assert_true(cgroup_field(text, "max", &v));
	assert_true(v == UINT64_MAX);
	assert_true(cgroup_field(text, "last", &v));
	assert_int_equal(v, 7);
	assert_false(cgroup_field(text, "over", &v));
	assert_false(cgroup_field(text, "word", &v));
	assert_false(cgroup_field(text, "b", &v));
	assert_false(cgroup_field("", "b", &v));
	assert_int_equal(v, 7);
}

/* What a folder with a memory.events counts, as a cgroup. */
static struct cgroup watch(const struct folder *f)
{
	struct cgroup cg = { f->fd, -1, -1, -1, -1 };
	struct err e = { 0 };

	assert_int_equal(cgroup_watch(&cg, &e), 0);
	return cg;
}

static void unwatch(const struct cgroup *cg)
{
	const int fds[] = { cg->events, cg->cpu_stat, cg->memory_peak,
			    cg->pids_peak };

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void reads_what_was_used(void **state)
{
	const struct folder *f = *state;
	struct cgroup_usage u;
	struct cgroup cg;

	put(f, "cpu.stat", "usage_usec 30\nuser_usec 20\nsystem_usec 10\n");
	put(f, "memory.peak", "4096\n");
	put(f, "pids.peak", "12\n");
	put(f, "memory.events", "max 0\n");
	cg = watch(f);
	cgroup_read_usage(&cg, &u);
	assert_int_equal(u.cpu.all_ns, 30000);
	assert_int_equal(u.cpu.user_ns, 20000);
	assert_int_equal(u.cpu.sys_ns, 10000);
	assert_int_equal(u.mem_peak, 4096);
	assert_int_equal(u.pids_peak, 12);
	/* Each look is a new one. */
	put(f, "pids.peak", "13\n");
	cgroup_read_usage(&cg, &u);
	assert_int_equal(u.pids_peak, 13);
	unwatch(&cg);
}

static void a_file_that_is_not_there_counts_nothing(void **state)
{
	const struct folder *f = *state;
	struct cgroup_usage u = { { 1, 1, 1 }, 1, 1 };
	struct cgroup cg;

	put(f, "memory.events", "");
	cg = watch(f);
	cgroup_read_usage(&cg, &u);
	assert_int_equal(u.cpu.all_ns, 0);
	assert_int_equal(u.cpu.user_ns, 0);
	assert_int_equal(u.cpu.sys_ns, 0);
	assert_int_equal(u.mem_peak, 0);
	assert_int_equal(u.pids_peak, 0);
	assert_false(cgroup_was_oom(&cg));
	unwatch(&cg);
}

static void tells_want_of_memory(void **state)
{
	const struct folder *f = *state;
	struct cgroup cg;

	put(f, "memory.events", "low 0\nmax 9\noom 9\noom_kill 0\n");
	cg = watch(f);
	assert_false(cgroup_was_oom(&cg));
	put(f, "memory.events", "low 0\nmax 9\noom 9\noom_kill 1\n");
	assert_true(cgroup_was_oom(&cg));
	unwatch(&cg);
}

static bool is_starved(const struct folder *f, const char *max,
		       const char *stat)
{
	struct cgroup cg;
	bool starved;

	put(f, "memory.events", "max 1\n");
	put(f, "memory.max", max);
	put(f, "memory.stat", stat);
	cg = watch(f);
	starved = cgroup_is_starved(&cg);
	unwatch(&cg);
	return starved;
}

static void tells_when_text_has_to_go(void **state)
{
	const struct folder *f = *state;

	/* 1/32 of 64 MiB is 2 MiB. */
	assert_false(is_starved(f, "67108864\n", "anon 9\nfile 2097152\n"));
	assert_true(is_starved(f, "67108864\n", "anon 9\nfile 2097151\n"));
	/* What lies in a tmpfs cannot be given up. */
	assert_true(
		is_starved(f, "67108864\n", "file 9000000\nshmem 8000000\n"));
	assert_false(
		is_starved(f, "67108864\n", "file 9000000\nshmem 6000000\n"));
	assert_true(is_starved(f, "67108864\n", "file 1\nshmem 2\n"));
	/* 1/32 of 4 GiB would be 128 MiB. */
	assert_false(is_starved(f, "4294967296\n", "file 16777216\n"));
	assert_true(is_starved(f, "4294967296\n", "file 16777215\n"));
	assert_false(is_starved(f, "max\n", "file 1\n"));
	assert_false(is_starved(f, "67108864\n", "anon 1\n"));
}

static void a_cgroup_without_events_is_an_error(void **state)
{
	const struct folder *f = *state;
	struct cgroup cg = { f->fd, -1, -1, -1, -1 };
	struct err e = { 0 };

	assert_int_equal(cgroup_watch(&cg, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "memory"));
}

static void sets_the_limits(void **state)
{
	const struct folder *f = *state;
	struct cgroup cg = { f->fd, -1, -1, -1, -1 };
	struct err e = { 0 };
	char text[64];
	char *end;

	put(f, "memory.max", "");
	put(f, "memory.oom.group", "");
	put(f, "pids.max", "");
	assert_int_equal(cgroup_limit_memory(&cg, &e), 0);
	assert_int_equal(cgroup_limit_pids(&cg, 77, &e), 0);
	get(f, "pids.max", text, sizeof(text));
	assert_string_equal(text, "77");
	get(f, "memory.oom.group", text, sizeof(text));
	assert_string_equal(text, "1");
	get(f, "memory.max", text, sizeof(text));
	assert_true(strtoull(text, &end, 10) > 0);
	assert_int_equal(*end, '\0');

	/* More than the kernel would take is as good as no limit. */
	put(f, "pids.max", "max");
	assert_int_equal(cgroup_limit_pids(&cg, UINT32_MAX, &e), 0);
	get(f, "pids.max", text, sizeof(text));
	assert_string_equal(text, "max");
}

static void a_limit_that_cannot_be_set_is_an_error(void **state)
{
	const struct folder *f = *state;
	struct cgroup cg = { f->fd, -1, -1, -1, -1 };
	struct err e = { 0 };

	assert_int_equal(cgroup_limit_memory(&cg, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "memory.max"));
	assert_int_equal(cgroup_limit_pids(&cg, 77, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "pids.max"));
}

static void names_a_kernel_without_controllers(void **state)
{
	const struct folder *f = *state;
	struct cgroup cg = { f->fd, -1, -1, -1, -1 };
	struct err e = { 0 };

	assert_int_equal(cgroup_make(&cg, f->fd, &e), -ENODEV);
	assert_non_null(strstr(e.msg, "CONFIG_MEMCG"));
}

static void makes_and_kills_a_cgroup(void **state)
{
	const struct folder *f = *state;
	struct err e = { 0 };
	struct stat st;
	struct cgroup cg;
	char text[64];

	put(f, "cgroup.subtree_control", "");
	assert_int_equal(cgroup_make(&cg, f->fd, &e), 0);
	close(cg.dir);
	get(f, "cgroup.subtree_control", text, sizeof(text));
	assert_string_equal(text, "+cpu +memory +pids");
	assert_int_equal(fstatat(f->fd, "job", &st, 0), 0);
	assert_true(S_ISDIR(st.st_mode));

	put(f, "cgroup.kill", "");
	cg.dir = f->fd;
	cgroup_kill(&cg);
	get(f, "cgroup.kill", text, sizeof(text));
	assert_string_equal(text, "1");
}

#define IN_A_FOLDER(test)                                                      \
	cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_a_field),
		IN_A_FOLDER(reads_what_was_used),
		IN_A_FOLDER(a_file_that_is_not_there_counts_nothing),
		IN_A_FOLDER(tells_want_of_memory),
		IN_A_FOLDER(tells_when_text_has_to_go),
		IN_A_FOLDER(a_cgroup_without_events_is_an_error),
		IN_A_FOLDER(sets_the_limits),
		IN_A_FOLDER(a_limit_that_cannot_be_set_is_an_error),
		IN_A_FOLDER(names_a_kernel_without_controllers),
		IN_A_FOLDER(makes_and_kills_a_cgroup),
	};

	return cmocka_run_group_tests_name("guest cgroup", tests, NULL, NULL);
}
