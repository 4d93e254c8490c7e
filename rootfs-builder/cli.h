/* SPDX-License-Identifier: MIT */
/*
 * The command line of husk-image. Opens nothing, prints nothing, exits never.
 * One table says what there is to say about each option; the parser, --help
 * and the test of the man page all go by it.
 */
#ifndef HUSK_ROOTFS_CLI_H
#define HUSK_ROOTFS_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "build.h"
#include "lib/err.h"
#include "lib/text.h"

enum cli_command {
	CLI_BUILD,
	CLI_INFO,
	CLI_LS,
	CLI_HELP,
	CLI_VERSION,
};

#define CLI_EXCLUDES_MAX 256u

/* Borrows from argv. */
struct cli {
	enum cli_command command;
	struct build_options build;
	bool quiet;
	const char *image; /* info, ls */
	const char *path;  /* ls; "/" unless given */
	bool detail;
	bool recursive;
	const char *excludes[CLI_EXCLUDES_MAX];
};

/*
 * Read the arguments and SOURCE_DATE_EPOCH (epoch, NULL when unset). 0, or
 * -EINVAL with a line that says what is wrong with which argument. *out must
 * not be moved: build.excludes points into it.
 */
int cli_parse(int argc, char *const argv[], const char *epoch, struct cli *out,
	      struct err *e);

/* The text of --help and the line of --version. */
void cli_help(struct text *t);
void cli_version(struct text *t);

#endif
