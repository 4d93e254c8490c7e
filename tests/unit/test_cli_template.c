// SPDX-License-Identifier: MIT
/* LINK: vmm/cli/cli.c vmm/cli/env.c vmm/cli/options.c vmm/cli/value.c */
/*
 * The command line of templates and pools: what a template is made of, where
 * its warm command begins and ends, and which options neither it nor a copy
 * nor a machine of a pool can take.
 */
#include "cli/cli.h"

#include "lib/text.h"

#include <errno.h>

#include "cli_line.h"

static void check_words(char *const *argv, const char *words)
{
	char got[200];
	struct text t;

	text_init(&t, got, sizeof(got));
	for (; *argv; argv++)
		text_printf(&t, "[%s]", *argv);
	assert_true(text_is_whole(&t));
	assert_string_equal(got, words);
}

static const struct {
	const char *line, *output, *words;
	bool warm;
} makes[] = {
	{"husk template create -o f", "f", "", false},
	{"husk template create --output=d/ --cpus=4", "d/", "", false},
	{"husk template create --output f --", "f", "", false},
	{"husk template create -o f --warm sh -c x", "f", "[sh][-c][x]", true},
	{"husk template create -o f --warm -- -x", "f", "[-x]", true},
	{"husk template create -o f --warm=sh -- y", "f", "[sh][--][y]", true},
	{"husk template create -o f --warm a --warm b", "f", "[a][--warm][b]",
	 true},
	{"husk template create -o f --pids=9 --env=A=1 --user=1 "
	 "--tmp-size=1M --workdir=/ --timeout=9 --warm x",
	 "f", "[x]", true},
};

static void test_makes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(makes) / sizeof(makes[0]); i++) {
		struct line l;

		parse_right(&l, makes[i].line);
		assert_int_equal(l.cli.command, CLI_TEMPLATE_CREATE);
		assert_string_equal(l.cli.config.output, makes[i].output);
		assert_int_equal(l.cli.config.warm, makes[i].warm);
		check_words(l.cli.config.argv, makes[i].words);
		free_line(&l);
	}
}

static void test_looks(void **state)
{
	struct line l;

	(void)state;
	parse_right(&l, "husk template info f");
	assert_int_equal(l.cli.command, CLI_TEMPLATE_INFO);
	assert_string_equal(l.cli.file, "f");
	free_line(&l);
	parse_line(&l, "husk template verify f", no_env);
	assert_int_equal(l.cli.command, CLI_TEMPLATE_VERIFY);
	free_line(&l);
}

static void test_copies(void **state)
{
	struct line l;

	(void)state;
	parse_right(&l, "husk run --template=t --pids=3 --tmp-size=1G x");
	assert_string_equal(l.cli.config.template, "t");
	assert_string_equal(l.cli.config.warm_fixed, "tmp-size");
	free_line(&l);
	parse_right(&l, "husk run --template=t");
	check_words(l.cli.config.argv, "");
	assert_null(l.cli.config.warm_fixed);
	free_line(&l);
}

static void test_pool_limits(void **state)
{
	char many[1000];
	struct line l;
	struct text t;

	(void)state;
	parse_right(&l, "husk pool --template=t --listen=s --max-jobs=2048 "
			"--max-timeout=8760h --request-time=0 --allow-uid=0 "
			"--allow-uid 4294967293");
	assert_int_equal(l.cli.config.pool_jobs, 2048);
	assert_int_equal(l.cli.config.pool_timeout_ns, CONFIG_TIME_MAX);
	assert_int_equal(l.cli.config.request_ns, 0);
	assert_int_equal(l.cli.config.nr_allow_uid, 2);
	assert_int_equal(l.cli.config.allow_uid[1], 4294967293);
	free_line(&l);
	text_init(&t, many, sizeof(many));
	text_printf(&t, "husk pool --template=t --listen=s");
	for (unsigned i = 0; i < CONFIG_ALLOW_MAX; i++)
		text_printf(&t, " --allow-uid=7");
	parse_right(&l, many);
	free_line(&l);
	text_printf(&t, " --allow-uid=8");
	parse_line(&l, many, no_env);
	assert_int_equal(l.r, -EINVAL);
	assert_string_equal(l.e.msg, "--allow-uid '8': too many users (16 at "
				     "most)");
	free_line(&l);
	parse_right(&l, "husk run --pool=s --pool-uid=0 x");
	assert_int_equal(l.cli.config.nr_pool_uid, 1);
	assert_int_equal(l.cli.config.pool_uid, 0);
	free_line(&l);
}

static void test_pools(void **state)
{
	struct line l;

	(void)state;
	parse_right(&l, "husk pool --template=t --listen=s --image=i");
	assert_int_equal(l.cli.command, CLI_POOL);
	assert_string_equal(l.cli.config.template, "t");
	assert_string_equal(l.cli.config.listen, "s");
	assert_true(l.cli.config.image_given);
	assert_int_equal(l.cli.config.pool_size, CONFIG_POOL_DEFAULT);
	assert_int_equal(l.cli.config.pool_jobs, 0);
	assert_int_equal(l.cli.config.pool_timeout_ns, 0);
	assert_int_equal(l.cli.config.request_ns, 10000000000);
	assert_int_equal(l.cli.config.nr_allow_uid, 0);
	free_line(&l);
	parse_right(&l, "husk pool --size=1024 --listen s --template t");
	assert_int_equal(l.cli.config.pool_size, 1024);
	free_line(&l);
	parse_right(&l, "husk run --pool=s --tmp-size=1G x");
	assert_int_equal(l.cli.command, CLI_RUN);
	assert_string_equal(l.cli.config.pool, "s");
	free_line(&l);
	parse_right(&l, "husk run --pool=s");
	check_words(l.cli.config.argv, "");
	free_line(&l);
}

