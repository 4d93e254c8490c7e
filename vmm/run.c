// SPDX-License-Identifier: MIT
/*
 * One run from open to verdict. The main thread serves the streams, the
 * timers and the signals; vCPU threads report through flags that run_step
 * looks at before each sleep, so every decision is made in one place and in
 * one order:
 *
 *	host failure > output limit > the guest's report > the guest's death
 *
 * A report or a death counts only when everything that the guest had put into
 * its output queues has been taken: output is never cut by success.
 */
#include "run.h"

#include "arch/probe.h"
#include "backends/control.h"
#include "backends/disk.h"
#include "backends/stream.h"
#include "core/loop.h"
#include "lib/cleanup.h"
#include "measure.h"
#include "paths.h"
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/time.h>

/* After the deadline by this much, the kernel ends a husk that hangs. */
#define BACKSTOP_S 5

struct run {
	const struct config *config;
	struct outcome *o;
	struct vm vm;
	struct loop loop;
	struct loop_timer *deadline;
	struct disk disk;
	struct control control;
	struct stream stream[STREAM_NR];
	struct port_watch {
		struct run *run;
		unsigned port;
	} port_watch[STREAM_NR];
	int result_fd, status_fd, console_fd, signal_fd;

	/* Set by any thread, read by run_step. */
	atomic_bool stdin_seen;
	atomic_bool over_limit;
	atomic_bool stream_failed;
	atomic_int control_state;
	atomic_int vcpu_ended;		/* enum vcpu_end + 1 */
	char vcpu_text[96];		/* written before vcpu_ended */
	pthread_mutex_t vcpu_lock;	/* of the two above, between vCPUs */

	size_t console_have;
	char console_line[256];
};

/* ---- callbacks from the devices, any thread ---- */

static void on_changed(void *opaque)
{
	struct run *run = opaque;

	loop_wake(&run->loop);
}

static void on_stream(void *opaque, struct stream *s, enum stream_event ev)
{
	struct run *run = opaque;

	switch (ev) {
	case STREAM_FIRST_BYTE:
		if (s->input)
			atomic_store(&run->stdin_seen, true);
		else if (!run->o->clock[CLOCK_T3_FIRST_BYTE])
			run->o->clock[CLOCK_T3_FIRST_BYTE] = loop_now();
		break;
	case STREAM_OVER_LIMIT:
		atomic_store(&run->over_limit, true);
		break;
	case STREAM_FAILED:
		atomic_store(&run->stream_failed, true);
		break;
	}
	loop_wake(&run->loop);
}

static void on_control(void *opaque)
{
	struct run *run = opaque;

	if (run->control.state == CONTROL_READY)
		run->o->clock[CLOCK_T2_INIT] = loop_now();
	atomic_store(&run->control_state, (int)run->control.state);
	loop_wake(&run->loop);
}

static void on_vcpu_end(void *opaque, enum vcpu_end end, const char *text)
{
	struct run *run = opaque;

	pthread_mutex_lock(&run->vcpu_lock);
	if (!atomic_load(&run->vcpu_ended)) {
		snprintf(run->vcpu_text, sizeof(run->vcpu_text), "%s", text);
		atomic_store(&run->vcpu_ended, (int)end + 1);
	}
	pthread_mutex_unlock(&run->vcpu_lock);
	loop_wake(&run->loop);
}

static void flush_console(struct run *run)
{
	/* A log that cannot be written is no reason to lose the job. */
	ssize_t r = write(run->console_fd, run->console_line,
			  run->console_have);

	(void)r;
	run->console_have = 0;
}

/* With the UART locked. */
static void on_console(void *opaque, const char *buf, size_t len)
{
	struct run *run = opaque;
	size_t i;

	if (run->console_fd < 0)
		return;
	for (i = 0; i < len; i++) {
		run->console_line[run->console_have++] = buf[i];
		if (buf[i] == '\n' ||
		    run->console_have == sizeof(run->console_line))
			flush_console(run);
	}
}

/* ---- the loop's side ---- */

static short port_wants(void *opaque)
{
	const struct port_watch *w = opaque;

	return console_wants(&w->run->vm.console, w->port);
}

static void port_ready(void *opaque, short revents)
{
	const struct port_watch *w = opaque;

	(void)revents;
	console_pump(&w->run->vm.console, w->port);
}

