// SPDX-License-Identifier: MIT
/*
 * Folders hold their children in tsearch trees: sorted by nature, and no
 * crafted set of names makes them slow, as it would a hash table.
 */
#include "tree/tree.h"

#include <errno.h>
#include <limits.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "terminal/quote.h"

/* Kept below EXT2_LINK_MAX of the ext4 format. */
#define NAMES_MAX 65000u

#define MTIME_MIN (-(1ll << 31))
#define MTIME_MAX ((1ll << 34) - (1ll << 31) - 1)

static int compare_nodes(const void *a, const void *b)
{
	const struct tree_node *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int no_memory(struct err *e)
{
	return err_set(e, ENOMEM, "out of memory");
}

static void inode_put(struct tree_inode *i)
{
	if (!i || --i->names)
		return;
	tree_clear_xattrs(i);
	free(i->target);
	free(i->map.v);
	free(i);
}

static struct tree_node *node_new(const char *name)
{
	size_t n = strlen(name) + 1;
	struct tree_node *node = calloc(1, sizeof(*node) + n);

	if (node)
		memcpy(node->name, name, n);
	return node;
}

static int check_attr(const struct tree_attr *a, struct err *e)
{
	if (a->mtime < MTIME_MIN || a->mtime > MTIME_MAX)
		return err_set(e, EINVAL, "time %lld is out of range for ext4",
			       (long long)a->mtime);
	if (S_ISREG(a->mode) && a->size > TREE_FILE_MAX)
		return err_set(e, EFBIG, "size %llu is too large for ext4",
			       (unsigned long long)a->size);
	if (a->dev_major > 0xfff || a->dev_minor > 0xfffff)
		return err_set(e, EINVAL,
			       "device number %u:%u is out of "
			       "range",
			       a->dev_major, a->dev_minor);
	if (!S_ISLNK(a->mode))
		return 0;
	if (!a->target || !*a->target)
		return err_set(e, EINVAL, "symbolic link without a target");
	if (strlen(a->target) >= FS_BLOCK)
		return err_set(e, ENAMETOOLONG,
			       "target of the symbolic link "
			       "is too long");
	return 0;
}

static void fill_inode(const struct tree *t, struct tree_inode *i,
		       const struct tree_attr *a)
{
	i->mode = a->mode;
	i->uid = t->has_owner ? t->uid : a->uid;
	i->gid = t->has_owner ? t->gid : a->gid;
	i->mtime = a->mtime;
	i->mtime_ns = a->mtime_ns;
	i->size = S_ISREG(a->mode) ? a->size : 0;
	if (S_ISCHR(a->mode) || S_ISBLK(a->mode)) {
		i->dev_major = a->dev_major;
		i->dev_minor = a->dev_minor;
	}
	if (t->has_epoch && i->mtime >= t->epoch) {
		i->mtime = t->epoch;
		i->mtime_ns = 0;
	}
}

/* a has been checked. */
static int inode_new(const struct tree *t, const struct tree_attr *a,
		     struct tree_inode **out, struct err *e)
{
	struct tree_inode *i = calloc(1, sizeof(*i));

	if (!i)
		return no_memory(e);
	i->names = 1;
	if (S_ISLNK(a->mode)) {
		i->target = strdup(a->target);
		if (!i->target) {
			inode_put(i);
			return no_memory(e);
		}
	}
	fill_inode(t, i, a);
	*out = i;
	return 0;
}

static const struct tree_attr made_folder = { .mode = S_IFDIR | 0755 };

int tree_init(struct tree *t, struct err *e)
{
	int rc;

	t->node_n = 1;
	t->root = node_new("");
	if (!t->root)
		return no_memory(e);
	rc = inode_new(t, &made_folder, &t->root->inode, e);
	if (rc)
		tree_free(t);
	return rc;
}

/*
 * Depth first without recursion: each step takes any child off its folder's
 * search tree and goes down into it, or up when there is none left.
 */
void tree_free(struct tree *t)
{
	struct tree_node *n = t->root;

	while (n) {
		struct tree_node *parent = n->parent;

		if (n->children) {
			/* A search node begins with its key, see tsearch(3). */
			struct tree_node *c = *(struct tree_node **)n->children;

			tdelete(c, &n->children, compare_nodes);
			n = c;
			continue;
		}
		inode_put(n->inode);
		free(n);
		n = parent;
	}
	t->root = NULL;
}

static struct tree_node *find_child(const struct tree_node *dir,
				    const struct tree_node *key)
{
	void *hit = tfind(key, &dir->children, compare_nodes);

	return hit ? *(struct tree_node **)hit : NULL;
}

/* The child called name, or NULL. name is at most NAME_MAX long. */
static struct tree_node *lookup(const struct tree_node *dir, const char *name)
{
	union {
		struct tree_node node;
		char room[sizeof(struct tree_node) + NAME_MAX + 1];
	} key;

	memcpy(key.room + offsetof(struct tree_node, name), name,
	       strlen(name) + 1);
	return find_child(dir, &key.node);
}

/* A child of dir for inode, which it takes over (not on failure). */
static int add_child(struct tree *t, struct tree_node *dir, const char *name,
		     struct tree_inode *inode, struct tree_node **out,
		     struct err *e)
{
	struct tree_node *n;

	if (t->node_n >= TREE_NODES_MAX)
		return err_set(e, EFBIG,
			       "more than %u files (leave some out with "
			       "--exclude)",
			       TREE_NODES_MAX);
	n = node_new(name);
	if (!n || !tsearch(n, &dir->children, compare_nodes)) {
		free(n);
		return no_memory(e);
	}
	n->parent = dir;
	n->inode = inode;
	dir->child_n++;
	if (S_ISDIR(inode->mode))
		dir->inode->folders++;
	t->node_n++;
	*out = n;
	return 0;
}

static int add_folder(struct tree *t, struct tree_node *dir, const char *name,
		      struct tree_node **out, struct err *e)
{
	struct tree_inode *inode;
	int rc = inode_new(t, &made_folder, &inode, e);

	if (rc)
		return rc;
	rc = add_child(t, dir, name, inode, out, e);
	if (rc)
		inode_put(inode);
	return rc;
}

static int not_a_folder(const struct tree_node *n, struct err *e)
{
	char buf[PATH_MAX];

	if (S_ISLNK(n->inode->mode))
		return err_set(e, EINVAL,
			       "'%s' above it is a symbolic link, "
			       "which is not followed",
			       quote_name(tree_path(n, buf)).s);
	return err_set(e, ENOTDIR, "'%s' above it is not a folder",
		       quote_name(tree_path(n, buf)).s);
}

/* Where a path leads: a name in a folder, or the root (name NULL). */
struct place {
	struct tree_node *dir;
	const char *name;
};

/*
 * Walk path (changed) to its last component. With make, missing folders are
 * made; without, a missing one is -ENOENT.
 */
static int find_place(struct tree *t, char *path, bool make, struct place *p,
		      struct err *e)
{
	const char *part;

	*p = (struct place){ .dir = t->root };
	if (*path == '/')
		return err_set(e, EINVAL, "absolute path");
	while ((part = strsep(&path, "/"))) {
		struct tree_node *n;
		int rc;

		if (!*part || !strcmp(part, "."))
			continue;
		if (!strcmp(part, ".."))
			return err_set(e, EINVAL, "path with '..'");
		if (strlen(part) > NAME_MAX)
			return err_set(e, ENAMETOOLONG,
				       "file name longer "
				       "than %u bytes",
				       NAME_MAX);
		if (p->name) {
			n = lookup(p->dir, p->name);
			if (!n && !make)
				return err_set(e, ENOENT, "no such file");
			rc = n ? 0 : add_folder(t, p->dir, p->name, &n, e);
			if (rc)
				return rc;
			if (!S_ISDIR(n->inode->mode))
				return not_a_folder(n, e);
			p->dir = n;
		}
		p->name = part;
	}
	return 0;
}

/* The same on a copy, which the caller frees after its use of p. */
static int find_path(struct tree *t, const char *path, bool make,
		     struct place *p, char **copy, struct err *e)
{
	if (strlen(path) >= PATH_MAX)
		return err_set(e, ENAMETOOLONG, "path longer than %u bytes",
			       PATH_MAX - 1);
	*copy = strdup(path);
	if (!*copy)
		return no_memory(e);
	return find_place(t, *copy, make, p, e);
}

static int update_folder(struct tree *t, struct tree_node *n,
			 const struct tree_attr *a, struct err *e)
{
	if (!S_ISDIR(a->mode))
		return err_set(e, EISDIR,
			       "would replace a folder that is "
			       "not empty");
	tree_clear_xattrs(n->inode);
	fill_inode(t, n->inode, a);
	return 0;
}

/* Put inode (taken over, not on failure) at a place, over what was there. */
static int put_inode(struct tree *t, const struct place *p,
		     struct tree_inode *inode, struct tree_node **node,
		     struct err *e)
{
	struct tree_node *n = lookup(p->dir, p->name);

	if (!n)
		return add_child(t, p->dir, p->name, inode, node, e);
	p->dir->inode->folders -= S_ISDIR(n->inode->mode);
	p->dir->inode->folders += S_ISDIR(inode->mode);
	inode_put(n->inode);
	n->inode = inode;
	*node = n;
	return 0;
}

int tree_add(struct tree *t, const char *path, const struct tree_attr *a,
	     struct tree_node **node, struct err *e)
{
	auto_free char *copy = NULL;
	struct tree_inode *inode;
	struct tree_node *n;
	struct place p;
	int rc = check_attr(a, e);

	if (!rc)
		rc = find_path(t, path, true, &p, &copy, e);
	if (rc)
		return rc;
	n = p.name ? lookup(p.dir, p.name) : t->root;
	if (n && S_ISDIR(n->inode->mode) &&
	    (S_ISDIR(a->mode) || n->child_n || !p.name)) {
		rc = update_folder(t, n, a, e);
	} else {
		rc = inode_new(t, a, &inode, e);
		if (rc)
			return rc;
		rc = put_inode(t, &p, inode, &n, e);
		if (rc)
			inode_put(inode);
	}
	if (!rc && node)
		*node = n;
	return rc;
}

static int check_target(const struct tree_inode *i, struct err *e)
{
	if (S_ISDIR(i->mode))
		return err_set(e, EINVAL, "hard link to a folder");
	if (i->names >= NAMES_MAX)
		return err_set(e, EMLINK,
			       "more than %u hard links to one "
			       "file",
			       NAMES_MAX);
	return 0;
}

int tree_link_inode(struct tree *t, const char *path, struct tree_inode *inode,
		    struct err *e)
{
	auto_free char *copy = NULL;
	struct tree_node *n;
	struct place p;
	int rc = check_target(inode, e);

	if (!rc)
		rc = find_path(t, path, true, &p, &copy, e);
	if (rc)
		return rc;
	n = p.name ? lookup(p.dir, p.name) : t->root;
	if (n && n->inode == inode)
		return 0;
	if (n && S_ISDIR(n->inode->mode) && (n->child_n || !p.name))
		return err_set(e, EISDIR,
			       "would replace a folder that is "
			       "not empty");
	inode->names++;
	rc = put_inode(t, &p, inode, &n, e);
	if (rc)
		inode->names--;
	return rc;
}

int tree_link(struct tree *t, const char *path, const char *target,
	      struct err *e)
{
	auto_free char *copy = NULL;
	struct tree_node *n;
	struct place p;
	int rc = find_path(t, target, false, &p, &copy, e);

	if (!rc) {
		n = p.name ? lookup(p.dir, p.name) : t->root;
		if (n)
			return tree_link_inode(t, path, n->inode, e);
		err_set(e, ENOENT, "no such file");
	}
	return err_prefix(e, "hard link to '%s': ", quote_name(target).s);
}

struct each {
	void (*fn)(struct tree_node *child, void *ctx);
	void *ctx;
};

static void visit(const void *nodep, VISIT which, void *closure)
{
	const struct each *w = closure;

	if (which == postorder || which == leaf)
		w->fn(*(struct tree_node *const *)nodep, w->ctx);
}

void tree_each_child(const struct tree_node *dir,
		     void (*fn)(struct tree_node *child, void *ctx), void *ctx)
{
	struct each w = { .fn = fn, .ctx = ctx };

	twalk_r(dir->children, visit, &w);
}

const char *tree_path(const struct tree_node *n, char *buf)
{
	char *end = buf + PATH_MAX - 1;
	char *at = end;

	*end = '\0';
	for (; n->parent; n = n->parent) {
		size_t len = strlen(n->name);

		if (at != end)
			*--at = '/';
		at -= len;
		memcpy(at, n->name, len);
	}
	if (at == end)
		*--at = '.';
	return memmove(buf, at, (size_t)(end - at) + 1);
}

int file_map_add(struct file_map *m, uint32_t block, uint64_t src, bool spooled,
		 struct err *e)
{
	struct file_run *last = m->n ? &m->v[m->n - 1] : NULL;

	if (last && last->block + last->count == block &&
	    last->spooled == spooled &&
	    last->src + (uint64_t)last->count * FS_BLOCK == src) {
		last->count++;
		return 0;
	}
	if (m->n == m->cap) {
		size_t cap = m->cap ? m->cap * 2 : 1;
		struct file_run *v = reallocarray(m->v, cap, sizeof(*v));

		if (!v)
			return no_memory(e);
		m->v = v;
		m->cap = cap;
	}
	m->v[m->n++] = (struct file_run){
		.block = block, .count = 1, .src = src, .spooled = spooled
	};
	return 0;
}
