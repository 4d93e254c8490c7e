// SPDX-License-Identifier: MIT
/*
 * One table says what each keyword sets. Numbers are read by hand: strtoull
 * would take signs and blanks, and an mtime is an exact decimal, which a
 * double is not.
 */
#include "tar/pax.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/parse.h"
#include "tar/pax_codec.h"
#include "terminal/quote.h"

struct record {
	const char *key;
	char *value; /* NUL behind it, may hold others */
	size_t len;
};

struct keyword {
	const char *key; /* a prefix if it ends in a dot */
	int (*take)(struct pax *p, const struct record *r, struct err *e);
	size_t off; /* of the member in struct pax */
	size_t has; /* of its flag, 0 for none */
};

static int bad_value(const struct record *r, struct err *e)
{
	return err_set(e, EINVAL, "bad value of '%s'", quote_name(r->key).s);
}

static int take_text(struct pax *p, const struct keyword *k,
		     const struct record *r, struct err *e)
{
	char **to = (char **)((char *)p + k->off);

	if (strlen(r->value) != r->len)
		return bad_value(r, e);
	free(*to);
	*to = NULL;
	if (!r->len)
		return 0;
	/* Copied for each entry by a global header: cut where it is too long
	 * anyway, which is said with the entry's name. */
	*to = strndup(r->value, PATH_MAX);
	return *to ? 0 : err_set(e, ENOMEM, "out of memory");
}

static int take_number(struct pax *p, const struct keyword *k,
		       const struct record *r, struct err *e)
{
	uint64_t *to = (uint64_t *)((char *)p + k->off);
	bool *has = k->has ? (bool *)((char *)p + k->has) : NULL;

	if (!r->len && has) {
		*has = false;
		return 0;
	}
	if (strlen(r->value) != r->len ||
	    parse_uint(r->value, 0, INT64_MAX, to))
		return bad_value(r, e);
	if (has)
		*has = true;
	return 0;
}

static int take_mtime(struct pax *p, const struct record *r, struct err *e)
{
	p->has_mtime = r->len != 0;
	if (r->len && (strlen(r->value) != r->len ||
		       pax_parse_time(r->value, &p->mtime, &p->mtime_ns)))
		return bad_value(r, e);
	return 0;
}

static int take_map_offset(struct pax *p, const struct record *r, struct err *e)
{
	if (p->has_offset || parse_uint(r->value, 0, INT64_MAX, &p->offset))
		return bad_value(r, e);
	p->has_offset = true;
	p->has_map = true;
	return 0;
}

static int take_map_length(struct pax *p, const struct record *r, struct err *e)
{
	uint64_t len;

	if (!p->has_offset || parse_uint(r->value, 0, INT64_MAX, &len))
		return bad_value(r, e);
	p->has_offset = false;
	return sparse_map_add(&p->map, p->offset, len, e);
}

static int take_map(struct pax *p, const struct record *r, struct err *e)
{
	char *rest = r->value;

	sparse_map_free(&p->map);
	p->has_map = true;
	while (rest && *rest) {
		char *off = strsep(&rest, ",");
		char *len = strsep(&rest, ",");
		uint64_t o, n;
		int rc;

		if (!len || parse_uint(off, 0, INT64_MAX, &o) ||
		    parse_uint(len, 0, INT64_MAX, &n))
			return bad_value(r, e);
		rc = sparse_map_add(&p->map, o, n, e);
		if (rc)
			return rc;
	}
	return 0;
}

static void drop_xattr(struct pax *p, const char *name)
{
	size_t i;

	for (i = 0; i < p->xattr_n; i++) {
		struct pax_xattr *x = &p->xattrs[i];

		if (strcmp(x->name, name))
			continue;
		p->xattr_bytes -= x->len;
		free(x->name);
		free(x->value);
		*x = p->xattrs[--p->xattr_n];
		return;
	}
}

