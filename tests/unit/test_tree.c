// SPDX-License-Identifier: MIT
/* LINK: rootfs-builder/tree/tree.c rootfs-builder/tree/xattr.c */
/* LINK: rootfs-builder/tree/content.c rootfs-builder/terminal/quote.c */
/*
 * The tree by what it looks like after a list of additions, and by what it
 * refuses; then the map of a file's blocks by how its bytes arrive.
 */
#include "tree/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "lib/text.h"
#include "tree/content.h"
#include "tree/xattr.h"

static struct tree tree;
static struct err e;

static int setup(void **state)
{
	(void)state;
	tree = (struct tree){ 0 };
	e = (struct err){ 0 };
	return tree_init(&tree, &e);
}

static int teardown(void **state)
{
	(void)state;
	tree_free(&tree);
	return 0;
}

static int add(const char *path, uint32_t mode)
{
	const struct tree_attr a = { .mode = mode, .target = "to" };

	return tree_add(&tree, path, &a, NULL, &e);
}

struct dump {
	struct text t;
};

static void dump_node(struct tree_node *n, void *ctx)
{
	struct dump *d = ctx;
	char path[PATH_MAX];

	text_printf(&d->t, "%s %o %u %u\n", tree_path(n, path), n->inode->mode,
		    n->inode->names, n->inode->folders);
	tree_each_child(n, dump_node, ctx);
}

static void expect(const char *want)
{
	static char words[65536];
	struct dump d;

	text_init(&d.t, words, sizeof(words));
	dump_node(tree.root, &d);
	assert_string_equal(words, want);
}

static void test_add(void **state)
{
	(void)state;
	assert_int_equal(add("b/c/d", S_IFREG | 0600), 0);
	assert_int_equal(add("./a", S_IFLNK | 0777), 0);
	assert_int_equal(add("b//c/./e/", S_IFDIR | 0700), 0);
	assert_int_equal(add("./", S_IFDIR | 0711), 0);
	expect(". 40711 1 1\n"
	       "a 120777 1 0\n"
	       "b 40755 1 1\n"
	       "b/c 40755 1 1\n"
	       "b/c/d 100600 1 0\n"
	       "b/c/e 40700 1 0\n");
	assert_int_equal(tree.node_n, 6);
}

static void test_later_wins(void **state)
{
	(void)state;
	assert_int_equal(add("x", S_IFREG | 0600), 0);
	assert_int_equal(add("x", S_IFLNK | 0777), 0);
	assert_int_equal(add("d/f", S_IFREG | 0600), 0);
	assert_int_equal(add("d", S_IFDIR | 0500), 0);
	assert_int_equal(add("e", S_IFDIR | 0700), 0);
	assert_int_equal(add("e", S_IFIFO | 0600), 0);
	assert_int_equal(add("g", S_IFIFO | 0600), 0);
	assert_int_equal(add("g", S_IFDIR | 0700), 0);
	expect(". 40755 1 2\n"
	       "d 40500 1 0\n"
	       "d/f 100600 1 0\n"
	       "e 10600 1 0\n"
	       "g 40700 1 0\n"
	       "x 120777 1 0\n");
	assert_int_equal(add("d", S_IFREG | 0600), -EISDIR);
	assert_string_equal(e.msg, "would replace a folder that is not empty");
	assert_int_equal(add(".", S_IFREG | 0600), -EISDIR);
}

static void test_links(void **state)
{
	(void)state;
	assert_int_equal(add("a", S_IFREG | 0600), 0);
	assert_int_equal(add("l", S_IFLNK | 0777), 0);
	assert_int_equal(tree_link(&tree, "d/b", "./a", &e), 0);
	assert_int_equal(tree_link(&tree, "m", "l", &e), 0);
	/* To itself: nothing happens; over a file: that one goes. */
	assert_int_equal(tree_link(&tree, "a", "a", &e), 0);
	assert_int_equal(add("c", S_IFREG | 0400), 0);
	assert_int_equal(tree_link(&tree, "c", "a", &e), 0);
	expect(". 40755 1 1\n"
	       "a 100600 3 0\n"
	       "c 100600 3 0\n"
	       "d 40755 1 0\n"
	       "d/b 100600 3 0\n"
	       "l 120777 2 0\n"
	       "m 120777 2 0\n");
	/* A name that is replaced no longer counts. */
	assert_int_equal(add("a", S_IFIFO | 0600), 0);
	assert_int_equal(tree_link(&tree, "x", "none", &e), -ENOENT);
	assert_string_equal(e.msg, "hard link to 'none': no such file");
	assert_int_equal(tree_link(&tree, "x", "d", &e), -EINVAL);
	assert_int_equal(tree_link(&tree, "x", ".", &e), -EINVAL);
	assert_int_equal(tree_link(&tree, "d", "c", &e), -EISDIR);
	assert_int_equal(tree_link(&tree, "x", "../c", &e), -EINVAL);
	assert_int_equal(tree_link(&tree, "x", "/c", &e), -EINVAL);
	assert_int_equal(tree_link(&tree, "x", "l/c", &e), -EINVAL);
}

