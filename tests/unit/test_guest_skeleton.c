/* LINK: guest-init/skeleton.c */
// SPDX-License-Identifier: MIT
/* What images of several shapes lack; and no link of theirs is followed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../guest-init/skeleton.h"

struct world {
	char path[48];
	char top[64];
	int image;
};

static int make_world(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	snprintf(w->path, sizeof(w->path), "/tmp/husk-skeleton-XXXXXX");
	assert_non_null(mkdtemp(w->path));
	snprintf(w->top, sizeof(w->top), "%s/top", w->path);
	assert_int_equal(chdir(w->path), 0);
	assert_int_equal(mkdir("image", 0755), 0);
	w->image = open("image", O_RDONLY | O_DIRECTORY);
	assert_true(w->image >= 0);
	*state = w;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind,
		      struct FTW *f)
{
	(void)st;
	(void)kind;
	(void)f;
	return remove(path);
}

static int remove_world(void **state)
{
	struct world *w = *state;

	close(w->image);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(nftw(w->path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	free(w);
	return 0;
}

/* Folders end with a slash. */
static void put(const struct world *w, const char *path)
{
	char name[64];
	size_t len = strlen(path);
	int fd;

	if (path[len - 1] == '/') {
		snprintf(name, sizeof(name), "%.*s", (int)len - 1, path);
		assert_int_equal(mkdirat(w->image, name, 0755), 0);
		return;
	}
	fd = openat(w->image, path, O_WRONLY | O_CREAT, 0644);
	assert_true(fd >= 0);
	close(fd);
}

static void put_all(const struct world *w)
{
	static const char *const usual[] = { "proc/", "sys/",  "dev/",
					     "tmp/",  "run/",  "work/",
					     "etc/",  "var/" };

	for (size_t i = 0; i < sizeof(usual) / sizeof(*usual); i++)
		put(w, usual[i]);
}

static int make(const struct world *w)
{
	struct err e = { 0 };

	return skeleton_make(w->image, w->top, &e);
}

/* 'd', 'f', 'l' or '-': what the layer has there. */
static char made(const struct world *w, const char *path)
{
	char name[128];
	struct stat st;

	snprintf(name, sizeof(name), "%s/%s", w->top, path);
	if (lstat(name, &st))
		return '-';
	if (S_ISLNK(st.st_mode))
		return 'l';
	return S_ISDIR(st.st_mode) ? 'd' : 'f';
}

static void a_whole_image_lacks_nothing(void **state)
{
	const struct world *w = *state;

	put_all(w);
	put(w, "etc/hosts");
	put(w, "var/tmp/");
	assert_int_equal(make(w), 0);
	assert_int_equal(made(w, "."), '-');
}

static void an_empty_image_lacks_all(void **state)
{
	const struct world *w = *state;
	char to[16] = "";

	assert_true(make(w) > 0);
	assert_int_equal(made(w, "proc"), 'd');
	assert_int_equal(made(w, "work"), 'd');
	assert_int_equal(made(w, "etc/hosts"), 'f');
	assert_int_equal(made(w, "etc/resolv.conf"), '-');
	assert_int_equal(made(w, "var/tmp"), 'd');
	assert_int_equal(made(w, "var/lock"), 'l');
	assert_int_equal(readlinkat(AT_FDCWD, "top/var/run", to, 15), 4);
	assert_string_equal(to, "/run");
}

static void one_thing_is_made_alone(void **state)
{
	const struct world *w = *state;

	put_all(w);
	put(w, "var/tmp/");
	put(w, "var/lock/");
	assert_int_equal(make(w), 2);
	assert_int_equal(made(w, "etc/hosts"), 'f');
	assert_int_equal(made(w, "proc"), '-');
	assert_int_equal(made(w, "var/tmp"), '-');
	assert_int_equal(made(w, "var/lock"), '-');
	assert_int_equal(made(w, "var/run"), 'l');
}

static void a_folder_is_no_file(void **state)
{
	const struct world *w = *state;

	put_all(w);
	put(w, "etc/hosts/");
	put(w, "etc/nsswitch.conf/");
	put(w, "etc/resolv.conf/");
	put(w, "var/tmp/");
	put(w, "var/run");
	put(w, "var/lock");
	assert_int_equal(make(w), 3);
	assert_int_equal(made(w, "etc/hosts"), 'f');
	assert_int_equal(made(w, "etc/nsswitch.conf"), 'f');
	assert_int_equal(made(w, "etc/resolv.conf"), 'f');
}

static void a_link_is_never_followed(void **state)
{
	const struct world *w = *state;

	put_all(w);
	assert_int_equal(unlinkat(w->image, "proc", AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("/proc", w->image, "proc"), 0);
	/* Covered as it is. */
	assert_int_equal(symlinkat("/nowhere", w->image, "etc/hosts"), 0);
	/* The image's own: a folder instead would hide what it leads to. */
	assert_int_equal(symlinkat("../tmp", w->image, "var/tmp"), 0);
	put(w, "var/run/");
	put(w, "var/lock/");
	assert_int_equal(make(w), 1);
	assert_int_equal(made(w, "proc"), 'd');
}

static void what_lies_below_a_link_is_the_images(void **state)
{
	const struct world *w = *state;

	put_all(w);
	assert_int_equal(unlinkat(w->image, "etc", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(w->image, "var", AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("/tmp", w->image, "etc"), 0);
	assert_int_equal(symlinkat("nowhere", w->image, "var"), 0);
	assert_int_equal(make(w), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, \
						   remove_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_whole_image_lacks_nothing),
		TEST(an_empty_image_lacks_all),
		TEST(one_thing_is_made_alone),
		TEST(a_folder_is_no_file),
		TEST(a_link_is_never_followed),
		TEST(what_lies_below_a_link_is_the_images),
	};

	return cmocka_run_group_tests_name("guest skeleton", tests, NULL,
					   NULL);
}
