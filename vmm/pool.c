// SPDX-License-Identifier: MIT
/*
 * One thread, one poll. A connection waits, first come first served, until
 * its client has sent something and a machine is there; then the machine
 * gets it, and the pool keeps a copy only to learn that the client has gone,
 * which ends the machine whatever that does.
 *
 * Replacements start some time after a hand-over, so that they do not take
 * the CPU from the job that was just handed out, unless a client waits. What
 * dies while it waits is replaced later each time it happens, so that a
 * template that cannot live does not keep a CPU busy.
 */
#include "pool.h"

#include "lib/cleanup.h"
#include "own_core.h"
#include "pool_internal.h"
#include "pool_machine.h"
#include "pool_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define STARTS_MAX    2u	     /* at a time */
#define PAUSE_NS      20000000ull    /* after a hand-over */
#define BACKOFF_NS    20000000ull    /* after a death, doubled each time, */
#define BACKOFF_STEPS 8u	     /* so many times */
#define CALM_NS	      60000000000ull /* then the count begins anew */
#define SILENCE_NS    10000000000ull /* a client that sends nothing */

/* The pool ends, and this is what it says then. */
static void give_up(struct pool *p, const char *why)
{
	p->stop = true;
	snprintf(p->why, sizeof(p->why), "%s", why);
}

/* Why a machine has not come up. Without any, there is no pool. */
static void complain(struct pool *p, const char *why)
{
	if (p->count)
		p->say(why);
	else
		give_up(p, why);
}

/* ---- starting machines ---- */

static void note_death(struct pool *p)
{
	uint64_t now = loop_now();
	unsigned steps;

	if (now - p->death_ns > CALM_NS)
		p->nr_deaths = 0;
	steps = p->nr_deaths < BACKOFF_STEPS ? p->nr_deaths : BACKOFF_STEPS;
	p->nr_deaths++;
	p->death_ns = now;
	/* The first is replaced at once. */
	p->start_ns = steps ? now + (BACKOFF_NS << steps) : now;
}

static bool wants_machine(const struct pool *p)
{
	return p->nr_ready + p->nr_starting < p->size &&
	       p->nr_starting < STARTS_MAX &&
	       p->nr_ready + p->nr_starting + p->nr_running < MACHINES_MAX;
}

static void start_machines(struct pool *p)
{
	struct err e;

	while (wants_machine(p) && loop_now() >= p->start_ns) {
		if (!pool_start_machine(p, &e))
			continue;
		complain(p, e.msg);
		note_death(p);
		/* Without the template there will never be another. */
		if (e.code == EINVAL)
			give_up(p, e.msg);
		return;
	}
}

/* ---- clients ---- */

static void drop_client(struct pool *p, unsigned i)
{
	cleanup_fd(&p->client[i].fd);
	p->nr_clients--;
	memmove(&p->client[i], &p->client[i + 1],
		(p->nr_clients - i) * sizeof(p->client[0]));
}

static void accept_clients(struct pool *p)
{
	while (p->nr_clients < CLIENTS_MAX) {
		int fd = accept4(p->listen_fd, NULL, NULL,
				 SOCK_CLOEXEC);
		struct pollfd look = { .fd = fd, .events = POLLIN };

		if (fd < 0)
			return;
		p->client[p->nr_clients++] = (struct client){
			.fd = fd,
			.until_ns = loop_now() + SILENCE_NS,
			.has_sent = poll(&look, 1, 0) > 0 &&
				    look.revents == POLLIN,
		};
	}
}

static struct machine *oldest_waiting(struct pool *p)
{
	struct machine *best = NULL;
	unsigned i;

	for (i = 0; i < p->nr_slots; i++) {
		struct machine *m = &p->machine[i];

		if (m->state == WAITING && !m->deaf &&
		    (!best || m->since < best->since))
			best = m;
	}
	return best;
}

/* False when that machine is no longer one; its death comes as a signal. */
static bool hand_over(struct pool *p, struct machine *m, int client)
{
	static const char byte;
	int r = pool_socket_send(m->link, &byte, 1, 1, &client, 1, -1);

	cleanup_fd(&m->link);
	p->nr_ready--;
	p->nr_running++;
	m->state = RUNNING;
	m->client = -1;
	if (r) {
		kill(m->pid, SIGKILL);
		return false;
	}
	m->client = client;
	p->nr_deaths = 0;
	p->start_ns = loop_now() + PAUSE_NS;
	return true;
}

static void serve_clients(struct pool *p)
{
	unsigned i = 0;

	while (i < p->nr_clients && p->nr_ready) {
		struct client *c = &p->client[i];

		if (!c->has_sent) {
			i++;
		} else if (hand_over(p, oldest_waiting(p), c->fd)) {
			c->fd = -1; /* the machine's entry has it */
			drop_client(p, i);
		}
	}
	/* Somebody waits: no time to lose. */
	if (i < p->nr_clients && p->client[i].has_sent && !p->nr_deaths)
		p->start_ns = 0;
}

