// SPDX-License-Identifier: MIT
/* LINK: rootfs-builder/ext4/dirblock.c */
/* LIBS: -lext2fs -lcom_err */
/*
 * Folder blocks, read back by a walk of their own: every name must be found
 * the way a kernel looks for it, from the root of the hash tree down, and by
 * a plain walk over all leaves. e2fsck judges whole images in the shell test.
 */
#include "ext4/dirblock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ext2fs/ext2fs.h>

#include "tree/tree.h"

#define NAME_LEN 255

struct names {
	struct dir_item *items;
	char (*text)[NAME_LEN + 1];
	size_t n;
};

static void names_init(struct names *s, size_t max)
{
	s->items = calloc(max, sizeof(*s->items));
	s->text = calloc(max, sizeof(*s->text));
	s->n = 0;
}

static void names_free(struct names *s)
{
	free(s->items);
	free(s->text);
}

/* Its number, padded with x to len bytes. */
static void names_add(struct names *s, unsigned int number, size_t len)
{
	char *t = s->text[s->n];
	int k = snprintf(t, NAME_LEN + 1, "%u", number);

	if ((size_t)k < len)
		memset(t + k, 'x', len - (size_t)k);
	s->items[s->n] = (struct dir_item){
		.name = t,
		.ino = 100 + number,
		.type = EXT2_FT_REG_FILE,
	};
	s->n++;
}

static uint32_t hash_of(const char *name)
{
	ext2_dirhash_t hash, minor;

	assert_int_equal(ext2fs_dirhash2(EXT2_HASH_HALF_MD4_UNSIGNED, name,
					 (int)strlen(name), NULL, 0, NULL,
					 &hash, &minor),
			 0);
	return hash;
}

static uint32_t get32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static uint32_t get16(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8;
}

/* The inode of name in one block, 0 when not there; checks the block. */
static uint32_t find_in_block(const uint8_t *b, const char *name)
{
	size_t len = strlen(name), at = 0;
	uint32_t ino = 0;

	while (at < FS_BLOCK) {
		size_t rec = get16(b + at + 4), n = b[at + 6];

		assert_true(rec >= 8 + n && rec % 4 == 0);
		assert_true(at + rec <= FS_BLOCK);
		if (n == len && !memcmp(b + at + 8, name, len))
			ino = get32(b + at);
		at += rec;
	}
	return ino;
}

/* The last entry of an index that is not above hash (marks do not count). */
static size_t pick(const uint8_t *index, uint32_t hash)
{
	size_t i, n = get16(index + 2);

	assert_true(n >= 1 && n <= get16(index));
	for (i = 1; i < n; i++)
		if ((get32(index + 8 * i) & ~1u) > hash)
			break;
	return i - 1;
}

/*
 * As a kernel: down to the leaf for the hash, then on while the next leaf is
 * marked as going on with it. Only for one level of index.
 */
static uint32_t look_up(const struct dir_image *d, const char *name)
{
	const uint8_t *index = d->blocks + 32;
	uint32_t hash = hash_of(name);
	size_t i = pick(index, hash);
	uint32_t ino;

	/* The first of leaves with this hash: a kernel starts there. */
	while (i && (get32(index + 8 * i) & 1) &&
	       (get32(index + 8 * i) & ~1u) == hash)
		i--;
	for (;;) {
		ino = find_in_block(
			d->blocks + (size_t)FS_BLOCK * get32(index + 8 * i + 4),
			name);
		i++;
		if (ino || i == get16(index + 2) ||
		    get32(index + 8 * i) != (hash | 1))
			return ino;
	}
}

static struct err e;

static void test_plain(void **state)
{
	struct names s;
	struct dir_image d;
	unsigned int i;

	(void)state;
	names_init(&s, 100);
	assert_int_equal(dir_build(s.items, 0, 12, 2, &d, &e), 0);
	assert_int_equal(d.n, 1);
	assert_false(d.indexed);
	assert_int_equal(find_in_block(d.blocks, "."), 12);
	assert_int_equal(find_in_block(d.blocks, ".."), 2);
	free(d.blocks);
	for (i = 0; i < 15; i++)
		names_add(&s, i, 240);
	assert_int_equal(dir_build(s.items, s.n, 12, 2, &d, &e), 0);
	assert_int_equal(d.n, 1);
	for (i = 0; i < 15; i++)
		assert_int_equal(find_in_block(d.blocks, s.text[i]), 100 + i);
	free(d.blocks);
	names_free(&s);
}

