// SPDX-License-Identifier: MIT
/*
 * What each option means: the table, and one setter per option. A setter sees
 * a value that is right by kind and range; what only shows in combination with
 * other options is cli.c's.
 *
 * Setters rather than offsets into struct config: the compiler then checks
 * the type of each assignment.
 */
#include "cli/cli.h"

#include "lib/parse.h"

#include <errno.h>
#include <string.h>

#define RUN_BIT	  (1u << CLI_RUN)
#define CHECK_BIT (1u << CLI_CHECK)
#define BOTH	  (RUN_BIT | CHECK_BIT)
#define MAKE_BIT  (1u << CLI_TEMPLATE_CREATE)
#define JOB_BITS  (RUN_BIT | MAKE_BIT) /* the warm command's, too */
#define POOL_BIT  (1u << CLI_POOL)
#define MADE	  (1u << CLI_TEMPLATE_INFO | 1u << CLI_TEMPLATE_VERIFY)
#define ALONE	  (BOTH | MAKE_BIT | POOL_BIT | MADE | 1u << CLI_HELP)

#define FD_MIN	    3
#define FD_MAX	    1048575	     /* Linux's own default bound, fs.nr_open */

/* What stands behind a kind: nothing, its bounds, or its words. */
#define ANY		 {0}
#define RANGE(low, high) {.min = (low), .max = (high)}
#define WORDS(...)	 {.words = (const char *const[]){__VA_ARGS__, NULL}}

static int set_kernel(struct cli *out, const struct cli_value *v, struct err *e)
{
	(void)e;
	out->config.kernel = v->text;
	out->config.fixed = "kernel";
	return 0;
}

static int set_image(struct cli *out, const struct cli_value *v, struct err *e)
{
	(void)e;
	out->config.image = v->text;
	out->config.image_given = true;
	return 0;
}

static int set_template(struct cli *out, const struct cli_value *v,
			struct err *e)
{
	(void)e;
	out->config.template = v->text;
	return 0;
}

static int set_pool(struct cli *out, const struct cli_value *v, struct err *e)
{
	(void)e;
	out->config.pool = v->text;
	return 0;
}

static int set_listen(struct cli *out, const struct cli_value *v, struct err *e)
{
	(void)e;
	out->config.listen = v->text;
	return 0;
}

static int set_size(struct cli *out, const struct cli_value *v, struct err *e)
{
	(void)e;
	out->config.pool_size = (unsigned)v->number;
	return 0;
}

static int set_max_jobs(struct cli *out, const struct cli_value *v,
			struct err *e)
{
	(void)e;
	out->config.pool_jobs = (unsigned)v->number;
	return 0;
}

static int set_max_timeout(struct cli *out, const struct cli_value *v,
			   struct err *e)
{
	(void)e;
	out->config.pool_timeout_ns = v->number;
	return 0;
}

static int set_request_time(struct cli *out, const struct cli_value *v,
			    struct err *e)
{
	(void)e;
	out->config.request_ns = v->number;
	return 0;
}

static int set_allow_uid(struct cli *out, const struct cli_value *v,
			 struct err *e)
{
	struct config *c = &out->config;

	if (c->nr_allow_uid == CONFIG_ALLOW_MAX)
		return err_set(e, EINVAL,
			       "--allow-uid " CLI_GIVEN ": too many users (%d "
			       "at most)",
			       v->text, CONFIG_ALLOW_MAX);
	c->allow_uid[c->nr_allow_uid++] = (uint32_t)v->number;
	return 0;
}

static int set_pool_uid(struct cli *out, const struct cli_value *v,
			struct err *e)
{
	(void)e;
	out->config.nr_pool_uid = 1;
	out->config.pool_uid = (uint32_t)v->number;
	return 0;
}

static int set_output(struct cli *out, const struct cli_value *v, struct err *e)
{
	(void)e;
	out->config.output = v->text;
	return 0;
}

/* The words themselves are the parser's: it knows where they are. */
static int set_warm(struct cli *out, const struct cli_value *v, struct err *e)
{
	(void)v;
	(void)e;
	out->config.warm = true;
	return 0;
}

