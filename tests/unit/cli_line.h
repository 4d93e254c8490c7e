/* SPDX-License-Identifier: MIT */
/*
 * Command lines for the tests of cli.c: split at blanks; the word '' stands
 * for an empty argument.
 */
#ifndef HUSK_TESTS_CLI_LINE_H
#define HUSK_TESTS_CLI_LINE_H

#include "cli/cli.h"

#include <errno.h>
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

/* A line that must be right, without an environment. */
static inline void parse_right(struct line *l, const char *line)
{
	parse_line(l, line, no_env);
	if (l->r)
		fail_msg("%s: %s", line, l->e.msg);
}

/* Lines that must be refused, each in just these words. */
struct wrong_line {
	const char *line;
	const char *msg;
};

static inline void check_wrong(const struct wrong_line *w, size_t n)
{
	struct line l;

	for (size_t i = 0; i < n; i++) {
		parse_line(&l, w[i].line, no_env);
		if (l.r != -EINVAL)
			fail_msg("'%s' gives %d", w[i].line, l.r);
		assert_int_equal(l.e.code, EINVAL);
		assert_string_equal(l.e.msg, w[i].msg);
		free_line(&l);
	}
}

#endif
