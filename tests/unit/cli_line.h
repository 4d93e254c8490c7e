/* SPDX-License-Identifier: MIT */
/*
 * Command lines for the tests of cli.c: split at blanks; the word '' stands
 * for an empty argument.
 */
#ifndef HUSK_TESTS_CLI_LINE_H
#define HUSK_TESTS_CLI_LINE_H

#include "cli/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_WORDS 2100

static char *no_env[] = {NULL};

/* A parsed line and the memory that its strings are in. */
struct line {
	char *text;
	char *argv[MAX_WORDS];
	struct cli cli;
	struct err e;
	int r;
};

static void parse_line(struct line *l, const char *line, char **envp)
{
	static char empty[] = "";
	char *rest, *word;
	size_t n = 0;

	memset(l, 0, sizeof(*l));
	l->text = strdup(line);
	assert_non_null(l->text);
	for (word = strtok_r(l->text, " ", &rest); word;
	     word = strtok_r(NULL, " ", &rest)) {
		assert_true(n + 1 < MAX_WORDS);
		l->argv[n++] = strcmp(word, "''") ? word : empty;
	}
	l->r = cli_parse(&l->cli, l->argv, envp, &l->e);
}

static void free_line(struct line *l)
{
	cli_fini(&l->cli);
	free(l->text);
}

#endif