static int set_memory(struct cli *out, const struct cli_value *v, struct err *e)
{
	const uint64_t huge = 2ull << 20;

	(void)e;
	out->config.memory = (v->number + huge - 1) / huge * huge;
	out->config.fixed = "memory";
	return 0;
}

static int set_cpus(struct cli *out, const struct cli_value *v, struct err *e)
{
	(void)e;
	out->config.cpus = (unsigned)v->number;
	out->config.fixed = "cpus";
	return 0;
}

static int set_timeout(struct cli *out, const struct cli_value *v,
		       struct err *e)
{
	(void)e;
	out->config.timeout_ns = v->number;
	return 0;
}

static int set_timeout_from(struct cli *out, const struct cli_value *v,
			    struct err *e)
{
	(void)e;
	out->config.timeout_from = (enum timeout_from)v->number;
	return 0;
}

static int set_cpu_time(struct cli *out, const struct cli_value *v,
			struct err *e)
{
	(void)e;
	out->config.cpu_time_ns = v->number;
	return 0;
}

static int set_pids(struct cli *out, const struct cli_value *v, struct err *e)
{
	(void)e;
	out->config.pids_max = (uint32_t)v->number;
	out->config.job_option = "pids";
	return 0;
}

static int set_tmp_size(struct cli *out, const struct cli_value *v,
			struct err *e)
{
	(void)e;
	out->config.tmp_size = v->number;
	out->config.warm_fixed = "tmp-size";
	out->config.job_option = "tmp-size";
	return 0;
}

static int set_output_limit(struct cli *out, const struct cli_value *v,
			    struct err *e)
{
	(void)e;
	out->config.output_limit = v->number;
	return 0;
}

static int set_on_output_limit(struct cli *out, const struct cli_value *v,
			       struct err *e)
{
	(void)e;
	out->config.on_output_limit = (enum output_action)v->number;
	return 0;
}

static int set_result_fd(struct cli *out, const struct cli_value *v,
			 struct err *e)
{
	(void)e;
	out->config.result_fd = (int)v->number;
	return 0;
}

static int set_result(struct cli *out, const struct cli_value *v, struct err *e)
{
	(void)e;
	out->config.result_file = v->text;
	return 0;
}

static int set_status_fd(struct cli *out, const struct cli_value *v,
			 struct err *e)
{
	(void)e;
	out->config.status_fd = (int)v->number;
	return 0;
}

static int set_status(struct cli *out, const struct cli_value *v, struct err *e)
{
	(void)e;
	out->config.status_file = v->text;
	return 0;
}

static int set_console_limit(struct cli *out, const struct cli_value *v,
			     struct err *e)
{
	(void)e;
	out->config.console_limit = v->number;
	return 0;
}

static int set_console(struct cli *out, const struct cli_value *v,
		       struct err *e)
{
	(void)e;
	out->config.console_file = v->text;
	return 0;
}

static int set_timeline(struct cli *out, const struct cli_value *v,
			struct err *e)
{
	(void)v;
	(void)e;
	out->config.timeline = true;
	return 0;
}

/*
 * A name given again takes the place of the first, as in a shell. One without
 * a value is handed over, if husk has it.
 */
static int set_env(struct cli *out, const struct cli_value *v, struct err *e)
{
	const char *entry = strchr(v->text, '=') ?
				    v->text : env_find(out->envp, v->text);
	int r = 0;

	if (v->text[0] == '=')
		return err_set(e, EINVAL,
			       "--env " CLI_GIVEN
			       ": no name (write NAME=VALUE)",
			       v->text);
	out->config.warm_fixed = "env";
	out->config.job_option = "env";
	if (entry)
		r = env_set(&out->env, entry, false, e);
	out->config.env = out->env.v;
	out->config.nr_env = out->env.nr;
	return r;
}

