// SPDX-License-Identifier: MIT
/*
 * A listing like that of ls, in UTC and in byte order, so that it is the same
 * everywhere. Folders below are queued, not recursed into, and each is listed
 * once: a damaged image may hold a folder inside itself.
 */
#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "ext4/ext2err.h"
#include "inspect/inspect.h"
#include "inspect/open.h"
#include "lib/cleanup.h"
#include "lib/show.h"
#include "terminal/quote.h"

struct entry {
	char *name;
	ext2_ino_t ino;
};

struct listing {
	struct entry *v;
	size_t n;
	size_t cap;
	bool failed; /* out of memory */
};

struct folder {
	struct folder *next;
	ext2_ino_t ino;
	char path[];
};

struct ls {
	ext2_filsys fs;
	FILE *to;
	bool detail;
	bool recursive;
	ext2fs_inode_bitmap seen;
	struct folder *first;
	struct folder *last;
};

static void listing_free(struct listing *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		free(l->v[i].name);
	free(l->v);
}

static int take_name(ext2_ino_t dir, int kind, struct ext2_dir_entry *d,
		     int offset, int blocksize, char *buf, void *ctx)
{
	int n = ext2fs_dirent_name_len(d);
	struct listing *l = ctx;
	struct entry *v = l->v;

	(void)dir;
	(void)offset;
	(void)blocksize;
	(void)buf;
	if (kind == DIRENT_DOT_FILE || kind == DIRENT_DOT_DOT_FILE)
		return 0;
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 64;
		v = reallocarray(l->v, l->cap, sizeof(*v));
	}
	l->failed = !v;
	if (!v)
		return DIRENT_ABORT;
	l->v = v;
	v[l->n] = (struct entry){ strndup(d->name, (size_t)n), d->inode };
	l->failed = !v[l->n].name;
	l->n += v[l->n].name != NULL;
	return l->failed ? DIRENT_ABORT : 0;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static void print_mode(uint32_t mode, FILE *to)
{
	static const char kinds[] = "?pc?d?b?-?l?s???";
	static const char bits[] = "rwxrwxrwx";
	char text[11] = { kinds[mode >> 12 & 15] };
	int i;

	for (i = 0; i < 9; i++)
		text[1 + i] = mode & 0400u >> i ? bits[i] : '-';
	if (mode & S_ISUID)
		text[3] = mode & S_IXUSR ? 's' : 'S';
	if (mode & S_ISGID)
		text[6] = mode & S_IXGRP ? 's' : 'S';
	if (mode & S_ISVTX)
		text[9] = mode & S_IXOTH ? 't' : 'T';
	show(to, "%s", text);
}

static void print_device(const struct ext2_inode *i, FILE *to)
{
	uint32_t old = i->i_block[0], new = i->i_block[1];
	uint32_t major = old ? old >> 8 & 0xff : new >> 8 & 0xfff;
	uint32_t minor =
		old ? old & 0xff : (new & 0xff) | (new >> 12 & 0xfff00);

	fprintf(to, " %5u,%6u", major, minor);
}

static void print_time(const struct ext2_inode_large *i, FILE *to)
{
	time_t t = (int32_t)i->i_mtime;
	char text[32] = "?";
	struct tm tm;

	if (i->i_extra_isize >= 16)
		t += (time_t)(i->i_mtime_extra & 3) << 32;
	if (gmtime_r(&t, &tm))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	show(to, " %s ", text);
}

static int read_link(const struct ls *s, ext2_ino_t ino, struct ext2_inode *i,
		     char *buf, unsigned int *len, struct err *e)
{
	ext2_file_t f;
	errcode_t rc;

	if (ext2fs_is_fast_symlink(i)) {
		*len = i->i_size < sizeof(i->i_block) ? i->i_size
						      : sizeof(i->i_block);
		memcpy(buf, i->i_block, *len);
		return 0;
	}
	rc = ext2fs_file_open2(s->fs, ino, i, 0, &f);
	if (rc)
		return ext2err_set(e, rc, "read a symbolic link");
	rc = ext2fs_file_read(f, buf, s->fs->blocksize, len);
	ext2fs_file_close(f);
	return rc ? ext2err_set(e, rc, "read a symbolic link") : 0;
}

static int print_target(const struct ls *s, ext2_ino_t ino,
			struct ext2_inode *i, struct err *e)
{
	auto_free char *buf = malloc(s->fs->blocksize);
	unsigned int len;
	int rc;

	if (!buf)
		return err_set(e, ENOMEM, "out of memory");
	rc = read_link(s, ino, i, buf, &len, e);
	if (rc)
		return rc;
	fputs(" -> ", s->to);
	show_name(s->to, buf, len);
	return 0;
}

static int print_entry(const struct ls *s, const char *name, ext2_ino_t ino,
		       struct err *e)
{
	struct ext2_inode_large large = { 0 };
	struct ext2_inode *i = (struct ext2_inode *)&large;
	errcode_t code;
	int rc = 0;

