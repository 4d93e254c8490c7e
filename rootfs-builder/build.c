// SPDX-License-Identifier: MIT
/*
 * The steps of a build and what must be undone when one of them fails. The
 * source is read whole before the image is begun.
 */
#include "build.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ext4.h"
#include "layout.h"
#include "lib/cleanup.h"
#include "lib/show.h"
#include "quote.h"
#include "source.h"
#include "tree.h"

struct build {
	const struct build_options *opt;
	struct interrupt *in;
	struct progress *p;
	struct tree tree;
	struct layout layout;
	struct spool spool;
	char *output; /* the image, through links if it is one */
	char *folder; /* where it goes */
	char *temp;   /* its name while it is written, or NULL */
	int from;     /* the source */
	bool from_is_dir;
	bool direct; /* data is read from the archive again */
};

/* An interruption is nobody's fault and keeps its own words. */
static int blame(struct err *e, const char *what, const char *object)
{
	if (e->code == EINTR)
		return -EINTR;
	return err_prefix(e, "%s '%s': ", what, quote_name(object).s);
}

/* A link to an image stays one: what it leads to is replaced. */
static int find_output(struct build *b, struct err *e)
{
	auto_free char *copy = NULL;

	b->output = realpath(b->opt->output, NULL);
	if (!b->output)
		b->output = strdup(b->opt->output);
	if (b->output)
		copy = strdup(b->output);
	if (copy)
		b->folder = strdup(dirname(copy));
	return b->folder ? 0 : err_set(e, ENOMEM, "out of memory");
}

static int check_output(struct build *b, struct err *e)
{
	struct stat st;

	if (find_output(b, e))
		return -e->code;
	if (!stat(b->output, &st) && !S_ISREG(st.st_mode))
		return err_set(e, EEXIST, "exists and is no regular file");
	if (stat(b->folder, &st))
		return err_sys(e, "folder '%s'", quote_name(b->folder).s);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "'%s' is not a folder",
			       quote_name(b->folder).s);
	if (access(b->folder, W_OK | X_OK))
		return err_sys(e, "folder '%s'", quote_name(b->folder).s);
	return 0;
}

static int open_source(struct build *b, struct err *e)
{
	const char *from = b->opt->from;
	struct stat st;

	b->from = strcmp(from, "-") ? open(from, O_RDONLY | O_CLOEXEC)
				    : dup(STDIN_FILENO);
	if (b->from < 0)
		return err_sys(e, "open");
	if (fstat(b->from, &st))
		return err_sys(e, "open");
	b->from_is_dir = S_ISDIR(st.st_mode);
	if (isatty(b->from))
		return err_set(e, EINVAL,
			       "is a terminal (pipe an archive "
			       "into it)");
	return 0;
}

static int read_source(struct build *b, struct err *e)
{
	const struct build_options *opt = b->opt;
	struct source_env env = {
		.tree = &b->tree,
		.spool = &b->spool,
		.interrupt = b->in,
		.progress = b->p,
		.excludes = opt->excludes,
		.exclude_n = opt->exclude_n,
	};
	struct stat st;
	int rc = tree_init(&b->tree, e);

	if (rc)
		return rc;
	b->spool.dir = b->folder;
	if (!stat(b->folder, &st)) {
		env.has_output = true;
		env.output_dev = st.st_dev;
		env.output_ino = st.st_ino;
	}
	if (b->from_is_dir)
		rc = source_read_dir(&env, b->from, e);
	else
		rc = source_read_tar(&env, b->from, &b->direct, e);
	return rc ? rc : spool_flush(&b->spool, e);
}

static int open_temp(struct build *b, struct err *e)
{
	auto_free char *copy = strdup(b->output);
	mode_t mask;
	int fd;

	if (!copy || asprintf(&b->temp, "%s/.%s.XXXXXX", b->folder,
			      basename(copy)) < 0) {
		b->temp = NULL;
		return err_set(e, ENOMEM, "out of memory");
	}
	fd = mkostemp(b->temp, O_CLOEXEC);
	if (fd < 0) {
		err_sys(e, "make a file in '%s'", quote_name(b->folder).s);
		free(b->temp);
		b->temp = NULL;
		return -e->code;
	}
	/* mkostemp makes it private; an image is as open as umask lets it. */
	mask = umask(0);
	umask(mask);
	if (fchmod(fd, 0666 & ~mask)) {
		err_sys(e, "set the mode");
		close(fd);
		return -e->code;
	}
	return fd;
}

/*
 * The superblock's own time. The newest file's would do too, but e2fsck
 * objects to a file system from the future, which a file may well be.
 */
static uint32_t super_time(const struct build_options *opt)
{
	return opt->has_epoch && opt->epoch ? opt->epoch : 1;
}

static int write_image(struct build *b, struct ext4_result *out, struct err *e)
{
	const struct build_options *opt = b->opt;
	struct ext4_options eo = {
		.label = opt->label,
		.size = opt->size,
		.free = opt->free,
		.time = super_time(opt),
	};
	struct ext4_data data = {
		.archive_fd = b->direct ? b->from : -1,
		.dir_fd = b->from_is_dir ? b->from : -1,
		.spool_fd = b->spool.fd,
	};
	auto_fd fd = open_temp(b, e);
	int rc;

	if (fd < 0)
		return fd;
	rc = ext4_write(fd, &b->layout, &eo, &data, b->in, b->p, out, e);
	if (!rc)
		rc = interrupt_check(b->in, e);
	if (rc)
		return rc;
	if (rename(b->temp, b->output))
		return err_sys(e, "rename");
	free(b->temp);
	b->temp = NULL;
	return 0;
}

static void report(const struct build *b, const struct ext4_result *r)
{
	char size[16], used[16];

	if (!b->p)
		return;
	show_line(b->p->to, "made '%s': %s, %s used, %zu names",
		  quote_name(b->opt->output).s, progress_bytes(r->size, size),
		  progress_bytes(r->used, used), b->layout.names);
}

static int run_steps(struct build *b, struct err *e)
{
	const struct build_options *opt = b->opt;
	struct ext4_result result;

	if (check_output(b, e))
		return blame(e, "write", opt->output);
	if (open_source(b, e) || read_source(b, e))
		return blame(e, "read", opt->from);
	if (layout_make(&b->layout, &b->tree, e) || write_image(b, &result, e))
		return blame(e, "write", opt->output);
	report(b, &result);
	return 0;
}

int build_image(const struct build_options *opt, struct interrupt *in,
		struct progress *p, struct err *e)
{
	struct build b = {
		.opt = opt,
		.in = in,
		.p = p,
		.from = -1,
		.tree =
			{
				.has_owner = opt->has_owner,
				.uid = opt->uid,
				.gid = opt->gid,
				.has_epoch = opt->has_epoch,
				.epoch = opt->epoch,
			},
	};
	int rc;

	spool_init(&b.spool, NULL);
	rc = run_steps(&b, e);
	progress_clear(p);
	if (b.temp)
		unlink(b.temp);
	if (b.from >= 0)
		close(b.from);
	layout_free(&b.layout);
	tree_free(&b.tree);
	spool_free(&b.spool);
	free(b.temp);
	free(b.output);
	free(b.folder);
	return rc;
}