__attribute__((format(printf, 4, 5))) static void
decide(struct run *run, enum verdict v, int code, const char *fmt, ...)
{
	va_list ap;

	run->o->verdict = v;
	run->o->code = code;
	va_start(ap, fmt);
	vsnprintf(run->o->reason, sizeof(run->o->reason), fmt, ap);
	va_end(ap);
	run->loop.stop = true;
}

static short signal_wants(void *opaque)
{
	(void)opaque;
	return POLLIN;
}

static void signal_ready(void *opaque, short revents)
{
	struct run *run = opaque;
	struct signalfd_siginfo si;

	(void)revents;
	if (read(run->signal_fd, &si, sizeof(si)) != sizeof(si))
		return;
	decide(run, VERDICT_INTERRUPTED, (int)si.ssi_signo,
	       "ended by signal %s", sigabbrev_np((int)si.ssi_signo));
}

static void deadline_expired(void *opaque)
{
	struct run *run = opaque;

	decide(run, VERDICT_TIMEOUT, 0, "time limit of %g s reached",
	       (double)run->config->timeout_ns / 1e9);
}

static void arm_deadline(struct run *run, uint64_t from)
{
	uint64_t timeout = run->config->timeout_ns, now = loop_now(), left;
	struct itimerval backstop = { 0 };

	if (!timeout || run->deadline->at_ns)
		return;
	if (__builtin_add_overflow(from, timeout, &run->deadline->at_ns))
		run->deadline->at_ns = UINT64_MAX;
	left = run->deadline->at_ns > now ? run->deadline->at_ns - now : 0;
	backstop.it_value.tv_sec = (time_t)(left / 1000000000u) + BACKSTOP_S;
	setitimer(ITIMER_REAL, &backstop, NULL);
}

static bool outputs_drained(struct run *run)
{
	return console_is_drained(&run->vm.console, HUSK_PORT_STDOUT) &&
	       console_is_drained(&run->vm.console, HUSK_PORT_STDERR) &&
	       console_is_drained(&run->vm.console, HUSK_PORT_RESULT);
}

static void decide_report(struct run *run)
{
	static const enum verdict verdicts[] = {
		[HUSK_END_EXITED] = VERDICT_EXITED,
		[HUSK_END_SIGNALED] = VERDICT_SIGNALED,
		[HUSK_END_OOM] = VERDICT_OOM,
		[HUSK_END_CPU_TIME] = VERDICT_CPU_TIME,
		[HUSK_END_START_FAILED] = VERDICT_START_FAILED,
		[HUSK_END_ERROR] = VERDICT_ERROR,
	};
	const struct husk_end *end = &run->control.end;
	struct outcome *o = run->o;

	o->wall_ns = end->wall_ns;
	o->cpu_user_ns = end->cpu_user_ns;
	o->cpu_sys_ns = end->cpu_sys_ns;
	o->mem_peak = end->mem_peak;
	o->pids_peak = end->pids_peak;
	decide(run, verdicts[end->kind], (int)end->code, "%s",
	       run->control.reason);
	if (o->verdict == VERDICT_CPU_TIME)
		snprintf(o->reason, sizeof(o->reason),
			 "CPU time limit of %g s reached",
			 (double)run->config->cpu_time_ns / 1e9);
	if (o->verdict == VERDICT_OOM)
		snprintf(o->reason, sizeof(o->reason),
			 "out of memory: the job wanted more than %llu MiB of "
			 "the machine's %llu MiB",
			 (unsigned long long)(end->mem_peak >> 20),
			 (unsigned long long)(run->config->memory >> 20));
}

static void decide_crash(struct run *run)
{
	char words[160];
	int ended = atomic_load(&run->vcpu_ended);

	uart_last_words(&run->vm.uart, words, sizeof(words));
	if (ended == VCPU_FAILED + 1)
		decide(run, VERDICT_GUEST_CRASH, 0,
		       "the guest crashed: %s (husk check tells whether this "
		       "host can run Linux guests)",
		       run->vcpu_text);
	else if (words[0])
		decide(run, VERDICT_GUEST_CRASH, 0, "the guest crashed: %s",
		       words);
	else if (ended)
		decide(run, VERDICT_GUEST_CRASH, 0,
		       "the guest crashed: %s without a verdict%s",
		       ended == VCPU_RESET + 1 ? "reset" : "triple fault",
		       run->o->clock[CLOCK_T2_INIT] ?
			       "" :
			       ", before its init ran (is the kernel built "
			       "with husk's configuration?)");
	else
		decide(run, VERDICT_GUEST_CRASH, 0,
		       "the guest crashed: its init broke the protocol");
}