static int set_env_file(struct cli *out, const struct cli_value *v,
			struct err *e)
{
	if (out->nr_env_files == ENV_FILES_MAX)
		return err_set(e, EINVAL,
			       "--env-file " CLI_GIVEN ": more than %d files",
			       v->text, ENV_FILES_MAX);
	out->env_file[out->nr_env_files++] = v->text;
	out->config.warm_fixed = "env-file";
	out->config.job_option = "env-file";
	return 0;
}

static int set_workdir(struct cli *out, const struct cli_value *v,
		       struct err *e)
{
	if (v->text[0] != '/')
		return err_set(e, EINVAL,
			       "--workdir " CLI_GIVEN ": not an absolute path "
			       "(write --workdir=/%.100s)",
			       v->text, v->text);
	if (strlen(v->text) >= CONFIG_WORKDIR_MAX)
		return err_set(e, EINVAL,
			       "--workdir: path longer than %d bytes",
			       CONFIG_WORKDIR_MAX - 1);
	out->config.workdir = v->text;
	out->config.warm_fixed = "workdir";
	out->config.job_option = "workdir";
	return 0;
}

/* "UID" or "UID:GID"; numbers, since the names are in the image, not here. */
static int set_user(struct cli *out, const struct cli_value *v, struct err *e)
{
	size_t uid_len = strcspn(v->text, ":");
	const char *gid_text = v->text;
	uint64_t uid, gid;
	char uid_text[16];

	if (v->text[uid_len])
		gid_text += uid_len + 1;
	if (uid_len >= sizeof(uid_text))
		goto bad;
	memcpy(uid_text, v->text, uid_len);
	uid_text[uid_len] = '\0';
	if (parse_uint(uid_text, 0, CONFIG_ID_MAX, &uid) ||
	    parse_uint(gid_text, 0, CONFIG_ID_MAX, &gid))
		goto bad;
	out->config.uid = (uint32_t)uid;
	out->config.gid = (uint32_t)gid;
	out->config.warm_fixed = "user";
	out->config.job_option = "user";
	return 0;
bad:
	return err_set(e, EINVAL,
		       "--user " CLI_GIVEN
		       ": not UID or UID:GID (write numbers up to "
		       "%u, for example 1000:1000)",
		       v->text, CONFIG_ID_MAX);
}

static int set_hostname(struct cli *out, const struct cli_value *v,
			struct err *e)
{
	static const char good[] = CONFIG_HOSTNAME_CHARS;

	if (strlen(v->text) > CONFIG_HOSTNAME_MAX ||
	    v->text[strspn(v->text, good)])
		return err_set(e, EINVAL,
			       "--hostname " CLI_GIVEN
			       ": not a host name (1 to %d "
			       "letters, digits, '.', '-' and '_')",
			       v->text, CONFIG_HOSTNAME_MAX);
	out->config.hostname = v->text;
	return 0;
}

static int set_jail(struct cli *out, const struct cli_value *v, struct err *e)
{
	(void)e;
	out->config.jail_given = true;
	out->config.jail = (enum jail_mode)v->number;
	return 0;
}

static int set_own_core(struct cli *out, const struct cli_value *v,
			struct err *e)
{
	(void)e;
	out->config.own_core_given = true;
	out->config.own_core = (enum own_core)v->number;
	return 0;
}

static int set_strict(struct cli *out, const struct cli_value *v,
		      struct err *e)
{
	(void)v;
	(void)e;
	out->strict = true;
	return 0;
}

static int set_json(struct cli *out, const struct cli_value *v, struct err *e)
{
	(void)v;
	(void)e;
	out->json = true;
	return 0;
}

static int set_help(struct cli *out, const struct cli_value *v, struct err *e)
{
	(void)v;
	(void)e;
	out->command = CLI_HELP;
	return 0;
}

static int set_version(struct cli *out, const struct cli_value *v,
		       struct err *e)
{
	(void)v;
	(void)e;
	out->command = CLI_VERSION;
	return 0;
}

