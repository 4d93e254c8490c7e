// SPDX-License-Identifier: MIT
/*
 * The steps of a build and what must be undone when one of them fails. The
 * source is read whole before the image is begun.
 */
#include "build.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ext4/ext4.h"
#include "ext4/layout.h"
#include "lib/cleanup.h"
#include "lib/outfile.h"
#include "lib/show.h"
#include "source/source.h"
#include "terminal/quote.h"
#include "tree/tree.h"

struct build {
	const struct build_options *opt;
	struct interrupt *in;
	struct progress *p;
	struct tree tree;
	struct layout layout;
	struct spool spool;
	struct outfile out; /* the image */
	char *folder; /* where it goes */
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

/*
 * The folder's own name, for the spool and for messages. Without /proc it is
 * that of the output as it was given.
 */
static int name_folder(struct build *b, struct err *e)
{
	char link[32], path[PATH_MAX];
	auto_free char *given = strdup(b->opt->output);
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", b->out.dir);
	n = readlink(link, path, sizeof(path) - 1);
	if (n > 0) {
		path[n] = '\0';
		b->folder = strdup(path);
	} else if (given) {
		b->folder = strdup(dirname(given));
	}
	return b->folder ? 0 : err_set(e, ENOMEM, "out of memory");
}

static int check_output(struct build *b, struct err *e)
{
	int rc = outfile_find(&b->out, b->opt->output, e);

	return rc ? rc : name_folder(b, e);
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
	if (!fstat(b->out.dir, &st)) {
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
		.spool_fd = b->spool.fd,
		.archive_fd = b->direct ? b->from : -1,
		.dir_fd = b->from_is_dir ? b->from : -1,
		.open = source_open_file,
	};
	int rc = outfile_create(&b->out, 0666, e);

	if (!rc)
		rc = ext4_write(b->out.fd, &b->layout, &eo, &data, b->in, b->p,
				out, e);
	if (!rc)
		rc = interrupt_check(b->in, e);
	return rc ? rc : outfile_commit(&b->out, e);
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
	outfile_init(&b.out);
	rc = run_steps(&b, e);
	progress_clear(p);
	outfile_fini(&b.out);
	if (b.from >= 0)
		close(b.from);
	layout_free(&b.layout);
	tree_free(&b.tree);
	spool_free(&b.spool);
	free(b.folder);
	return rc;
}
