// SPDX-License-Identifier: MIT
/*
 * getopt_long was rejected: it prints by itself, keeps its place in globals,
 * and takes any unambiguous beginning of an option, so that a later option
 * can break a script.
 */
#include "cli.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "ext4/ext4.h"
#include "lib/parse.h"
#include "version.h"

#define BIT(c)	     (1u << (c))
#define HELP_COLUMN  24
#define SIZE_MIN     (64ull << 10)
#define SIZE_MAX_16T (16ull << 40)

struct option {
	const char *name;    /* without the dashes */
	char letter;	     /* 0: none */
	const char *metavar; /* NULL: takes no value */
	const char *help;    /* lines, '\n' between */
	unsigned int commands;
	int (*set)(struct cli *out, const char *value, struct err *e);
};

static int bad(struct err *e, const char *option, const char *value,
	       const char *want)
{
	return err_set(e, EINVAL, "option '--%s': '%.100s' is not %s", option,
		       value, want);
}

static int set_from(struct cli *out, const char *v, struct err *e)
{
	(void)e;
	out->build.from = v;
	return 0;
}

static int set_output(struct cli *out, const char *v, struct err *e)
{
	size_t n = strlen(v);

	if (!n || v[n - 1] == '/')
		return bad(e, "output", v, "a file name");
	out->build.output = v;
	return 0;
}

static int set_label(struct cli *out, const char *v, struct err *e)
{
	if (strlen(v) > EXT4_LABEL_MAX)
		return bad(e, "label", v, "at most 16 bytes long");
	out->build.label = v;
	return 0;
}

static int set_size(struct cli *out, const char *v, struct err *e)
{
	if (parse_size(v, SIZE_MIN, SIZE_MAX_16T - 1, &out->build.size) ||
	    out->build.size % FS_BLOCK)
		return bad(e, "size", v,
			   "a size of 64K to 16T and a multiple "
			   "of 4K");
	return 0;
}

static int set_free(struct cli *out, const char *v, struct err *e)
{
	if (parse_size(v, 0, SIZE_MAX_16T - 1, &out->build.free))
		return bad(e, "free", v, "a size below 16T");
	return 0;
}

static int set_owner(struct cli *out, const char *v, struct err *e)
{
	static const char want[] = "UID:GID in numbers";
	const char *colon = strchr(v, ':');
	uint64_t uid, gid;
	char first[16];

	if (!colon || (size_t)(colon - v) >= sizeof(first))
		return bad(e, "owner", v, want);
	memcpy(first, v, (size_t)(colon - v));
	first[colon - v] = '\0';
	if (parse_uint(first, 0, UINT32_MAX - 1, &uid) ||
	    parse_uint(colon + 1, 0, UINT32_MAX - 1, &gid))
		return bad(e, "owner", v, want);
	out->build.has_owner = true;
	out->build.uid = (uint32_t)uid;
	out->build.gid = (uint32_t)gid;
	return 0;
}

static int set_exclude(struct cli *out, const char *v, struct err *e)
{
	if (out->build.exclude_n == CLI_EXCLUDES_MAX)
		return err_set(e, EINVAL, "option '--exclude': more than %u",
			       CLI_EXCLUDES_MAX);
	out->excludes[out->build.exclude_n++] = v;
	return 0;
}

static int set_quiet(struct cli *out, const char *v, struct err *e)
{
	(void)v;
	(void)e;
	out->quiet = true;
	return 0;
}

static int set_detail(struct cli *out, const char *v, struct err *e)
{
	(void)v;
	(void)e;
	out->detail = true;
	return 0;
}

static int set_recursive(struct cli *out, const char *v, struct err *e)
{
	(void)v;
	(void)e;
	out->recursive = true;
	return 0;
}

static int set_help(struct cli *out, const char *v, struct err *e)
{
	(void)v;
	(void)e;
	out->command = CLI_HELP;
	return 0;
}

static int set_version(struct cli *out, const char *v, struct err *e)
{
	(void)v;
	(void)e;
	out->command = CLI_VERSION;
	return 0;
}

