// SPDX-License-Identifier: MIT
/*
 * What happens during a run, and what follows from it. vCPU threads report
 * through flags; run_step looks at them before each sleep of the loop, so
 * every decision is made in one place and in one order:
 *
 *	host failure > output limit > the guest's report > the guest's death
 *
 * A report or a death counts only when everything that the guest had put into
 * its output queues has been taken: output is never cut by success.
 */
#include "run/events.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <unistd.h>

/* After the deadline by this much, the kernel ends a husk that hangs. */
#define BACKSTOP_S 5

void run_on_changed(void *opaque)
{
	struct run *run = opaque;

	loop_wake_soon(&run->loop);
}

void run_on_stream(void *opaque, struct stream *s, enum stream_event ev)
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
	loop_wake_soon(&run->loop);
}

void run_on_control(void *opaque)
{
	struct run *run = opaque;

	if (run->control.state == CONTROL_READY)
		run->o->clock[CLOCK_T2_INIT] = loop_now();
	atomic_store(&run->control_state, (int)run->control.state);
	loop_wake_soon(&run->loop);
}

void run_on_disk_failed(void *opaque)
{
	struct run *run = opaque;

	loop_wake_soon(&run->loop);
}

void run_on_served(void *opaque)
{
	struct run *run = opaque;

	loop_wake_now(&run->loop);
}

void run_on_vcpu_end(void *opaque, enum vcpu_end end, const char *text)
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

/* A log that cannot be written is no reason to lose the job. */
static void write_console(const struct run *run, const char *buf, size_t len)
{
	ssize_t r = write(run->console_fd, buf, len);

	(void)r;
}

void run_flush_console(struct run *run)
{
	static const char cut[] = "\n[cut here by husk: --console-limit]\n";
	uint64_t room = run->config->console_limit - run->console_bytes;
	size_t n = run->console_have;

	run->console_cut = n > room;
	if (run->console_cut)
		n = (size_t)room;
	write_console(run, run->console_line, n);
	run->console_bytes += n;
	run->console_have = 0;
	if (run->console_cut)
		write_console(run, cut, strlen(cut));
}

/* With the UART locked. */
void run_on_console(void *opaque, const char *buf, size_t len)
{
	struct run *run = opaque;
	size_t i;

	if (run->console_fd < 0)
		return;
	/* A guest may say more than any disk holds. */
	for (i = 0; i < len && !run->console_cut; i++) {
		run->console_line[run->console_have++] = buf[i];
		if (buf[i] == '\n' ||
		    run->console_have == sizeof(run->console_line))
			run_flush_console(run);
	}
}

/* ---- the loop's side ---- */

short run_port_wants(void *opaque)
{
	const struct port_watch *w = opaque;

	return console_wants(&w->run->vm.console, w->port);
}

void run_port_ready(void *opaque, short revents)
{
	const struct port_watch *w = opaque;

	(void)revents;
	console_pump(&w->run->vm.console, w->port);
}

static void end_as(struct run *run, enum verdict v, int code)
{
	run->o->verdict = v;
	run->o->code = code;
	run->loop.stop = true;
}

__attribute__((format(printf, 4, 5))) static void
decide(struct run *run, enum verdict v, int code, const char *fmt, ...)
{
	va_list ap;

	end_as(run, v, code);
	va_start(ap, fmt);
	vsnprintf(run->o->reason, sizeof(run->o->reason), fmt, ap);
	va_end(ap);
}

void run_interrupt(struct run *run, int signal)
{
	decide(run, VERDICT_INTERRUPTED, signal, "ended by signal %s",
	       sigabbrev_np(signal));
}

short run_signal_wants(void *opaque)
{
	(void)opaque;
	return POLLIN;
}

void run_signal_ready(void *opaque, short revents)
{
	struct run *run = opaque;
	struct signalfd_siginfo si;

	(void)revents;
	if (read(run->signal_fd, &si, sizeof(si)) != sizeof(si))
		return;
	run_interrupt(run, (int)si.ssi_signo);
}

void run_deadline_expired(void *opaque)
{
	struct run *run = opaque;

	decide(run, VERDICT_TIMEOUT, 0, "time limit of %g s reached",
	       (double)run->config->timeout_ns / 1e9);
}

