// SPDX-License-Identifier: MIT
/*
 * A folder of the host, read without ever following a link: every step is an
 * openat with O_NOFOLLOW from the root down. One folder is open at a time,
 * so depth costs no descriptors; nftw was rejected, it works by path names.
 */
#include "source/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "terminal/quote.h"

#define COPY_BUF (256u * 1024)

/* A file met with more than one link: where its inode is in the tree. */
struct seen {
	dev_t dev;
	ino_t ino;
	struct tree_inode *inode;
};

struct dir_source {
	const struct source_env *env;
	int root;
	struct tree_node **queue; /* folders to read */
	size_t queue_n;
	size_t queue_cap;
	void *seen;    /* tsearch tree */
	uint64_t done; /* bytes read */
	struct content content;
	uint8_t *buf;
	/* The folder being read. */
	int fd;
	const struct tree_node *dir;
	char path[PATH_MAX]; /* of the entry, from the root */
};

/* O_NOFOLLOW from the root of the source to the folder n. */
static int open_folder(int root, const struct tree_node *n, struct err *e)
{
	char buf[PATH_MAX];
	char *rest = buf, *part;
	auto_fd fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	tree_path(n, buf);
	while (fd >= 0 && (part = strsep(&rest, "/"))) {
		int next =
			openat(fd, part,
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		close(fd);
		fd = next;
	}
	if (fd < 0)
		return err_sys(e, "open folder '%s'",
			       quote_name(tree_path(n, buf)).s);
	return steal_fd(&fd);
}

static int64_t change_time(const struct stat *st)
{
	return st->st_ctim.tv_sec * 1000000000ll + st->st_ctim.tv_nsec;
}

static bool is_same_file(const struct stat *st, const struct tree_inode *i)
{
	return S_ISREG(st->st_mode) && st->st_dev == i->src_dev &&
	       st->st_ino == i->src_ino && (uint64_t)st->st_size == i->size &&
	       change_time(st) == i->src_change;
}

int source_open_file(int dirfd, const struct tree_node *n, struct err *e)
{
	char buf[PATH_MAX];
	auto_fd dir = open_folder(dirfd, n->parent, e);
	auto_fd fd = -1;
	struct stat st;

	if (dir < 0)
		return dir;
	fd = openat(dir, n->name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return err_sys(e, "open '%s'", quote_name(tree_path(n, buf)).s);
	if (!is_same_file(&st, n->inode))
		return err_set(e, EBUSY, "'%s' changed while it was read",
			       quote_name(tree_path(n, buf)).s);
	return steal_fd(&fd);
}

static int compare_seen(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static int remember(struct dir_source *s, const struct stat *st,
		    struct tree_inode *inode, struct err *e)
{
	struct seen *new = malloc(sizeof(*new));

	if (new) {
		*new = (struct seen){ st->st_dev, st->st_ino, inode };
		if (tsearch(new, &s->seen, compare_seen))
			return 0;
	}
	free(new);
	return err_set(e, ENOMEM, "out of memory");
}

static struct tree_inode *recall(struct dir_source *s, const struct stat *st)
{
	struct seen key = { .dev = st->st_dev, .ino = st->st_ino };
	void *hit = tfind(&key, &s->seen, compare_seen);

	return hit ? (*(struct seen **)hit)->inode : NULL;
}

static int enqueue(struct dir_source *s, struct tree_node *n, struct err *e)
{
	if (s->queue_n == s->queue_cap) {
		size_t cap = s->queue_cap ? s->queue_cap * 2 : 64;
		struct tree_node **q = reallocarray(s->queue, cap, sizeof(*q));

		if (!q)
			return err_set(e, ENOMEM, "out of memory");
		s->queue = q;
		s->queue_cap = cap;
	}
	s->queue[s->queue_n++] = n;
	return 0;
}

/*
 * Attributes are read by a name below /proc/self/fd: the l*xattr calls have
 * no *at form, and what is no file or folder cannot be opened.
 */
static int read_xattr(struct tree_inode *inode, const char *where,
		      const char *name, struct err *e)
{
	auto_free uint8_t *value = malloc(65536);
	ssize_t n;

	if (!value)
		return err_set(e, ENOMEM, "out of memory");
	n = lgetxattr(where, name, value, 65536);
	if (n < 0 && errno == ENODATA)
		return 0;
	if (n < 0)
		return err_sys(e, "read attribute '%s'", quote_name(name).s);
	return tree_set_xattr(inode, name, value, (size_t)n, e);
}

static int read_xattrs(struct dir_source *s, const char *name,
		       struct tree_inode *inode, struct err *e)
{
	auto_free char *list = malloc(65536);
	char where[64 + NAME_MAX];
	const char *p;
	ssize_t n;

	if (!list)
		return err_set(e, ENOMEM, "out of memory");
	snprintf(where, sizeof(where), "/proc/self/fd/%d/%s", s->fd, name);
	n = llistxattr(where, list, 65536);
	if (n < 0 && errno == ENOTSUP)
		return 0;
	if (n < 0)
		return err_sys(e, "list attributes");
	for (p = list; p < list + n; p += strlen(p) + 1) {
		int rc = 0;

		/* The rest are properties of the host's file system. */
		if (tree_xattr_known(p))
			rc = read_xattr(inode, where, p, e);
		if (rc)
			return rc;
	}
	return 0;
}

static int changed(struct err *e)
{
	return err_set(e, EBUSY, "changed while it was read");
}

/* One run of data, up to end. */
static int read_data(struct dir_source *s, int fd, uint64_t at, uint64_t end,
		     struct err *e)
{
	while (at < end) {
		size_t want =
			end - at < COPY_BUF ? (size_t)(end - at) : COPY_BUF;
		ssize_t n = pread(fd, s->buf, want, (off_t)at);
		int rc = interrupt_check(s->env->interrupt, e);

		if (rc)
			return rc;
		if (n < 0)
			return err_sys(e, "read");
		if (!n)
			return changed(e);
		rc = content_data(&s->content, at, s->buf, (size_t)n, at, e);
		if (rc)
			return rc;
		at += (uint64_t)n;
		s->done += (uint64_t)n;
		progress_set(s->env->progress, s->done);
	}
	return 0;
}

static int read_content(struct dir_source *s, const char *name,
			struct tree_inode *inode, struct err *e)
{
	auto_fd fd = openat(s->fd, name,
			    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
				    O_CLOEXEC);
	uint64_t at = 0;
	struct stat st;
	int rc = 0;

	if (fd < 0 || fstat(fd, &st))
		return err_sys(e, "open");
	if (!is_same_file(&st, inode))
		return changed(e);
	content_begin(&s->content, &inode->map, inode->size);
	while (!rc && at < inode->size) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA);
		off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);

		if (data < 0 && errno == ENXIO)
			break;
		/* Without the means to ask, all is data. */
		if (data < 0 || hole <= data) {
			data = (off_t)at;
			hole = (off_t)inode->size;
		}
		if ((uint64_t)data >= inode->size)
			break;
		if ((uint64_t)hole > inode->size)
			hole = (off_t)inode->size;
		rc = read_data(s, fd, (uint64_t)data, (uint64_t)hole, e);
		at = (uint64_t)hole;
	}
	return rc ? rc : content_end(&s->content, e);
}

