/* SPDX-License-Identifier: MIT */
/*
 * The command line, as a pure function: argv and environment in, struct
 * config or a command out. Opens nothing, prints nothing, exits never.
 *
 * One table holds what there is to say about each option; the parser, the
 * text of --help and the tests all read it, so they cannot disagree.
 */
#ifndef HUSK_CLI_H
#define HUSK_CLI_H

#include "cli/env.h"
#include "job/config.h"
#include "lib/err.h"

#include <stddef.h>

enum cli_command {
	CLI_RUN,
	CLI_CHECK,
	CLI_TEMPLATE_CREATE,
	CLI_TEMPLATE_INFO,
	CLI_TEMPLATE_VERIFY,
	CLI_POOL,
	CLI_HELP,
	CLI_VERSION,
};

struct cli {
	enum cli_command command;
	bool json;		/* check --json */
	bool strict;		/* check --strict */
	const char *file;	/* of template info and verify */
	struct config config;	/* for RUN and CHECK */
	char **envp;		/* borrowed; husk's own environment */
	struct env env;		/* owned; --env, and by cli_finish all */
	const char *env_file[ENV_FILES_MAX];
	unsigned nr_env_files;
};

/* What the user wrote, in a message: cut, so that the hint has room. */
#define CLI_GIVEN "'%.100s'"

/* What may stand behind the '=' of an option. */
enum cli_kind {
	CLI_FLAG,	/* nothing */
	CLI_TEXT,	/* anything but the empty string */
	CLI_SIZE,	/* bytes with unit, within min..max */
	CLI_TIME,	/* duration with unit, ns within min..max */
	CLI_NUMBER,	/* digits, within min..max */
	CLI_WORD,	/* one of a few */
	CLI_REST,	/* a command: all words that follow */
};

struct cli_value {
	const char *text;	/* as given; NULL for a flag */
	uint64_t number;	/* for SIZE, TIME and NUMBER; of a WORD which */
};

struct cli_option {
	const char *name;	/* without the dashes */
	const char *metavar;	/* NULL for a flag */
	const char *help;	/* lines of at most 51 columns */
	unsigned commands;	/* bit per enum cli_command it may follow;
				 * CLI_HELP's: may stand without one */
	enum cli_kind kind;
	struct {
		uint64_t min, max;
		const char *const *words; /* of a WORD; NULL ends them */
	};
	/* Takes a value that is right by its kind. */
	int (*set)(struct cli *out, const struct cli_value *v, struct err *e);
};

/* Ends with a NULL name. An entry with only a help text heads a group. */
extern const struct cli_option cli_options[];

/*
 * Bring v->text into the number that the option's kind asks for; -EINVAL when
 * it is empty, out of range or not of that kind.
 */
int cli_read_value(const struct cli_option *o, struct cli_value *v,
		   struct err *e);

/*
 * Parse. `argv` and `envp` are NULL-terminated and must outlive *out. An
 * unknown or contradictory option gives -EINVAL and a line that names it.
 * Paths of kernel and image come from options, then HUSK_KERNEL and HUSK_IMAGE
 * of `envp`, else stay NULL for paths_find to fill. An option given twice
 * counts as given last, but for --env and --env-file, which add. Whatever comes
 * of it, cli_fini frees what *out holds.
 */
int cli_parse(struct cli *out, char **argv, char **envp, struct err *e);

/*
 * What remains for a job of RUN or TEMPLATE_CREATE: read the files of
 * --env-file, and see whether all fits.
 */
int cli_finish(struct cli *c, struct err *e);
void cli_fini(struct cli *c);

/* The text of --help, 80 columns; returns its length (see lib/text.h). */
#define CLI_HELP_MAX 8192
size_t cli_help(char *buf, size_t size);

#endif