static void decide_stream_failure(struct run *run)
{
	unsigned i;

	for (i = 0; i < STREAM_NR; i++)
		if (run->stream[i].error)
			decide(run, VERDICT_ERROR, run->stream[i].error,
			       "write %s: %s", run->stream[i].name,
			       strerror(run->stream[i].error));
}

static void run_step(void *opaque)
{
	struct run *run = opaque;
	int state = atomic_load(&run->control_state);

	if (run->loop.stop)
		return;
	if (atomic_load(&run->stdin_seen) &&
	    run->config->timeout_from == TIMEOUT_FROM_STDIN)
		arm_deadline(run, loop_now());
	if (atomic_load(&run->stream_failed))
		decide_stream_failure(run);
	else if (atomic_load(&run->over_limit) &&
		 run->config->on_output_limit == OUTPUT_KILL)
		decide(run, VERDICT_OUTPUT_LIMIT, 0,
		       "output limit of %llu bytes reached",
		       (unsigned long long)run->config->output_limit);
	else if (state == CONTROL_ENDED && outputs_drained(run))
		decide_report(run);
	else if (state != CONTROL_ENDED &&
		 (state == CONTROL_BAD || atomic_load(&run->vcpu_ended)) &&
		 outputs_drained(run))
		decide_crash(run);
}

/* ---- set-up ---- */

/* Close every descriptor that is not one of the four the user named. */
static void close_inherited(const struct config *c)
{
	int a = c->result_fd > 2 ? c->result_fd : -1;
	int b = c->status_fd > 2 ? c->status_fd : -1;
	int low = a < b ? a : b, high = a < b ? b : a;
	unsigned from = 3;

	if (low > 2) {
		if ((unsigned)low > from)
			close_range(from, (unsigned)low - 1, 0);
		from = (unsigned)low + 1;
	}
	if (high > 2 && (unsigned)high >= from) {
		if ((unsigned)high > from)
			close_range(from, (unsigned)high - 1, 0);
		from = (unsigned)high + 1;
	}
	close_range(from, ~0u, 0);
}

/*
 * A file for output: not truncated yet, so that a run that cannot start loses
 * nothing of what was in it.
 */
static int open_output(const char *what, const char *path, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY |
				    O_NONBLOCK, 0666);

	if (fd < 0 && errno == ENXIO)
		return err_set(e, ENXIO,
			       "open %s '%s': nobody reads this FIFO (start "
			       "the reader first)",
			       what, path);
	if (fd < 0)
		return err_sys(e, "open %s '%s'", what, path);
	return fd;
}

static void truncate_output(int fd)
{
	struct stat st;

	if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) &&
	    ftruncate(fd, 0))
		return;
}

static int check_fd(const char *what, int fd, struct err *e)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return err_sys(e, "use descriptor %d for the %s", fd, what);
	if ((flags & O_ACCMODE) == O_RDONLY)
		return err_set(e, EBADF,
			       "use descriptor %d for the %s: open for reading "
			       "only",
			       fd, what);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return 0;
}

static int open_status(struct run *run, struct err *e)
{
	const struct config *c = run->config;
	int r = 0;

	if (c->status_fd >= 0) {
		r = check_fd("status", c->status_fd, e);
		if (!r)
			run->status_fd = c->status_fd;
	} else if (c->status_file) {
		r = open_output("status", c->status_file, e);
		if (r >= 0)
			run->status_fd = r;
	}
	return r < 0 ? r : 0;
}

static int open_streams(struct run *run, struct err *e)
{
	static const char *const names[HUSK_NR_PORTS] = HUSK_PORT_NAMES;
	const struct config *c = run->config;
	int fd[STREAM_NR] = { 0, 1, 2, c->result_fd };
	unsigned i;
	int r;

	if (c->result_file) {
		run->result_fd = open_output("result", c->result_file, e);
		if (run->result_fd < 0)
			return run->result_fd;
		fd[STREAM_RESULT] = run->result_fd;
	}
	for (i = 0; i < STREAM_NR; i++) {
		struct stream *s = &run->stream[i];

		s->limit = i == STREAM_STDIN ? UINT64_MAX : c->output_limit;
		s->keep_open = i == STREAM_STDERR;
		s->event = on_stream;
		s->opaque = run;
		r = stream_open(s, names[i], fd[i], i == STREAM_STDIN, e);
		if (r)
			return r;
	}
	return 0;
}