void run_arm_deadline(struct run *run, uint64_t from)
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
	run->backstop = true;
}

static bool outputs_drained(struct run *run)
{
	return console_is_drained(&run->vm.console, HUSK_PORT_STDOUT) &&
	       console_is_drained(&run->vm.console, HUSK_PORT_STDERR) &&
	       console_is_drained(&run->vm.console, HUSK_PORT_RESULT);
}

/*
 * What the guest says is never a line of husk's own: its words could be any
 * that husk has. No printf where a job just ended.
 */
static void quote_reason(struct outcome *o, const char *words)
{
	static const char guest[] = "the guest says: ", none[] = "nothing";
	struct text t;

	text_init(&t, o->reason, sizeof(o->reason));
	if (!words[0] && !outcome_line(o))
		return;
	text_add(&t, guest, strlen(guest));
	text_add(&t, words[0] ? words : none, strlen(words[0] ? words : none));
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

	o->guest_said = true;
	o->wall_ns = end->wall_ns;
	o->cpu_user_ns = end->cpu_user_ns;
	o->cpu_sys_ns = end->cpu_sys_ns;
	o->mem_peak = end->mem_peak;
	o->pids_peak = end->pids_peak;
	end_as(run, verdicts[end->kind], (int)end->code);
	quote_reason(o, run->control.reason);
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

/*
 * A reset is how Linux ends a panic: then the last words say why. With any
 * other end they only say how far the guest had come.
 */
static void decide_crash(struct run *run)
{
	int ended = atomic_load(&run->vcpu_ended);
	const char *how = ended == VCPU_RESET + 1 ? "reset without a verdict"
			  : ended ? arch_words.shutdown
				  : "its init broke the protocol";
	char words[160];

	arch_board_last_words(run->vm.board, words, sizeof(words));
	if (ended == VCPU_REFUSED + 1)
		decide(run, VERDICT_ERROR, EIO,
		       "run the guest: %s (husk check tells whether this host "
		       "can)",
		       run->vcpu_text);
	else if (ended == VCPU_FAILED + 1)
		decide(run, VERDICT_GUEST_CRASH, 0,
		       "the guest crashed: %s (husk check tells whether this "
		       "host can run Linux guests)",
		       run->vcpu_text);
	else if (words[0] && ended == VCPU_RESET + 1)
		decide(run, VERDICT_GUEST_CRASH, 0,
		       "the guest crashed, and says: %s", words);
	else if (words[0])
		decide(run, VERDICT_GUEST_CRASH, 0,
		       "the guest crashed: %s, and says: %s", how, words);
	else
		decide(run, VERDICT_GUEST_CRASH, 0, "the guest crashed: %s%s",
		       how,
		       !ended || run->o->clock[CLOCK_T2_INIT]
			       ? ""
			       : ", before its init ran (is the kernel built "
				 "with husk's configuration?)");
}

static void decide_stream_failure(struct run *run)
{
	unsigned i;

	for (i = 0; i < STREAM_NR; i++)
		if (run->stream[i].error)
			decide(run, VERDICT_ERROR, run->stream[i].error,
			       "write %s: %s%s", run->stream[i].name,
			       strerror(run->stream[i].error),
			       run->stream[i].error == EFBIG ?
				       " (the host's limit RLIMIT_FSIZE, see "
				       "ulimit -f, or its file system's)" :
				       "");
}

/* What the job makes of a file that cannot be read is not its verdict. */
static void decide_disk_failure(struct run *run, int code)
{
	decide(run, VERDICT_ERROR, code, "read image '%s': %s",
	       run->config->image,
	       code == ENODATA ? "it was cut short while in use" :
				 strerror(code));
}

void run_step(void *opaque)
{
	struct run *run = opaque;
	int state = atomic_load(&run->control_state);

	if (run->loop.stop)
		return;
	if (run->till_rest && state == CONTROL_RESTING) {
		run->loop.stop = true;
		return;
	}
	if (atomic_load(&run->stdin_seen) &&
	    run->config->timeout_from == TIMEOUT_FROM_STDIN)
		run_arm_deadline(run, loop_now());
	if (atomic_load(&run->stream_failed))
		decide_stream_failure(run);
	else if (atomic_load(&run->disk.error))
		decide_disk_failure(run, atomic_load(&run->disk.error));
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
