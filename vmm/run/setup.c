// SPDX-License-Identifier: MIT
/*
 * Everything that a run opens, checks and wires, in the order in which a user
 * would want to hear of it: where to report first (open.c), then streams,
 * then files, then the host. Nothing that exists is changed before all of it
 * holds.
 */
#include "run/events.h"

#include "arch/host.h"
#include "jail/own_core.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

int run_attach_streams(struct run *run, const int fd[STREAM_NR],
		       struct err *e)
{
	static const char *const names[HUSK_NR_PORTS] = HUSK_PORT_NAMES;
	unsigned i;
	int r;

	for (i = 0; i < STREAM_NR; i++) {
		struct stream *s = &run->stream[i];

		s->held = false;
		s->limit = i == STREAM_STDIN ? UINT64_MAX :
					       run->config->output_limit;
		s->keep_open = i == STREAM_STDERR;
		s->event = run_on_stream;
		s->opaque = run;
		r = stream_open(s, names[i], fd[i], i == STREAM_STDIN, e);
		if (r)
			return r;
	}
	return 0;
}

int run_open_streams(struct run *run, struct err *e)
{
	const struct config *c = run->config;
	int fd[STREAM_NR] = { 0, 1, 2, c->result_fd };

	if (c->result_file) {
		run->result_fd = run_open_output("result", c->result_file, e);
		if (run->result_fd < 0)
			return run->result_fd;
		fd[STREAM_RESULT] = run->result_fd;
	}
	return run_attach_streams(run, fd, e);
}

int run_open_console(struct run *run, struct err *e)
{
	const char *path = run->config->console_file;

	if (!path)
		return 0;
	run->console_fd = run_open_output("console", path, e);
	return run->console_fd < 0 ? run->console_fd : 0;
}

