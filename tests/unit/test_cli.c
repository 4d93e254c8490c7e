// SPDX-License-Identifier: MIT
/* LINK: vmm/cli/cli.c vmm/cli/env.c vmm/cli/options.c vmm/cli/value.c */
/*
 * The command line: tables of right lines with what they change, and wrong
 * lines with the exact message. What holds for every option is tested in
 * test_cli_options.c.
 */
#include "cli/cli.h"
#include "lib/text.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "cli_line.h"
#include "same_text.h"

#define DUMP_MAX 4096

static void put(struct text *t, const char *key, const char *value)
{
	text_printf(t, "%s=%s\n", key, value ? value : "(null)");
}

static void put_uint(struct text *t, const char *key, uint64_t value)
{
	text_printf(t, "%s=%" PRIu64 "\n", key, value);
}

static void put_words(struct text *t, const char *key, char *const *words)
{
	text_printf(t, "%s=", key);
	for (; words && *words; words++)
		text_printf(t, "[%s]", *words);
	text_printf(t, "\n");
}

/* All that a command line decides, a line for each. */
static void dump(const struct cli *cli, char *buf)
{
	const struct config *c = &cli->config;
	struct text t;

	text_init(&t, buf, DUMP_MAX);
	put_uint(&t, "command", cli->command);
	put_uint(&t, "json", cli->json);
	put(&t, "image", c->image);
	put(&t, "kernel", c->kernel);
	put_uint(&t, "memory", c->memory);
	put_uint(&t, "cpus", c->cpus);
	put_uint(&t, "timeout", c->timeout_ns);
	put_uint(&t, "from_stdin", c->timeout_from == TIMEOUT_FROM_STDIN);
	put_uint(&t, "cpu_time", c->cpu_time_ns);
	put_uint(&t, "pids", c->pids_max);
	put_uint(&t, "tmp_size", c->tmp_size);
	put_uint(&t, "output_limit", c->output_limit);
	put_uint(&t, "kill", c->on_output_limit == OUTPUT_KILL);
	text_printf(&t, "result_fd=%d\n", c->result_fd);
	put(&t, "result", c->result_file);
	text_printf(&t, "status_fd=%d\n", c->status_fd);
	put(&t, "status", c->status_file);
	put(&t, "console", c->console_file);
	put_uint(&t, "timeline", c->timeline);
	put_uint(&t, "jail", c->jail);
	put_uint(&t, "own_core", c->own_core);
	put(&t, "workdir", c->workdir);
	put(&t, "hostname", c->hostname);
	put_uint(&t, "uid", c->uid);
	put_uint(&t, "gid", c->gid);
	text_printf(&t, "env=");
	for (unsigned i = 0; i < c->nr_env; i++)
		text_printf(&t, "[%s]", c->env[i]);
	text_printf(&t, "\n");
	put_words(&t, "argv", c->argv);
	assert_true(text_is_whole(&t));
}

static const char defaults[] = "command=0\n"
			       "json=0\n"
			       "image=(null)\n"
			       "kernel=(null)\n"
			       "memory=268435456\n"
			       "cpus=1\n"
			       "timeout=0\n"
			       "from_stdin=0\n"
			       "cpu_time=0\n"
			       "pids=512\n"
			       "tmp_size=0\n"
			       "output_limit=18446744073709551615\n"
			       "kill=0\n"
			       "result_fd=-1\n"
			       "result=(null)\n"
			       "status_fd=-1\n"
			       "status=(null)\n"
			       "console=(null)\n"
			       "timeline=0\n"
			       "jail=0\n"
			       "own_core=0\n"
			       "workdir=/work\n"
			       "hostname=husk\n"
			       "uid=65534\n"
			       "gid=65534\n"
			       "env=\n"
			       "argv=[x]\n";

/* Puts "key=value" in the place of that key's line in `buf`. */
static void replace_line(char *buf, const char *fact, size_t len)
{
	size_t key_len = strcspn(fact, "=") + 1;
	char old[DUMP_MAX];
	const char *from = old, *end;
	struct text t;
	bool found = false;

	memcpy(old, buf, DUMP_MAX);
	text_init(&t, buf, DUMP_MAX);
	for (; *from; from = end + 1) {
		end = strchr(from, '\n');
		assert_non_null(end);
		if (!strncmp(from, fact, key_len)) {
			text_add(&t, fact, len);
			text_add(&t, "\n", 1);
			found = true;
		} else {
			text_add(&t, from, (size_t)(end + 1 - from));
		}
	}
	assert_true(found);
}

