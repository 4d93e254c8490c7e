// SPDX-License-Identifier: MIT
/*
 * One loop around poll(). When the main process has died the rest is a
 * straight line: kill the others, reap them, write out what the pipes hold.
 */
#include "serve.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "pump.h"

#define NR_STREAMS RUN_NR_STREAMS
#define NEVER	   UINT64_MAX

/* Nearer to the limit than this, looking again would cost more than it. */
#define CPU_LOOK_NS 1000000u

struct watch {
	uint64_t limit_ns;
	uint64_t from_ns; /* of the CPU time that counts */
	uint64_t next_ns; /* when to look: the limit cannot be hit before */
	unsigned int cpus;
	bool hit;
	bool starved;
};

static void watch_start(struct watch *w, uint64_t limit_ns, uint64_t from_ns)
{
	long cpus = limit_ns ? sysconf(_SC_NPROCESSORS_ONLN) : 1;

	/* The first look is at once: execve itself may have cost much. */
	*w = (struct watch){
		.limit_ns = limit_ns,
		.from_ns = from_ns,
		.next_ns = limit_ns ? 0 : NEVER,
		.cpus = cpus > 0 ? (unsigned int)cpus : 1,
	};
}

static void watch_memory(struct watch *w, const struct cgroup *cg)
{
	if (!cgroup_is_starved(cg))
		return;
	w->starved = true;
	cgroup_kill(cg);
}

static void watch_look(struct watch *w, const struct cgroup *cg)
{
	uint64_t now = run_clock();
	struct cgroup_cpu cpu;
	uint64_t used, step;

	if (now < w->next_ns)
		return;
	cgroup_read_cpu(cg, &cpu);
	used = cpu.all_ns - w->from_ns;
	if (used >= w->limit_ns) {
		w->hit = true;
		w->next_ns = NEVER;
		cgroup_kill(cg);
		return;
	}
	step = (w->limit_ns - used) / w->cpus;
	w->next_ns = now + (step > CPU_LOOK_NS ? step : CPU_LOOK_NS);
}

/* How long poll may sleep; NULL: for ever. */
static const struct timespec *watch_timeout(const struct watch *w,
					    struct timespec *t)
{
	uint64_t now, left;

	if (w->next_ns == NEVER)
		return NULL;
	now = run_clock();
	left = w->next_ns > now ? w->next_ns - now : 0;
	t->tv_sec = (time_t)(left / 1000000000u);
	t->tv_nsec = (long)(left % 1000000000u);
	return t;
}

static void drain_signals(int sigchld)
{
	struct signalfd_siginfo info[4];

	while (read(sigchld, info, sizeof(info)) == (ssize_t)sizeof(info))
		;
}

/* One round: what comes first is whether the job is still there. */
static int serve_round(struct run *r, const struct cgroup *cg, int sigchld,
		       struct pump pumps[NR_STREAMS], struct watch *w,
		       struct err *e)
{
	struct pollfd pfd[2 * NR_STREAMS + 2];
	struct timespec t;

	for (int i = 0; i < NR_STREAMS; i++)
		pump_want(&pumps[i], &pfd[2 * i]);
	pfd[2 * NR_STREAMS] = (struct pollfd){
		.fd = sigchld,
		.events = POLLIN,
	};
	pfd[2 * NR_STREAMS + 1] = (struct pollfd){
		.fd = w->starved ? -1 : cg->events,
		.events = POLLPRI,
	};
	if (ppoll(pfd, 2 * NR_STREAMS + 2, watch_timeout(w, &t), NULL) < 0) {
		if (errno == EINTR)
			return 0;
		return err_sys(e, "wait for the job");
	}
	if (pfd[2 * NR_STREAMS].revents) {
		drain_signals(sigchld);
		run_reap(r);
		if (r->over)
			return 0;
	}
	watch_look(w, cg);
	if (pfd[2 * NR_STREAMS + 1].revents)
		watch_memory(w, cg);
	for (int i = 0; i < NR_STREAMS; i++)
		pump_step(&pumps[i], &pfd[2 * i]);
	return 0;
}

/* Deliver what is left. Each port waits for the host on its own. */
static int drain(struct pump pumps[NR_STREAMS], struct err *e)
{
	struct pollfd pfd[2 * NR_STREAMS] = { 0 };

	for (int i = 0; i < NR_STREAMS; i++)
		pump_last_call(&pumps[i]);
	for (;;) {
		bool done = true;

		for (int i = 0; i < NR_STREAMS; i++) {
			pump_step(&pumps[i], &pfd[2 * i]);
			done = done && pump_done(&pumps[i]);
		}
		if (done)
			return 0;
		for (int i = 0; i < NR_STREAMS; i++)
			pump_want(&pumps[i], &pfd[2 * i]);
		if (poll(pfd, 2 * NR_STREAMS, -1) < 0 && errno != EINTR)
			return err_sys(e, "deliver the last output");
	}
}

