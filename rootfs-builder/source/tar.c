// SPDX-License-Identifier: MIT
/*
 * From archive entries to the tree. A plain archive in a regular file stays
 * the place of its data; what is packed or comes through a pipe is spooled.
 */
#include "source/source.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tar/gunzip.h"
#include "tar/stream.h"
#include "tar/tar.h"
#include "terminal/quote.h"

struct tar_source {
	const struct source_env *env;
	struct content content;
	uint64_t base;	    /* of the archive in fd, when direct */
	bool dropped;	    /* the file now coming is excluded */
	struct stream *raw; /* for progress: before unpacking */
};

static const uint32_t mode_of[] = {
	[TAR_FILE] = S_IFREG, [TAR_LINK] = 0,		[TAR_SYMLINK] = S_IFLNK,
	[TAR_CHAR] = S_IFCHR, [TAR_BLOCKDEV] = S_IFBLK, [TAR_DIR] = S_IFDIR,
	[TAR_FIFO] = S_IFIFO,
};

static int add_xattrs(struct tree_inode *inode, const struct tar_entry *t,
		      struct err *e)
{
	size_t i;

	for (i = 0; i < t->xattr_n; i++) {
		const struct pax_xattr *x = &t->xattrs[i];
		int rc = tree_set_xattr(inode, x->name, x->value, x->len, e);

		if (rc)
			return rc;
	}
	return 0;
}

/* "././a//b" is excluded as "a/b" would be. */
static bool is_excluded(const struct source_env *env, const char *path)
{
	char clean[PATH_MAX];
	size_t n = 0;

	if (!env->exclude_n)
		return false;
	while (*path) {
		size_t len = strcspn(path, "/");

		if (len && !(len == 1 && *path == '.')) {
			if (n)
				clean[n++] = '/';
			memcpy(clean + n, path, len);
			n += len;
		}
		path += len + (path[len] == '/');
	}
	clean[n] = '\0';
	return source_is_excluded(env, clean);
}

static int take_entry(void *ctx, const struct tar_entry *t, struct err *e)
{
	struct tar_source *s = ctx;
	struct tree_node *node;
	struct tree_attr a = {
		.mode = mode_of[t->type] | t->mode,
		.uid = t->uid,
		.gid = t->gid,
		.dev_major = t->dev_major,
		.dev_minor = t->dev_minor,
		.mtime = t->mtime,
		.mtime_ns = t->mtime_ns,
		.size = t->size,
		.target = t->target,
	};
	int rc;

	s->dropped = is_excluded(s->env, t->path);
	if (s->dropped)
		return 0;
	if (t->type == TAR_LINK)
		return tree_link(s->env->tree, t->path, t->target, e);
	rc = tree_add(s->env->tree, t->path, &a, &node, e);
	if (rc)
		return rc;
	if (t->type == TAR_FILE)
		content_begin(&s->content, &node->inode->map, t->size);
	return add_xattrs(node->inode, t, e);
}

static int take_data(void *ctx, uint64_t off, const void *buf, size_t len,
		     uint64_t pos, struct err *e)
{
	struct tar_source *s = ctx;

	progress_set(s->env->progress, s->raw->pos);
	if (s->dropped)
		return 0;
	return content_data(&s->content, off, buf, len, s->base + pos, e);
}

static int take_end(void *ctx, struct err *e)
{
	struct tar_source *s = ctx;

	return s->dropped ? 0 : content_end(&s->content, e);
}

static const struct tar_handler handler = {
	.entry = take_entry,
	.data = take_data,
	.finish = take_end,
};

struct packer {
	const char *name;
	const char *tool;
	uint8_t magic[6];
	size_t len;
};

static const struct packer others[] = {
	{ "xz", "xz", { 0xfd, '7', 'z', 'X', 'Z' }, 5 },
	{ "zstd", "zstd", { 0x28, 0xb5, 0x2f, 0xfd }, 4 },
	{ "bzip2", "bzip2", { 'B', 'Z', 'h' }, 3 },
	{ "lz4", "lz4", { 0x04, 0x22, 0x4d, 0x18 }, 4 },
};

static int refuse_packed(const uint8_t *head, size_t n, struct err *e)
{
	size_t i;

	for (i = 0; i < sizeof(others) / sizeof(*others); i++) {
		const struct packer *p = &others[i];

		if (n < p->len || memcmp(head, p->magic, p->len))
			continue;
		err_set(e, EINVAL, "archive is packed with %s", p->name);
		return err_hint(e,
				"%s -dc ARCHIVE | husk-image build --from "
				"- ...",
				p->tool);
	}
	return 0;
}

/*
 * The unpacked archive. *gz tells whether it was packed; raw (taken over, on
 * failure too) is what comes from the descriptor.
 */
static struct stream *open_archive(struct stream *raw, bool *gz, struct err *e)
{
	uint8_t head[6];
	ssize_t n = stream_read_full(raw, head, sizeof(head), e);
	struct stream *s;

	*gz = n >= 2 && head[0] == 0x1f && head[1] == 0x8b;
	if (!n)
		err_set(e, EINVAL, "archive is empty");
	if (n <= 0 || refuse_packed(head, (size_t)n, e)) {
		stream_close(raw);
		return NULL;
	}
	s = stream_open_head(head, (size_t)n, raw, e);
	if (!s) {
		stream_close(raw);
		return NULL;
	}
	return *gz ? gunzip_open(s, e) : s;
}

int source_read_tar(const struct source_env *env, int fd, bool *direct,
		    struct err *e)
{
	struct tar_source s = { .env = env };
	struct stream *archive;
	struct stat st;
	uint64_t total = 0;
	bool gz;
	int rc;

	if (fstat(fd, &st))
		return err_sys(e, "input");
	if (S_ISREG(st.st_mode)) {
		off_t at = lseek(fd, 0, SEEK_CUR);

		if (at < 0)
			return err_sys(e, "input");
		s.base = (uint64_t)at;
		total = (uint64_t)(st.st_size > at ? st.st_size - at : 0);
	}
	s.raw = stream_open_fd(fd, env->interrupt, e);
	if (!s.raw)
		return -ENOMEM;
	archive = open_archive(s.raw, &gz, e);
	if (!archive)
		return -e->code;
	*direct = S_ISREG(st.st_mode) && !gz;
	s.content.spool = env->spool;
	s.content.direct = *direct;
	progress_begin(env->progress, "read", total);
	rc = tar_read(archive, &handler, &s, e);
	if (!rc) {
		progress_set(env->progress, s.raw->pos);
		progress_end(env->progress);
	}
	stream_close(archive);
	return rc;
}
