// SPDX-License-Identifier: MIT
/*
 * One thread, one poll. A connection waits, first come first served, until
 * its client has sent something and a machine is there; then the machine
 * gets it, and the pool keeps a copy only to learn that the client has gone,
 * which ends the machine whatever that does.
 *
 * Who is in which state, and what follows, is states.c's alone: here are
 * the processes and descriptors that belong to its entries.
 */
#include "pool/pool.h"

#include "jail/own_core.h"
#include "lib/cleanup.h"
#include "pool/machine.h"
#include "pool/peer.h"
#include "pool/socket.h"
#include "pool/start.h"
#include "pool/states.h"
#include "pool/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* What belongs to the entries of pool_states; -1: no descriptor. */
struct machine {
	pid_t pid;
	int link;		/* while it starts or waits */
	int client;		/* while it runs */
	bool was_ready;
};

struct pool {
	struct run run;		/* the template, opened; no machine */
	struct outcome outcome; /* for the machine's process */
	struct pool_seed seed;
	int listen_fd, signal_fd;
	struct stat socket;	/* as it was */
	bool has_lived;		/* some machine was ready once */
	bool complete;		/* was said */
	bool stop;
	char why[sizeof(((struct err *)0)->msg)]; /* no machine comes up */
	struct pool_states states;
	struct machine machine[POOL_MACHINES_MAX];
	int client[POOL_CLIENTS_MAX];
	void (*say)(const char *line);
};

/* The pool ends, and this is what it says then. */
static void give_up(struct pool *p, const char *why)
{
	p->stop = true;
	snprintf(p->why, sizeof(p->why), "%s", why);
}

/* Why a machine has not come up. Without any, there is no pool. */
static void complain(struct pool *p, const char *why)
{
	if (p->has_lived)
		p->say(why);
	else
		give_up(p, why);
}

/* ---- machines ---- */

static void start_machines(struct pool *p)
{
	struct err e;
	pid_t pid;
	int m;

	while ((m = pool_states_start(&p->states, loop_now())) >= 0) {
		struct machine *it = &p->machine[m];

		pid = pool_start_machine(&p->seed, &it->link, &e);
		if (pid >= 0) {
			it->pid = pid;
			it->was_ready = false;
			continue;
		}
		complain(p, e.msg);
		pool_states_bury(&p->states, (unsigned)m, loop_now());
		/* Without the template there will never be another. */
		if (e.code == EINVAL)
			give_up(p, e.msg);
		return;
	}
}

/* Whatever it does, it ends; its death comes as a signal. */
static void lose_machine(struct pool *p, unsigned m)
{
	if (pool_states_lose(&p->states, m, loop_now()))
		kill(p->machine[m].pid, SIGKILL);
	cleanup_fd(&p->machine[m].client);
}

static void complete(struct pool *p)
{
	unsigned size = p->states.limits.size;
	char line[64];

	if (p->complete || p->states.nr[MACHINE_WAITING] < size)
		return;
	p->complete = true;
	snprintf(line, sizeof(line), "%u machine%s waiting", size,
		 size > 1 ? "s are" : " is");
	p->say(line);
}

/* Its one word: READY, or why not. */
static void hear_machine(struct pool *p, unsigned m)
{
	struct machine *it = &p->machine[m];
	char buf[sizeof(((struct err *)0)->msg)];
	ssize_t n = pool_socket_receive(it->link, buf, sizeof(buf) - 1, NULL,
					0);

	if (n > 0 && buf[0] == POOL_READY &&
	    pool_states_ready(&p->states, m)) {
		buf[n] = '\0';
		/* What holds for the first holds for all. */
		if (buf[1] && !p->has_lived)
			p->say(buf + 1);
		it->was_ready = p->has_lived = true;
		complete(p);
		return;
	}
	if (n > 0 && buf[0] == POOL_FAILED && !it->was_ready) {
		buf[n] = '\0';
		complain(p, buf + 1);
		cleanup_fd(&it->link);
	}
	/* It has died or will, or says what none would: then it must. */
	lose_machine(p, m);
}

