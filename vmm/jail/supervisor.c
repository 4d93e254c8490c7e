// SPDX-License-Identifier: MIT
/*
 * See supervisor.h. The split comes first, while memory is small: 0.27 ms of
 * exact lab time for fork and wait, 0.03 ms of it for the two namespaces.
 *
 * clone by its number, since glibc's fork knows no namespaces; its cache of
 * the thread id, which only fork renews, is used by nothing here (raise asks
 * the kernel). unshare and fork were rejected: an ordinary user's supervisor
 * would move into the user namespace, too, and a pool's second machine into
 * the pid namespace of the first.
 */
#include "jail/supervisor.h"

#include "lib/cleanup.h"
#include "lib/sweep.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define STATUS_LATE 124

/* What machine and supervisor both see. */
struct page {
	atomic_bool late;	/* SIGALRM ended it: its backstop rang */
	_Alignas(64) unsigned char room[SUPERVISOR_ROOM];
};

static_assert(sizeof(struct page) == 4096, "a page");

static struct page *page_of(const struct supervisor *s)
{
	return (struct page *)(void *)((char *)s->room -
				       offsetof(struct page, room));
}

/* The first three are the machine's business, the others ours. */
static const int watched[] = { SIGINT,	SIGTERM, SIGHUP, SIGCHLD,
			       SIGTSTP, SIGTTIN, SIGTTOU };
#define NR_WATCHED (sizeof(watched) / sizeof(watched[0]))
#define NR_PASSED  3u
#define NR_NO_STOP 4u

static void fill_signals(sigset_t *set, unsigned from)
{
	unsigned i;

	sigemptyset(set);
	for (i = from; i < NR_WATCHED; i++)
		sigaddset(set, watched[i]);
}

static pid_t clone_process(unsigned long namespaces)
{
	return (pid_t)syscall(SYS_clone, namespaces | SIGCHLD, NULL, NULL, NULL,
			      NULL);
}

/* Root needs no user namespace yet: it opens files with its own rights. */
static pid_t clone_isolated(struct supervisor *s)
{
	bool user = geteuid() != 0;
	pid_t pid = clone_process(CLONE_NEWPID |
				  (user ? CLONE_NEWUSER : 0u));

	s->pid_ns = pid >= 0;
	s->user_ns = pid >= 0 && user;
	return pid >= 0 ? pid : clone_process(0);
}

void supervisor_bind(const struct supervisor *s)
{
	struct pollfd p = { .fd = s->parent_fd, .events = POLLIN };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* It may have died before; its pid is no help in a pid namespace. */
	if (s->parent_fd >= 0 &&
	    ppoll(&p, 1, &(struct timespec){ 0 }, NULL) > 0)
		_exit(STATUS_LATE);
}

/*
 * The handler's: it has no other way to know. The first is written before the
 * split, so that the machine needs no copy of the page that it is in.
 */
static atomic_bool *handlers_late;
static void (*late_act)(void *opaque);
static void *late_opaque;

static void end_late(int sig)
{
	(void)sig;
	atomic_store(handlers_late, true);
	if (late_act)
		late_act(late_opaque);
	_exit(STATUS_LATE);
}

void supervisor_on_late(void (*act)(void *opaque), void *opaque)
{
	late_opaque = opaque;
	late_act = act;
}

static void become_machine(const struct supervisor *s)
{
	struct sigaction sa = { .sa_handler = end_late };
	sigset_t ours;

	sigaction(SIGALRM, &sa, NULL);
	fill_signals(&ours, NR_PASSED);
	sigprocmask(SIG_UNBLOCK, &ours, NULL);
	supervisor_bind(s);
}

void supervisor_adopt(struct supervisor *s, int parent_fd)
{
	static atomic_bool late;
	bool first = getpid() == 1;

	*s = (struct supervisor){
		.parent_fd = parent_fd,
		.pid_ns = first,
		.user_ns = first && geteuid() != 0,
	};
	handlers_late = &late;
	become_machine(s);
}

/* Of the reasons for EAGAIN this is the one that a user has set himself. */
static void explain_no_process(struct err *e)
{
	err_sys(e, "start the machine's process");
	if (e->code == EAGAIN)
		err_hint(e, "the host's limit of processes: RLIMIT_NPROC, see "
			    "ulimit -u, or pids.max of its cgroup");
}