static int read_target(struct dir_source *s, const char *name, char *target,
		       struct err *e)
{
	ssize_t n = readlinkat(s->fd, name, target, PATH_MAX);

	if (n < 0)
		return err_sys(e, "read the link");
	if (n == PATH_MAX)
		return err_set(e, ENAMETOOLONG,
			       "target of the symbolic link "
			       "is too long");
	target[n] = '\0';
	return 0;
}

static int add_file(struct dir_source *s, const char *name,
		    const struct stat *st, struct tree_node **n, struct err *e)
{
	char target[PATH_MAX];
	struct tree_attr a = {
		.mode = st->st_mode & (S_IFMT | 07777),
		.uid = st->st_uid,
		.gid = st->st_gid,
		.dev_major = major(st->st_rdev),
		.dev_minor = minor(st->st_rdev),
		.mtime = st->st_mtim.tv_sec,
		.mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
		.size = (uint64_t)st->st_size,
		.target = target,
	};
	int rc = 0;

	if (S_ISLNK(st->st_mode))
		rc = read_target(s, name, target, e);
	if (!rc)
		rc = tree_add(s->env->tree, s->path, &a, n, e);
	if (!rc)
		rc = read_xattrs(s, name, (*n)->inode, e);
	return rc;
}

static int refuse_output(const struct dir_source *s, const struct stat *st,
			 struct err *e)
{
	const struct source_env *env = s->env;