static void say_death(struct pool *p, const struct machine *it, int status)
{
	const char *when = it->was_ready ? "waiting" : "starting";
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

static void bury(struct pool *p, unsigned m, int status)
{
	struct machine *it = &p->machine[m];
	enum pool_machine_state was =
		pool_states_bury(&p->states, m, loop_now());

	/* Without a link, it has said itself why. */
	if (was != MACHINE_RUNNING && was != MACHINE_ENDING && it->link >= 0 &&
	    !p->stop)
		say_death(p, it, status);
	cleanup_fd(&it->link);
	cleanup_fd(&it->client);
	it->pid = 0;
}

static void reap(struct pool *p)
{
	int status;
	unsigned i;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (i = 0; i < p->states.nr_slots; i++)
			if (p->machine[i].pid == pid)
				bury(p, i, status);
}

static void take_signals(struct pool *p)
{
	struct signalfd_siginfo si;

	while (read(p->signal_fd, &si, sizeof(si)) == sizeof(si))
		p->stop |= si.ssi_signo != SIGCHLD;
	reap(p);
}

/* ---- clients ---- */

static void drop_client(struct pool *p, unsigned c)
{
	cleanup_fd(&p->client[c]);
	pool_states_leave(&p->states, c);
}

/* What it reads as the end of its run: the line that its user sees. */
__attribute__((format(printf, 4, 5))) static void
refuse(const struct pool *p, int fd, int code, const char *fmt, ...)
{
	static const struct identity none;
	struct outcome o = { .verdict = VERDICT_ERROR, .code = code };
	uint8_t buf[POOL_REPLY_MAX];
	size_t len;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(o.reason, sizeof(o.reason), fmt, ap);
	va_end(ap);
	len = pool_reply_pack(buf, p->run.config, &o, &none);
	/* The first thing that it is sent, so there is room. */
	(void)pool_socket_send(fd, buf, len, sizeof(buf), NULL, 0, -1);
}

static bool may_use(const struct pool *p, int fd)
{
	const struct config *c = p->run.config;
	bool unknown;
	uid_t uid;

	if (pool_peer_is_trusted(fd, c->allow_uid, c->nr_allow_uid, &uid,
				 &unknown))
		return true;
	if (unknown)
		refuse(p, fd, EACCES,
		       "use the pool: your user is none that it knows (start "
		       "both in the same user namespace)");
	else
		refuse(p, fd, EACCES,
		       "use the pool: uid %u may not (whoever runs it can let "
		       "you: husk pool --allow-uid=%u)",
		       uid, uid);
	return false;
}

static void admit(struct pool *p, int fd)
{
	struct pollfd look = { .fd = fd, .events = POLLIN };
	unsigned c = (unsigned)pool_states_connect(&p->states, loop_now());

	p->client[c] = fd;
	if (poll(&look, 1, 0) > 0 && look.revents == POLLIN)
		pool_states_ask(&p->states, c, loop_now());
}

static void accept_clients(struct pool *p)
{
	while (p->states.nr_clients < POOL_CLIENTS_MAX) {
		auto_fd fd = accept4(p->listen_fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			return;
		if (may_use(p, fd))
			admit(p, steal_fd(&fd));
	}
}

static void hand_over(struct pool *p, unsigned m, unsigned c)
{
	static const char byte;
	struct machine *it = &p->machine[m];

	if (pool_socket_send(it->link, &byte, 1, 1, &p->client[c], 1, -1)) {
		lose_machine(p, m);
		return;
	}
	cleanup_fd(&it->link);
	it->client = steal_fd(&p->client[c]);
	pool_states_hand(&p->states, m, c, loop_now());
}

static void serve_clients(struct pool *p)
{
	unsigned m, c;

	while (pool_states_match(&p->states, &m, &c))
		hand_over(p, m, c);
}

static void drop_overdue(struct pool *p)
{
	const struct pool_limits *l = &p->states.limits;
	uint64_t now = loop_now();
	enum pool_refusal why;
	int c;

	while ((c = pool_states_overdue(&p->states, now, &why)) >= 0) {
		if (why == POOL_BUSY)
			refuse(p, p->client[c], EBUSY,
			       "use the pool: it runs %u job%s already, the "
			       "most that it may (try again later)",
			       l->jobs, l->jobs > 1 ? "s" : "");
		else
			refuse(p, p->client[c], ETIMEDOUT,
			       POOL_LATE, (double)l->request_ns / 1e9);
		drop_client(p, (unsigned)c);
	}
}

/* ---- the loop ---- */

/* What poll watches: the two below, then machines, then clients. */
enum { WATCH_SIGNAL, WATCH_LISTEN, WATCH_REST };
#define WATCH_MAX (WATCH_REST + POOL_MACHINES_MAX + POOL_CLIENTS_MAX)

struct watch {
	nfds_t nr, clients;		/* where those begin */
	struct pollfd pfd[WATCH_MAX];
	unsigned short who[WATCH_MAX];	/* its entry */
};

static void add_watch(struct watch *w, int fd, short events, unsigned who)
{
	w->who[w->nr] = (unsigned short)who;
	w->pfd[w->nr++] = (struct pollfd){ fd, events, 0 };
}

static void watch_machine(const struct pool *p, struct watch *w, unsigned m)
{
	switch (p->states.machine[m].state) {
	case MACHINE_STARTING:
	case MACHINE_WAITING:
		add_watch(w, p->machine[m].link, POLLIN, m);
		return;
	case MACHINE_RUNNING:
		/* Of a client only POLLHUP, which needs no asking. */
		add_watch(w, p->machine[m].client, 0, m);
		return;
	default:
		return;
	}
}

static void watch(const struct pool *p, struct watch *w)
{
	const struct pool_states *s = &p->states;
	unsigned i;

	w->nr = 0;
	add_watch(w, p->signal_fd, POLLIN, 0);
	add_watch(w, s->nr_clients < POOL_CLIENTS_MAX ? p->listen_fd : -1,
		  POLLIN, 0);
	for (i = 0; i < s->nr_slots; i++)
		watch_machine(p, w, i);
	w->clients = w->nr;
	for (i = 0; s->nr_clients && i < POOL_CLIENTS_MAX; i++)
		if (s->client[i].state != CLIENT_FREE)
			add_watch(w, p->client[i],
				  s->client[i].state == CLIENT_SILENT ?
					  POLLIN : 0, i);
}

static struct timespec *next_time(const struct pool *p, struct timespec *ts)
{
	uint64_t at = pool_states_next(&p->states), now = loop_now();

	if (at == UINT64_MAX)
		return NULL;
	at = at > now ? at - now : 0;
	ts->tv_sec = (time_t)(at / 1000000000u);
	ts->tv_nsec = (long)(at % 1000000000u);
	return ts;
}

static void look_at_machine(struct pool *p, unsigned m)
{
	if (p->states.machine[m].state == MACHINE_RUNNING)
		lose_machine(p, m); /* nobody wants what it does */
	else
		hear_machine(p, m);
}

static void look_at_client(struct pool *p, unsigned c, short revents)
{
	if (revents & ~POLLIN)
		drop_client(p, c);
	else
		pool_states_ask(&p->states, c, loop_now());
}

static int turn(struct pool *p, struct watch *w, struct err *e)
{
	struct timespec ts;
	nfds_t i;

	watch(p, w);
	if (ppoll(w->pfd, w->nr, next_time(p, &ts), NULL) < 0) {
		if (errno == EINTR)
			return 0;
		return err_sys(e, "wait for clients");
	}
	for (i = WATCH_REST; i < w->nr; i++) {
		if (!w->pfd[i].revents)
			continue;
		if (i < w->clients)
			look_at_machine(p, w->who[i]);
		else
			look_at_client(p, w->who[i], w->pfd[i].revents);
	}
	if (w->pfd[WATCH_LISTEN].revents)
		accept_clients(p);
	serve_clients(p);
	drop_overdue(p);
	if (w->pfd[WATCH_SIGNAL].revents)
		take_signals(p);
	start_machines(p);
	/* supervisor_split sets SIGCHLD's action: a pending one is gone. */
	reap(p);
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
	p->listen_fd = pool_socket_listen(
		path, p->run.config->nr_allow_uid, e);
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
	if (!r)
		r = pool_seed_open(&p->seed, e);
	if (r)
		return r;
	/* The file may have been copied, or gone from memory, since. */
	template_gather(&p->run.template);
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

	for (i = 0; i < p->states.nr_slots; i++)
		if (p->machine[i].pid)
			kill(p->machine[i].pid, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

static int serve(struct pool *p, struct err *e)
{
	auto_free struct watch *w = calloc(1, sizeof(*w));
	int r = 0;

	if (!w)
		return err_sys(e, "get memory for the pool");
	start_machines(p);
	while (!r && !p->stop)
		r = turn(p, w, e);
	return r;
}

static void init(struct pool *p, const struct config *c, char **argv,
		 void (*say)(const char *line))
{
	const struct run_start start = { .t0_ns = loop_now(),
					 .status_fd = -1 };
	const struct pool_limits limits = {
		c->pool_size, c->pool_jobs ? c->pool_jobs : UINT32_MAX,
		c->request_ns ? c->request_ns : UINT64_MAX
	};
	unsigned i;

	run_init(&p->run, c, &start, &p->outcome);
	pool_states_init(&p->states, &limits);
	p->listen_fd = p->signal_fd = -1;
	p->seed = (struct pool_seed){ .run = &p->run, .argv = argv,
				      .null_fd = -1, .self_fd = -1 };
	for (i = 0; i < POOL_MACHINES_MAX; i++)
		p->machine[i].link = p->machine[i].client = -1;
	for (i = 0; i < POOL_CLIENTS_MAX; i++)
		p->client[i] = -1;
	p->say = say;
}

int pool_serve(const struct config *c, char **argv,
	       void (*say)(const char *line), struct err *e)
{
	auto_free struct pool *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_sys(e, "get memory for the pool");
	init(p, c, argv, say);
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
