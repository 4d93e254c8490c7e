// SPDX-License-Identifier: MIT
/*
 * One run from open to verdict: set up, serve until the loop stops, stop the
 * machine, count, report. The main thread serves streams, timers and signals;
 * each vCPU has a thread of its own.
 */
#include "run/run.h"

#include "lib/cleanup.h"
#include "lib/fdstat.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

/* What the share has, whoever reads it; a stranger's word (see share.h). */
static void take_shared_counts(const struct share *s, struct outcome *o)
{
	unsigned i, kind;

	for (kind = 0; kind < EXIT_KIND_NR; kind++) {
		o->exits[kind] = 0;
		for (i = 0; i < CONFIG_CPUS_MAX; i++)
			o->exits[kind] += s->exits[i][kind];
	}
	for (i = 0; i < STREAM_NR; i++)
		o->stream[i] =
			(struct stream_outcome){ s->stream[i].bytes,
						 s->stream[i].delivered,
						 s->stream[i].truncated };
}

static void take_clocks(struct run *run)
{
	struct outcome *o = run->o;

	o->clock[CLOCK_T1_RUN] = run->vm.vcpu[0].first_run_ns;
	/* In a copy, init runs from the first moment. */
	if (run->config->template)
		o->clock[CLOCK_T2_INIT] = o->clock[CLOCK_T1_RUN];
}

static void take_counts(struct run *run)
{
	struct outcome *o = run->o;

	take_shared_counts(run->share, o);
	take_clocks(run);
	if (run->status_fd >= 0 || run->config->timeline)
		measure_memory(&run->measure, &run->vm.mem, &o->guest_pages,
			       &o->private_bytes);
}

/*
 * Who reports has ended, and may wait for a reader as long as that takes: the
 * verdict is no longer the clock's.
 */
static void end_backstop(struct run *run)
{
	const struct itimerval never = { 0 };

	if (run->backstop)
		setitimer(ITIMER_REAL, &never, NULL);
	run->backstop = false;
}

/*
 * Stop the machine, let out what is in its queues as far as readers take it
 * now, and close the job's streams so that they see the end.
 */
void run_finish(struct run *run)
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
		run_flush_console(run);
	run->o->clock[CLOCK_T4_EXIT] = loop_now();
	end_backstop(run);
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

/*
 * Wait until fd takes PIPE_BUF bytes without blocking. A signal that would
 * have ended the run ends this wait, too.
 */
static int wait_writable(const struct run *run, int fd)
{
	struct pollfd p[] = { { .fd = fd, .events = POLLOUT },
			      { .fd = run->signal_fd, .events = POLLIN } };

	while (ppoll(p, 2, NULL, NULL) < 0)
		if (errno != EINTR)
			return -errno;
	return p[0].revents ? 0 : -EINTR;
}

static int write_all(const struct run *run, int fd, const char *buf, size_t len,
		     struct err *e)
{
	while (len) {
		size_t part = len < PIPE_BUF ? len : PIPE_BUF;
		ssize_t n;

		if (wait_writable(run, fd))
			return err_set(e, EINTR,
				       "write the status: interrupted, nobody "
				       "reads it");
		n = write(fd, buf, part);
		if (n >= 0) {
			buf += n;
			len -= (size_t)n;
		} else if (errno != EINTR && errno != EAGAIN) {
			return err_sys(e, "write the status");
		}
	}
	return 0;
}

void run_identify(const struct run *run, struct identity *id)
{
	const struct config *c = run->config;

	*id = (struct identity){
		.kernel = c->kernel,
		.image = c->image,
		.kernel_size = run->vm.kernel_size,
		.kernel_mtime = run->vm.kernel_mtime,
		.image_size = run->disk.size,
		.image_mtime = run->disk.mtime,
	};
	memcpy(id->kernel_salt, run->vm.entry.salt, sizeof(id->kernel_salt));
	if (c->template) {
		id->kernel_size = run->template.id.kernel_size;
		id->kernel_mtime = run->template.id.kernel_mtime;
		memcpy(id->kernel_salt, run->template.id.kernel_salt,
		       sizeof(id->kernel_salt));
	}
	if (run->disk.fd >= 0)
		format_uuid(id->image_uuid, run->disk.uuid);
}

/* A regular file that was opened for output; -1 and others: nothing. */
static void empty_file(int fd)
{
	struct stat st;

	if (fd >= 0 && !fd_stat(fd, &st) && S_ISREG(st.st_mode) &&
	    ftruncate(fd, 0))
		return;
}

/* Never inlined: those who want no status need no stack for it. */
static __attribute__((noinline)) int
put_status(struct run *run, const struct identity *id, struct err *e)
{
	char buf[STATUS_MAX];
	size_t len;

	if (!run->emptied)
		empty_file(run->status_fd);
	len = status_format(buf, sizeof(buf), run->config, id, run->o);
	return write_all(run, run->status_fd, buf, len, e);
}

int run_write_status(struct run *run, const struct identity *id,
		     struct err *e)
{
	return run->status_fd < 0 ? 0 : put_status(run, id, e);
}

