// SPDX-License-Identifier: MIT
/*
 * See outfile.h. Each step holds its folder as a descriptor and opens with
 * O_NOFOLLOW, so what was looked at is what is used.
 *
 * Rejected: to follow no link at all (/dev/stdout is one, and a user's own
 * links are arrangements), to trust a link by its owner (a link of one's own
 * may be planted by another program of one's own), O_TMPFILE with linkat, which
 * cannot replace a name.
 */
#include "lib/outfile.h"

#include "lib/cleanup.h"
#include "lib/fdstat.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <sys/vfs.h>

#define LINKS_MAX   40 /* as Linux */
#define TEMP_TRIES  100
#define OWN_STREAMS "/proc/self/fd/"

/* Where a name leads. */
struct place {
	int dir;	/* owned, O_PATH */
	char name[OUTFILE_NAME];
	bool shared;	/* others than root and we may write to dir */
	bool follow;	/* a link to a descriptor of ours */
	bool is_link;	/* another one, which is not followed */
	bool exists;
	struct stat st;	/* of name, when it exists */
};

static int reason(struct err *e, int code)
{
	return err_set(e, code, "%s", strerror(code));
}

static bool is_shared(const struct stat *dir)
{
	return (dir->st_uid && dir->st_uid != geteuid()) ||
	       dir->st_mode & (S_IWGRP | S_IWOTH);
}

/* Splits path, below the folder `at`, into folder and name. */
static int open_folder(struct place *p, int at, const char *path,
		       struct err *e)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char dir[PATH_MAX] = ".";
	size_t len = slash ? (size_t)(slash - path) + (slash == path) : 0;
	struct stat st;
	int fd;

	if (len >= sizeof(dir) || strlen(name) >= sizeof(p->name))
		return reason(e, ENAMETOOLONG);
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return reason(e, EISDIR);
	if (len) {
		memcpy(dir, path, len);
		dir[len] = '\0';
	}
	fd = openat(at, dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd(&p->dir);
	p->dir = fd;
	if (fd < 0 && errno == ENOTDIR)
		return err_set(e, ENOTDIR, "'%s' is not a folder", dir);
	if (fd < 0 || fstat(fd, &st))
		return err_sys(e, "folder '%s'", dir);
	p->shared = is_shared(&st);
	memmove(p->name, name, strlen(name) + 1);
	p->exists = !fstatat(fd, p->name, &p->st, AT_SYMLINK_NOFOLLOW);
	return 0;
}

/* One link on: 1 when `path` has the next name, 0 at the end. */
static int step(struct place *p, char path[PATH_MAX], struct err *e)
{
	struct statfs fs;
	ssize_t n;

	if (!p->exists || !S_ISLNK(p->st.st_mode))
		return 0;
	n = readlinkat(p->dir, p->name, path, PATH_MAX - 1);
	if (n < 0)
		return reason(e, errno);
	path[n] = '\0';
	/* What a link in /proc leads to is not what it reads as. */
	if (!fstatfs(p->dir, &fs) && fs.f_type == PROC_SUPER_MAGIC) {
		p->follow = true;
		return 0;
	}
	if (p->shared && strncmp(path, OWN_STREAMS, strlen(OWN_STREAMS))) {
		p->is_link = true;
		return 0;
	}
	return 1;
}

static int find_place(struct place *p, const char *given, struct err *e)
{
	char path[PATH_MAX];
	int i, r;

	*p = (struct place){ .dir = -1 };
	r = open_folder(p, AT_FDCWD, given, e);
	for (i = 0; !r && i < LINKS_MAX; i++) {
		auto_fd at = -1;

		r = step(p, path, e);
		if (r <= 0)
			return r;
		at = steal_fd(&p->dir);
		r = open_folder(p, at, path, e);
	}
	return r ? r : reason(e, ELOOP);
}

void outfile_init(struct outfile *f)
{
	*f = (struct outfile){ .dir = -1, .fd = -1 };
}

int outfile_find(struct outfile *f, const char *path, struct err *e)
{
	struct place p;
	int r = find_place(&p, path, e);

	outfile_init(f);
	f->dir = p.dir;
	if (r)
		return r;
	memcpy(f->name, p.name, sizeof(f->name));
	if (p.exists && S_ISDIR(p.st.st_mode))
		return err_set(e, EISDIR, "exists and is no regular file");
	if (p.exists && !p.is_link && !S_ISREG(p.st.st_mode))
		return err_set(e, EEXIST, "exists and is no regular file");
	if (faccessat(f->dir, ".", W_OK | X_OK, 0))
		return err_sys(e, "its folder");
	return 0;
}

