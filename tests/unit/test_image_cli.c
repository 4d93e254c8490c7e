// SPDX-License-Identifier: MIT
/* LINK: rootfs-builder/cli.c rootfs-builder/version.c */
/*
 * husk-image's command line: right lines with what they mean, wrong ones with
 * the exact message, and a help text that fits a terminal.
 */
#include "../../rootfs-builder/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#define WORDS_MAX 320

static struct cli cli;
static struct err e;

/* line is split at blanks; "''" is an empty word. */
static int parse(const char *line, const char *epoch)
{
	static char copy[8192];
	char *argv[WORDS_MAX + 2] = { (char[]){ "husk-image" } };
	char *rest = copy, *word;
	int argc = 1;

	assert_true(strlen(line) < sizeof(copy));
	memcpy(copy, line, strlen(line) + 1);
	while ((word = strsep(&rest, " ")) && argc <= WORDS_MAX) {
		if (!strcmp(word, "''"))
			word += 2;
		argv[argc++] = word;
	}
	e = (struct err){ 0 };
	return cli_parse(argc, argv, epoch, &cli, &e);
}

static void test_build(void **state)
{
	(void)state;
	assert_int_equal(parse("build --from dir -o image", NULL), 0);
	assert_int_equal(cli.command, CLI_BUILD);
	assert_string_equal(cli.build.from, "dir");
	assert_string_equal(cli.build.output, "image");
	assert_string_equal(cli.build.label, "");
	assert_int_equal(cli.build.size, 0);
	assert_false(cli.build.has_owner || cli.build.has_epoch || cli.quiet);
	assert_int_equal(parse("build -q -oi --from=- --label l --size 64M "
			       "--free=1K --owner 0:4294967294 --exclude a "
			       "--exclude b/*",
			       "1700000000"),
			 0);
	assert_string_equal(cli.build.from, "-");
	assert_string_equal(cli.build.output, "i");
	assert_string_equal(cli.build.label, "l");
	assert_int_equal(cli.build.size, 64 << 20);
	assert_int_equal(cli.build.free, 1024);
	assert_int_equal(cli.build.uid, 0);
	assert_int_equal(cli.build.gid, 4294967294u);
	assert_true(cli.build.has_owner && cli.build.has_epoch && cli.quiet);
	assert_int_equal(cli.build.epoch, 1700000000);
	assert_int_equal(cli.build.exclude_n, 2);
	assert_string_equal(cli.build.excludes[1], "b/*");
}

static void test_look(void **state)
{
	(void)state;
	assert_int_equal(parse("info x", "not read"), 0);
	assert_int_equal(cli.command, CLI_INFO);
	assert_string_equal(cli.image, "x");
	assert_int_equal(parse("ls x", NULL), 0);
	assert_string_equal(cli.path, "/");
	assert_false(cli.detail || cli.recursive);
	assert_int_equal(parse("ls -lR -- -x /p", NULL), 0);
	assert_true(cli.detail && cli.recursive);
	assert_string_equal(cli.image, "-x");
	assert_string_equal(cli.path, "/p");
	assert_int_equal(parse("--help", NULL), 0);
	assert_int_equal(cli.command, CLI_HELP);
	assert_int_equal(parse("build --help", NULL), 0);
	assert_int_equal(cli.command, CLI_HELP);
	assert_int_equal(parse("-V", NULL), 0);
	assert_int_equal(cli.command, CLI_VERSION);
}

struct wrong {
	const char *line;
	const char *msg;
};

static void test_wrong(void **state)
{
	static const struct wrong lines[] = {
		{ "make", "unknown command 'make' (build, info or ls; try "
			  "--help)" },
		{ "''", "unknown command '' (build, info or ls; try --help)" },
		{ "build", "option '--from' is missing (a folder, an archive "
			   "or -)" },
		{ "build --from x", "option '-o' is missing (the image to "
				    "make)" },
		{ "build --from", "option '--from' needs a value (SOURCE)" },
		{ "build x", "unexpected argument 'x' (build takes --from and "
			     "-o)" },
		{ "build --fro x", "unknown option '--fro' (try --help)" },
		{ "build -x", "unknown option '-x' (try --help)" },
		{ "build --quiet=1", "option '--quiet' takes no value" },
		{ "build -l", "option '--long' does not belong to this "
			      "command (try --help)" },
		{ "build -o ''", "option '--output': '' is not a file name" },
		{ "build -o d/", "option '--output': 'd/' is not a file "
				 "name" },
		{ "build --label 12345678901234567",
		  "option '--label': '12345678901234567' is not at most 16 "
		  "bytes long" },
		{ "build --size 5000",
		  "option '--size': '5000' is not a size of 64K to 16T and a "
		  "multiple of 4K" },
		{ "build --size 65537",
		  "option '--size': '65537' is not a size of 64K to 16T and "
		  "a multiple of 4K" },
		{ "build --free x", "option '--free': 'x' is not a size below "
				    "16T" },
		{ "build --owner root",
		  "option '--owner': 'root' is not UID:GID in numbers" },
		{ "build --owner 1:4294967295",
		  "option '--owner': '1:4294967295' is not UID:GID in "
		  "numbers" },
		{ "build --owner 99999999999999999999:1",
		  "option '--owner': '99999999999999999999:1' is not UID:GID "
		  "in numbers" },
		{ "info", "argument IMAGE is missing" },
		{ "info a b", "unexpected argument 'b'" },
		{ "ls a b c", "unexpected argument 'c'" },
	};
	char *nothing[] = { (char[]){ "husk-image" }, NULL };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		assert_int_equal(parse(lines[i].line, NULL), -EINVAL);
		assert_string_equal(e.msg, lines[i].msg);
	}
	assert_int_equal(parse("build --from a -o b", "yesterday"), -EINVAL);
	assert_string_equal(e.msg, "SOURCE_DATE_EPOCH: 'yesterday' is not a "
				   "number of seconds");
	assert_int_equal(cli_parse(1, nothing, NULL, &cli, &e), -EINVAL);
	assert_string_equal(e.msg, "no command (build, info or ls; try "
				   "--help)");
}

static void test_too_many_excludes(void **state)
{
	static char line[8192];
	struct text t;
	size_t i;

	(void)state;
	text_init(&t, line, sizeof(line));
	text_printf(&t, "build --from a -o b");
	for (i = 0; i < CLI_EXCLUDES_MAX; i++)
		text_printf(&t, " --exclude=%zu", i);
	assert_int_equal(parse(line, NULL), 0);
	text_printf(&t, " --exclude=x");
	assert_int_equal(parse(line, NULL), -EINVAL);
	assert_string_equal(e.msg, "option '--exclude': more than 256");
}

static void test_help(void **state)
{
	static char buf[8192];
	char *rest = buf, *line;
	struct text t;

	(void)state;
	text_init(&t, buf, sizeof(buf));
	cli_help(&t);
	assert_true(text_is_whole(&t));
	assert_non_null(strstr(buf, "\n  -o, --output IMAGE "));
	while ((line = strsep(&rest, "\n")))
		assert_true(strlen(line) <= 80);
	text_init(&t, buf, sizeof(buf));
	cli_version(&t);
	assert_int_equal(strncmp(buf, "husk-image ", 11), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_build),
		cmocka_unit_test(test_look),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_too_many_excludes),
		cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