const struct cli_option cli_options[] = {
	{.help = "Machine"},
	{"template", "FILE", "run in a copy of this machine, do not boot",
	 RUN_BIT | POOL_BIT, CLI_TEXT, ANY, set_template},
	{"pool", "SOCKET", "run in a machine that waits there, do not boot",
	 RUN_BIT, CLI_TEXT, ANY, set_pool},
	{"listen", "SOCKET", "where machines are to be had", POOL_BIT, CLI_TEXT,
	 ANY, set_listen},
	{"size", "N", "machines that wait [4]", POOL_BIT,
	 CLI_NUMBER, RANGE(1, CONFIG_POOL_MAX), set_size},
	{"allow-uid", "UID",
	 "who may use the pool besides root and its user;\n"
	 "may be given again",
	 POOL_BIT, CLI_NUMBER, RANGE(0, CONFIG_ID_MAX), set_allow_uid},
	{"pool-uid", "UID", "trust a pool of this user, too", RUN_BIT,
	 CLI_NUMBER, RANGE(0, CONFIG_ID_MAX), set_pool_uid},
	{"output", "FILE",
	 "the template to make, or a folder for it; also\n"
	 "written -o FILE",
	 MAKE_BIT, CLI_TEXT, ANY, set_output},
	{"warm", "CMD [ARG...]",
	 "start this in the template; when it says that\n"
	 "it is ready, it waits to be the job of copies",
	 MAKE_BIT, CLI_REST, ANY, set_warm},
	{"kernel", "FILE", "guest kernel, a vmlinux, may be gzip'ed",
	 BOTH | MAKE_BIT, CLI_TEXT, ANY, set_kernel},
	{"image", "FILE", "root file system, ext4; is only read",
	 BOTH | MAKE_BIT | POOL_BIT, CLI_TEXT, ANY, set_image},
	{"memory", "SIZE", "memory of the microVM [256M]", RUN_BIT | MAKE_BIT,
	 CLI_SIZE, RANGE(CONFIG_MEMORY_MIN, CONFIG_MEMORY_MAX), set_memory},
	{"cpus", "N", "virtual CPUs, 1 to 8 [1]", RUN_BIT | MAKE_BIT,
	 CLI_NUMBER, RANGE(1, CONFIG_CPUS_MAX), set_cpus},

	{.help = "Job"},
	{"env", "NAME[=VALUE]",
	 "set a variable, or hand over husk's own; may be\n"
	 "given again",
	 JOB_BITS, CLI_TEXT, ANY, set_env},
	{"env-file", "FILE",
	 "the same from a file, one in a line; '#' begins\n"
	 "a comment",
	 JOB_BITS, CLI_TEXT, ANY, set_env_file},
	{"workdir", "DIR", "working directory in the guest [/work]", JOB_BITS,
	 CLI_TEXT, ANY, set_workdir},
	{"user", "UID[:GID]", "who the job is in the guest [65534:65534]",
	 JOB_BITS, CLI_TEXT, ANY, set_user},
	{"hostname", "NAME", "name of the guest [husk]", RUN_BIT, CLI_TEXT, ANY,
	 set_hostname},

	{.help = "Limits (0 means none for times)"},
	{"timeout", "TIME", "wall clock time, from the start of husk [none]",
	 JOB_BITS, CLI_TIME, RANGE(0, CONFIG_TIME_MAX), set_timeout},
	{"timeout-from", "WHEN",
	 "start, or stdin: --timeout counts from the\n"
	 "first byte on stdin [start]",
	 RUN_BIT, CLI_WORD,
	 WORDS([TIMEOUT_FROM_START] = "start",
	       [TIMEOUT_FROM_STDIN] = "stdin"),
	 set_timeout_from},
	{"cpu-time", "TIME", "CPU time of the job's processes [none]", RUN_BIT,
	 CLI_TIME, RANGE(0, CONFIG_TIME_MAX), set_cpu_time},
	{"pids", "N", "processes and threads of the job [512]", JOB_BITS,
	 CLI_NUMBER, RANGE(1, CONFIG_PIDS_MAX), set_pids},
	{"tmp-size", "SIZE",
	 "what the job may write to files, in memory\n"
	 "[half of --memory]",
	 JOB_BITS, CLI_SIZE, RANGE(4096, CONFIG_MEMORY_MAX), set_tmp_size},
	{"output-limit", "SIZE", "bytes on each output stream [none]", RUN_BIT,
	 CLI_SIZE, RANGE(0, 1ull << 60), set_output_limit},
	{"on-output-limit", "WHAT",
	 "truncate: drop what is over the limit;\n"
	 "kill: end the job [truncate]",
	 RUN_BIT, CLI_WORD,
	 WORDS([OUTPUT_TRUNCATE] = "truncate", [OUTPUT_KILL] = "kill"),
	 set_on_output_limit},
	{"max-jobs", "N", "machines of a pool that run jobs at once [any]",
	 POOL_BIT, CLI_NUMBER, RANGE(1, CONFIG_JOBS_MAX), set_max_jobs},
	{"max-timeout", "TIME",
	 "longest --timeout in a pool; each job needs one\n"
	 "then [none]",
	 POOL_BIT, CLI_TIME, RANGE(0, CONFIG_TIME_MAX), set_max_timeout},
	{"request-time", "TIME",
	 "a pool's clients have so long for their request\n"
	 "[10s]",
	 POOL_BIT, CLI_TIME, RANGE(0, CONFIG_TIME_MAX), set_request_time},

	{.help = "Safety"},
	{"jail", "HOW",
	 "what husk itself gives up before the guest runs:\n"
	 "auto: all that this host allows; require: no\n"
	 "less than all; off: nothing, to debug husk [auto]",
	 RUN_BIT | MAKE_BIT | POOL_BIT, CLI_WORD,
	 WORDS([JAIL_AUTO] = "auto", [JAIL_REQUIRE] = "require",
	       [JAIL_OFF] = "off"),
	 set_jail},
	{"own-core", "HOW",
	 "keep other machines off the second hardware thread\n"
	 "of a core while this one runs there: on, off, or\n"
	 "auto: where that costs a run no time [auto]",
	 RUN_BIT | POOL_BIT, CLI_WORD,
	 WORDS([OWN_CORE_AUTO] = "auto", [OWN_CORE_ON] = "on",
	       [OWN_CORE_OFF] = "off"),
	 set_own_core},

	{.help = "Streams and reports"},
	{"result", "FILE", "where the job's descriptor 3 goes", RUN_BIT,
	 CLI_TEXT, ANY, set_result},
	{"result-fd", "N", "the same as an open descriptor", RUN_BIT,
	 CLI_NUMBER, RANGE(FD_MIN, FD_MAX), set_result_fd},
	{"status", "FILE", "write how it ended, as a JSON object", RUN_BIT,
	 CLI_TEXT, ANY, set_status},
	{"status-fd", "N", "the same to an open descriptor", RUN_BIT,
	 CLI_NUMBER, RANGE(FD_MIN, FD_MAX), set_status_fd},
	{"console", "FILE", "write the log of the guest kernel",
	 RUN_BIT | MAKE_BIT,
	 CLI_TEXT, ANY, set_console},
	{"console-limit", "SIZE", "bytes of that log, then it is cut [16M]",
	 RUN_BIT | MAKE_BIT, CLI_SIZE, RANGE(0, 1ull << 60),
	 set_console_limit},
	{"timeline", NULL, "show the phases of the run on stderr", RUN_BIT,
	 CLI_FLAG, ANY, set_timeline},
	{"json", NULL, "print the answers of 'husk check' as JSON", CHECK_BIT,
	 CLI_FLAG, ANY, set_json},
	{"strict", NULL,
	 "'husk check' asks, too, how the host is set up for\n"
	 "strangers' jobs", CHECK_BIT, CLI_FLAG, ANY, set_strict},

	{.help = "Other"},
	{"help", NULL, "show this text", ALONE, CLI_FLAG, ANY, set_help},
	{"version", NULL, "show version and commit", ALONE, CLI_FLAG, ANY,
	 set_version},
	{0},
};