struct refusal {
	const char *path;
	const char *why;
};

static void test_escapes(void **state)
{
	static const struct refusal refusals[] = {
		{ "/etc/passwd", "absolute path" },
		{ "//x", "absolute path" },
		{ "../x", "path with '..'" },
		{ "a/../../x", "path with '..'" },
		{ "..", "path with '..'" },
		{ "a/..", "path with '..'" },
		{ "l/x", "'l' above it is a symbolic link, which is not "
			 "followed" },
		{ "l/x/y", "'l' above it is a symbolic link, which is not "
			   "followed" },
		{ "f/x", "'f' above it is not a folder" },
	};
	size_t i;

	(void)state;
	assert_int_equal(add("l", S_IFLNK | 0777), 0);
	assert_int_equal(add("f", S_IFREG | 0600), 0);
	for (i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
		const struct refusal *r = &refusals[i];

		if (!add(r->path, S_IFREG | 0600))
			fail_msg("'%s' was taken", r->path);
		assert_string_equal(e.msg, r->why);
	}
	/* Two dots are only special alone. */
	assert_int_equal(add("..a/...", S_IFREG | 0600), 0);
	/* A link at the end is replaced, not followed. */
	assert_int_equal(add("l", S_IFREG | 0600), 0);
	expect(". 40755 1 1\n"
	       "..a 40755 1 0\n"
	       "..a/... 100600 1 0\n"
	       "f 100600 1 0\n"
	       "l 100600 1 0\n");
}

static void test_long_paths(void **state)
{
	char path[PATH_MAX + 2], out[PATH_MAX];
	struct tree_node *n;
	const struct tree_attr a = { .mode = S_IFREG };
	size_t i;

	(void)state;
	memset(path, 'n', sizeof(path));
	path[255] = '\0';
	assert_int_equal(tree_add(&tree, path, &a, NULL, &e), 0);
	path[255] = 'n';
	path[256] = '\0';
	assert_int_equal(tree_add(&tree, path, &a, NULL, &e), -ENAMETOOLONG);
	for (i = 0; i < sizeof(path); i++)
		path[i] = i & 1 ? '/' : 'n';
	path[PATH_MAX - 1] = '\0';
	assert_int_equal(tree_add(&tree, path, &a, &n, &e), 0);
	assert_string_equal(tree_path(n, out), path);
	path[PATH_MAX - 1] = '/';
	path[PATH_MAX] = '\0';
	assert_int_equal(tree_add(&tree, path, &a, NULL, &e), -ENAMETOOLONG);
}

static void test_limits(void **state)
{
	struct tree_attr a = { .mode = S_IFREG, .size = TREE_FILE_MAX };
	char target[FS_BLOCK + 1];

	(void)state;
	assert_int_equal(tree_add(&tree, "a", &a, NULL, &e), 0);
	a.size++;
	assert_int_equal(tree_add(&tree, "a", &a, NULL, &e), -EFBIG);
	a = (struct tree_attr){ .mode = S_IFREG, .mtime = -(1ll << 31) };
	assert_int_equal(tree_add(&tree, "a", &a, NULL, &e), 0);
	a.mtime--;
	assert_int_equal(tree_add(&tree, "a", &a, NULL, &e), -EINVAL);
	a.mtime = (1ll << 34) - (1ll << 31) - 1;
	assert_int_equal(tree_add(&tree, "a", &a, NULL, &e), 0);
	a.mtime++;
	assert_int_equal(tree_add(&tree, "a", &a, NULL, &e), -EINVAL);
	a = (struct tree_attr){ .mode = S_IFCHR,
				.dev_major = 4095,
				.dev_minor = 0xfffff };
	assert_int_equal(tree_add(&tree, "a", &a, NULL, &e), 0);
	a.dev_minor++;
	assert_int_equal(tree_add(&tree, "a", &a, NULL, &e), -EINVAL);
	memset(target, 't', sizeof(target));
	target[FS_BLOCK] = '\0';
	a = (struct tree_attr){ .mode = S_IFLNK, .target = target };
	assert_int_equal(tree_add(&tree, "a", &a, NULL, &e), -ENAMETOOLONG);
	a.target = "";
	assert_int_equal(tree_add(&tree, "a", &a, NULL, &e), -EINVAL);
}