static const struct option options[] = {
	{ "from", 0, "SOURCE",
	  "a folder, a tar archive (plain or gzip),\n"
	  "or - for an archive on stdin",
	  BIT(CLI_BUILD), set_from },
	{ "output", 'o', "IMAGE", "the image to make", BIT(CLI_BUILD),
	  set_output },
	{ "label", 0, "TEXT", "volume label, up to 16 bytes", BIT(CLI_BUILD),
	  set_label },
	{ "size", 0, "SIZE",
	  "size of the image (64M, 2G ...), instead of\n"
	  "just large enough",
	  BIT(CLI_BUILD), set_size },
	{ "free", 0, "SIZE", "leave so much space free (default 0)",
	  BIT(CLI_BUILD), set_free },
	{ "owner", 0, "UID:GID", "everything belongs to these", BIT(CLI_BUILD),
	  set_owner },
	{ "exclude", 0, "GLOB",
	  "leave out what matches and all below it;\n"
	  "'*' stops at '/'; may be repeated",
	  BIT(CLI_BUILD), set_exclude },
	{ "quiet", 'q', NULL, "print nothing but errors", BIT(CLI_BUILD),
	  set_quiet },
	{ "long", 'l', NULL, "with mode, owner, size, time (UTC), target",
	  BIT(CLI_LS), set_detail },
	{ "recursive", 'R', NULL, "and all folders below", BIT(CLI_LS),
	  set_recursive },
	{ "help", 'h', NULL, "print this", ~0u, set_help },
	{ "version", 'V', NULL, "print the version", ~0u, set_version },
	{ 0 },
};

static const struct option *find_long(const char *name, size_t len)
{
	const struct option *o;

	for (o = options; o->name; o++)
		if (strlen(o->name) == len && !strncmp(o->name, name, len))
			return o;
	return NULL;
}

static const struct option *find_short(char letter)
{
	const struct option *o;

	for (o = options; o->name; o++)
		if (o->letter && o->letter == letter)
			return o;
	return NULL;
}

/* The arguments that are not read yet. */
struct args {
	char *const *v;
	int n;
};

static const char *next_arg(struct args *a)
{
	if (!a->n)
		return NULL;
	a->n--;
	return *a->v++;
}

static int apply(struct cli *out, const struct option *o, const char *value,
		 struct args *a, struct err *e)
{
	if (!(o->commands & BIT(out->command)))
		return err_set(e, EINVAL,
			       "option '--%s' does not belong to "
			       "this command (try --help)",
			       o->name);
	if (!o->metavar && value)
		return err_set(e, EINVAL, "option '--%s' takes no value",
			       o->name);
	if (o->metavar && !value)
		value = next_arg(a);
	if (o->metavar && !value)
		return err_set(e, EINVAL, "option '--%s' needs a value (%s)",
			       o->name, o->metavar);
	return o->set(out, value, e);
}

static int unknown(struct err *e, const char *arg)
{
	return err_set(e, EINVAL, "unknown option '%.100s' (try --help)", arg);
}

/* "--name", "--name=value" */
static int parse_long(struct cli *out, const char *arg, struct args *a,
		      struct err *e)
{
	const char *name = arg + 2;
	size_t len = strcspn(name, "=");
	const struct option *o = find_long(name, len);

	if (!o)
		return unknown(e, arg);
	return apply(out, o, name[len] ? name + len + 1 : NULL, a, e);
}

/* "-lR", "-oFILE", "-o FILE" */
static int parse_short(struct cli *out, const char *arg, struct args *a,
		       struct err *e)
{
	const char *p = arg + 1;

	while (*p) {
		const struct option *o = find_short(*p++);
		const char *value = NULL;
		int rc;

		if (!o)
			return unknown(e, arg);
		if (o->metavar && *p) {
			value = p;
			p += strlen(p);
		}
		rc = apply(out, o, value, a, e);
		if (rc)
			return rc;
	}
	return 0;
}

static int take_operand(struct cli *out, const char *arg, struct err *e)
{
	if (out->command == CLI_BUILD)
		return err_set(e, EINVAL,
			       "unexpected argument '%.100s' "
			       "(build takes --from and -o)",
			       arg);
	if (!out->image)
		out->image = arg;
	else if (out->command == CLI_LS && !out->path)
		out->path = arg;
	else
		return err_set(e, EINVAL, "unexpected argument '%.100s'", arg);
	return 0;
}

static int parse_args(struct cli *out, struct args *a, struct err *e)
{
	bool only_operands = false;
	const char *arg;
	int rc = 0;

	while (!rc && (arg = next_arg(a)) && out->command != CLI_HELP &&
	       out->command != CLI_VERSION) {
		if (only_operands || arg[0] != '-' || !arg[1])
			rc = take_operand(out, arg, e);
		else if (!strcmp(arg, "--"))
			only_operands = true;
		else if (arg[1] == '-')
			rc = parse_long(out, arg, a, e);
		else
			rc = parse_short(out, arg, a, e);
	}
	return rc;
}