/* ---- machines that speak, or die ---- */

static void complete(struct pool *p)
{
	char line[64];

	if (p->complete || p->nr_ready < p->size)
		return;
	p->complete = true;
	snprintf(line, sizeof(line), "%u machine%s waiting", p->size,
		 p->size > 1 ? "s are" : " is");
	p->say(line);
}

/* Its one word: READY, or why not. */
static void hear_machine(struct pool *p, struct machine *m)
{
	char buf[sizeof(((struct err *)0)->msg)];
	ssize_t n = pool_socket_receive(m->link, buf, sizeof(buf) - 1, NULL, 0);

	if (m->state == STARTING && n > 0 && buf[0] == POOL_READY) {
		buf[n] = '\0';
		/* What holds for the first holds for all. */
		if (buf[1] && !p->count)
			p->say(buf + 1);
		m->state = WAITING;
		m->since = p->count++;
		p->nr_starting--;
		p->nr_ready++;
		complete(p);
	} else if (m->state == STARTING && n > 0 && buf[0] == POOL_FAILED) {
		buf[n] = '\0';
		complain(p, buf + 1);
		cleanup_fd(&m->link);
	} else {
		/* It has died, or says what none would: then it must. */
		m->deaf = true;
		kill(m->pid, SIGKILL);
	}
}

static void say_death(struct pool *p, const struct machine *m, int status)
{
	const char *when = m->state == STARTING ? "starting" : "waiting";
	char line[128];

	if (WIFSIGNALED(status))
		snprintf(line, sizeof(line),
			 "a %s machine was killed by SIG%s: starting another",
			 when, sigabbrev_np(WTERMSIG(status)));
	else
		snprintf(line, sizeof(line),
			 "a %s machine has ended: starting another", when);
	complain(p, line);
}

static void bury(struct pool *p, struct machine *m, int status)
{
	if (m->state == RUNNING) {
		p->nr_running--;
	} else {
		if (m->state == STARTING)
			p->nr_starting--;
		else
			p->nr_ready--;
		note_death(p);
		/* Without a link, it has said itself why. */
		if (m->link >= 0 && !p->stop)
			say_death(p, m, status);
	}
	cleanup_fd(&m->link);
	cleanup_fd(&m->client);
	m->state = FREE;
}

static void reap(struct pool *p)
{
	int status;
	unsigned i;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (i = 0; i < p->nr_slots; i++)
			if (p->machine[i].state != FREE &&
			    p->machine[i].pid == pid)
				bury(p, &p->machine[i], status);
}

static void take_signals(struct pool *p)
{
	struct signalfd_siginfo si;

	while (read(p->signal_fd, &si, sizeof(si)) == sizeof(si))
		p->stop |= si.ssi_signo != SIGCHLD;
	reap(p);
}

/* ---- the loop ---- */

/* What poll watches: the two below, then machines, then clients. */
enum { WATCH_SIGNAL, WATCH_LISTEN, WATCH_REST };
#define WATCH_MAX (WATCH_REST + MACHINES_MAX + CLIENTS_MAX)