static void judge(const struct run *r, const struct cgroup *cg,
		  const struct watch *w, struct husk_end *end)
{
	struct cgroup_usage u;

	cgroup_read_usage(cg, &u);
	*end = (struct husk_end){
		.wall_ns = r->end_ns - r->start_ns,
		.cpu_user_ns = u.cpu.user_ns - r->before.user_ns,
		.cpu_sys_ns = u.cpu.sys_ns - r->before.sys_ns,
		.mem_peak = u.mem_peak,
		.pids_peak = u.pids_peak,
	};
	if (WIFEXITED(r->status)) {
		end->kind = HUSK_END_EXITED;
		end->code = (uint32_t)WEXITSTATUS(r->status);
		return;
	}
	end->kind = HUSK_END_SIGNALED;
	end->code = (uint32_t)WTERMSIG(r->status);
	if (end->code != SIGKILL)
		return;
	if (w->starved || cgroup_was_oom(cg))
		end->kind = HUSK_END_OOM;
	else if (w->hit)
		end->kind = HUSK_END_CPU_TIME;
}

/* The last line that is not empty of what waits in a pipe. */
static void read_last_words(int fd, struct err *why)
{
	char buf[4096];
	size_t have = 0;
	char *line;
	ssize_t n;

	/* Keep the end: it is there that a program says why. */
	while ((n = read(fd, buf + have, sizeof(buf) - 1 - have)) > 0) {
		have += (size_t)n;
		if (have > sizeof(buf) / 2) {
			memmove(buf, buf + have - sizeof(buf) / 4,
				sizeof(buf) / 4);
			have = sizeof(buf) / 4;
		}
	}
	while (have && (buf[have - 1] == '\n' || buf[have - 1] == ' '))
		have--;
	buf[have] = '\0';
	line = strrchr(buf, '\n');
	line = line ? line + 1 : buf;
	if (*line)
		err_set(why, ECHILD, "%.200s", line);
}

/*
 * The byte that says so, or -EPIPE: all who could write it have gone. That
 * may be the death of the job, or a program that closes what it does not know.
 */
static int read_ready(int fd, struct err *e)
{
	char byte;
	ssize_t n = read(fd, &byte, 1);

	if (n > 0)
		return 1;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ?
			       0 : err_sys(e, "wait for the job");
	return -EPIPE;
}

int serve_warm_up(struct run *r, const struct cgroup *cg, int sigchld,
		  struct husk_end *end, struct err *why, struct err *e)
{
	struct pollfd pfd[] = {
		{ .fd = r->ours[HUSK_READY_FD], .events = POLLIN },
		{ .fd = sigchld, .events = POLLIN },
	};
	const struct watch none = { 0 };
	int ready = 0;

	while (!r->over) {
		if (poll(pfd, 2, -1) < 0 && errno != EINTR)
			return err_sys(e, "wait for the job");
		if (pfd[0].revents)
			ready = read_ready(pfd[0].fd, e);
		if (ready == 1)
			return 0;
		if (ready == -EPIPE) {
			err_set(why, ECHILD, "it closed HUSK_READY_FD");
			cgroup_kill(cg);
			pfd[0].fd = -1;
			ready = 0;
		} else if (ready) {
			return ready;
		}
		drain_signals(sigchld);
		run_reap(r);
	}
	run_sweep(cg);
	read_last_words(r->ours[HUSK_PORT_STDERR], why);
	judge(r, cg, &none, end);
	return 0;
}

int serve(struct run *r, const struct cgroup *cg, int sigchld,
	  const struct ports *ports, uint64_t cpu_time_ns,
	  struct husk_end *end, struct err *e)
{
	static uint8_t bufs[NR_STREAMS][PUMP_CHUNK]; /* too big for a stack */
	struct pump pumps[NR_STREAMS];
	struct watch watch;

	pump_open(&pumps[0], PUMP_TO_JOB, ports->fd[0], r->ours[0], bufs[0]);
	for (int i = 1; i < NR_STREAMS; i++)
		pump_open(&pumps[i], PUMP_FROM_JOB, r->ours[i], ports->fd[i],
			  bufs[i]);
	watch_start(&watch, cpu_time_ns, r->before.all_ns);
	while (!r->over)
		if (serve_round(r, cg, sigchld, pumps, &watch, e))
			return -e->code;
	run_sweep(cg);
	if (drain(pumps, e))
		return -e->code;
	judge(r, cg, &watch, end);
	return 0;
}