/* The defaults with `facts` ("key=value key=value") in their places. */
static void expect_facts(char *buf, const char *facts)
{
	memset(buf, 0, DUMP_MAX);
	memcpy(buf, defaults, sizeof(defaults));
	while (*facts) {
		size_t len = strcspn(facts, " ");

		replace_line(buf, facts, len);
		facts += len + (facts[len] == ' ');
	}
}

/* What the line changes against the defaults; all else must stay. */
static const struct {
	const char *line;
	const char *facts;
} right[] = {
	{"husk run x", ""},
	{"husk run -- x", ""},
	{"husk run -- -x", "argv=[-x]"},
	{"husk run -- -- x", "argv=[--][x]"},
	{"husk run x --memory=1G -- y", "argv=[x][--memory=1G][--][y]"},
	{"husk run x ''", "argv=[x][]"},
	{"husk run --image=/a.ext4 x", "image=/a.ext4"},
	{"husk run --image /a.ext4 x", "image=/a.ext4"},
	{"husk run --image - x", "image=-"},
	{"husk run --image=--b x", "image=--b"},
	{"husk run --kernel=k=v x", "kernel=k=v"},
	{"husk run --memory=48M x", "memory=50331648"},
	{"husk run --memory=50331649 x", "memory=52428800"},
	{"husk run --memory 1G x", "memory=1073741824"},
	{"husk run --memory=1GiB x", "memory=1073741824"},
	{"husk run --memory=1T x", "memory=1099511627776"},
	{"husk run --memory=1G --memory=64M x", "memory=67108864"},
	{"husk run --cpus=8 x", "cpus=8"},
	{"husk run --timeout=10 x", "timeout=10000000000"},
	{"husk run --timeout=1.5s x", "timeout=1500000000"},
	{"husk run --timeout=200ms x", "timeout=200000000"},
	{"husk run --timeout=2m x", "timeout=120000000000"},
	{"husk run --timeout=0 x", "timeout=0"},
	{"husk run --timeout=8760h x", "timeout=31536000000000000"},
	{"husk run --timeout=1 --timeout-from=stdin x",
	 "timeout=1000000000 from_stdin=1"},
	{"husk run --timeout-from=stdin --timeout=1 x",
	 "timeout=1000000000 from_stdin=1"},
	{"husk run --timeout-from=start x", ""},
	{"husk run --timeout-from=stdin --timeout-from=start x", ""},
	{"husk run --cpu-time=250us x", "cpu_time=250000"},
	{"husk run --pids=1 x", "pids=1"},
	{"husk run --pids=4194304 x", "pids=4194304"},
	{"husk run --tmp-size=4096 x", "tmp_size=4096"},
	{"husk run --tmp-size=256M x", "tmp_size=268435456"},
	{"husk run --tmp-size=1G --memory=1G x",
	 "tmp_size=1073741824 memory=1073741824"},
	{"husk run --output-limit=0 x", "output_limit=0"},
	{"husk run --output-limit=64K x", "output_limit=65536"},
	{"husk run --output-limit=1K --on-output-limit=kill x",
	 "output_limit=1024 kill=1"},
	{"husk run --on-output-limit=kill --output-limit=1 "
	 "--on-output-limit=truncate x",
	 "output_limit=1"},
	{"husk run --on-output-limit=truncate x", ""},
	{"husk run --result-fd=3 x", "result_fd=3"},
	{"husk run --result-fd=1048575 x", "result_fd=1048575"},
	{"husk run --result=r x", "result=r"},
	{"husk run --status-fd=4 --result-fd=3 x", "status_fd=4 result_fd=3"},
	{"husk run --status=s --result=r x", "status=s result=r"},
	{"husk run --status=/dev/null --result=/dev/null x",
	 "status=/dev/null result=/dev/null"},
	{"husk run --status-fd=3 --result=r x", "status_fd=3 result=r"},
	{"husk run --console=c x", "console=c"},
	{"husk run --timeline x", "timeline=1"},
	{"husk run --jail=require x", "jail=1"},
	{"husk run --jail off --jail=auto x", ""},
	{"husk run --jail=off x", "jail=2"},
	{"husk run --own-core=on x", "own_core=1"},
	{"husk run --own-core=on --own-core=auto x", ""},
	{"husk run --own-core=off x", "own_core=2"},
	{"husk run --timeline --timeline x", "timeline=1"},
	{"husk run --workdir=/tmp x", "workdir=/tmp"},
	{"husk run --hostname=a.b-c_D9 x", "hostname=a.b-c_D9"},
	{"husk run --user=0 x", "uid=0 gid=0"},
	{"husk run --user=1000 x", "uid=1000 gid=1000"},
	{"husk run --user=1:2 x", "uid=1 gid=2"},
	{"husk run --user=4294967293:0 x", "uid=4294967293 gid=0"},
	{"husk run --env=A=1 x", "env=[A=1]"},
	{"husk run --env A=1 --env B= --env C==2 x", "env=[A=1][B=][C==2]"},
	{"husk run --env A=1 --env AB=2 --env A=3 x", "env=[A=3][AB=2]"},
	{"husk check", "command=1 argv="},
	{"husk check --json", "command=1 json=1 argv="},
	{"husk check --kernel=k --image=i", "command=1 kernel=k image=i argv="},
	{"husk check --", "command=1 argv="},
};