int run_open_signals(struct run *run, struct err *e)
{
	static const int ending[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction old;
	sigset_t set;
	unsigned i;

	sigemptyset(&set);
	for (i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		/* What our parent has us ignore (nohup) stays ignored. */
		if (sigaction(ending[i], NULL, &old) ||
		    old.sa_handler != SIG_IGN)
			sigaddset(&set, ending[i]);
	/* Ignored: a reader that left, a file at its limit are write errors. */
	if (sigprocmask(SIG_BLOCK, &set, NULL) ||
	    signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
	    signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
		return err_sys(e, "watch for signals");
	run->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->signal_fd < 0)
		return err_sys(e, "watch for signals");
	return 0;
}

int run_init_loop(struct run *run, struct err *e)
{
	int r = loop_init(&run->loop, run_step, run, e);

	if (!r)
		run->deadline = loop_add_timer(&run->loop,
					       run_deadline_expired, run);
	return r;
}

void run_watch(struct run *run)
{
	struct loop_watch signals = { run->signal_fd, run_signal_wants,
				      run_signal_ready, run };
	unsigned i;

	loop_add_watch(&run->loop, &signals);
	for (i = 0; i < STREAM_NR; i++) {
		struct loop_watch w = { run->stream[i].fd, run_port_wants,
					run_port_ready, &run->port_watch[i] };

		run->port_watch[i] = (struct port_watch){ run, i };
		loop_add_watch(&run->loop, &w);
	}
}

static int get_random(void *buf, size_t len, struct err *e)
{
	return getrandom(buf, len, 0) == (ssize_t)len ?
		       0 : err_sys(e, "get random bytes for the job");
}

/* A copy of a machine whose job has warmed up already. */
static int init_go(struct run *run, struct err *e)
{
	const struct config *c = run->config;
	struct husk_go go = {
		.pids_max = c->pids_max,
		.cpu_time_ns = c->cpu_time_ns,
	};

	if (get_random(go.seed, sizeof(go.seed), e) ||
	    get_random(go.job_seed, sizeof(go.job_seed), e))
		return -e->code;
	return control_init_go(&run->control, &go, c->hostname,
			       run_on_control, run, e);
}

static uint64_t tmp_size(const struct config *c)
{
	return c->tmp_size ? c->tmp_size : c->memory / 2;
}

/* The jobs of copies are taken to have the template's own options. */
static int init_rest(struct run *run, struct err *e)
{
	const struct config *c = run->config;
	const struct husk_rest rest = {
		.uid = c->uid,
		.gid = c->gid,
		.pids_max = c->pids_max,
		.tmp_size = tmp_size(c),
	};

	return control_init_rest(&run->control, &rest, run_on_control, run, e);
}

#define NAME_OF(fd) #fd
#define VARIABLE(name, fd) name "=" NAME_OF(fd)

static int init_job(struct run *run, struct err *e)
{
	const struct config *c = run->config;
	auto_free const char **env = NULL;
	struct husk_job job = {
		.uid = c->uid,
		.gid = c->gid,
		.pids_max = c->pids_max,
		.tmp_size = tmp_size(c),
		.flags = c->warm ? HUSK_JOB_HOLD : 0,
		.cpu_time_ns = c->cpu_time_ns,
	};
	struct control_job strings = { c->hostname, c->workdir, c->argv,
				       c->env, c->nr_env };

	if (c->warm) {
		env = reallocarray(NULL, c->nr_env + 2, sizeof(*env));
		if (!env)
			return err_sys(e, "keep the environment");
		if (c->nr_env)
			memcpy(env, c->env, c->nr_env * sizeof(*env));
		strings.env = env;
		env[strings.nr_env++] = VARIABLE("HUSK_READY_FD",
						 HUSK_READY_FD);
		env[strings.nr_env++] = VARIABLE("HUSK_SEED_FD", HUSK_SEED_FD);
	}
	if (get_random(job.seed, sizeof(job.seed), e))
		return -e->code;
	return control_init(&run->control, &job, &strings, run_on_control, run,
			    e);
}

int run_init_control(struct run *run, struct err *e)
{
	if (run->till_rest && !run->config->warm)
		return init_rest(run, e);
	if (run->template.id.warm)
		return init_go(run, e);
	return init_job(run, e);
}

static int check_memory(const struct config *c, struct err *e)
{
	struct sysinfo si;
	uint64_t total;

	if (sysinfo(&si))
		return err_sys(e, "ask for the host's memory");
	total = (uint64_t)si.totalram * si.mem_unit;
	if (c->memory > total)
		return err_set(e, ENOMEM,
			       "give the machine %llu MiB: the host has %llu "
			       "MiB (give a smaller --memory)",
			       (unsigned long long)(c->memory >> 20),
			       (unsigned long long)(total >> 20));
	return 0;
}

/*
 * There a guest kernel crawls for half a minute and then dies of an
 * instruction that KVM cannot emulate; better to say so at once.
 */
static int check_kvm(struct err *e)
{
	if (!host_has_software_kvm())
		return 0;
	err_set(e, ENOTSUP,
		"use '/dev/kvm': software KVM (%s) runs no Linux guest",
		host_find_module());
	return err_hint(e, "use a host with %s; husk check says more",
			arch_words.extension);
}

/* Queues hold one page a buffer; those nobody reads are as short as can be. */
#define QUEUE_DATA 64
#define QUEUE_IDLE 2

int run_init_vm(struct run *run, struct err *e)
{
	static const char *const names[HUSK_NR_PORTS] = HUSK_PORT_NAMES;
	const struct config *c = run->config;
	struct vm_args args = {
		.memory = c->memory,
		.cpus = c->cpus,
		.exits = run->share->exits,
		.touch = run->touch,
		.kernel = c->kernel,
		.disk = &run->disk,
		.verbose_console = c->console_file != NULL,
		.changed = run_on_changed,
		.served = run_on_served,
		.ended = run_on_vcpu_end,
		.console_out = run_on_console,
		.opaque = run,
	};
	unsigned i;

	if (c->template)
		args.template = &run->template;
	for (i = 0; i < STREAM_NR; i++)
		run->stream[i].held = run->till_rest;
	for (i = 0; i < HUSK_NR_PORTS; i++) {
		struct console_port_config *p = &args.port[i];

		*p = (struct console_port_config){ names[i], &stream_output_ops,
						   &run->stream[i], QUEUE_IDLE,
						   QUEUE_DATA };
		if (i == HUSK_PORT_STDIN) {
			p->ops = &stream_input_ops;
			p->rx_size = QUEUE_DATA;
			p->tx_size = QUEUE_IDLE;
		}
		if (i == HUSK_PORT_CONTROL) {
			p->ops = &control_ops;
			p->be = &run->control;
			p->rx_size = p->tx_size = QUEUE_IDLE;
		}
	}
	return vm_init(&run->vm, &args, e);
}

/* A template has a job of its own, or it has none. */
static int check_command(const struct config *c,
			 const struct template_identity *id, struct err *e)
{
	if (!id->warm && !*c->argv)
		return err_set(e, EINVAL,
			       "use template '%s': it has no warm command (give "
			       "a command after '--')",
			       c->template);
	if (!id->warm)
		return 0;
	if (*c->argv)
		return err_set(e, EINVAL,
			       "use template '%s': its warm command is the job, "
			       "but '%.100s' was given (leave it out, or make a "
			       "template without --warm)",
			       c->template, *c->argv);
	if (c->warm_fixed)
		return err_set(e, EINVAL,
			       "use template '%s': its warm command runs "
			       "already, '--%s' comes too late for it (give it "
			       "to husk template create)",
			       c->template, c->warm_fixed);
	return 0;
}

/* Machine and files are the template's, but for an image given by hand. */
static void take_identity(struct run *run)
{
	const struct template_identity *id = &run->template.id;

	run->own.memory = id->memory;
	run->own.cpus = id->cpus;
	run->own.kernel = id->kernel;
	if (!run->own.image_given)
		run->own.image = id->image;
}

int run_open_template(struct run *run, struct err *e)
{
	int r = template_open(&run->template, run->config->template, e);

	if (!r)
		take_identity(run);
	return r;
}

int run_check_job(struct run *run, struct err *e)
{
	const struct template_identity *id = &run->template.id;
	int r = check_command(run->config, id, e);

	if (r)
		return r;
	if (run->own.tmp_size > id->memory)
		return err_set(e, EINVAL,
			       "--tmp-size is larger than the memory of "
			       "template '%s', where these files live",
			       run->own.template);
	return 0;
}

/* What the guest has in its page cache must be what the disk holds. */
static int check_image(const struct run *run, struct err *e)
{
	const struct template_identity *id = &run->template.id;

	if (run->disk.size == id->image_size &&
	    run->disk.super_crc == id->image_crc &&
	    !memcmp(run->disk.uuid, id->image_uuid, sizeof(id->image_uuid)))
		return 0;
	return err_set(e, EINVAL,
		       "use template '%s': made from another image than '%s' "
		       "(make the template again, or give the image it was "
		       "made from)",
		       run->config->template, run->config->image);
}

static void watch_disk(struct run *run)
{
	run->disk.failed = run_on_disk_failed;
	run->disk.opaque = run;
}

static int open_disk(struct run *run, struct err *e)
{
	int r = disk_open(&run->disk, run->config->image, e);

	watch_disk(run);
	return r;
}

int run_adopt_machine(struct run *run, int template_fd, int image_fd,
		      struct err *e)
{
	int r = template_adopt(&run->template, template_fd,
			       run->config->template, e);

	if (r)
		return r;
	take_identity(run);
	r = disk_adopt(&run->disk, image_fd, run->config->image, e);
	watch_disk(run);
	return r;
}

int run_open_machine(struct run *run, struct err *e)
{
	const struct config *c = run->config;
	int r = 0;

	if (!c->kernel)
		r = run->missing("vmlinux", "kernel", e);
	if (!r && !c->image)
		r = run->missing("base.ext4", "image", e);
	if (!r)
		r = check_memory(c, e);
	if (!r)
		r = open_disk(run, e);
	if (!r && c->template)
		r = check_image(run, e);
	return r ? r : check_kvm(e);
}

int run_assemble(struct run *run, struct err *e)
{
	int r = run_open_machine(run, e);

	if (!r)
		r = run_init_control(run, e);
	if (!r)
		r = run_open_signals(run, e);
	if (!r)
		r = run_init_loop(run, e);
	if (r)
		return r;
	run_watch(run);
	return run_init_vm(run, e);
}

int run_set_up(struct run *run, struct err *e)
{
	const struct config *c = run->config;
	int r = c->template ? run_open_template(run, e) : 0;

	if (!r && c->template)
		r = run_check_job(run, e);
	if (!r && !run->till_rest)
		r = run_open_streams(run, e);
	if (!r)
		r = run_open_console(run, e);
	return r ? r : run_assemble(run, e);
}

bool run_warn_of_jail(const struct run *run, char *line, size_t size)
{
	struct text t;

	text_init(&t, line, size);
	if (run->jail.mode != JAIL_AUTO ||
	    !(JAIL_WALLS & ~run->jail.given))
		return false;
	text_printf(&t, "warning: --jail=auto: this host refuses ");
	jail_list_missing(&run->jail, JAIL_WALLS, &t);
	text_printf(&t, " (husk check says more)");
	return true;
}

int run_enter_jail(struct run *run, enum jail_thread loop, struct err *e)
{
	struct jail *j = &run->jail;
	char line[128];
	int r;

	if (run->status_fd >= 0 || run->config->timeline)
		measure_open(&run->measure);
	/* A template's memory is mapped, and there will be no second VM. */
	cleanup_fd(&run->vm.kvm.fd);
	cleanup_fd(&run->template.fd);
	if (run->vm.kvm.narrowed)
		j->given |= 1u << JAIL_NARROW;
	r = own_core_take(run->config->own_core, e);
	if (!r)
		r = jail_enter(j, e);
	if (!r && run->say && run_warn_of_jail(run, line, sizeof(line)))
		run->say(line);
	if (!r)
		r = vm_park(&run->vm, j, e);
	if (!r)
		r = jail_seal(j, loop, run->vm.kvm.vm_fd, -1, e);
	return r;
}
