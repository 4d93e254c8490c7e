// SPDX-License-Identifier: MIT
/*
 * The one place of husk that prints and chooses an exit status: take the time,
 * read the command line, hand over, say how it ended.
 *
 * Nothing goes to stdout but what was asked for with --help, --version and
 * check; in a run, stdout belongs to the job.
 */
#include "cli/check.h"
#include "cli/cli.h"
#include "cli/paths.h"
#include "jail/supervisor.h"
#include "job/outcome.h"
#include "job/status.h"
#include "job/version.h"
#include "lib/cleanup.h"
#include "lib/show.h"
#include "lib/text.h"
#include "pool/client.h"
#include "pool/machine.h"
#include "pool/pool.h"
#include "run/create.h"
#include "run/rehearse.h"
#include "run/run.h"
#include "run/share.h"
#include "template/template.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STATUS_FAILURE 125

/* For large buffers that a run does not use: inlined, they were its stack. */
#define OWN_FRAME __attribute__((noinline))

static uint64_t read_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/*
 * One write, so that the text stays whole among the lines of others. A reader
 * that has stopped loses it: after a time limit nothing may wait for anybody.
 */
static void write_stderr(const char *s, size_t len)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
	ssize_t n = 0;

	if (ppoll(&p, 1, &(struct timespec){0}, NULL) > 0)
		n = write(STDERR_FILENO, s, len);
	(void)n; /* there is nowhere left to say it */
}

/* "husk: LINE": the line may quote a user or a guest, so it is cleaned. */
static void print_line(const char *line)
{
	char buf[1024];
	struct text t;
	size_t len;

	text_init(&t, buf, sizeof(buf));
	text_printf(&t, "husk: ");
	text_add_clean(&t, line);
	len = text_len(&t);
	buf[len] = '\n'; /* in place of the NUL */
	write_stderr(buf, len + 1);
}

static int fail(const struct err *e)
{
	print_line(e->msg);
	return STATUS_FAILURE;
}

/* A full disk or a closed stdout must not look like success. */
static int finish_stdout(int status)
{
	struct err e;

	if (!fflush(stdout) && !ferror(stdout))
		return status;
	err_sys(&e, "write stdout");
	return fail(&e);
}

static OWN_FRAME int print_help(void)
{
	char buf[CLI_HELP_MAX];

	cli_help(buf, sizeof(buf));
	show_raw(stdout, buf);
	return finish_stdout(0);
}

static int print_version(void)
{
	show_line(stdout, "husk %s (%s)", version_number, version_commit);
	return finish_stdout(0);
}

/* Colour is for people who look at a terminal and did not refuse it. */
static bool wants_colour(int fd)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fd) && !(no_color && *no_color) && term &&
	       strcmp(term, "dumb");
}

static int check(const struct cli *cli)
{
	unsigned how = (cli->json ? CHECK_JSON : 0u) |
		       (cli->strict ? CHECK_STRICT : 0u) |
		       (wants_colour(STDOUT_FILENO) ? CHECK_COLOUR : 0u);

	return finish_stdout(check_host(stdout, &cli->config, how));
}

static OWN_FRAME void print_timeline(const struct outcome *o, bool colour)
{
	char buf[4096];
	size_t len;

	len = status_timeline(buf, sizeof(buf), o, colour);
	write_stderr(buf, len);
}

/*
 * With 0, 1 or 2 closed, the next file that husk opens would become a stream
 * of the job, or take its line. Those who close one mean that it is not used.
 */
static int open_closed_streams(struct err *e)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd ? O_WRONLY : O_RDONLY) != fd)
			return err_sys(e, "open '/dev/null' for a stream that "
					  "is closed");
	return 0;
}

static void find_files(struct config *c, char **kernel, char **image)
{
	struct err e;

	/* What is not found stays NULL: who needs it says so. */
	if (!c->kernel)
		c->kernel = *kernel = paths_find("vmlinux", "kernel", &e);
	if (!c->image)
		c->image = *image = paths_find("base.ext4", "image", &e);
}

static void warn_unjailed(const struct config *c)
{
	if (c->jail == JAIL_OFF)
		print_line("warning: --jail=off: if the guest breaks out of "
			   "KVM or husk, nothing holds it");
}

/* What a command of a person's starts a machine with. */
static struct run_start start_from(uint64_t t0_ns, struct supervisor *s)
{
	return (struct run_start){
		.t0_ns = t0_ns,
		.status_fd = -1,
		.supervisor = s,
		.say = print_line,
		.missing = paths_refuse,
	};
}

static int make_template(struct config *c, const struct run_start *start,
			 const struct template_file *file)
{
	FILE *progress = isatty(STDERR_FILENO) ? stderr : NULL;
	auto_free char *kernel = NULL, *image = NULL;
	struct err e;

	find_files(c, &kernel, &image);
	if (create_template(c, start, file, progress, &e) < 0)
		return fail(&e);
	return 0;
}

static int watch_maker(struct supervisor *s, const struct template_file *file)
{
	struct supervisor_end end;
	struct err e;

	supervisor_wait(s, (int[]){file->out.fd, file->out.dir}, &end);
	if (end.late)
		err_set(&e, ETIME, "make the template: time limit reached");
	else if (end.signal)
		supervisor_explain(&end, &e);
	return end.late || end.signal ? fail(&e) : end.status;
}

/* A template without a rehearsal is only slower. */
static void try_out(const struct config *c, const struct template_file *file,
		    enum rehearsal which)
{
	struct supervisor s;
	struct run_start start = {.status_fd = -1, .supervisor = &s};
	struct supervisor_end end;
	struct err e;

