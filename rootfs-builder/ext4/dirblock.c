// SPDX-License-Identifier: MIT
/*
 * Packed by hash order: every leaf but the last is as full as its entries
 * allow, because nobody will ever add one. All numbers are little-endian on
 * disk and stored byte by byte.
 */
#include "ext4/dirblock.h"

#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <stdlib.h>
#include <string.h>

#include "tree/tree.h"

enum {
	ENTRY_HEAD = 8,	 /* inode, rec_len, name_len, type */
	ROOT_INDEX = 32, /* behind ".", ".." and the tree's own head */
	NODE_INDEX = 8,
	INDEX_ENTRY = 8,
	ROOT_MAX = (FS_BLOCK - ROOT_INDEX) / INDEX_ENTRY,
	NODE_MAX = (FS_BLOCK - NODE_INDEX) / INDEX_ENTRY,
	HASH_UNSIGNED = EXT2_HASH_HALF_MD4_UNSIGNED,
};

struct leaf {
	size_t first; /* item */
	size_t n;
	uint32_t hash; /* of the index entry */
};

static void put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v & 0xffff);
	put16(p + 2, v >> 16);
}

static size_t entry_size(const char *name)
{
	return (ENTRY_HEAD + strlen(name) + 3) & ~(size_t)3;
}

static void put_entry(uint8_t *p, size_t rec_len, uint32_t ino,
		      const char *name, uint8_t type)
{
	size_t n = strlen(name);

	put32(p, ino);
	put16(p + 4, rec_len);
	p[6] = (uint8_t)n;
	p[7] = type;
	memcpy(p + ENTRY_HEAD, name, n);
}

/* Items one after the other; the last one's length takes in the rest. */
static void fill_block(uint8_t *block, size_t at, const struct dir_item *items,
		       size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		size_t size = entry_size(items[i].name);

		if (i + 1 == n)
			size = FS_BLOCK - at;
		put_entry(block + at, size, items[i].ino, items[i].name,
			  items[i].type);
		at += size;
	}
}

/* "." and ".." at the start; rest is the length ".." has. */
static void fill_dots(uint8_t *block, uint32_t self, uint32_t parent,
		      size_t rest)
{
	put_entry(block, 12, self, ".", EXT2_FT_DIR);
	put_entry(block + 12, rest, parent, "..", EXT2_FT_DIR);
}

static int build_plain(const struct dir_item *items, size_t n, uint32_t self,
		       uint32_t parent, struct dir_image *out, struct err *e)
{
	out->blocks = calloc(1, FS_BLOCK);
	if (!out->blocks)
		return err_set(e, ENOMEM, "out of memory");
	out->n = 1;
	out->indexed = false;
	fill_dots(out->blocks, self, parent, n ? 12 : FS_BLOCK - 12);
	fill_block(out->blocks, 24, items, n);
	return 0;
}