static int put_xattr(struct pax *p, const char *name, const void *value,
		     size_t len, struct err *e)
{
	struct pax_xattr *x;

	if (!*name || strlen(name) > PAX_XATTR_NAME_MAX ||
	    len > PAX_XATTR_SIZE_MAX)
		return err_set(e, EINVAL,
			       "extended attribute '%s' is too "
			       "long",
			       quote_name(name).s);
	drop_xattr(p, name);
	if (p->xattr_n >= PAX_XATTR_MAX ||
	    p->xattr_bytes + len > PAX_XATTR_SIZE_MAX)
		return err_set(e, EINVAL, "too many extended attributes");
	x = reallocarray(p->xattrs, p->xattr_n + 1, sizeof(*x));
	if (!x)
		return err_set(e, ENOMEM, "out of memory");
	p->xattrs = x;
	x += p->xattr_n;
	x->name = strdup(name);
	x->value = malloc(len + 1);
	if (!x->name || !x->value) {
		free(x->name);
		free(x->value);
		return err_set(e, ENOMEM, "out of memory");
	}
	memcpy(x->value, value, len);
	x->len = len;
	p->xattr_bytes += len;
	p->xattr_n++;
	return 0;
}

static int take_schily_xattr(struct pax *p, const struct record *r,
			     struct err *e)
{
	return put_xattr(p, r->key + strlen("SCHILY.xattr."), r->value, r->len,
			 e);
}

static int take_selinux(struct pax *p, const struct record *r, struct err *e)
{
	/* The kernel's own value has the NUL, the header's has not. */
	return put_xattr(p, "security.selinux", r->value, r->len + 1, e);
}

static int take_libarchive_xattr(struct pax *p, const struct record *r,
				 struct err *e)
{
	auto_free char *name = strdup(r->key + strlen("LIBARCHIVE.xattr."));
	size_t len;

	if (!name)
		return err_set(e, ENOMEM, "out of memory");
	if (pax_decode_url(name) || pax_decode_base64(r->value, r->len, &len))
		return bad_value(r, e);
	return put_xattr(p, name, r->value, len, e);
}

/*
 * The same list as SCHILY.xattr.system.posix_acl_*, as text, which nobody
 * reads: it goes by that name to where all are refused (tree_set_xattr).
 */
static int take_acl(struct pax *p, const struct record *r, struct err *e)
{
	char name[PAX_XATTR_NAME_MAX + 2];

	snprintf(name, sizeof(name), "system.posix_acl_%s",
		 r->key + strlen("SCHILY.acl."));
	if (r->len)
		return put_xattr(p, name, r->value, r->len, e);
	drop_xattr(p, name);
	return 0;
}

#define MEMBER(m) offsetof(struct pax, m)

static const struct keyword texts[] = {
	{ .key = "path", .off = MEMBER(path) },
	{ .key = "linkpath", .off = MEMBER(target) },
	{ .key = "GNU.sparse.name", .off = MEMBER(sparse_name) },
	{ 0 },
};

static const struct keyword numbers[] = {
	{ "size", NULL, MEMBER(size), MEMBER(has_size) },
	{ "uid", NULL, MEMBER(uid), MEMBER(has_uid) },
	{ "gid", NULL, MEMBER(gid), MEMBER(has_gid) },
	{ "GNU.sparse.size", NULL, MEMBER(real_size), MEMBER(has_real_size) },
	{ "GNU.sparse.realsize", NULL, MEMBER(real_size),
	  MEMBER(has_real_size) },
	{ "GNU.sparse.major", NULL, MEMBER(sparse_major), 0 },
	{ "GNU.sparse.minor", NULL, MEMBER(sparse_minor), 0 },
	{ 0 },
};

static const struct keyword others[] = {
	{ .key = "mtime", .take = take_mtime },
	{ .key = "GNU.sparse.offset", .take = take_map_offset },
	{ .key = "GNU.sparse.numbytes", .take = take_map_length },
	{ .key = "GNU.sparse.map", .take = take_map },
	{ .key = "SCHILY.xattr.", .take = take_schily_xattr },
	{ .key = "SCHILY.acl.", .take = take_acl },
	{ .key = "LIBARCHIVE.xattr.", .take = take_libarchive_xattr },
	{ .key = "RHT.security.selinux", .take = take_selinux },
	{ 0 },
};