static void test_owner_and_epoch(void **state)
{
	struct tree_attr a = { .mode = S_IFREG,
			       .uid = 5,
			       .gid = 6,
			       .mtime = 1000,
			       .mtime_ns = 1 };
	struct tree_node *n;

	(void)state;
	tree.has_epoch = true;
	tree.epoch = 1000;
	assert_int_equal(tree_add(&tree, "a", &a, &n, &e), 0);
	assert_int_equal(n->inode->uid, 5);
	assert_int_equal(n->inode->mtime, 1000);
	assert_int_equal(n->inode->mtime_ns, 0);
	tree.has_owner = true;
	tree.uid = 8;
	tree.gid = 9;
	a.mtime = 999;
	assert_int_equal(tree_add(&tree, "a", &a, &n, &e), 0);
	assert_int_equal(n->inode->uid, 8);
	assert_int_equal(n->inode->gid, 9);
	assert_int_equal(n->inode->mtime, 999);
	assert_int_equal(n->inode->mtime_ns, 1);
}

static void test_xattrs(void **state)
{
	const struct tree_attr a = { .mode = S_IFREG };
	static char big[5000];
	struct tree_inode *i;
	struct tree_node *n;

	(void)state;
	assert_int_equal(tree_add(&tree, "a", &a, &n, &e), 0);
	i = n->inode;
	assert_int_equal(tree_set_xattr(i, "user.b", "2", 1, &e), 0);
	assert_int_equal(tree_set_xattr(i, "user.a", "1", 1, &e), 0);
	assert_int_equal(tree_set_xattr(i, "user.b", "two", 3, &e), 0);
	assert_int_equal(i->xattr_n, 2);
	assert_string_equal(i->xattrs[0].name, "user.a");
	assert_memory_equal(i->xattrs[1].value, "two", 3);
	assert_int_equal(tree_xattr_fit(i), 0);
	assert_int_equal(tree_set_xattr(i, "user.c", big, 100, &e), 0);
	assert_int_equal(tree_xattr_fit(i), 1);
	assert_int_equal(tree_set_xattr(i, "user.c", big, 4060, &e), -EINVAL);
	assert_int_equal(tree_set_xattr(i, "user.c", big, 4040, &e), 0);
	assert_int_equal(tree_set_xattr(i, "system.data", "x", 1, &e), -EINVAL);
	assert_string_equal(e.msg, "extended attribute 'system.data' cannot "
				   "be kept");
	assert_int_equal(tree_set_xattr(i, "system.posix_acl_default", "x", 1,
					&e),
			 -EINVAL);
	assert_string_equal(e.msg, "access control lists are not supported "
				   "(take them off at the source: setfacl -R "
				   "-b)");
	assert_false(tree_xattr_known("user."));
	assert_false(tree_xattr_known("btrfs.compression"));
	assert_true(tree_xattr_known("security.capability"));
	assert_true(tree_xattr_known("system.posix_acl_default"));
	tree_clear_xattrs(i);
	assert_int_equal(i->xattr_n, 0);
}

static void test_map_runs(void **state)
{
	struct file_map m = { 0 };

	(void)state;
	assert_int_equal(file_map_add(&m, 3, 8192, false, &e), 0);
	assert_int_equal(file_map_add(&m, 4, 12288, false, &e), 0);
	assert_int_equal(m.n, 1);
	assert_int_equal(file_map_add(&m, 5, 16384, true, &e), 0);
	assert_int_equal(file_map_add(&m, 6, 16384, true, &e), 0);
	assert_int_equal(file_map_add(&m, 8, 20480, true, &e), 0);
	assert_int_equal(m.n, 4);
	assert_int_equal(m.v[0].count, 2);
	free(m.v);
}

/* ---- content: bytes to blocks ---- */

static struct content content;
static struct file_map map;
static uint8_t bytes[8 * FS_BLOCK];