static void test_right_lines(void **state)
{
	char got[DUMP_MAX], expected[DUMP_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		struct line l;

		parse_right(&l, right[i].line);
		dump(&l.cli, got);
		expect_facts(expected, right[i].facts);
		if (strcmp(got, expected))
			print_error("line: %s\n", right[i].line);
		assert_same_text(got, expected);
		free_line(&l);
	}
}

static const struct wrong_line wrong[] = {
	{"", "nothing to do (write 'husk run -- COMMAND', or see "
	     "'husk --help')"},
	{"husk", "nothing to do (write 'husk run -- COMMAND', or see "
		 "'husk --help')"},
	{"husk ''", "unknown command '' (to run it, write 'husk run -- ')"},
	{"husk rnu x", "unknown command 'rnu' (did you mean 'husk run'?)"},
	{"husk chek", "unknown command 'chek' (did you mean 'husk check'?)"},
	{"husk ls", "unknown command 'ls' (to run it, write 'husk run -- ls')"},
	{"husk -- x", "'--' without a command of husk (write 'husk run -- "
		      "COMMAND')"},
	{"husk --memory=1G x", "option '--memory' stands before the command "
			       "(write 'husk run --memory')"},
	{"husk --json", "option '--json' stands before the command (write "
			"'husk check --json')"},
	{"husk --hlep", "unknown option '--hlep' (did you mean '--help'?)"},
	{"husk --help=x", "option '--help' takes no value"},
	{"husk --version=", "option '--version' takes no value"},
	{"husk -h", "unknown option '-h' (see 'husk --help')"},
	{"husk -", "unknown option '-' (see 'husk --help')"},
	{"husk run", "no command to run (write 'husk run [OPTION...] -- "
		     "COMMAND [ARGUMENT...]')"},
	{"husk run --", "no command to run (write 'husk run [OPTION...] -- "
			"COMMAND [ARGUMENT...]')"},
	{"husk run --cpus=1", "no command to run (write 'husk run [OPTION...] "
			      "-- COMMAND [ARGUMENT...]')"},
	{"husk run ''", "the command to run is empty (write its name after "
			"'--')"},
	{"husk run -- '' x", "the command to run is empty (write its name "
			     "after '--')"},
	{"husk run --memroy=1G x", "unknown option '--memroy' (did you mean "
				   "'--memory'?)"},
	{"husk run --mem 1G x", "unknown option '--mem' (did you mean "
				"'--memory'?)"},
	{"husk run -memory 1G x", "unknown option '-memory' (did you mean "
				  "'--memory'?)"},
	{"husk run --Memory=1G x", "unknown option '--Memory' (did you mean "
				   "'--memory'?)"},
	{"husk run --outputlimit=1 x", "unknown option '--outputlimit' (did "
				       "you mean '--output-limit'?)"},
	{"husk run --xyzzy x", "unknown option '--xyzzy' (see 'husk --help')"},
	{"husk run --=1 x", "unknown option '--' (see 'husk --help')"},
	{"husk run -m 1G x", "unknown option '-m' (see 'husk --help')"},
	{"husk run - x", "unknown option '-' (see 'husk --help')"},
	{"husk run --net x", "unknown option '--net' (see 'husk --help')"},
	{"husk run --json x", "option '--json' belongs to 'husk check'"},
	{"husk run --timeline=yes x", "option '--timeline' takes no value"},
	{"husk run --memory", "option '--memory' needs a value (write "
			      "--memory=SIZE)"},
	{"husk run --memory -- x", "option '--memory' needs a value (write "
				   "--memory=SIZE)"},
	{"husk run --image --cpus=1 x", "option '--image' needs a value "
					"(write --image=FILE)"},
	{"husk run --image= x", "--image '': empty value (write "
				"--image=FILE)"},
	{"husk run --image '' x", "--image '': empty value (write "
				  "--image=FILE)"},
	{"husk run --memory=1Q x", "--memory '1Q': not a size (write bytes, "
				   "or 512K, 128M, 2G)"},
	{"husk run --memory=-1 x", "--memory '-1': not a size (write bytes, "
				   "or 512K, 128M, 2G)"},
	{"husk run --memory=+1G x", "--memory '+1G': not a size (write bytes, "
				    "or 512K, 128M, 2G)"},
	{"husk run --memory=0x1000000000 x",
	 "--memory '0x1000000000': not a size (write bytes, or 512K, 128M, "
	 "2G)"},
	{"husk run --memory=47M x", "--memory '47M': out of range (48M to "
				    "1T)"},
	{"husk run --memory=0 x", "--memory '0': out of range (48M to 1T)"},
	{"husk run --memory=2T x", "--memory '2T': out of range (48M to 1T)"},
	{"husk run --memory=99999999999999999999G x",
	 "--memory '99999999999999999999G': out of range (48M to 1T)"},
	{"husk run --memory=18446744073709551615T x",
	 "--memory '18446744073709551615T': out of range (48M to 1T)"},
	{"husk run --cpus=0 x", "--cpus '0': out of range (1 to 8)"},
	{"husk run --cpus=9 x", "--cpus '9': out of range (1 to 8)"},
	{"husk run --cpus=two x", "--cpus 'two': not a number (write digits "
				  "only)"},
	{"husk run --cpus=1K x", "--cpus '1K': not a number (write digits "
				 "only)"},
	{"husk run --timeout=soon x", "--timeout 'soon': not a time (write "
				      "seconds, or 200ms, 1.5s, 10m)"},
	{"husk run --timeout=-1s x", "--timeout '-1s': not a time (write "
				     "seconds, or 200ms, 1.5s, 10m)"},
	{"husk run --timeout=1d x", "--timeout '1d': not a time (write "
				    "seconds, or 200ms, 1.5s, 10m)"},
	{"husk run --timeout=8761h x", "--timeout '8761h': out of range (0h "
				       "to 8760h)"},
	{"husk run --timeout-from=boot x", "--timeout-from 'boot': neither "
					   "start nor stdin"},
	{"husk run --timeout-from=stdin x", "--timeout-from 'stdin': no time "
					    "limit is set (add "
					    "--timeout=TIME)"},
	{"husk run --timeout=0 --timeout-from=stdin x",
	 "--timeout-from 'stdin': no time limit is set (add "
	 "--timeout=TIME)"},
	{"husk run --pids=0 x", "--pids '0': out of range (1 to 4194304)"},
	{"husk run --tmp-size=0 x", "--tmp-size '0': out of range (4K to "
				    "1T)"},
	{"husk run --tmp-size=257M x", "--tmp-size is larger than the memory, "
				       "where these files live (raise "
				       "--memory=SIZE)"},
	{"husk run --output-limit x",
	 "--output-limit 'x': not a size (write bytes, or 512K, 128M, 2G)"},
	{"husk run --jail=on x", "--jail 'on': neither auto, require nor off"},
	{"husk run --own-core=2 x", "--own-core '2': neither auto, on nor off"},
	{"husk run --on-output-limit=stop x", "--on-output-limit 'stop': "
					      "neither truncate nor kill"},
	{"husk run --on-output-limit=kill x", "--on-output-limit 'kill': no "
					      "limit is set (add "
					      "--output-limit=SIZE)"},
	{"husk run --result-fd=2 x", "--result-fd '2': out of range (3 to "
				     "1048575)"},
	{"husk run --status-fd=0 x", "--status-fd '0': out of range (3 to "
				     "1048575)"},
	{"husk run --status-fd=-1 x", "--status-fd '-1': not a number (write "
				      "digits only)"},
	{"husk run --result-fd=1048576 x", "--result-fd '1048576': out of "
					   "range (3 to 1048575)"},
	{"husk run --result=r --result-fd=3 x",
	 "--result and --result-fd exclude each other (give one of them)"},
	{"husk run --status=s --status-fd=3 x",
	 "--status and --status-fd exclude each other (give one of them)"},
	{"husk run --status-fd=3 --result-fd=3 x",
	 "--result-fd and --status-fd are both 3 (give each its own)"},
	{"husk run --status=f --result=f x",
	 "--result and --status are both 'f' (give each its own)"},
	{"husk run --console=f --result=f x",
	 "--result and --console are both 'f' (give each its own)"},
	{"husk run --status=f --console=f x",
	 "--status and --console are both 'f' (give each its own)"},
	{"husk run --env==1 x", "--env '=1': no name (write NAME=VALUE)"},
	{"husk run --workdir=tmp x", "--workdir 'tmp': not an absolute path "
				     "(write --workdir=/tmp)"},
	{"husk run --user=root x", "--user 'root': not UID or UID:GID (write "
				   "numbers up to 4294967293, for example "
				   "1000:1000)"},
	{"husk run --user=1: x", "--user '1:': not UID or UID:GID (write "
				 "numbers up to 4294967293, for example "
				 "1000:1000)"},
	{"husk run --user=:1 x", "--user ':1': not UID or UID:GID (write "
				 "numbers up to 4294967293, for example "
				 "1000:1000)"},
	{"husk run --user=4294967295 x", "--user '4294967295': not UID or "
					 "UID:GID (write numbers up to "
					 "4294967293, for example 1000:1000)"},
	{"husk run --user=00000000000000001 x",
	 "--user '00000000000000001': not UID or UID:GID (write numbers up to "
	 "4294967293, for example 1000:1000)"},
	{"husk run --user=1:2:3 x", "--user '1:2:3': not UID or UID:GID "
				    "(write numbers up to 4294967293, for "
				    "example 1000:1000)"},
	{"husk run --hostname=a/b x", "--hostname 'a/b': not a host name (1 "
				      "to 64 letters, digits, '.', '-' and "
				      "'_')"},
	{"husk check x", "'husk check' runs no command, but 'x' was given"},
	{"husk check -- x", "'husk check' runs no command, but 'x' was given"},
	{"husk check --memory=1G", "option '--memory' belongs to 'husk run'"},
	{"husk check --jsno", "unknown option '--jsno' (did you mean "
			      "'--json'?)"},
	{"husk check --timelin", "unknown option '--timelin' (see 'husk "
				 "--help')"},
};