	if (supervisor_split(&s, c->jail != JAIL_OFF, &e))
		return;
	/* The file is its parent's to put in place. */
	if (!s.pid)
		exit(rehearse(c, &start, file, which, &e) ? STATUS_FAILURE :
							    0);
	supervisor_wait(&s, (int[]){file->out.fd, file->out.dir}, &end);
}

/* So is one in small pages. */
static void gather(const char *path)
{
	struct template t;
	struct err e;

	if (template_open(&t, path, &e))
		return;
	template_gather(&t);
	template_close(&t);
}

static int make_and_try(struct config *c, struct supervisor *s,
			struct template_file *file)
{
	int status = watch_maker(s, file);
	struct err e;

	if (!status)
		try_out(c, file, REHEARSAL_INIT);
	if (!status && !c->warm)
		try_out(c, file, REHEARSAL_PROGRAM);
	if (template_finish(file, !status, &e))
		return fail(&e);
	if (!status)
		gather(file->path);
	return status;
}

static OWN_FRAME int create(struct config *c, uint64_t t0_ns)
{
	struct supervisor s;
	struct run_start start = start_from(t0_ns, &s);
	struct template_file file;
	struct err e;

	if (open_closed_streams(&e) ||
	    run_open_status(c, &start.status_fd, &e) ||
	    template_begin(&file, c->output, &e))
		return fail(&e);
	warn_unjailed(c);
	if (supervisor_split(&s, c->jail != JAIL_OFF, &e)) {
		fail(&e);
		template_finish(&file, false, &e);
		return STATUS_FAILURE;
	}
	return s.pid ? make_and_try(c, &s, &file) :
		       make_template(c, &start, &file);
}

static int look(int (*with)(const char *, FILE *, struct err *),
		const char *path)
{
	struct err e;

	if (with(path, stdout, &e) < 0)
		return fail(&e);
	return finish_stdout(0);
}

static int serve_pool(const struct config *c, char **argv)
{
	struct err e;
	int none;

	if (open_closed_streams(&e) || run_open_status(c, &none, &e))
		return fail(&e);
	warn_unjailed(c);
	return pool_serve(c, argv, print_line, &e) < 0 ? fail(&e) : 0;
}

static int report(const struct config *c, const struct outcome *o, bool colour)
{
	if (outcome_line(o))
		print_line(outcome_line(o));
	if (c->timeline)
		print_timeline(o, colour);
	return outcome_exit_status(o);
}

static int run_machine(struct config *c, const struct run_start *start)
{
	auto_free char *kernel = NULL, *image = NULL;
	bool colour = c->timeline && wants_colour(STDERR_FILENO);
	struct outcome *o = &share_of(start->supervisor)->outcome;
	struct err e;

	/* A template says by itself what it was made from. */
	if (!c->template)
		find_files(c, &kernel, &image);
	if (run_job(c, start, o, &e) < 0)
		return fail(&e);
	return report(c, o, colour);
}

static int run_in_pool(const struct config *c, uint64_t t0_ns, int status_fd)
{
	const struct run_start start = {.t0_ns = t0_ns,
					.status_fd = status_fd};
	struct outcome o = {0};
	struct err e;

	if (pool_run_job(c, &start, &o, &e) < 0)
		return fail(&e);
	return report(c, &o, c->timeline && wants_colour(STDERR_FILENO));
}

/* A machine that could not say itself how it ended has somebody who does. */
static int watch_machine(const struct config *c, struct supervisor *s,
			 const struct run_start *start)
{
	struct supervisor_end end;
	struct outcome o;
	struct err e;

	supervisor_wait(s, (int[]){start->status_fd, -1}, &end);
	if (!end.signal && !end.late)
		return end.status;
	supervisor_explain(&end, &e);
	run_report_loss(c, start, end.late, &e, &o);
	print_line(outcome_line(&o));
	return outcome_exit_status(&o);
}

static int run(struct config *c, uint64_t t0_ns)
{
	struct supervisor s;
	struct run_start start = start_from(t0_ns, &s);
	struct err e;

	if (open_closed_streams(&e) ||
	    run_open_status(c, &start.status_fd, &e))
		return fail(&e);
	if (c->pool)
		return run_in_pool(c, t0_ns, start.status_fd);
	warn_unjailed(c);
	if (supervisor_split(&s, c->jail != JAIL_OFF, &e))
		return fail(&e);
	return s.pid ? watch_machine(c, &s, &start) : run_machine(c, &start);
}

int main(int argc, char **argv, char **envp)
{
	uint64_t t0_ns = read_clock();
	struct cli cli;
	struct err e;

	(void)argc;
	if (cli_parse(&cli, argv, envp, &e) < 0)
		return fail(&e);
	switch (cli.command) {
	case CLI_HELP:
		return print_help();
	case CLI_VERSION:
		return print_version();
	case CLI_CHECK:
		return check(&cli);
	case CLI_TEMPLATE_CREATE:
		return cli_finish(&cli, &e) < 0 ? fail(&e) :
						  create(&cli.config, t0_ns);
	case CLI_TEMPLATE_INFO:
		return look(create_info, cli.file);
	case CLI_TEMPLATE_VERIFY:
		return look(create_verify, cli.file);
	case CLI_POOL:
		if (!strcmp(argv[0], POOL_MACHINE_NAME))
			_exit(pool_machine_main(&cli.config));
		return serve_pool(&cli.config, argv);
	case CLI_RUN:
		break;
	}
	if (cli_finish(&cli, &e) < 0)
		return fail(&e);
	/* Nothing is buffered, and no handler has anything to do. */
	_exit(run(&cli.config, t0_ns));
}