static int set_epoch(struct cli *out, const char *text, struct err *e)
{
	uint64_t v;

	if (!text || !*text)
		return 0;
	if (parse_uint(text, 0, INT32_MAX, &v))
		return err_set(e, EINVAL,
			       "SOURCE_DATE_EPOCH: '%.100s' is not "
			       "a number of seconds",
			       text);
	out->build.has_epoch = true;
	out->build.epoch = (uint32_t)v;
	return 0;
}

static int check_complete(struct cli *out, const char *epoch, struct err *e)
{
	switch (out->command) {
	case CLI_BUILD:
		if (!out->build.from)
			return err_set(e, EINVAL,
				       "option '--from' is missing "
				       "(a folder, an archive or -)");
		if (!out->build.output)
			return err_set(e, EINVAL,
				       "option '-o' is missing "
				       "(the image to make)");
		return set_epoch(out, epoch, e);
	case CLI_INFO:
	case CLI_LS:
		if (!out->image)
			return err_set(e, EINVAL, "argument IMAGE is missing");
		return 0;
	case CLI_HELP:
	case CLI_VERSION:
		break;
	}
	return 0;
}

static int parse_command(struct cli *out, struct args *a, struct err *e)
{
	static const char *const names[] = {
		[CLI_BUILD] = "build",
		[CLI_INFO] = "info",
		[CLI_LS] = "ls",
	};
	const char *arg = next_arg(a);
	unsigned int i;

	if (!arg)
		return err_set(e, EINVAL,
			       "no command (build, info or ls; try "
			       "--help)");
	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!strcmp(arg, names[i])) {
			out->command = i;
			return 0;
		}
	}
	out->command = CLI_HELP;
	if (!strcmp(arg, "--help") || !strcmp(arg, "-h"))
		return 0;
	out->command = CLI_VERSION;
	if (!strcmp(arg, "--version") || !strcmp(arg, "-V"))
		return 0;
	return err_set(e, EINVAL,
		       "unknown command '%.100s' (build, info or "
		       "ls; try --help)",
		       arg);
}

int cli_parse(int argc, char *const argv[], const char *epoch, struct cli *out,
	      struct err *e)
{
	struct args a = { .v = argv + 1, .n = argc > 0 ? argc - 1 : 0 };
	int rc;

	*out = (struct cli){ .build = { .label = "" } };
	out->build.excludes = out->excludes;
	rc = parse_command(out, &a, e);
	if (!rc)
		rc = parse_args(out, &a, e);
	if (!rc)
		rc = check_complete(out, epoch, e);
	if (!out->path)
		out->path = "/";
	return rc;
}

static void help_option(struct text *t, const struct option *o)
{
	const char *line = o->help;
	char left[64];
	struct text l;

	text_init(&l, left, sizeof(left));
	text_printf(&l, "  ");
	if (o->letter)
		text_printf(&l, "-%c, ", o->letter);
	text_printf(&l, "--%s", o->name);
	if (o->metavar)
		text_printf(&l, " %s", o->metavar);
	text_printf(t, "%-*s", HELP_COLUMN, left);
	for (;;) {
		size_t n = strcspn(line, "\n");

		text_printf(t, " %.*s\n", (int)n, line);
		if (!line[n])
			return;
		line += n + 1;
		text_printf(t, "%-*s", HELP_COLUMN, "");
	}
}

static void help_group(struct text *t, const char *title, unsigned int commands)
{
	const struct option *o;

	text_printf(t, "\n%s:\n", title);
	for (o = options; o->name; o++)
		if (o->commands == commands)
			help_option(t, o);
}

void cli_help(struct text *t)
{
	text_printf(
		t, "%s",
		"usage: husk-image build --from SOURCE -o IMAGE [OPTION...]\n"
		"       husk-image info IMAGE\n"
		"       husk-image ls [-l] [-R] IMAGE [PATH]\n"
		"Makes read-only ext4 root images for husk, and looks into "
		"them.\n"
		"Neither root nor a mount is needed.\n");
	help_group(t, "build", BIT(CLI_BUILD));
	help_group(t, "ls", BIT(CLI_LS));
	help_group(t, "all", ~0u);
	text_printf(t, "%s",
		    "\nWith SOURCE_DATE_EPOCH set, later times become that "
		    "one. The same input and\noptions always give the same "
		    "bytes.\n"
		    "Exit status: 0 done, 1 failed, 2 wrong usage.\n");
}

void cli_version(struct text *t)
{
	text_printf(t, "husk-image %s (%s)\n", image_version, image_commit);
}