	if (!env->has_output || !S_ISDIR(st->st_mode) ||
	    st->st_dev != env->output_dev || st->st_ino != env->output_ino)
		return 0;
	return err_set(e, EINVAL,
		       "the image would be made inside the folder "
		       "it is made from");
}

static int read_entry(struct dir_source *s, const char *name, struct err *e)
{
	struct tree_inode *known;
	struct tree_node *n;
	struct stat st;
	int rc;

	if (fstatat(s->fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return err_sys(e, "read attributes");
	rc = refuse_output(s, &st, e);
	if (rc)
		return rc;
	known = S_ISDIR(st.st_mode) || st.st_nlink < 2 ? NULL : recall(s, &st);
	if (known)
		return tree_link_inode(s->env->tree, s->path, known, e);
	rc = add_file(s, name, &st, &n, e);
	if (!rc && S_ISDIR(st.st_mode))
		return *name == '.' && !name[1] ? 0 : enqueue(s, n, e);
	if (!rc && st.st_nlink > 1)
		rc = remember(s, &st, n->inode, e);
	if (rc || !S_ISREG(st.st_mode))
		return rc;
	n->inode->src_dev = st.st_dev;
	n->inode->src_ino = st.st_ino;
	n->inode->src_change = change_time(&st);
	return read_content(s, name, n->inode, e);
}

static int set_path(struct dir_source *s, const char *name, struct err *e)
{
	char dir[PATH_MAX];
	int n;

	if (!s->dir->parent)
		n = snprintf(s->path, sizeof(s->path), "%s", name);
	else
		n = snprintf(s->path, sizeof(s->path), "%s/%s",
			     tree_path(s->dir, dir), name);
	if (n < (int)sizeof(s->path))
		return 0;
	err_set(e, ENAMETOOLONG, "path in '%s' is longer than %u bytes",
		quote_name(s->path).s, PATH_MAX - 1);
	return err_hint(e, "no system call takes a longer one; --exclude a "
			   "folder above it");
}

static int name_file(const struct dir_source *s, struct err *e)
{
	if (e->code == EINTR)
		return -EINTR;
	return err_prefix(e, "'%s': ", quote_name(s->path).s);
}

static int read_folder(struct dir_source *s, DIR *d, struct err *e)
{
	for (;;) {
		struct dirent *ent;
		int rc;

		errno = 0;
		ent = readdir(d);
		if (!ent && errno)
			return err_sys(e, "read folder");
		if (!ent)
			return 0;
		if (!strcmp(ent->d_name, ".") || !strcmp(ent->d_name, ".."))
			continue;
		rc = interrupt_check(s->env->interrupt, e);
		if (!rc)
			rc = set_path(s, ent->d_name, e);
		if (rc)
			return rc;
		if (source_is_excluded(s->env, s->path))
			continue;
		rc = read_entry(s, ent->d_name, e);
		if (rc)
			return name_file(s, e);
	}
}

static int read_queued(struct dir_source *s, struct tree_node *n, struct err *e)
{
	DIR *d;
	int rc;

	s->dir = n;
	s->fd = open_folder(s->root, n, e);
	if (s->fd < 0)
		return s->fd;
	d = fdopendir(s->fd);
	if (!d) {
		close(s->fd);
		return err_set(e, ENOMEM, "out of memory");
	}
	rc = read_folder(s, d, e);
	closedir(d);
	return rc;
}

static int read_root(struct dir_source *s, struct err *e)
{
	s->dir = s->env->tree->root;
	s->fd = s->root;
	s->path[0] = '.';
	s->path[1] = '\0';
	return read_entry(s, ".", e) ? name_file(s, e) : 0;
}

int source_read_dir(const struct source_env *env, int dirfd, struct err *e)
{
	struct dir_source s = { .env = env, .root = dirfd };
	auto_free uint8_t *buf = malloc(COPY_BUF);
	size_t i;
	int rc;

	if (!buf)
		return err_set(e, ENOMEM, "out of memory");
	s.buf = buf;
	s.content.spool = env->spool;
	s.content.direct = true;
	progress_begin(env->progress, "read", 0);
	rc = read_root(&s, e);
	if (!rc)
		rc = enqueue(&s, env->tree->root, e);
	for (i = 0; !rc && i < s.queue_n; i++)
		rc = read_queued(&s, s.queue[i], e);
	if (!rc) {
		progress_set(env->progress, s.done);
		progress_end(env->progress);
	}
	tdestroy(s.seen, free);
	free(s.queue);
	return rc;
}