/* 4096 - 24 bytes of entries fit one block, four more do not. */
static void test_edge(void **state)
{
	struct names s;
	struct dir_image d;
	unsigned int i;

	(void)state;
	names_init(&s, 100);
	for (i = 0; i < 15; i++)
		names_add(&s, i, 252); /* 260 bytes each */
	names_add(&s, 15, 164);	       /* 172: 4072 in all */
	assert_int_equal(dir_build(s.items, s.n, 12, 2, &d, &e), 0);
	assert_int_equal(d.n, 1);
	free(d.blocks);
	s.n--;
	names_add(&s, 15, 165);
	assert_int_equal(dir_build(s.items, s.n, 12, 2, &d, &e), 0);
	/* A leaf has room for what the dots took: root and one leaf. */
	assert_int_equal(d.n, 2);
	assert_true(d.indexed);
	free(d.blocks);
	names_free(&s);
}

static void test_tree(void **state)
{
	struct names s;
	struct dir_image d;
	unsigned int i;

	(void)state;
	names_init(&s, 3000);
	for (i = 0; i < 3000; i++)
		names_add(&s, i, 1 + i % 200);
	assert_int_equal(dir_build(s.items, s.n, 12, 2, &d, &e), 0);
	assert_true(d.indexed);
	assert_int_equal(find_in_block(d.blocks, "."), 12);
	assert_int_equal(find_in_block(d.blocks, ".."), 2);
	assert_int_equal(d.blocks[30], 0);
	assert_int_equal(get16(d.blocks + 32 + 2), d.n - 1);
	for (i = 0; i < 3000; i++)
		assert_int_equal(look_up(&d, s.text[i]), 100 + i);
	assert_int_equal(look_up(&d, "none"), 0);
	free(d.blocks);
	names_free(&s);
}

/*
 * 73525xxx and 81116xxx (255 bytes) have the same hash. Fourteen names of
 * lower hashes in front make a leaf end between the two.
 */
static void test_collision(void **state)
{
	struct names s;
	struct dir_image d;
	unsigned int i = 200000;
	uint32_t hash;

	(void)state;
	names_init(&s, 40);
	names_add(&s, 73525, NAME_LEN);
	names_add(&s, 81116, NAME_LEN);
	hash = hash_of(s.text[0]);
	assert_int_equal(hash_of(s.text[1]), hash);
	while (s.n < 16) {
		names_add(&s, i++, NAME_LEN);
		s.n -= hash_of(s.text[s.n - 1]) >= hash;
	}
	while (s.n < 40) {
		names_add(&s, i++, NAME_LEN);
		s.n -= hash_of(s.text[s.n - 1]) <= hash;
	}
	assert_int_equal(dir_build(s.items, s.n, 12, 2, &d, &e), 0);
	/* The second leaf goes on with the hash the first ended on. */
	assert_int_equal(get32(d.blocks + 32 + 8), hash | 1);
	assert_int_equal(look_up(&d, s.text[0]), 100 + 73525);
	assert_int_equal(look_up(&d, s.text[1]), 100 + 81116);
	free(d.blocks);
	names_free(&s);
}

/* More leaves than the root has room for: 508 times 15 long names. */
static void test_two_levels(void **state)
{
	const uint8_t *root, *node;
	struct names s;
	struct dir_image d;
	size_t i, k;
	unsigned int n = 508 * 15 + 1;

	(void)state;
	names_init(&s, n);
	while (s.n < n - 1)
		names_add(&s, (unsigned int)s.n, NAME_LEN);
	assert_int_equal(dir_build(s.items, s.n, 12, 2, &d, &e), 0);
	assert_int_equal(d.blocks[30], 0);
	assert_int_equal(d.n, 1 + 508);
	free(d.blocks);
	names_add(&s, n, NAME_LEN);
	assert_int_equal(dir_build(s.items, s.n, 12, 2, &d, &e), 0);
	assert_int_equal(d.blocks[30], 1);
	root = d.blocks + 32;
	assert_int_equal(get16(root + 2), 1);
	assert_int_equal(d.n, 1 + 1 + 509);
	for (i = 0; i < n; i += 100) {
		uint32_t hash = hash_of(s.text[i]);

		k = get32(root + 8 * pick(root, hash) + 4);
		node = d.blocks + k * FS_BLOCK + 8;
		k = get32(node + 8 * pick(node, hash) + 4);
		assert_int_not_equal(
			find_in_block(d.blocks + k * FS_BLOCK, s.text[i]), 0);
	}
	free(d.blocks);
	names_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_edge),
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_collision),
		cmocka_unit_test(test_two_levels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