/* ".NAME.0123456789abcdef", of a long name its beginning. */
static int choose_temp(struct outfile *f, struct err *e)
{
	static const char hex[] = "0123456789abcdef";
	size_t len = strnlen(f->name, OUTFILE_NAME - 19);
	uint64_t n;

	if (getrandom(&n, sizeof(n), 0) != sizeof(n))
		return err_sys(e, "get a random name");
	f->temp[0] = '.';
	memcpy(f->temp + 1, f->name, len);
	f->temp[++len] = '.';
	for (; n || f->temp[len] == '.'; n >>= 4)
		f->temp[++len] = hex[n & 15];
	f->temp[++len] = '\0';
	return 0;
}

int outfile_create(struct outfile *f, mode_t mode, struct err *e)
{
	int i, r;

	for (i = 0; i < TEMP_TRIES; i++) {
		r = choose_temp(f, e);
		if (r)
			break;
		f->fd = openat(f->dir, f->temp,
			       O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW |
				       O_CLOEXEC,
			       mode);
		if (f->fd >= 0)
			return 0;
		r = reason(e, errno);
		if (r != -EEXIST)
			break;
	}
	f->temp[0] = '\0';
	return r;
}

int outfile_commit(struct outfile *f, struct err *e)
{
	if (renameat(f->dir, f->temp, f->dir, f->name))
		return reason(e, errno);
	f->temp[0] = '\0';
	return 0;
}

void outfile_fini(struct outfile *f)
{
	if (f->temp[0])
		unlinkat(f->dir, f->temp, 0);
	f->temp[0] = '\0';
	cleanup_fd(&f->dir);
	cleanup_fd(&f->fd);
}

/* ---- streams ---- */

#define STREAM_FLAGS                                                           \
	(O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

/* Might it be somebody else's trap? A look at the folder tells. */
static bool is_doubtful(const struct stat *st)
{
	return (S_ISREG(st->st_mode) || S_ISFIFO(st->st_mode)) &&
	       (st->st_uid != geteuid() || st->st_nlink > 1);
}

static int check_open(const struct place *p, const struct stat *st,
		      struct err *e)
{
	struct stat dir;

	if (p->follow || !is_doubtful(st))
		return 0;
	if (fstat(p->dir, &dir))
		return reason(e, errno);
	if (dir.st_mode & S_IWOTH && st->st_uid != geteuid() &&
	    st->st_uid != dir.st_uid)
		return err_set(e, EACCES,
			       "it belongs to user %u, in a folder that all "
			       "may write to (remove it, or give another name)",
			       st->st_uid);
	if (p->shared && S_ISREG(st->st_mode) && st->st_nlink > 1)
		return err_set(e, EMLINK,
			       "it has another name, in a folder that others "
			       "may write to (remove it, or give another "
			       "name)");
	return 0;
}

static int open_placed(const struct place *p, struct err *e)
{
	auto_fd fd = -1;
	struct stat st;
	int r;

	if (p->is_link)
		return err_set(e, ELOOP,
			       "a link, in a folder that others may write to "
			       "(remove it, or name what it leads to)");
	fd = openat(p->dir, p->name,
		    STREAM_FLAGS | (p->follow ? 0 : O_NOFOLLOW), 0666);
	if (fd < 0 || fd_stat(fd, &st))
		return reason(e, errno);
	r = check_open(p, &st, e);
	return r ? r : steal_fd(&fd);
}

int outfile_open_stream(const char *path, struct err *e)
{
	auto_fd fd = open(path, STREAM_FLAGS | O_NOFOLLOW, 0666);
	struct place p;
	struct stat st;
	int r;

	/* Nearly always: no link, and ours, so there is nothing to look at. */
	if (fd >= 0 && !fd_stat(fd, &st) && !is_doubtful(&st))
		return steal_fd(&fd);
	if (fd < 0 && errno != ELOOP)
		return reason(e, errno);
	cleanup_fd(&fd);
	r = find_place(&p, path, e);
	if (!r)
		r = open_placed(&p, e);
	cleanup_fd(&p.dir);
	return r;
}
