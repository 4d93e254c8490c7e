// SPDX-License-Identifier: MIT
/* LINK: */
/*
 * Where files that a user named are written: links of others are not followed,
 * traps in shared folders are refused, what is a stream stays one. Run as root
 * it plays the other user, too.
 */
#include "lib/outfile.h"

#include "lib/cleanup.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char top[] = "/tmp/husk-outfile-XXXXXX";

static const char *in_top(const char *name)
{
	static char path[4][200];
	static unsigned i;

	i = (i + 1) % 4;
	snprintf(path[i], sizeof(path[i]), "%s/%s", top, name);
	return path[i];
}

static void put(const char *name, const char *text)
{
	auto_file f = fopen(in_top(name), "w");

	assert_non_null(f);
	fputs(text, f);
}

static void has(const char *name, const char *text)
{
	auto_file f = fopen(in_top(name), "r");
	char buf[100] = "";

	assert_non_null(f);
	buf[fread(buf, 1, sizeof(buf) - 1, f)] = '\0';
	assert_string_equal(buf, text);
}

static mode_t kind(const char *name)
{
	struct stat st;

	return lstat(in_top(name), &st) ? 0 : st.st_mode & S_IFMT;
}

/* own/: ours alone; all/: everybody's, as /tmp is; victim: what must stay. */
static int setup(void **state)
{
	(void)state;
	umask(022);
	memcpy(top + sizeof(top) - 7, "XXXXXX", 6);
	assert_non_null(mkdtemp(top));
	assert_int_equal(chmod(top, 0755), 0);
	assert_int_equal(mkdir(in_top("own"), 0755), 0);
	assert_int_equal(mkdir(in_top("all"), 0777), 0);
	assert_int_equal(chmod(in_top("all"), 01777), 0);
	put("victim", "as it was");
	assert_int_equal(symlink(in_top("victim"), in_top("own/link")), 0);
	assert_int_equal(symlink(in_top("victim"), in_top("all/link")), 0);
	return 0;
}

static int teardown(void **state)
{
	char line[300];

	(void)state;
	snprintf(line, sizeof(line), "rm -rf %s", top);
	return system(line);
}

/* A whole file: 0 when it was written, else -errno. */
static int write_whole(const char *name)
{
	struct outfile f;
	struct err e;
	int r = outfile_find(&f, in_top(name), &e);

	if (!r)
		r = outfile_create(&f, 0666, &e);
	if (!r) {
		assert_int_equal(write(f.fd, "new", 3), 3);
		r = outfile_commit(&f, &e);
	}
	outfile_fini(&f);
	return r;
}

static int write_stream(const char *name)
{
	struct err e;
	auto_fd fd = outfile_open_stream(in_top(name), &e);

	if (fd < 0)
		return fd;
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(fd, "new", 3), 3);
	return 0;
}