#define NEEDS_COPY                                                             \
	"cannot change in a copy of a template: the guest has booted with it " \
	"(make another with husk template create --"

static const struct wrong_line wrong[] = {
	{"husk template", "unknown command 'template' (did you mean 'husk "
			  "template create'?)"},
	{"husk template create", "no template to write (add -o FILE)"},
	{"husk template create -o", "option '--output' needs a value (write "
				    "--output=FILE)"},
	{"husk template create -o f x",
	 "'husk template create' runs no command, but 'x' was given (write "
	 "--warm before it to have it wait in the template)"},
	{"husk template create -o f --warm",
	 "option '--warm' needs a value (write --warm CMD [ARG...])"},
	{"husk template create -o f --warm --",
	 "option '--warm' needs a value (write --warm CMD [ARG...])"},
	{"husk template create -o f --warm ''",
	 "the command to run is empty (write its name after '--')"},
	{"husk template create --warm x", "no template to write (add -o FILE)"},
	{"husk template create -o f --env=A=1",
	 "option '--env' is about a job, and there is none yet (give it to "
	 "husk run, or add --warm COMMAND)"},
	{"husk template create -o f --pids=3",
	 "option '--pids' is about a job, and there is none yet (give it to "
	 "husk run, or add --warm COMMAND)"},
	{"husk template create -o f --tmp-size=257M --warm x",
	 "--tmp-size is larger than the memory, where these files live (raise "
	 "--memory=SIZE)"},
	{"husk template create -o f --result=r",
	 "option '--result' belongs to 'husk run'"},
	{"husk template create -o f --cpu-time=1",
	 "option '--cpu-time' belongs to 'husk run'"},
	{"husk template info", "want one template (write 'husk template info "
			       "FILE')"},
	{"husk template verify a b", "want one template (write 'husk template "
				     "verify FILE')"},
	{"husk run --template=t --memory=1G x",
	 "option '--memory' " NEEDS_COPY "memory)"},
	{"husk run --cpus=2 --template=t x",
	 "option '--cpus' " NEEDS_COPY "cpus)"},
	{"husk run --template=t --kernel=k x",
	 "option '--kernel' " NEEDS_COPY "kernel)"},
	{"husk run --template=t ''", "the command to run is empty (write its "
				     "name after '--')"},
	{"husk pool --listen=s", "no template to copy (add --template=FILE)"},
	{"husk pool --template=t",
	 "no socket to listen at (add --listen=SOCKET)"},
	{"husk pool --template=t --listen=s --size=0",
	 "--size '0': out of range (1 to 1024)"},
	{"husk pool --template=t --listen=s --max-jobs=0",
	 "--max-jobs '0': out of range (1 to 2048)"},
	{"husk pool --template=t --listen=s --max-timeout=8761h",
	 "--max-timeout '8761h': out of range (0h to 8760h)"},
	{"husk pool --template=t --listen=s --request-time=soon",
	 "--request-time 'soon': not a time (write seconds, or 200ms, 1.5s, "
	 "10m)"},
	{"husk pool --template=t --listen=s --allow-uid=nobody",
	 "--allow-uid 'nobody': not a number (write digits only)"},
	{"husk run --pool=s --pool-uid=4294967294 x",
	 "--pool-uid '4294967294': out of range (0 to 4294967293)"},
	{"husk run --pool-uid=5 x", "--pool-uid is about a pool, and none is "
				    "given (add --pool=SOCKET)"},
	{"husk pool --template=t --listen=s true",
	 "'husk pool' runs no command, but 'true' was given (give it to husk "
	 "run --pool)"},
	{"husk pool --template=t --listen=s --memory=1G",
	 "option '--memory' belongs to 'husk run'"},
	{"husk run --pool=s --template=t x",
	 "--pool and --template exclude each other (the pool has its own "
	 "template)"},
	{"husk run --pool=s --image=i x",
	 "option '--image' cannot change in a machine of a pool (give it to "
	 "husk pool)"},
	{"husk run --pool=s --own-core=off x",
	 "option '--own-core' cannot change in a machine of a pool (give it to "
	 "husk pool)"},
	{"husk run --pool=s --jail=off x",
	 "option '--jail' cannot change in a machine of a pool (give it to "
	 "husk pool)"},
	{"husk run --pool=s --memory=1G x",
	 "option '--memory' " NEEDS_COPY "memory)"},
	{"husk run --pool=s --cpus=2 x", "option '--cpus' " NEEDS_COPY "cpus)"},
	{"husk run --pool=s ''", "the command to run is empty (write its name "
				 "after '--')"},
	{"husk run --size=2 x", "option '--size' belongs to 'husk pool'"},
	{"husk run -o f x", "option '--output' belongs to 'husk template "
			    "create'"},
	{"husk run --warm x", "option '--warm' belongs to 'husk template "
			      "create'"},
};

static void test_wrong(void **state)
{
	(void)state;
	check_wrong(wrong, sizeof(wrong) / sizeof(wrong[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_makes),
		cmocka_unit_test(test_looks),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_pools),
		cmocka_unit_test(test_pool_limits),
		cmocka_unit_test(test_wrong),
	};

	return cmocka_run_group_tests_name("cli_template", tests, NULL, NULL);
}