static int open_signals(struct run *run, struct err *e)
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
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	run->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->signal_fd < 0)
		return err_sys(e, "watch for signals");
	return 0;
}

static int init_loop(struct run *run, struct err *e)
{
	struct loop_watch signals = { run->signal_fd, signal_wants,
				      signal_ready, run };
	unsigned i;
	int r = loop_init(&run->loop, run_step, run, e);

	if (r)
		return r;
	loop_add_watch(&run->loop, &signals);
	for (i = 0; i < STREAM_NR; i++) {
		struct loop_watch w = { run->stream[i].fd, port_wants,
					port_ready, &run->port_watch[i] };

		run->port_watch[i] = (struct port_watch){ run, i };
		loop_add_watch(&run->loop, &w);
	}
	run->deadline = loop_add_timer(&run->loop, deadline_expired, run);
	return 0;
}

static int init_control(struct run *run, struct err *e)
{
	const struct config *c = run->config;
	struct husk_job job = {
		.uid = c->uid,
		.gid = c->gid,
		.pids_max = c->pids_max,
		.tmp_size = c->tmp_size ? c->tmp_size : c->memory / 2,
		.cpu_time_ns = c->cpu_time_ns,
	};
	struct control_job strings = { c->hostname, c->workdir, c->argv,
				       c->env, c->nr_env };

	if (getrandom(job.seed, sizeof(job.seed), 0) != sizeof(job.seed))
		return err_sys(e, "get random bytes for the job");
	return control_init(&run->control, &job, &strings, on_control, run, e);
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
	if (!probe_is_software_kvm())
		return 0;
	err_set(e, ENOTSUP,
		"use '/dev/kvm': software KVM (kvm_pvm) runs no Linux guest");
	return err_hint(e, "use a host with VT-x or SVM; husk check says more");
}

/* Queues hold one page a buffer; those nobody reads are as short as can be. */
#define QUEUE_DATA 64
#define QUEUE_IDLE 2

