// SPDX-License-Identifier: MIT
/* LINK: rootfs-builder/tar/tar.c rootfs-builder/tar/header.c */
/* LINK: rootfs-builder/tar/sparse.c rootfs-builder/tar/pax.c */
/* LINK: rootfs-builder/tar/pax_codec.c rootfs-builder/tar/stream.c */
/* LINK: rootfs-builder/terminal/interrupt.c rootfs-builder/terminal/quote.c */
/*
 * Any bytes as a tar archive. Whatever comes, the handler must be called as
 * tar.h promises; the reader's own faults are the sanitizers' business.
 */
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tar/tar.h"

#include "require.h"
#include "tar_mutate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	const uint8_t *data;
	size_t size;
	bool in_file;
	uint64_t file_size;
	uint64_t at; /* where the next data may begin */
	uint64_t pos;
};

static int on_entry(void *ctx, const struct tar_entry *t, struct err *e)
{
	struct seen *s = ctx;
	size_t i;

	(void)e;
	REQUIRE(!s->in_file);
	REQUIRE(*t->path && strlen(t->path) < PATH_MAX);
	REQUIRE(strlen(t->target) < PATH_MAX);
	REQUIRE((t->type == TAR_LINK || t->type == TAR_SYMLINK) ==
		(*t->target != '\0'));
	REQUIRE(!(t->mode & ~07777u) && t->mtime_ns < 1000000000);
	REQUIRE(t->uid != UINT32_MAX && t->gid != UINT32_MAX);
	for (i = 0; i < t->xattr_n; i++)
		REQUIRE(*t->xattrs[i].name && t->xattrs[i].value &&
			t->xattrs[i].len <= PAX_XATTR_SIZE_MAX);
	s->in_file = t->type == TAR_FILE;
	s->file_size = t->size;
	s->at = 0;
	return 0;
}

static int on_data(void *ctx, uint64_t off, const void *buf, size_t len,
		   uint64_t pos, struct err *e)
{
	struct seen *s = ctx;

	(void)e;
	REQUIRE(s->in_file && len);
	REQUIRE(off >= s->at && off + len <= s->file_size);
	REQUIRE(pos >= s->pos && pos + len <= s->size);
	REQUIRE(!memcmp(s->data + pos, buf, len));
	s->at = off + len;
	s->pos = pos + len;
	return 0;
}

static int on_finish(void *ctx, struct err *e)
{
	struct seen *s = ctx;

	(void)e;
	REQUIRE(s->in_file);
	s->in_file = false;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct tar_handler handler = { on_entry, on_data, on_finish };
	struct seen seen = { .data = data, .size = size };
	struct err e = { 0 };
	struct stream *s = stream_open_mem(data, size, &e);
	int rc;

	REQUIRE(s);
	rc = tar_read(s, &handler, &seen, &e);
	REQUIRE(rc <= 0 && rc == -e.code);
	REQUIRE((rc == 0) == (e.msg[0] == '\0'));
	/* A good end was seen only behind an end mark. */
	REQUIRE(rc || (size >= 512 && !data[size - 1] && s->pos == size));
	stream_close(s);
	return 0;
}