	if (!s->detail) {
		show_name(s->to, name, strlen(name));
		fputc('\n', s->to);
		return 0;
	}
	code = ext2fs_read_inode_full(s->fs, ino, i, sizeof(large));
	if (code)
		return ext2err_set(e, code, "inode %u", ino);
	print_mode(i->i_mode, s->to);
	fprintf(s->to, " %3u %5u %5u", i->i_links_count, inode_uid(*i),
		inode_gid(*i));
	if (LINUX_S_ISCHR(i->i_mode) || LINUX_S_ISBLK(i->i_mode))
		print_device(i, s->to);
	else
		fprintf(s->to, " %12" PRIu64, (uint64_t)EXT2_I_SIZE(i));
	print_time(&large, s->to);
	show_name(s->to, name, strlen(name));
	if (LINUX_S_ISLNK(i->i_mode))
		rc = print_target(s, ino, i, e);
	fputc('\n', s->to);
	return rc;
}

static int enqueue(struct ls *s, const char *above, const char *name,
		   ext2_ino_t ino, struct err *e)
{
	const char *slash =
		*above && above[strlen(above) - 1] == '/' ? "" : "/";
	struct folder *f;
	size_t size;

	if (ino > s->fs->super->s_inodes_count ||
	    ext2fs_test_inode_bitmap2(s->seen, ino))
		return err_set(e, EINVAL,
			       "image is damaged: folder '%s' has "
			       "two places",
			       quote_name(name).s);
	ext2fs_mark_inode_bitmap2(s->seen, ino);
	size = strlen(above) + strlen(name) + 2;
	f = malloc(sizeof(*f) + size);
	if (!f)
		return err_set(e, ENOMEM, "out of memory");
	f->next = NULL;
	f->ino = ino;
	snprintf(f->path, size, "%s%s%s", above, *name ? slash : "", name);
	if (s->last)
		s->last->next = f;
	else
		s->first = f;
	s->last = f;
	return 0;
}

static int print_names(struct ls *s, const struct folder *f,
		       const struct listing *l, struct err *e)
{
	size_t k;
	int rc = 0;

	for (k = 0; !rc && k < l->n; k++) {
		const struct entry *x = &l->v[k];

		rc = print_entry(s, x->name, x->ino, e);
		if (!rc && s->recursive &&
		    !ext2fs_check_directory(s->fs, x->ino))
			rc = enqueue(s, f->path, x->name, x->ino, e);
	}
	return rc;
}

static int list_folder(struct ls *s, const struct folder *f, struct err *e)
{
	struct listing l = { 0 };
	errcode_t code;
	int rc;

	code = ext2fs_dir_iterate2(s->fs, f->ino, 0, NULL, take_name, &l);
	if (l.failed)
		rc = err_set(e, ENOMEM, "out of memory");
	else if (code)
		rc = ext2err_set(e, code, "folder '%s'", quote_name(f->path).s);
	else
		rc = 0;
	if (!rc && l.n)
		qsort(l.v, l.n, sizeof(*l.v), compare_entries);
	if (!rc)
		rc = print_names(s, f, &l, e);
	listing_free(&l);
	return rc;
}

static int list_all(struct ls *s, struct err *e)
{
	bool first = true;
	int rc = 0;

	while (s->first) {
		struct folder *f = s->first;

		if (!rc && s->recursive) {
			if (!first)
				fputc('\n', s->to);
			show_name(s->to, f->path, strlen(f->path));
			fputs(":\n", s->to);
		}
		if (!rc)
			rc = list_folder(s, f, e);
		first = false;
		s->first = f->next;
		if (!s->first)
			s->last = NULL;
		free(f);
	}
	return rc;
}

static int list_path(struct ls *s, const char *path, struct err *e)
{
	ext2_ino_t ino;
	errcode_t code;
	int rc;

	code = ext2fs_namei(s->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, &ino);
	if (!code && !s->detail)
		code = ext2fs_namei_follow(s->fs, EXT2_ROOT_INO, EXT2_ROOT_INO,
					   path, &ino);
	if (code == EXT2_ET_FILE_NOT_FOUND)
		return err_set(e, ENOENT, "'%s': no such file",
			       quote_name(path).s);
	if (code)
		return ext2err_set(e, code, "'%s'", quote_name(path).s);
	code = ext2fs_check_directory(s->fs, ino);
	if (code == EXT2_ET_NO_DIRECTORY)
		return print_entry(s, path, ino, e);
	if (code)
		return ext2err_set(e, code, "'%s'", quote_name(path).s);
	rc = enqueue(s, path, "", ino, e);
	return rc ? rc : list_all(s, e);
}

int inspect_ls(const char *image, const char *path, bool detail, bool recursive,
	       FILE *to, struct err *e)
{
	struct ls s = { .to = to, .detail = detail, .recursive = recursive };
	errcode_t code;
	int rc = image_open(image, &s.fs, e);

	if (!rc) {
		code = ext2fs_allocate_inode_bitmap(s.fs, "seen", &s.seen);
		if (code)
			rc = ext2err_set(e, code, "list");
		else
			rc = list_path(&s, path, e);
		if (!code)
			ext2fs_free_inode_bitmap(s.seen);
		ext2fs_free(s.fs);
	}
	return rc ? err_prefix(e, "read '%s': ", quote_name(image).s) : 0;
}