static const struct keyword *find_keyword(const struct keyword *k,
					  const char *key)
{
	for (; k->key; k++) {
		size_t n = strlen(k->key);

		if (k->key[n - 1] == '.' ? !strncmp(k->key, key, n)
					 : !strcmp(k->key, key))
			return k;
	}
	return NULL;
}

static int take_record(struct pax *p, const struct record *r, struct err *e)
{
	const struct keyword *k;

	k = find_keyword(texts, r->key);
	if (k)
		return take_text(p, k, r, e);
	k = find_keyword(numbers, r->key);
	if (k)
		return take_number(p, k, r, e);
	k = find_keyword(others, r->key);
	return k ? k->take(p, r, e) : 0;
}

/* "LEN KEY=VALUE\n", LEN counting all of it. Returns LEN, 0 if malformed. */
static size_t split_record(char *text, size_t left, struct record *r)
{
	size_t len = 0, i = 0;
	char *equals;

	for (; i < left && text[i] >= '0' && text[i] <= '9'; i++) {
		len = len * 10 + (size_t)(text[i] - '0');
		if (len > left)
			return 0;
	}
	if (!i || i == left || text[i] != ' ' || len < i + 3 ||
	    text[len - 1] != '\n')
		return 0;
	r->key = text + i + 1;
	equals = memchr(text + i + 1, '=', len - i - 1);
	if (!equals || equals == r->key)
		return 0;
	*equals = '\0';
	if (strlen(r->key) != (size_t)(equals - r->key))
		return 0;
	r->value = equals + 1;
	r->len = (size_t)(text + len - 1 - r->value);
	text[len - 1] = '\0';
	return len;
}

int pax_parse(struct pax *p, char *text, size_t len, struct err *e)
{
	while (len) {
		struct record r;
		size_t used = split_record(text, len, &r);
		int rc;

		if (!used)
			return err_set(e, EINVAL, "malformed record");
		rc = take_record(p, &r, e);
		if (rc)
			return rc;
		text += used;
		len -= used;
	}
	if (p->has_offset)
		return err_set(e, EINVAL, "sparse map is incomplete");
	return 0;
}

static int copy_text(char **to, const char *from)
{
	if (!from)
		return 0;
	*to = strdup(from);
	return *to ? 0 : -ENOMEM;
}

int pax_copy(struct pax *to, const struct pax *from, struct err *e)
{
	size_t i;
	int rc = 0;

	*to = *from;
	to->path = to->target = to->sparse_name = NULL;
	to->map = (struct sparse_map){ 0 };
	to->xattrs = NULL;
	to->xattr_n = 0;
	to->xattr_bytes = 0;
	if (copy_text(&to->path, from->path) ||
	    copy_text(&to->target, from->target) ||
	    copy_text(&to->sparse_name, from->sparse_name))
		rc = err_set(e, ENOMEM, "out of memory");
	for (i = 0; !rc && i < from->map.n; i++)
		rc = sparse_map_add(&to->map, from->map.v[i].off,
				    from->map.v[i].len, e);
	for (i = 0; !rc && i < from->xattr_n; i++)
		rc = put_xattr(to, from->xattrs[i].name, from->xattrs[i].value,
			       from->xattrs[i].len, e);
	if (rc)
		pax_free(to);
	return rc;
}

void pax_free(struct pax *p)
{
	size_t i;

	for (i = 0; i < p->xattr_n; i++) {
		free(p->xattrs[i].name);
		free(p->xattrs[i].value);
	}
	free(p->xattrs);
	free(p->path);
	free(p->target);
	free(p->sparse_name);
	sparse_map_free(&p->map);
	*p = (struct pax){ 0 };
}
