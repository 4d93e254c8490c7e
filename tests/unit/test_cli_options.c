// SPDX-License-Identifier: MIT
/* LINK: vmm/cli/cli.c vmm/cli/env.c vmm/cli/options.c */
/* LINK: vmm/cli/value.c vmm/cli/help.c */
/*
 * What holds for every option and any length, over the option table itself,
 * so that a new option cannot be forgotten here.
 */
#include "cli/cli.h"
#include "lib/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <unistd.h>

#include <cmocka.h>

#include <errno.h>

#include "cli_line.h"
#include "same_text.h"

/* Many variables go, and a known name always does. */
static void test_many_variables(void **state)
{
	static char line[32768];
	struct text t;
	struct line l;

	(void)state;
	text_init(&t, line, sizeof(line));
	text_printf(&t, "husk run");
	for (int i = 0; i < 2000; i++)
		text_printf(&t, " --env=V%d=%d", i, i);
	text_printf(&t, " --env=V7=again x");
	assert_true(text_is_whole(&t));
	parse_right(&l, line);
	assert_int_equal(l.cli.config.nr_env, 2000);
	assert_string_equal(l.cli.config.env[7], "V7=again");
	assert_string_equal(l.cli.config.env[1999], "V1999=1999");
	free_line(&l);
}

/* A name alone is husk's own variable, or none. */
static void test_handed_over(void **state)
{
	static char a[] = "SECRET=x=y", b[] = "EMPTY=", c[] = "SECRETS=no";
	char *envp[] = { c, a, b, NULL };
	struct line l;

	(void)state;
	parse_line(&l, "husk run --env SECRET --env EMPTY --env=NONE x", envp);
	assert_int_equal(l.r, 0);
	assert_int_equal(l.cli.config.nr_env, 2);
	assert_ptr_equal(l.cli.config.env[0], a);
	assert_ptr_equal(l.cli.config.env[1], b);
	free_line(&l);
	parse_line(&l, "husk run --env SECRET --env=SECRET=mine x", envp);
	assert_int_equal(l.cli.config.nr_env, 1);
	assert_string_equal(l.cli.config.env[0], "SECRET=mine");
	free_line(&l);
}

static char path[] = "/tmp/husk-test-cli-XXXXXX";

/* A run with a file of this content, finished; freed by the caller. */
static void with_file(struct line *l, const char *options, const void *text,
		      size_t len, char **envp)
{
	char words[300];
	int fd;

	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
	snprintf(words, sizeof(words), "husk run --env-file=%s %s x", path,
		 options);
	parse_line(l, words, envp);
	assert_int_equal(l->r, 0);
	l->r = cli_finish(&l->cli, &l->e);
	unlink(path);
}

static void test_env_file(void **state)
{
	static const char text[] =
		"\xef\xbb\xbf# a comment\r\n\n  \nA=1\n\tB= two words \n#C=3\n"
		"D=\"quoted\" # no comment\r\nSECRET\nNONE\nA=last\nE=";
	static char secret[] = "SECRET=s";
	char *envp[] = { secret, NULL };
	char all[300];
	struct text t;
	struct line l;

	(void)state;
	with_file(&l, "--env=E=option", text, sizeof(text) - 1, envp);
	assert_int_equal(l.r, 0);
	text_init(&t, all, sizeof(all));
	for (unsigned i = 0; i < l.cli.config.nr_env; i++)
		text_printf(&t, "[%s]", l.cli.config.env[i]);
	assert_same_text(all, "[E=option][A=last][SECRET=s]"
			      "[D=\"quoted\" # no comment][B= two words ]");
	free_line(&l);
}

static void test_env_file_wrong(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *why;
	} wrong[] = {
		{ "A=1\n=secret\n", 12, "line 2: no name before '='" },
		{ "\nA B=secret", 11, "line 2: a blank in the name" },
		{ "A=\0", 3, "it has a NUL byte" },
	};
	struct line l;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		with_file(&l, "", wrong[i].text, wrong[i].len, no_env);
		assert_int_equal(l.r, -EINVAL);
		assert_non_null(strstr(l.e.msg, wrong[i].why));
		assert_null(strstr(l.e.msg, "secret"));
		free_line(&l);
	}
	parse_line(&l, "husk run --env-file=/no/such/file x", no_env);
	assert_int_equal(cli_finish(&l.cli, &l.e), -ENOENT);
	free_line(&l);
	parse_line(&l, "husk run --env-file=/dev/zero x", no_env);
	assert_int_equal(cli_finish(&l.cli, &l.e), -EFBIG);
	free_line(&l);
}

/* 100,000 variables, each given twice, are read in no time worth a word. */
static void test_env_file_many(void **state)
{
	size_t size = 3u << 20;
	char *text = malloc(size);
	struct text t;
	struct line l;

	(void)state;
	assert_non_null(text);
	text_init(&t, text, size);
	for (int i = 0; i < 200000; i++)
		text_printf(&t, "V%d=%d\n", i % 100000, i & 7);
	with_file(&l, "", text, text_len(&t), no_env);
	assert_int_equal(l.r, 0);
	assert_int_equal(l.cli.config.nr_env, 100000);
	free_line(&l);
	free(text);
}

/* What Linux and the frame take is passed on, one byte more is refused. */
static void test_long_job(void **state)
{
	enum { LONG = 131072, MANY = 8 };
	char husk[] = "husk", run[] = "run", *argv[MANY + 4] = { husk, run };
	struct cli cli;
	struct err e;
	int i;

	(void)state;
	for (i = 0; i < MANY; i++) {
		argv[2 + i] = malloc(LONG + 1);
		assert_non_null(argv[2 + i]);
		memset(argv[2 + i], 'a', LONG);
		argv[2 + i][LONG - 1] = '\0';
	}
	assert_int_equal(cli_parse(&cli, argv, no_env, &e), 0);
	assert_int_equal(cli_finish(&cli, &e), 0);
	argv[2 + MANY] = argv[2] + LONG - 2; /* two bytes more */
	assert_int_equal(cli_parse(&cli, argv, no_env, &e), 0);
	assert_int_equal(cli_finish(&cli, &e), -E2BIG);
	assert_string_equal(e.msg, "arguments and environment of the job are "
				   "1048578 bytes, at most 1048576 fit (send "
				   "the rest on stdin)");
	for (i = 1; i < MANY; i++)
		free(argv[2 + i]);
	argv[3] = NULL;
	argv[2][LONG - 1] = 'a';
	argv[2][LONG] = '\0';
	assert_int_equal(cli_parse(&cli, argv, no_env, &e), 0);
	assert_int_equal(cli_finish(&cli, &e), -E2BIG);
	assert_non_null(strstr(e.msg, "has 131072 bytes, Linux takes 131071"));
	free(argv[2]);
}

/* However long the wrong word is, the hint behind it is whole. */
static void test_long_words(void **state)
{
	static const char *const heads[] = {
		"--memory=", "--nonsense-", "--env==",	   "--user=",
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
		{"env", "A=1"},
		{"workdir", "/w"},
		{"user", "1:1"},
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
	case CLI_WORD:
		return o->words[0];
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
			parse_right(&l, line);
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
		cmocka_unit_test(test_handed_over),
		cmocka_unit_test(test_env_file),
		cmocka_unit_test(test_env_file_wrong),
		cmocka_unit_test(test_env_file_many),
		cmocka_unit_test(test_long_job),
		cmocka_unit_test(test_long_words),
		cmocka_unit_test(test_every_option),
		cmocka_unit_test(test_every_slip),
		cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests_name("cli_options", tests, NULL, NULL);
}
