// SPDX-License-Identifier: MIT
/* LINK: vmm/cli.c vmm/cli_options.c vmm/cli_help.c */
/*
 * What holds for every option and any length, over the option table itself,
 * so that a new option cannot be forgotten here.
 */
#include "cli.h"
#include "lib/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "cli_line.h"

/* 256 variables go, one more does not, a known name always does. */
static void test_many_variables(void **state)
{
	char line[8192];
	struct text t;
	struct line l;

	(void)state;
	text_init(&t, line, sizeof(line));
	text_printf(&t, "husk run");
	for (int i = 0; i < CONFIG_ENV_MAX; i++)
		text_printf(&t, " --env=V%d=%d", i, i);
	parse_line(&l, line, no_env);
	assert_int_equal(l.r, -EINVAL); /* but only for want of a command */
	assert_non_null(strstr(l.e.msg, "no command"));
	assert_int_equal(l.cli.config.nr_env, CONFIG_ENV_MAX);
	free_line(&l);

	text_printf(&t, " --env=V7=again x");
	parse_line(&l, line, no_env);
	assert_int_equal(l.r, 0);
	assert_string_equal(l.cli.config.env[7], "V7=again");
	free_line(&l);

	t.wanted -= 2;
	text_printf(&t, " --env=ONE=more x");
	assert_true(text_is_whole(&t));
	parse_line(&l, line, no_env);
	assert_int_equal(l.r, -EINVAL);
	assert_string_equal(l.e.msg, "--env 'ONE=more': too many variables "
				     "(256 at most)");
	free_line(&l);
}

/* A job that does not fit its frame is refused; one that just does is not. */
static void test_long_job(void **state)
{
	const size_t max = (1u << 20) - 104 - 4096, fixed = 6 + 5 + 2;
	char *big = malloc(max + 2), husk[] = "husk", run[] = "run",
	     cmd[] = "x";
	char *argv[] = {husk, run, cmd, big, NULL};
	struct cli cli;
	struct err e;

	(void)state;
	assert_non_null(big);
	memset(big, 'a', max + 1);
	big[max - fixed - 1] = '\0';
	assert_int_equal(cli_parse(&cli, argv, no_env, &e), 0);
	big[max - fixed - 1] = 'a';
	big[max - fixed] = '\0';
	assert_int_equal(cli_parse(&cli, argv, no_env, &e), -EINVAL);
	assert_string_equal(e.msg, "arguments and environment of the job are "
				   "1044377 bytes, at most 1044376 fit (send "
				   "the rest on stdin)");
	free(big);
}

/* However long the wrong word is, the hint behind it is whole. */
static void test_long_words(void **state)
{
	static const char *const heads[] = {
		"--memory=", "--nonsense-", "--env=",	   "--user=",
		"--cpus=",   "--workdir=",  "--hostname=",
	};
	char word[5000], husk[] = "husk", run[] = "run", cmd[] = "x";
	char *argv[] = {husk, run, word, cmd, NULL};
	struct cli cli;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		memset(word, 'a', sizeof(word) - 1);
		word[sizeof(word) - 1] = '\0';
		memcpy(word, heads[i], strlen(heads[i]));
		assert_int_equal(cli_parse(&cli, argv, no_env, &e), -EINVAL);
		assert_int_equal(e.msg[strlen(e.msg) - 1], ')');
		assert_null(strchr(e.msg, '\n'));
	}
}

/* A value that each option takes, or fails the test when it is a new one. */
static const char *sample_value(const struct cli_option *o)
{
	static const char *const by_name[][2] = {
		{"timeout-from", "start"},
		{"on-output-limit", "truncate"},
		{"env", "A=1"},
		{"workdir", "/w"},
		{"user", "1:1"},
		{"jail", "auto"},
		{"own-core", "auto"},
	};

	for (size_t i = 0; i < sizeof(by_name) / sizeof(by_name[0]); i++)
		if (!strcmp(o->name, by_name[i][0]))
			return by_name[i][1];
	switch (o->kind) {
	case CLI_SIZE:
		return "64M";
	case CLI_TIME:
		return "1s";
	case CLI_NUMBER:
		return "4";
	default:
		return "text";
	}
}

