// SPDX-License-Identifier: MIT
/*
 * The reader of the option table (options.c), and its words.
 *
 * getopt_long was rejected: it has global state, prints, reorders arguments
 * and takes any unambiguous prefix of an option, so that a later option breaks
 * scripts that were right. Here an option is its full name; whoever writes it
 * otherwise is told the nearest one.
 *
 * Values are checked by kind and range (value.c) before the option's setter
 * sees them; what only shows in combination is checked at the end.
 */
#include "cli/cli.h"


#include <husk/proto.h>

#include <errno.h>
#include <string.h>

#define ANY_COMMAND (~0u)

static const struct command {
	const char *name;
	enum cli_command command;
} commands[] = {
	{"run", CLI_RUN},
	{"check", CLI_CHECK},
	{"template create", CLI_TEMPLATE_CREATE},
	{"template info", CLI_TEMPLATE_INFO},
	{"template verify", CLI_TEMPLATE_VERIFY},
	{"pool", CLI_POOL},
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

#define NAME_MAX_LEN 32

/* Edits (insert, delete, replace) that make `a` of length `n` into `b`. */
static unsigned edit_distance(const char *a, size_t n, const char *b)
{
	unsigned row[NAME_MAX_LEN + 1];
	size_t m = strlen(b);

	if (n > NAME_MAX_LEN || m > NAME_MAX_LEN)
		return NAME_MAX_LEN;
	for (size_t j = 0; j <= m; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[m];
}

/* How far `word` is from `name`; a prefix of it is near. */
static unsigned name_distance(const char *word, size_t len, const char *name)
{
	if (len >= 2 && !strncmp(word, name, len))
		return 1;
	return edit_distance(word, len, name);
}

/* True when a word of `len` with that many edits is still a likely slip. */
static bool is_near(unsigned distance, size_t len)
{
	return distance <= (len < 6 ? 2 : len / 3) && distance < len;
}

static const struct cli_option *nearest_option(const char *word, size_t len,
					       unsigned command_bit)
{
	const struct cli_option *best = NULL;
	unsigned least = NAME_MAX_LEN;

	for (const struct cli_option *o = cli_options; o->help; o++) {
		unsigned d;

		if (!o->name || !(o->commands & command_bit))
			continue;
		d = name_distance(word, len, o->name);
		if (d < least) {
			least = d;
			best = o;
		}
	}
	return is_near(least, len) ? best : NULL;
}

static const struct cli_option *find_option(const char *word, size_t len)
{
	for (const struct cli_option *o = cli_options; o->help; o++)
		if (o->name && strlen(o->name) == len &&
		    !memcmp(o->name, word, len))
			return o;
	return NULL;
}

static const char *command_name(unsigned command_bit)
{
	for (size_t i = 0; i < NR_COMMANDS; i++)
		if (command_bit & 1u << commands[i].command)
			return commands[i].name;
	return "";
}

static int refuse_unknown(const char *arg, unsigned command_bit, struct err *e)
{
	const char *word = arg + strspn(arg, "-");
	size_t len = strcspn(word, "="), arg_len = strcspn(arg, "=");
	const struct cli_option *near;

	err_set(e, EINVAL, "unknown option '%.*s'",
		(int)(arg_len < 100 ? arg_len : 100), arg);
	near = nearest_option(word, len, command_bit);
	if (near)
		return err_hint(e, "did you mean '--%s'?", near->name);
	return err_hint(e, "see 'husk --help'");
}

static int refuse_missing(const struct cli_option *o, struct err *e)
{
	return err_set(e, EINVAL, "option '--%s' needs a value (write --%s%c%s)",
		       o->name, o->name, o->kind == CLI_REST ? ' ' : '=',
		       o->metavar);
}

/* A command: moves *arg on to its first word; the rest is its own. */
static int parse_rest(struct cli *out, const struct cli_option *o,
		      char ***arg, struct err *e)
{
	char *equals = strchr(**arg, '=');

	if (equals)
		**arg = equals + 1;
	else if (*++*arg && !strcmp(**arg, "--"))
		++*arg;
	if (!**arg)
		return refuse_missing(o, e);
	return o->set(out, &(struct cli_value){.text = **arg}, e);
}

/*
 * One option at **arg, with its value moves *arg on to the last word it used.
 */
static int parse_option(struct cli *out, char ***arg, struct err *e)
{
	unsigned bit = 1u << out->command;
	const char *word = strcmp(**arg, "-o") ? **arg : "--output";
	const char *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);
	struct cli_value v = {.text = equals ? equals + 1 : NULL};
	const struct cli_option *o;
	int r;

	o = len > 2 && word[1] == '-' ? find_option(word + 2, len - 2) : NULL;
	if (!o)
		return refuse_unknown(word, bit, e);
	if (!(o->commands & bit))
		return err_set(e, EINVAL, "option '--%s' belongs to 'husk %s'",
			       o->name, command_name(o->commands));
	if (o->kind == CLI_FLAG && equals)
		return err_set(e, EINVAL, "option '--%s' takes no value",
			       o->name);
	if (o->kind == CLI_REST)
		return parse_rest(out, o, arg, e);
	if (o->kind != CLI_FLAG && !equals) {
		/* Another option is no value: that one was forgotten. */
		v.text = (*arg)[1];
		if (!v.text || !strncmp(v.text, "--", 2))
			return refuse_missing(o, e);
		++*arg;
	}
	if (o->kind != CLI_FLAG) {
		r = cli_read_value(o, &v, e);
		if (r)
			return r;
	}
	return o->set(out, &v, e);
}

static void set_defaults(struct config *c)
{
	memset(c, 0, sizeof(*c));
	c->memory = CONFIG_MEMORY_DEFAULT;
	c->cpus = 1;
	c->pids_max = CONFIG_PIDS_DEFAULT;
	c->pool_size = CONFIG_POOL_DEFAULT;
	c->request_ns = CONFIG_REQUEST_DEFAULT;
	c->output_limit = UINT64_MAX;
	c->console_limit = CONFIG_CONSOLE_DEFAULT;
	c->result_fd = -1;
	c->status_fd = -1;
	c->workdir = HUSK_WORKDIR;
	c->hostname = "husk";
	c->uid = 65534;
	c->gid = 65534;
}

/* The value of `name` in an environment; NULL when absent or empty. */
static const char *find_env(char **envp, const char *name)
{
	size_t len = strlen(name);

	for (; envp && *envp; envp++)
		if (!strncmp(*envp, name, len) && (*envp)[len] == '=')
			return (*envp)[len + 1] ? *envp + len + 1 : NULL;
	return NULL;
}

/* Devices such as /dev/null may well be named twice. */
static bool is_same_file(const char *a, const char *b)
{
	return a && b && !strcmp(a, b) && strncmp(a, "/dev/", 5);
}

static int check_files(const struct config *c, struct err *e)
{
	const struct {
		const char *option, *file;
	} out[] = {
		{"result", c->result_file},
		{"status", c->status_file},
		{"console", c->console_file},
	};

	for (unsigned i = 0; i < 3; i++)
		for (unsigned j = i + 1; j < 3; j++)
			if (is_same_file(out[i].file, out[j].file))
				return err_set(e, EINVAL,
					       "--%s and --%s are both "
					       CLI_GIVEN " (give each its own)",
					       out[i].option, out[j].option,
					       out[i].file);
	return 0;
}

static int check_streams(const struct config *c, struct err *e)
{
	if (c->result_file && c->result_fd >= 0)
		return err_set(e, EINVAL,
			       "--result and --result-fd exclude "
			       "each other (give one of them)");
	if (c->status_file && c->status_fd >= 0)
		return err_set(e, EINVAL,
			       "--status and --status-fd exclude "
			       "each other (give one of them)");
	if (c->result_fd >= 0 && c->result_fd == c->status_fd)
		return err_set(e, EINVAL,
			       "--result-fd and --status-fd are "
			       "both %d (give each its own)",
			       c->result_fd);
	return check_files(c, e);
}

static int check_limits(const struct config *c, struct err *e)
{
	if (c->timeout_from == TIMEOUT_FROM_STDIN && !c->timeout_ns)
		return err_set(e, EINVAL,
			       "--timeout-from 'stdin': no time "
			       "limit is set (add --timeout=TIME)");
	if (c->on_output_limit == OUTPUT_KILL && c->output_limit == UINT64_MAX)
		return err_set(e, EINVAL,
			       "--on-output-limit 'kill': no limit "
			       "is set (add --output-limit=SIZE)");
	/* Of a copy, the memory is the template's: run/setup.c knows it. */
	if (!c->template && !c->pool && c->tmp_size > c->memory)
		return err_set(e, EINVAL,
			       "--tmp-size is larger than the "
			       "memory, where these files live (raise "
			       "--memory=SIZE)");
	return 0;
}

static int check_job(const struct config *c, struct err *e)
{
	/* Without one, the template's own: run/setup.c knows whether it has. */
	if (!c->argv[0] && (c->template || c->pool))
		return 0;
	if (!c->argv[0])
		return err_set(e, EINVAL,
			       "no command to run (write 'husk run "
			       "[OPTION...] -- COMMAND [ARGUMENT...]')");
	if (!c->argv[0][0])
		return err_set(e, EINVAL,
			       "the command to run is empty (write "
			       "its name after '--')");
	return 0;
}

/* The later file wins, and --env over all of them. */
int cli_finish(struct cli *c, struct err *e)
{
	unsigned i = c->nr_env_files;
	int r = 0;

	while (!r && i)
		r = env_read(&c->env, c->env_file[--i], c->envp, e);
	c->config.env = c->env.v;
	c->config.nr_env = c->env.nr;
	return r ? r : env_check_size(&c->config, e);
}

void cli_fini(struct cli *c)
{
	env_fini(&c->env);
}

static int check_create(const struct config *c, struct err *e)
{
	int r;

	if (!c->output)
		return err_set(e, EINVAL,
			       "no template to write (add -o FILE)");
	if (!c->warm && *c->argv)
		return err_set(e, EINVAL,
			       "'husk template create' runs no command, but "
			       CLI_GIVEN " was given (write --warm before it "
			       "to have it wait in the template)",
			       *c->argv);
	if (!c->warm && c->job_option)
		return err_set(e, EINVAL,
			       "option '--%s' is about a job, and there is none "
			       "yet (give it to husk run, or add --warm "
			       "COMMAND)",
			       c->job_option);
	if (!c->warm)
		return 0;
	r = check_limits(c, e);
	return r ? r : check_job(c, e);
}

static int check_file(struct cli *out, struct err *e)
{
	char **arg = out->config.argv;

	if (!arg[0] || arg[1])
		return err_set(e, EINVAL,
			       "want one template (write 'husk %s FILE')",
			       command_name(1u << out->command));
	out->file = arg[0];
	return 0;
}

static int check_pool(const struct config *c, struct err *e)
{
	if (!c->template)
		return err_set(e, EINVAL,
			       "no template to copy (add --template=FILE)");
	if (!c->listen)
		return err_set(e, EINVAL,
			       "no socket to listen at (add --listen=SOCKET)");
	if (*c->argv)
		return err_set(e, EINVAL,
			       "'husk pool' runs no command, but " CLI_GIVEN
			       " was given (give it to husk run --pool)",
			       *c->argv);
	return 0;
}

static int check_run(const struct config *c, struct err *e)
{
	const char *of_machine = c->image_given	   ? "image" :
				 c->jail_given	   ? "jail" :
				 c->own_core_given ? "own-core" :
						     NULL;
	int r = check_streams(c, e);

	if (!r && c->pool && c->template)
		r = err_set(e, EINVAL,
			    "--pool and --template exclude each other (the "
			    "pool has its own template)");
	if (!r && c->nr_pool_uid && !c->pool)
		r = err_set(e, EINVAL,
			    "--pool-uid is about a pool, and none is given "
			    "(add --pool=SOCKET)");
	if (!r && c->pool && of_machine)
		r = err_set(e, EINVAL,
			    "option '--%s' cannot change in a machine of a "
			    "pool (give it to husk pool)",
			    of_machine);
	if (!r && (c->template || c->pool) && c->fixed)
		r = err_set(e, EINVAL,
			    "option '--%s' cannot change in a copy of a "
			    "template: the guest has booted with it (make "
			    "another with husk template create --%s)",
			    c->fixed, c->fixed);
	if (!r)
		r = check_limits(c, e);
	return r ? r : check_job(c, e);
}

/* What stands behind "husk run" or "husk check". */
static int parse_command(struct cli *out, enum cli_command command, char **arg,
			 char **envp, struct err *e)
{
	struct config *c = &out->config;
	int r;

	out->command = command;
	c->kernel = find_env(envp, "HUSK_KERNEL");
	c->image = find_env(envp, "HUSK_IMAGE");
	for (; *arg && **arg == '-'; arg++) {
		if (!strcmp(*arg, "--")) {
			arg++;
			break;
		}
		r = parse_option(out, &arg, e);
		if (r)
			return r;
		if (out->command != command)
			return 0; /* --help, --version */
		if (c->warm)
			break; /* its words are all that follow */
	}
	c->argv = arg;
	switch (command) {
	case CLI_RUN:
		return check_run(c, e);
	case CLI_TEMPLATE_CREATE:
		return check_create(c, e);
	case CLI_POOL:
		return check_pool(c, e);
	case CLI_TEMPLATE_INFO:
	case CLI_TEMPLATE_VERIFY:
		return check_file(out, e);
	default:
		break;
	}
	if (*arg)
		return err_set(e, EINVAL,
			       "'husk check' runs no command, but " CLI_GIVEN
			       " was given",
			       *arg);
	return 0;
}

static int refuse_command(const char *word, struct err *e)
{
	size_t len = strlen(word);

	err_set(e, EINVAL, "unknown command " CLI_GIVEN, word);
	for (size_t i = 0; i < NR_COMMANDS; i++)
		if (is_near(name_distance(word, len, commands[i].name), len))
			return err_hint(e, "did you mean 'husk %s'?",
					commands[i].name);
	return err_hint(e, "to run it, write 'husk run -- %.100s'", word);
}

/* An option before the command. */
static int parse_top_option(struct cli *out, const char *word, struct err *e)
{
	size_t len = strcspn(word, "=");
	const struct cli_option *o;

	if (!strcmp(word, "--"))
		return err_set(e, EINVAL,
			       "'--' without a command of husk "
			       "(write 'husk run -- COMMAND')");
	o = len > 2 && word[1] == '-' ? find_option(word + 2, len - 2) : NULL;
	if (!o)
		return refuse_unknown(word, ANY_COMMAND, e);
	if (o->kind != CLI_FLAG || !(o->commands & 1u << CLI_HELP))
		return err_set(e, EINVAL,
			       "option '--%s' stands before the "
			       "command (write 'husk %s --%s')",
			       o->name, command_name(o->commands), o->name);
	if (word[len])
		return err_set(e, EINVAL, "option '--%s' takes no value",
			       o->name);
	return o->set(out, &(struct cli_value){0}, e);
}

/* What follows `name`, of one or two words, at the front of `argv`. */
static char **match_command(char **argv, const char *name)
{
	size_t len = strcspn(name, " ");

	if (strlen(*argv) != len || memcmp(*argv, name, len))
		return NULL;
	argv++;
	if (!name[len])
		return argv;
	return *argv && !strcmp(*argv, name + len + 1) ? argv + 1 : NULL;
}

int cli_parse(struct cli *out, char **argv, char **envp, struct err *e)
{
	const char *word = argv[0] ? argv[1] : NULL;

	out->command = CLI_HELP;
	out->json = false;
	out->strict = false;
	out->file = NULL;
	out->envp = envp;
	out->env = (struct env){0};
	out->nr_env_files = 0;
	set_defaults(&out->config);
	if (!word)
		return err_set(e, EINVAL,
			       "nothing to do (write 'husk run -- "
			       "COMMAND', or see 'husk --help')");
	if (word[0] == '-')
		return parse_top_option(out, word, e);
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		char **rest = match_command(argv + 1, commands[i].name);

		if (rest)
			return parse_command(out, commands[i].command, rest,
					     envp, e);
	}
	return refuse_command(word, e);
}