static void begin(struct spool *s, bool direct, uint64_t size)
{
	size_t i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / FS_BLOCK);
	spool_init(s, "/tmp");
	content.spool = s;
	content.direct = direct;
	map = (struct file_map){ 0 };
	content_begin(&content, &map, size);
}

static void give(uint64_t off, size_t n, uint64_t src)
{
	assert_int_equal(content_data(&content, off, bytes + off, n, src, &e),
			 0);
}

static void finish(struct spool *s)
{
	assert_int_equal(content_end(&content, &e), 0);
	assert_int_equal(spool_flush(s, &e), 0);
}

static void check_run(size_t k, uint32_t block, uint32_t count, uint64_t src,
		      bool spooled)
{
	assert_true(k < map.n);
	assert_int_equal(map.v[k].block, block);
	assert_int_equal(map.v[k].count, count);
	assert_int_equal(map.v[k].src, src);
	assert_int_equal(map.v[k].spooled, spooled);
}

/* Data in order in a file that can be read again stays there. */
static void test_content_direct(void **state)
{
	struct spool s;

	(void)state;
	begin(&s, true, 3 * FS_BLOCK + 10);
	memset(bytes + FS_BLOCK, 0, FS_BLOCK);
	give(0, 1000, 512);
	give(1000, 3 * FS_BLOCK + 10 - 1000, 1512);
	finish(&s);
	assert_int_equal(map.n, 2);
	check_run(0, 0, 1, 512, false);
	check_run(1, 2, 2, 512 + 2 * FS_BLOCK, false);
	assert_int_equal(s.fd, -1);
	free(map.v);
	spool_free(&s);
}

/* A block of pieces, or one that ends early, must be put together. */
static void test_content_pieces(void **state)
{
	struct spool s;
	uint8_t block[FS_BLOCK];

	(void)state;
	begin(&s, true, 6 * FS_BLOCK);
	give(10, 20, 512);
	give(100, 5, 532);
	give(2 * FS_BLOCK, FS_BLOCK, 537);
	give(4 * FS_BLOCK, 100, 537 + FS_BLOCK);
	finish(&s);
	assert_int_equal(map.n, 3);
	check_run(0, 0, 1, 0, true);
	check_run(1, 2, 1, 537, false);
	check_run(2, 4, 1, FS_BLOCK, true);
	assert_int_equal(pread(s.fd, block, FS_BLOCK, 0), FS_BLOCK);
	assert_memory_equal(block + 10, bytes + 10, 20);
	assert_memory_equal(block + 100, bytes + 100, 5);
	assert_int_equal(block[9] | block[30] | block[99] | block[105], 0);
	assert_int_equal(pread(s.fd, block, FS_BLOCK, FS_BLOCK), FS_BLOCK);
	assert_memory_equal(block, bytes + 4 * FS_BLOCK, 100);
	assert_int_equal(block[100], 0);
	free(map.v);
	spool_free(&s);
}

/* From a pipe everything but zeros goes to the spool, in whole blocks. */
static void test_content_spooled(void **state)
{
	struct spool s;
	uint8_t *back = malloc(sizeof(bytes));
	size_t i;

	(void)state;
	begin(&s, false, sizeof(bytes));
	memset(bytes + 3 * FS_BLOCK, 0, FS_BLOCK);
	for (i = 0; i < sizeof(bytes); i += 999)
		give(i, sizeof(bytes) - i < 999 ? sizeof(bytes) - i : 999, i);
	finish(&s);
	assert_int_equal(map.n, 2);
	check_run(0, 0, 3, 0, true);
	check_run(1, 4, 4, 3 * FS_BLOCK, true);
	assert_int_equal(pread(s.fd, back, sizeof(bytes), 0), 7 * FS_BLOCK);
	assert_memory_equal(back, bytes, 3 * FS_BLOCK);
	assert_memory_equal(back + 3 * FS_BLOCK, bytes + 4 * FS_BLOCK,
			    4 * FS_BLOCK);
	free(back);
	free(map.v);
	spool_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_add, setup, teardown),
		cmocka_unit_test_setup_teardown(test_later_wins, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_links, setup, teardown),
		cmocka_unit_test_setup_teardown(test_escapes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_paths, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_owner_and_epoch, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_xattrs, setup, teardown),
		cmocka_unit_test(test_map_runs),
		cmocka_unit_test(test_content_direct),
		cmocka_unit_test(test_content_pieces),
		cmocka_unit_test(test_content_spooled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
