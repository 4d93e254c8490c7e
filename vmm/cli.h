/* SPDX-License-Identifier: MIT */
/*
 * The command line, as a pure function: argv and environment in, struct
 * config or a command out. Opens nothing, prints nothing, exits never.
 */
#ifndef HUSK_CLI_H
#define HUSK_CLI_H

#include "config.h"
#include "lib/err.h"

enum cli_command {
	CLI_RUN,
	CLI_CHECK,
	CLI_HELP,
	CLI_VERSION,
};

struct cli {
	enum cli_command command;
	bool json;		/* check --json */
	struct config config;	/* for RUN and CHECK */
};

/*
 * Parse. `argv` is NULL-terminated and must outlive *out, as must `env`. An
 * unknown or contradictory option gives -EINVAL and a line that names it.
 * Paths of kernel and image come from options, then $HUSK_KERNEL/$HUSK_IMAGE,
 * else stay NULL for paths_find to fill.
 */
int cli_parse(struct cli *out, int argc, char **argv, struct err *e);

/* The text of --help; constant, 80 columns. */
const char *cli_help(void);

/* "husk 0.1.0 (commit), ..." */
const char *cli_version(void);

#endif