static void test_whole(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(write_whole("own/file"), 0);
	has("own/file", "new");
	assert_int_equal(stat(in_top("own/file"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	/* Another user's link is replaced, our own is an arrangement. */
	assert_int_equal(write_whole("all/link"), 0);
	has("victim", "as it was");
	assert_int_equal(kind("all/link"), S_IFREG);
	has("all/link", "new");
	assert_int_equal(write_whole("own/link"), 0);
	assert_int_equal(kind("own/link"), S_IFLNK);
	has("victim", "new");
}

static void test_chains(void **state)
{
	(void)state;
	/* A link of ours that leads to one of theirs, and relative ones. */
	assert_int_equal(symlink("../all/link", in_top("own/chain")), 0);
	assert_int_equal(write_stream("own/chain"), -ELOOP);
	assert_int_equal(write_whole("own/chain"), 0);
	assert_int_equal(kind("own/chain"), S_IFLNK);
	assert_int_equal(kind("all/link"), S_IFREG);
	has("victim", "as it was");
	assert_int_equal(symlink("made", in_top("own/dangling")), 0);
	assert_int_equal(write_stream("own/dangling"), 0);
	has("own/made", "new");
	assert_int_equal(symlink("loop", in_top("own/loop")), 0);
	assert_int_equal(write_whole("own/loop"), -ELOOP);
	assert_int_equal(write_stream("own/loop"), -ELOOP);
	/* A group is not us alone. */
	assert_int_equal(chmod(in_top("own"), 0775), 0);
	assert_int_equal(write_stream("own/link"), -ELOOP);
	has("victim", "as it was");
}

static void test_no_place(void **state)
{
	(void)state;
	assert_int_equal(write_whole("none/file"), -ENOENT);
	assert_int_equal(write_whole("victim/file"), -ENOTDIR);
	assert_int_equal(write_whole("own"), -EISDIR);
	assert_int_equal(write_whole("own/"), -EISDIR);
	assert_int_equal(write_whole("own/.."), -EISDIR);
	assert_int_equal(mkfifo(in_top("own/fifo"), 0600), 0);
	assert_int_equal(write_whole("own/fifo"), -EEXIST);
	assert_int_equal(kind("own/fifo"), S_IFIFO);
	assert_int_equal(write_stream("own/fifo"), -ENXIO);
	assert_int_equal(write_stream("none/file"), -ENOENT);
	assert_int_equal(write_stream("own"), -EISDIR);
}

/* What is given up leaves nothing, and names are not to be guessed. */
static void test_temporary(void **state)
{
	struct outfile a, b;
	struct err e;
	char name[OUTFILE_NAME];

	(void)state;
	memset(name, 'n', 255);
	name[255] = '\0';
	assert_int_equal(write_whole(name), 0);
	assert_int_equal(outfile_find(&a, in_top("own/x"), &e), 0);
	assert_int_equal(outfile_find(&b, in_top("own/x"), &e), 0);
	assert_int_equal(outfile_create(&a, 0600, &e), 0);
	assert_int_equal(outfile_create(&b, 0600, &e), 0);
	assert_string_not_equal(a.temp, b.temp);
	assert_int_equal(strncmp(a.temp, ".x.", 3), 0);
	assert_int_equal(strlen(a.temp), 3 + 16);
	assert_int_equal(kind("own/x"), 0);
	outfile_fini(&a);
	outfile_fini(&b);
	assert_int_equal(rmdir(in_top("own/x")), -1);
	assert_int_equal(unlink(in_top("own/link")), 0);
	assert_int_equal(rmdir(in_top("own")), 0);
}

static void test_streams(void **state)
{
	struct err e;
	int out[2];
	auto_fd old = dup(STDOUT_FILENO), fd = -1;
	char buf[4];

	(void)state;
	assert_int_equal(write_stream("own/file"), 0);
	put("own/file", "longer than new");
	assert_int_equal(write_stream("own/file"), 0);
	has("own/file", "newger than new"); /* emptying is the caller's */
	assert_int_equal(write_stream("all/file"), 0);
	assert_int_equal(write_stream("own/link"), 0);
	has("victim", "newit was");
	/* Descriptors of ours by name, whoever may write to the folder. */
	assert_int_equal(pipe(out), 0);
	assert_int_equal(dup2(out[1], STDOUT_FILENO), STDOUT_FILENO);
	fd = outfile_open_stream("/dev/stdout", &e);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "abc", 3), 3);
	cleanup_fd(&fd);
	assert_int_equal(symlink("/proc/self/fd/1", in_top("all/stdout")), 0);
	assert_int_equal(write_stream("all/stdout"), 0);
	dup2(old, STDOUT_FILENO);
	assert_int_equal(read(out[0], buf, 3), 3);
	assert_memory_equal(buf, "abc", 3);
	assert_int_equal(read(out[0], buf, 3), 3);
	assert_memory_equal(buf, "new", 3);
	close(out[0]);
	close(out[1]);
	fd = outfile_open_stream("/dev/null", &e);
	assert_true(fd >= 0);
}

static void test_traps(void **state)
{
	(void)state;
	assert_int_equal(write_stream("all/link"), -ELOOP);
	has("victim", "as it was");
	/* A second name of a file of ours, where others may have made it. */
	assert_int_equal(link(in_top("victim"), in_top("all/hard")), 0);
	assert_int_equal(write_stream("all/hard"), -EMLINK);
	assert_int_equal(link(in_top("victim"), in_top("own/hard")), 0);
	has("victim", "as it was");
	assert_int_equal(write_stream("own/hard"), 0);
	has("victim", "newit was");
	if (geteuid())
		return;
	put("all/theirs", "theirs");
	assert_int_equal(chown(in_top("all/theirs"), 12345, 12345), 0);
	assert_int_equal(write_stream("all/theirs"), -EACCES);
	has("all/theirs", "theirs");
	assert_int_equal(mkfifo(in_top("all/fifo"), 0666), 0);
	assert_int_equal(chown(in_top("all/fifo"), 12345, 12345), 0);
	assert_true(write_stream("all/fifo") < 0);
	/* Root works for a user in the user's own folder; links are not his. */
	assert_int_equal(chown(in_top("own"), 12345, 12345), 0);
	assert_int_equal(write_stream("own/link"), -ELOOP);
	put("own/theirs", "theirs");
	assert_int_equal(chown(in_top("own/theirs"), 12345, 12345), 0);
	assert_int_equal(write_stream("own/theirs"), 0);
	has("own/theirs", "newirs");
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_whole),     TEST(test_chains),
		TEST(test_no_place),  TEST(test_temporary),
		TEST(test_streams),   TEST(test_traps),
	};

	return cmocka_run_group_tests_name("outfile", tests, NULL, NULL);
}
