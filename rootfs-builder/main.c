// SPDX-License-Identifier: MIT
/*
 * The one place of husk-image that prints errors and chooses an exit status:
 * 0 done, 1 failed, 2 wrong usage. Results go to stdout, the rest to stderr.
 */
#include <stdio.h>
#include <stdlib.h>

#include "build.h"
#include "cli.h"
#include "inspect/inspect.h"
#include "lib/show.h"
#include "lib/text.h"
#include "terminal/interrupt.h"
#include "terminal/progress.h"

enum { DONE, FAILED, WRONG_USAGE };

static int fail(const struct err *e, int status)
{
	show_line(stderr, "husk-image: %s", e->msg);
	return status;
}

/* A full disk or a closed stdout must not look like success. */
static int finish_stdout(void)
{
	struct err e;

	if (!fflush(stdout) && !ferror(stdout))
		return DONE;
	err_sys(&e, "write stdout");
	return fail(&e, FAILED);
}

static int print(void (*what)(struct text *t))
{
	char buf[8192];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	what(&t);
	show_raw(stdout, buf);
	return finish_stdout();
}

static int run_build(const struct cli *c)
{
	struct progress p;
	struct interrupt in;
	struct err e;
	int rc;

	progress_init(&p, stderr);
	if (interrupt_open(&in, &e))
		return fail(&e, FAILED);
	rc = build_image(&c->build, &in, c->quiet ? NULL : &p, &e);
	if (!rc)
		return DONE;
	fail(&e, FAILED);
	interrupt_finish(&in);
	return FAILED;
}

int main(int argc, char *argv[])
{
	struct err e;
	struct cli c;
	int rc = 0;

	if (cli_parse(argc, argv, getenv("SOURCE_DATE_EPOCH"), &c, &e))
		return fail(&e, WRONG_USAGE);
	switch (c.command) {
	case CLI_BUILD:
		return run_build(&c);
	case CLI_HELP:
		return print(cli_help);
	case CLI_VERSION:
		return print(cli_version);
	case CLI_INFO:
		rc = inspect_info(c.image, stdout, &e);
		break;
	case CLI_LS:
		rc = inspect_ls(c.image, c.path, c.detail, c.recursive, stdout,
				&e);
		break;
	}
	if (rc) {
		fflush(stdout);
		return fail(&e, FAILED);
	}
	return finish_stdout();
}