void run_give_up(struct run *run, const struct err *e)
{
	end_backstop(run);
	run->o->verdict = VERDICT_ERROR;
	run->o->code = e->code;
	snprintf(run->o->reason, sizeof(run->o->reason), "%s", e->msg);
}

void run_prepare(struct run *run)
{
	uint64_t counter, khz;

	if (run->config->result_file)
		empty_file(run->stream[STREAM_RESULT].fd);
	empty_file(run->console_fd);
	empty_file(run->status_fd);
	run->emptied = true;
	if (run->config->timeout_from == TIMEOUT_FROM_START)
		run_arm_deadline(run, run->o->clock[CLOCK_T0_START]);
	if (run->config->template) {
		/* What comes first was said in the template: hand over. */
		vm_read_counter(&run->vm, &counter, &khz);
		control_resume(&run->control, counter, khz);
		console_pump(&run->vm.console, HUSK_PORT_CONTROL);
	}
}

int run_go(struct run *run, struct err *e)
{
	int r = vm_start(&run->vm, e);

	return r ? r : loop_run(&run->loop, e);
}

static int serve(struct run *run, struct err *e)
{
	int r;

	/* The last things that a jailed process could not do. */
	template_prefault(&run->template, &run->vm.mem, UINT64_MAX);
	run_prepare(run);
	r = run_enter_jail(run, JAIL_LOOP, e);
	return r ? r : run_go(run, e);
}

void run_release(struct run *run)
{
	unsigned i;

	vm_fini(&run->vm);
	control_fini(&run->control);
	disk_close(&run->disk);
	loop_fini(&run->loop);
	template_close(&run->template);
	for (i = 0; i < STREAM_NR; i++)
		if (!run->stream[i].keep_open)
			stream_close(&run->stream[i]);
	cleanup_fd(&run->console_fd);
	cleanup_fd(&run->signal_fd);
	cleanup_fd(&run->client_fd);
	measure_close(&run->measure);
}

void run_init(struct run *run, const struct config *c,
	      const struct run_start *start, struct outcome *o)
{
	struct share *share = share_of(start->supervisor);
	unsigned i;

	run->share = share ? share : &run->own_share;
	run->stream = run->share->stream;
	run->own = *c;
	run->config = &run->own;
	run->o = o;
	run->template.fd = -1;
	run->vm.kvm.fd = run->vm.kvm.vm_fd = -1;
	run->loop.wake_fd = -1;
	run->disk.fd = -1;
	for (i = 0; i < STREAM_NR; i++)
		run->stream[i].fd = -1;
	run->result_fd = run->console_fd = run->signal_fd = -1;
	run->client_fd = -1;
	run->status_fd = start->status_fd;
	run->say = start->say;
	run->missing = start->missing;
	run->measure = (struct measure){ -1, -1 };
	pthread_mutex_init(&run->vcpu_lock, NULL);
	jail_init(&run->jail, c->jail, start->supervisor, &arch_policy);
	memset(o, 0, sizeof(*o));
	o->clock[CLOCK_T0_START] = start->t0_ns;
}

static void set_late(struct outcome *o)
{
	static const char why[] = "time limit reached, and husk hung";

	o->verdict = VERDICT_TIMEOUT;
	o->code = 0;
	memcpy(o->reason, why, sizeof(why));
	o->clock[CLOCK_T4_EXIT] = loop_now();
}

void run_be_late(void *opaque)
{
	struct run *run = opaque;

	take_shared_counts(run->share, run->o);
	take_clocks(run);
	set_late(run->o);
}

void run_report_loss(const struct config *c, const struct run_start *start,
		     bool late, const struct err *why, struct outcome *o)
{
	const struct share *share = share_of(start->supervisor);
	struct identity id;
	struct err ignored;
	struct run run = { 0 };

	run_init(&run, c, start, o);
	/* Until then it was the machine that counted. */
	memcpy(o->clock, share->outcome.clock, sizeof(o->clock));
	o->clock[CLOCK_T0_START] = start->t0_ns;
	take_shared_counts(share, o);
	if (late) {
		set_late(o);
	} else {
		run_give_up(&run, why);
		o->clock[CLOCK_T4_EXIT] = loop_now();
	}
	run_identify(&run, &id);
	run_write_status(&run, &id, &ignored);
}

int run_job(const struct config *c, const struct run_start *start,
	    struct outcome *o, struct err *e)
{
	/* Zero from the start; of its pages only those are there it uses. */
	static struct run run;
	struct identity id;
	struct err ignored;
	int r;

	run_init(&run, c, start, o);
	supervisor_on_late(run_be_late, &run);
	r = run_set_up(&run, e);
	if (!r)
		r = serve(&run, e);
	if (r) {
		vm_stop(&run.vm);
		run_give_up(&run, e);
	} else {
		run_finish(&run);
	}
	run_identify(&run, &id);
	/* After an error, a status that fails adds nothing. */
	if (r)
		run_write_status(&run, &id, &ignored);
	else
		r = run_write_status(&run, &id, e);
	/* Process exit releases everything; only T5 wants to see it happen. */
	if (c->timeline || r) {
		run_release(&run);
		o->clock[CLOCK_T5_REAPED] = loop_now();
	}
	return r;
}
