/* SPDX-License-Identifier: MIT */
/*
 * Extended headers (POSIX.1-2001 pax, types 'x' and 'g') with the keywords
 * that others added: SCHILY.xattr. and RHT.security.selinux (star, GNU tar),
 * LIBARCHIVE.xattr. (bsdtar), GNU.sparse. 0.0, 0.1 and 1.0.
 *
 * Unknown keywords are ignored, as POSIX says. Access control lists
 * (SCHILY.acl.) are taken as the attributes that Linux has them in, whose loss
 * would change a file's rights: the tree refuses them.
 */
#ifndef HUSK_ROOTFS_PAX_H
#define HUSK_ROOTFS_PAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "tar/sparse.h"

/* One extended header's size: room for a long 0.1 sparse map. */
#define PAX_SIZE_MAX (8u << 20)

/* What Linux allows for a name, and for a value; here for all together. */
#define PAX_XATTR_NAME_MAX 255u
#define PAX_XATTR_SIZE_MAX 65536u
#define PAX_XATTR_MAX	   256u

struct pax_xattr {
	char *name;	/* with its prefix, "user.x" */
	uint8_t *value; /* never NULL */
	size_t len;
};

/* Owns what it points to; zero-initialised is empty. */
struct pax {
	char *path;
	char *target;
	char *sparse_name;
	bool has_size;
	bool has_uid;
	bool has_gid;
	bool has_mtime;
	bool has_real_size;
	bool has_map;	 /* a 0.0 or 0.1 map, in map */
	bool has_offset; /* half a pair of a 0.0 map, in offset */
	uint64_t size;
	uint64_t uid;
	uint64_t gid;
	int64_t mtime;
	uint32_t mtime_ns;
	uint64_t real_size;
	uint64_t sparse_major; /* 1 for a 1.0 map, which is in the data */
	uint64_t sparse_minor;
	uint64_t offset;
	struct sparse_map map;
	struct pax_xattr *xattrs;
	size_t xattr_n;
	size_t xattr_bytes; /* of all values */
};

/*
 * Take the records in text[0..len) over what p holds (later wins, an empty
 * value takes back). text is changed. On failure err has a reason that fits
 * behind "extended header: ", and p is only good for pax_free.
 */
int pax_parse(struct pax *p, char *text, size_t len, struct err *e);

/* to (empty) becomes a deep copy of from; -ENOMEM with err set. */
int pax_copy(struct pax *to, const struct pax *from, struct err *e);

void pax_free(struct pax *p);

#endif