static int compare_items(const void *a, const void *b)
{
	const struct dir_item *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	if (x->minor != y->minor)
		return x->minor < y->minor ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int hash_items(struct dir_item *items, size_t n, struct err *e)
{
	size_t i;

	for (i = 0; i < n; i++) {
		ext2_dirhash_t hash, minor;

		if (ext2fs_dirhash2(HASH_UNSIGNED, items[i].name,
				    (int)strlen(items[i].name), NULL, 0, NULL,
				    &hash, &minor))
			return err_set(e, EIO, "hash of a file name");
		items[i].hash = hash;
		items[i].minor = minor;
	}
	qsort(items, n, sizeof(*items), compare_items);
	return 0;
}

/*
 * Cut the items into leaves; a hash that goes on in the next leaf is marked
 * there by the lowest bit, which hashes themselves never have. Returns how
 * many, and NULL in *out when out of memory.
 */
static size_t cut_leaves(const struct dir_item *items, size_t n,
			 struct leaf **out)
{
	size_t i, count = 0, room = 0;
	struct leaf *l = reallocarray(NULL, n, sizeof(*l));

	*out = l;
	for (i = 0; l && i < n; i++) {
		size_t size = entry_size(items[i].name);

		if (size > room) {
			bool goes_on = i && items[i - 1].hash == items[i].hash;

			l[count++] = (struct leaf){
				.first = i,
				.hash = items[i].hash | goes_on,
			};
			room = FS_BLOCK;
		}
		room -= size;
		l[count - 1].n++;
	}
	return count;
}

/*
 * An index: entries lead to blocks first, first + step... The first entry's
 * hash is implied; its place holds the limit and the count.
 */
static void fill_index(uint8_t *p, size_t limit, const struct leaf *leaves,
		       size_t step, size_t n, size_t first)
{
	size_t i;

	for (i = 0; i < n; i++) {
		put32(p + i * INDEX_ENTRY, leaves[i * step].hash);
		put32(p + i * INDEX_ENTRY + 4, (uint32_t)(first + i));
	}
	put16(p, limit);
	put16(p + 2, n);
}

static void fill_root(uint8_t *block, uint32_t self, uint32_t parent, bool deep)
{
	fill_dots(block, self, parent, FS_BLOCK - 12);
	block[28] = EXT2_HASH_HALF_MD4;
	block[29] = 8; /* length of this head */
	block[30] = deep;
}

/* Blocks: root, index nodes (if there are), leaves. */
static void fill_tree(struct dir_image *out, const struct dir_item *items,
		      const struct leaf *leaves, size_t leaf_n, size_t node_n)
{
	uint8_t *root = out->blocks + ROOT_INDEX;
	size_t i, first = 1 + node_n;

	if (node_n)
		fill_index(root, ROOT_MAX, leaves, NODE_MAX, node_n, 1);
	else
		fill_index(root, ROOT_MAX, leaves, 1, leaf_n, 1);
	for (i = 0; i < node_n; i++) {
		uint8_t *block = out->blocks + (1 + i) * FS_BLOCK;
		size_t at = i * NODE_MAX;
		size_t n = leaf_n - at < NODE_MAX ? leaf_n - at : NODE_MAX;

		put16(block + 4, FS_BLOCK);
		fill_index(block + NODE_INDEX, NODE_MAX, leaves + at, 1, n,
			   first + at);
	}
	for (i = 0; i < leaf_n; i++)
		fill_block(out->blocks + (first + i) * FS_BLOCK, 0,
			   items + leaves[i].first, leaves[i].n);
}

static int build_tree(struct dir_item *items, size_t n, uint32_t self,
		      uint32_t parent, struct dir_image *out, struct err *e)
{
	struct leaf *leaves;
	size_t leaf_n, node_n = 0;
	int rc = hash_items(items, n, e);

	if (rc)
		return rc;
	leaf_n = cut_leaves(items, n, &leaves);
	if (!leaves)
		return err_set(e, ENOMEM, "out of memory");
	if (leaf_n > ROOT_MAX)
		node_n = (leaf_n + NODE_MAX - 1) / NODE_MAX;
	out->n = 1 + node_n + leaf_n;
	out->indexed = true;
	out->blocks = node_n > ROOT_MAX ? NULL : calloc(out->n, FS_BLOCK);
	if (node_n > ROOT_MAX) {
		rc = err_set(e, EFBIG, "too many files in one folder");
	} else if (!out->blocks) {
		rc = err_set(e, ENOMEM, "out of memory");
	} else {
		fill_root(out->blocks, self, parent, node_n != 0);
		fill_tree(out, items, leaves, leaf_n, node_n);
	}
	free(leaves);
	return rc;
}

int dir_build(struct dir_item *items, size_t n, uint32_t self, uint32_t parent,
	      struct dir_image *out, struct err *e)
{
	size_t i, need = 24;

	for (i = 0; i < n; i++)
		need += entry_size(items[i].name);
	if (need <= FS_BLOCK)
		return build_plain(items, n, self, parent, out, e);
	return build_tree(items, n, self, parent, out, e);
}