static int init_vm(struct run *run, struct err *e)
{
	static const char *const names[HUSK_NR_PORTS] = HUSK_PORT_NAMES;
	const struct config *c = run->config;
	struct vm_args args = {
		.memory = c->memory,
		.cpus = c->cpus,
		.kernel = c->kernel,
		.disk = &run->disk,
		.verbose_console = c->console_file != NULL,
		.changed = on_changed,
		.ended = on_vcpu_end,
		.console_out = on_console,
		.opaque = run,
	};
	unsigned i;

	for (i = 0; i < HUSK_NR_PORTS; i++) {
		struct console_port_config *p = &args.port[i];

		*p = (struct console_port_config){
			names[i], &stream_output_ops, &run->stream[i],
			QUEUE_IDLE, QUEUE_DATA
		};
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

static int set_up(struct run *run, struct err *e)
{
	const struct config *c = run->config;
	int r;

	r = open_status(run, e);
	if (!r)
		r = open_streams(run, e);
	if (!r && c->console_file) {
		run->console_fd = open_output("console", c->console_file, e);
		r = run->console_fd < 0 ? run->console_fd : 0;
	}
	if (!r && !c->kernel)
		r = paths_refuse("vmlinux", "kernel", e);
	if (!r && !c->image)
		r = paths_refuse("base.ext4", "image", e);
	if (!r)
		r = check_memory(c, e);
	if (!r)
		r = disk_open(&run->disk, c->image, e);
	if (!r)
		r = init_control(run, e);
	if (!r)
		r = open_signals(run, e);
	if (!r)
		r = init_loop(run, e);
	if (!r)
		r = check_kvm(e);
	if (!r)
		r = init_vm(run, e);
	return r;
}

/* ---- the end ---- */

static void take_counts(struct run *run)
{
	struct outcome *o = run->o;
	unsigned i;

	vm_count_exits(&run->vm, o->exits);
	o->clock[CLOCK_T1_RUN] = run->vm.vcpu[0].first_run_ns;
	for (i = 0; i < STREAM_NR; i++)
		o->stream[i] = (struct stream_outcome){
			run->stream[i].bytes, run->stream[i].delivered,
			run->stream[i].truncated
		};
	if (run->status_fd >= 0 || run->config->timeline)
		measure_memory(&run->vm.mem, &o->guest_pages,
			       &o->private_bytes);
}

/*
 * Stop the machine, let out what is in its queues as far as readers take it
 * now, and close the job's streams so that they see the end.
 */
static void finish_machine(struct run *run)
{
	unsigned i;

	vm_stop(&run->vm);
	if (run->vm.has_devices)
		for (i = STREAM_STDOUT; i < STREAM_NR; i++)
			console_pump(&run->vm.console, i);
	take_counts(run);
	for (i = 0; i < STREAM_NR; i++)
		if (!run->stream[i].keep_open)
			stream_close(&run->stream[i]);
	if (run->console_fd >= 0 && run->console_have)
		flush_console(run);
	run->o->clock[CLOCK_T4_EXIT] = loop_now();
}

static void format_uuid(char *out, const uint8_t *u)
{
	static const char hex[] = "0123456789abcdef";
	unsigned i;

	for (i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = hex[u[i] >> 4];
		*out++ = hex[u[i] & 15];
	}
	*out = '\0';
}

static int write_all(int fd, const char *buf, size_t len, struct err *e)
{
	while (len) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		ssize_t n = write(fd, buf, len);

		if (n >= 0) {
			buf += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			poll(&p, 1, -1);
		} else if (errno != EINTR) {
			return err_sys(e, "write the status");
		}
	}
	return 0;
}

static int write_status(struct run *run, struct err *e)
{
	const struct config *c = run->config;
	struct identity id = {
		.kernel = c->kernel,
		.image = c->image,
		.kernel_size = run->vm.kernel_size,
		.kernel_mtime = run->vm.kernel_mtime,
		.image_size = run->disk.size,
		.image_mtime = run->disk.mtime,
	};
	char buf[STATUS_MAX];
	size_t len;

	if (run->status_fd < 0)
		return 0;
	memcpy(id.kernel_salt, run->vm.entry.salt, sizeof(id.kernel_salt));
	if (run->disk.fd >= 0)
		format_uuid(id.image_uuid, run->disk.uuid);
	len = status_format(buf, sizeof(buf), c, &id, run->o);
	truncate_output(run->status_fd);
	return write_all(run->status_fd, buf, len, e);
}

/* An error of husk becomes the outcome; a failing status then adds nothing. */
static void give_up(struct run *run, const struct err *e)
{
	struct err ignored;

	run->o->verdict = VERDICT_ERROR;
	run->o->code = e->code;
	snprintf(run->o->reason, sizeof(run->o->reason), "%s", e->msg);
	write_status(run, &ignored);
}

static int serve(struct run *run, uint64_t t0_ns, struct err *e)
{
	int r;

	if (run->config->result_file)
		truncate_output(run->stream[STREAM_RESULT].fd);
	truncate_output(run->console_fd);
	if (run->config->timeout_from == TIMEOUT_FROM_START)
		arm_deadline(run, t0_ns);
	r = vm_start(&run->vm, e);
	if (!r)
		r = loop_run(&run->loop, e);
	return r;
}

static void release(struct run *run)
{
	unsigned i;

	vm_fini(&run->vm);
	control_fini(&run->control);
	disk_close(&run->disk);
	loop_fini(&run->loop);
	for (i = 0; i < STREAM_NR; i++)
		if (!run->stream[i].keep_open)
			stream_close(&run->stream[i]);
	cleanup_fd(&run->console_fd);
	cleanup_fd(&run->signal_fd);
}

int run_job(const struct config *c, uint64_t t0_ns, struct outcome *o,
	    struct err *e)
{
	struct run run = {
		.config = c,
		.o = o,
		.vm = { .kvm = { .fd = -1, .vm_fd = -1 } },
		.loop = { .wake_fd = -1 },
		.disk = { .fd = -1 },
		.result_fd = -1,
		.status_fd = -1,
		.console_fd = -1,
		.signal_fd = -1,
		.vcpu_lock = PTHREAD_MUTEX_INITIALIZER,
	};
	int r;

	memset(o, 0, sizeof(*o));
	o->clock[CLOCK_T0_START] = t0_ns;
	close_inherited(c);
	r = set_up(&run, e);
	if (!r)
		r = serve(&run, t0_ns, e);
	if (r) {
		vm_stop(&run.vm);
		give_up(&run, e);
	} else {
		finish_machine(&run);
		r = write_status(&run, e);
	}
	/* Process exit releases everything; only T5 wants to see it happen. */
	if (c->timeline || r) {
		release(&run);
		o->clock[CLOCK_T5_REAPED] = loop_now();
	}
	return r;
}