static const char *command_of(const struct cli_option *o)
{
	if (!strcmp(o->name, "pool-uid"))
		return "run --pool=s";
	if (o->commands & 1u << CLI_RUN)
		return "run";
	if (o->commands & 1u << CLI_CHECK)
		return "check";
	if (!strcmp(o->name, "listen"))
		return "pool --template=t";
	if (o->commands & 1u << CLI_POOL)
		return "pool --template=t --listen=s";
	return o->kind == CLI_REST ? "template create -o f" :
				     "template create";
}


/* Every option: both ways of giving a value, no value, a value too many. */
static void test_every_option(void **state)
{
	char line[200];
	struct line l;
	unsigned n = 0;

	(void)state;
	for (const struct cli_option *o = cli_options; o->help; o++) {
		if (!o->name)
			continue;
		n++;
		assert_true(!o->metavar == (o->kind == CLI_FLAG));
		for (int with_equals = 0; with_equals < 2; with_equals++) {
			snprintf(line, sizeof(line), "husk %s --%s%s%s%s",
				 command_of(o), o->name,
				 o->metavar && with_equals ? "=" : " ",
				 o->metavar ? sample_value(o) : "",
				 command_of(o)[0] == 'r' ? " x" : "");
			parse_line(&l, line, no_env);
			if (l.r)
				fail_msg("%s: %s", line, l.e.msg);
			free_line(&l);
		}
		snprintf(line, sizeof(line), "husk %s --%s%s", command_of(o),
			 o->name, o->metavar ? "" : "=1");
		parse_line(&l, line, no_env);
		assert_int_equal(l.r, -EINVAL);
		assert_non_null(strstr(l.e.msg, o->metavar ? "needs a value"
							   : "takes no value"));
		free_line(&l);
	}
	assert_true(n >= 24);
}

/* Every option with one letter missing, wherever, is recognised. */
static void test_every_slip(void **state)
{
	char line[200], expected[200], word[64];
	struct line l;

	(void)state;
	for (const struct cli_option *o = cli_options; o->help; o++) {
		size_t len = o->name ? strlen(o->name) : 0;

		for (size_t cut = 0; len > 4 && cut < len; cut++) {
			snprintf(word, sizeof(word), "%.*s%s", (int)cut,
				 o->name, o->name + cut + 1);
			snprintf(line, sizeof(line), "husk %s --%s",
				 command_of(o), word);
			parse_line(&l, line, no_env);
			snprintf(expected, sizeof(expected),
				 "unknown option '--%s' (did you mean "
				 "'--%s'?)",
				 word, o->name);
			assert_int_equal(l.r, -EINVAL);
			assert_string_equal(l.e.msg, expected);
			free_line(&l);
		}
	}
}

/* --help names every option, fits 80 columns and its buffer, is plain text. */
static void test_help(void **state)
{
	char buf[CLI_HELP_MAX], want[80];
	size_t len = cli_help(buf, sizeof(buf)), column = 0;

	(void)state;
	assert_true(len < sizeof(buf));
	assert_int_equal(len, strlen(buf));
	assert_int_equal(buf[len - 1], '\n');
	for (size_t i = 0; i < len; i++) {
		column = buf[i] == '\n' ? 0 : column + 1;
		assert_true(column <= 80);
		assert_true(buf[i] == '\n' || (buf[i] >= ' ' && buf[i] <= '~'));
		if (buf[i] == '\n')
			assert_true(buf[i - 1] != ' ');
	}
	for (const struct cli_option *o = cli_options; o->help; o++) {
		if (!o->name)
			continue;
		snprintf(want, sizeof(want), "\n  --%s%s%s", o->name,
			 !o->metavar ? "" : o->kind == CLI_REST ? " " : "=",
			 o->metavar ? o->metavar : "");
		if (!strstr(buf, want))
			fail_msg("--help lacks %s", o->name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_variables),
		cmocka_unit_test(test_long_job),
		cmocka_unit_test(test_long_words),
		cmocka_unit_test(test_every_option),
		cmocka_unit_test(test_every_slip),
		cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests_name("cli_options", tests, NULL, NULL);
}
