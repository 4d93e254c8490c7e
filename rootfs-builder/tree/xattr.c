// SPDX-License-Identifier: MIT
/*
 * The extended attributes of an inode, kept sorted by name, and whether ext4
 * has room for them: what is left of a 256-byte inode, then one block. Values
 * in inodes of their own (ea_inode) were rejected: nothing in a root file
 * system needs them, and every reader would have to know them.
 */
#include "tree/xattr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "terminal/quote.h"

static bool is_acl(const char *name)
{
	return !strncmp(name, "system.posix_acl_", 17);
}

/*
 * The guest's kernel knows no lists and would take a list's mask, which is in
 * the group's bits of the mode, for what the owning group may. Dropping them
 * with the bits put right was rejected: who a list let in or kept out, and
 * the default of a folder, would be lost with a line of warning.
 */
static int refuse_acl(struct err *e)
{
	err_set(e, EINVAL, "access control lists are not supported");
	return err_hint(e, "take them off at the source: setfacl -R -b");
}

/*
 * system.data is how ext4 stores a small file's content: taken from a hostile
 * archive it would be one. So only what has a meaning of its own is known.
 */
bool tree_xattr_known(const char *name)
{
	static const char *const spaces[] = { "user.", "security.",
					      "trusted." };
	size_t i;

	for (i = 0; i < 3; i++) {
		size_t n = strlen(spaces[i]);

		if (!strncmp(name, spaces[i], n) && name[n])
			return true;
	}
	return is_acl(name);
}

static void xattr_free(struct tree_xattr *x)
{
	free(x->name);
	free(x->value);
}

void tree_clear_xattrs(struct tree_inode *i)
{
	size_t k;

	for (k = 0; k < i->xattr_n; k++)
		xattr_free(&i->xattrs[k]);
	free(i->xattrs);
	i->xattrs = NULL;
	i->xattr_n = 0;
}

/* An entry's 16 bytes and name, its value, each rounded up to 4. */
static size_t stored_size(const struct tree_xattr *x)
{
	const char *bare = strchr(x->name, '.') + 1;
	size_t name = strlen(bare);

	return 16 + ((name + 3) & ~(size_t)3) + ((x->len + 3) & ~(size_t)3);
}

int tree_xattr_fit(const struct tree_inode *i)
{
	/* 256 - 128 - 32 for the inode, 4 for a mark, 4 for the end. */
	size_t inode = 256 - 128 - 32 - 4 - 4;
	size_t block = FS_BLOCK - 32 - 4;
	bool used = false;
	size_t k;

	for (k = 0; k < i->xattr_n; k++) {
		size_t need = stored_size(&i->xattrs[k]);
		size_t *room = need <= inode ? &inode : &block;

		if (need > *room)
			return -ENOSPC;
		*room -= need;
		used |= room == &block;
	}
	return used;
}

static int insert(struct tree_inode *i, size_t at, struct tree_xattr *x,
		  struct err *e)
{
	struct tree_xattr *v =
		reallocarray(i->xattrs, i->xattr_n + 1, sizeof(*v));

	if (!v)
		return err_set(e, ENOMEM, "out of memory");
	memmove(v + at + 1, v + at, (i->xattr_n - at) * sizeof(*v));
	v[at] = *x;
	i->xattrs = v;
	i->xattr_n++;
	return 0;
}

int tree_set_xattr(struct tree_inode *i, const char *name, const void *value,
		   size_t len, struct err *e)
{
	struct tree_xattr x = { .len = len };
	size_t at = 0;
	int rc = 0;

	if (is_acl(name))
		return refuse_acl(e);
	if (!tree_xattr_known(name) || strlen(name) > 255)
		return err_set(e, EINVAL,
			       "extended attribute '%s' cannot be "
			       "kept",
			       quote_name(name).s);
	x.name = strdup(name);
	x.value = malloc(len + 1);
	if (!x.name || !x.value) {
		xattr_free(&x);
		return err_set(e, ENOMEM, "out of memory");
	}
	memcpy(x.value, value, len);
	while (at < i->xattr_n && strcmp(i->xattrs[at].name, name) < 0)
		at++;
	if (at < i->xattr_n && !strcmp(i->xattrs[at].name, name)) {
		xattr_free(&i->xattrs[at]);
		i->xattrs[at] = x;
	} else {
		rc = insert(i, at, &x, e);
	}
	if (rc)
		xattr_free(&x);
	else if (tree_xattr_fit(i) < 0)
		rc = err_set(e, EINVAL,
			     "extended attributes are too large "
			     "for ext4 (%u bytes at most)",
			     FS_BLOCK);
	return rc;
}