static struct page *new_page(void)
{
	void *p = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void supervisor_forget(struct supervisor *s)
{
	cleanup_fd(&s->parent_fd);
	if (s->room)
		munmap(page_of(s), sizeof(struct page));
	s->room = NULL;
}

int supervisor_split(struct supervisor *s, bool isolate, struct err *e)
{
	struct page *page = new_page();
	sigset_t set, old;

	*s = (struct supervisor){ .parent_fd = -1 };
	fill_signals(&set, 0);
	/* An inherited SIG_IGN would have the kernel reap for us. */
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, &set, &old);
	s->parent_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (page) {
		s->room = page->room;
		handlers_late = &page->late;
	}
	if (page && s->parent_fd >= 0)
		s->pid = isolate ? clone_isolated(s) : clone_process(0);
	if (!page || s->parent_fd < 0 || s->pid < 0) {
		explain_no_process(e);
		supervisor_forget(s);
		sigprocmask(SIG_SETMASK, &old, NULL);
		return -e->code;
	}
	if (!s->pid)
		become_machine(s);
	return 0;
}

/* ---- the parent's side ---- */

/*
 * Ctrl-Z, or a terminal that says no: the machine stops first, so that its
 * clock stands still; as pid 1 of a namespace it would ignore the signal. A
 * machine that reads from such a terminal asks for a stop again and again
 * until it stands: only then do we know the last of them, which else would
 * stop us once more after somebody has continued us.
 */
static void stop_both(const struct supervisor *s, int sig)
{
	static const struct timespec now;
	sigset_t stops;
	siginfo_t si;

	fill_signals(&stops, NR_NO_STOP);
	kill(s->pid, SIGSTOP);
	waitid(P_PID, (id_t)s->pid, &si, WSTOPPED | WEXITED | WNOWAIT);
	while (sigtimedwait(&stops, NULL, &now) > 0)
		;
	kill(getpid(), sig);
	sigprocmask(SIG_UNBLOCK, &stops, NULL);
	/* Here we stand until somebody continues us. */
	sigprocmask(SIG_BLOCK, &stops, NULL);
	kill(s->pid, SIGCONT);
}

/* Did it use the CPU time that the host lets it? Counted to a tick or so. */
static bool is_over_cpu_limit(const struct rusage *used)
{
	const time_t tick_us = 20000;
	struct rlimit limit;
	time_t us = used->ru_utime.tv_usec + used->ru_stime.tv_usec + tick_us;
	time_t s = used->ru_utime.tv_sec + used->ru_stime.tv_sec;

	return !getrlimit(RLIMIT_CPU, &limit) &&
	       limit.rlim_cur != RLIM_INFINITY &&
	       (rlim_t)(s + us / 1000000) >= limit.rlim_cur;
}

/* True once it is gone. */
static bool reap(struct supervisor *s, struct supervisor_end *end)
{
	struct rusage used;
	int status;

	if (wait4(s->pid, &status, WNOHANG, &used) != s->pid)
		return false;
	*end = (struct supervisor_end){ .status = -1 };
	if (WIFEXITED(status))
		end->status = WEXITSTATUS(status);
	else
		end->signal = WTERMSIG(status);
	end->cpu_limit = (end->signal == SIGKILL || end->signal == SIGXCPU) &&
			 is_over_cpu_limit(&used);
	return true;
}

void supervisor_wait(struct supervisor *s, const int keep[2],
		     struct supervisor_end *end)
{
	const int needed[] = { STDERR_FILENO, keep[0], keep[1] };
	sigset_t set;

	cleanup_fd(&s->parent_fd);
	sweep_fds(0, needed, 3);
	fill_signals(&set, 0);
	while (!reap(s, end)) {
		int sig = sigwaitinfo(&set, NULL);

		if (sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU)
			stop_both(s, sig);
		else if (sig > 0 && sig != SIGCHLD)
			kill(s->pid, sig);
	}
	end->late = end->status == STATUS_LATE &&
		    atomic_load(&page_of(s)->late);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

int supervisor_explain(const struct supervisor_end *end, struct err *e)
{
	const char *name = sigabbrev_np(end->signal);

	if (end->signal == SIGSYS)
		return err_set(e, ECHILD,
			       "the machine was killed by its jail: a system "
			       "call that it may not make (SIGSYS; the kernel "
			       "log has its number)");
	if (end->cpu_limit)
		return err_set(e, ECHILD,
			       "the machine was killed at the host's limit of "
			       "CPU time (RLIMIT_CPU, see ulimit -t; the boot "
			       "counts, too)");
	if (end->signal == SIGKILL)
		return err_set(e, ECHILD,
			       "the machine was killed by SIGKILL (was the "
			       "host out of memory?)");
	return err_set(e, ECHILD, "the machine was killed by SIG%s",
		       name ? name : "?");
}