static nfds_t watch(const struct pool *p, struct pollfd *pfd,
		    unsigned short *who)
{
	nfds_t n = WATCH_REST;
	unsigned i;

	pfd[WATCH_SIGNAL] = (struct pollfd){ p->signal_fd, POLLIN, 0 };
	pfd[WATCH_LISTEN] = (struct pollfd){
		p->nr_clients < CLIENTS_MAX ? p->listen_fd : -1, POLLIN, 0
	};
	for (i = 0; i < p->nr_slots; i++) {
		const struct machine *m = &p->machine[i];
		int fd = m->state == RUNNING ? m->client : m->link;

		if (m->state == FREE || m->deaf || fd < 0)
			continue;
		/* Of a client only POLLHUP, which needs no asking. */
		who[n] = (unsigned short)i;
		pfd[n++] = (struct pollfd){
			fd, m->state == RUNNING ? 0 : POLLIN, 0
		};
	}
	for (i = 0; i < p->nr_clients; i++)
		pfd[n++] = (struct pollfd){
			p->client[i].fd, p->client[i].has_sent ? 0 : POLLIN, 0
		};
	return n;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static struct timespec *next_time(const struct pool *p, struct timespec *ts)
{
	uint64_t at = UINT64_MAX, now = loop_now();
	unsigned i;

	if (wants_machine(p))
		at = p->start_ns;
	for (i = 0; i < p->nr_clients; i++)
		if (!p->client[i].has_sent)
			at = sooner(at, p->client[i].until_ns);
	if (at == UINT64_MAX)
		return NULL;
	at = at > now ? at - now : 0;
	ts->tv_sec = (time_t)(at / 1000000000u);
	ts->tv_nsec = (long)(at % 1000000000u);
	return ts;
}

static void look_at_machine(struct pool *p, struct machine *m, short revents)
{
	if (!revents)
		return;
	if (m->state != RUNNING) {
		hear_machine(p, m);
		return;
	}
	/* Its client has gone, and nobody wants what it does. */
	cleanup_fd(&m->client);
	kill(m->pid, SIGKILL);
}

/* From the last, since those behind one that is dropped move up. */
static void look_at_clients(struct pool *p, const struct pollfd *pfd)
{
	uint64_t now = loop_now();
	unsigned i;

	for (i = p->nr_clients; i-- > 0;) {
		struct client *c = &p->client[i];

		if (pfd[i].revents & ~POLLIN)
			drop_client(p, i);
		else if (pfd[i].revents)
			c->has_sent = true;
		else if (!c->has_sent && now >= c->until_ns)
			drop_client(p, i);
	}
}

static int turn(struct pool *p, struct pollfd *pfd, unsigned short *who,
		struct err *e)
{
	nfds_t n = watch(p, pfd, who), clients = n - p->nr_clients, i;
	struct timespec ts;

	if (ppoll(pfd, n, next_time(p, &ts), NULL) < 0) {
		if (errno == EINTR)
			return 0;
		return err_sys(e, "wait for clients");
	}
	for (i = WATCH_REST; i < clients; i++)
		look_at_machine(p, &p->machine[who[i]], pfd[i].revents);
	look_at_clients(p, pfd + clients);
	if (pfd[WATCH_LISTEN].revents)
		accept_clients(p);
	serve_clients(p);
	if (pfd[WATCH_SIGNAL].revents)
		take_signals(p);
	start_machines(p);
	return 0;
}

/* ---- its life ---- */

static int open_signals(struct pool *p, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* Had our parent had us ignore it, nobody could be reaped. */
	signal(SIGCHLD, SIG_DFL);
	p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return p->signal_fd < 0 ? err_sys(e, "watch for signals") : 0;
}

/* Two descriptors for a machine that runs a job. */
static void raise_descriptors(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

static int listen_at(struct pool *p, const char *path, struct err *e)
{
	p->listen_fd = pool_socket_listen(path, e);
	if (p->listen_fd < 0)
		return p->listen_fd;
	if (fcntl(p->listen_fd, F_SETFL, O_NONBLOCK) ||
	    lstat(path, &p->socket))
		return err_sys(e, "listen at '%s'", path);
	return 0;
}

/*
 * The wait that the first core of its own on a host takes is here, so that no
 * machine has it: each takes another one, in passing.
 */
static int take_core(enum own_core mode, struct err *e)
{
	int r = mode == OWN_CORE_OFF ? 0 : own_core_take(OWN_CORE_ON, e);

	return mode == OWN_CORE_ON ? r : 0;
}

static int open_all(struct pool *p, struct err *e)
{
	const struct config *c = p->run.config;
	int r = run_open_template(&p->run, e);

	if (!r)
		r = run_open_machine(&p->run, e);
	if (r)
		return r;
	if (fstat(p->run.template.fd, &p->template))
		return err_sys(e, "look at template '%s'", c->template);
	/* The file may have been copied, or gone from memory, since. */
	template_gather(&p->run.template);
	p->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (p->null_fd < 0)
		return err_sys(e, "open '/dev/null'");
	raise_descriptors();
	r = take_core(c->own_core, e);
	if (!r)
		r = open_signals(p, e);
	return r ? r : listen_at(p, c->listen, e);
}

/* The path may be another pool's by now. */
static void remove_socket(const struct pool *p, const char *path)
{
	struct stat st;

	if (p->listen_fd >= 0 && !lstat(path, &st) &&
	    st.st_dev == p->socket.st_dev && st.st_ino == p->socket.st_ino)
		unlink(path);
}

static void end_machines(struct pool *p)
{
	unsigned i;

	for (i = 0; i < p->nr_slots; i++)
		if (p->machine[i].state != FREE)
			kill(p->machine[i].pid, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

static int serve(struct pool *p, struct err *e)
{
	auto_free struct pollfd *pfd = calloc(WATCH_MAX, sizeof(*pfd));
	auto_free unsigned short *who = calloc(WATCH_MAX, sizeof(*who));
	int r = 0;

	if (!pfd || !who)
		return err_sys(e, "get memory for the pool");
	start_machines(p);
	while (!r && !p->stop)
		r = turn(p, pfd, who, e);
	return r;
}

int pool_serve(const struct config *c, void (*say)(const char *line),
	       struct err *e)
{
	const struct run_start start = { loop_now(), -1, NULL };
	auto_free struct pool *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_sys(e, "get memory for the pool");
	run_init(&p->run, c, &start, &p->outcome);
	p->listen_fd = p->signal_fd = p->null_fd = -1;
	p->size = c->pool_size;
	p->say = say;
	r = open_all(p, e);
	if (!r)
		r = serve(p, e);
	remove_socket(p, c->listen);
	end_machines(p);
	if (!r && p->why[0])
		r = err_set(e, ECHILD, "%s", p->why);
	run_release(&p->run);
	return r;
}