static void test_wrong_lines(void **state)
{
	(void)state;
	check_wrong(wrong, sizeof(wrong) / sizeof(wrong[0]));
}

static const struct {
	const char *line;
	enum cli_command command;
} asking[] = {
	{"husk --help", CLI_HELP},
	{"husk --version", CLI_VERSION},
	{"husk --help --nonsense", CLI_HELP},
	{"husk run --help", CLI_HELP},
	{"husk run --cpus=2 --help --nonsense", CLI_HELP},
	{"husk run --version", CLI_VERSION},
	{"husk check --help", CLI_HELP},
	{"husk check --version", CLI_VERSION},
};

static void test_asking(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(asking) / sizeof(asking[0]); i++) {
		struct line l;

		parse_right(&l, asking[i].line);
		assert_int_equal(l.cli.command, asking[i].command);
		free_line(&l);
	}
}

/* After "--" or the command's name, --help is the job's. */
static void test_job_help(void **state)
{
	struct line l;

	(void)state;
	parse_line(&l, "husk run -- x --help", no_env);
	assert_int_equal(l.r, 0);
	assert_int_equal(l.cli.command, CLI_RUN);
	assert_string_equal(l.cli.config.argv[1], "--help");
	free_line(&l);
}

static void test_environment(void **state)
{
	static char kernel[] = "HUSK_KERNEL=/k", image[] = "HUSK_IMAGE=/i";
	static char other[] = "HUSK_KERNELS=/no", empty[] = "HUSK_KERNEL=";
	char *both[] = {other, kernel, image, NULL};
	char *hollow[] = {empty, NULL};
	struct line l;

	(void)state;
	parse_line(&l, "husk run x", both);
	assert_string_equal(l.cli.config.kernel, "/k");
	assert_string_equal(l.cli.config.image, "/i");
	free_line(&l);
	parse_line(&l, "husk check --kernel=/mine", both);
	assert_string_equal(l.cli.config.kernel, "/mine");
	assert_string_equal(l.cli.config.image, "/i");
	free_line(&l);
	parse_line(&l, "husk run x", hollow);
	assert_null(l.cli.config.kernel);
	free_line(&l);
	parse_line(&l, "husk run x", NULL);
	assert_null(l.cli.config.kernel);
	free_line(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right_lines),
		cmocka_unit_test(test_wrong_lines),
		cmocka_unit_test(test_asking),
		cmocka_unit_test(test_job_help),
		cmocka_unit_test(test_environment),
	};

	return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
