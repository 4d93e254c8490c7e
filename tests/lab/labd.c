// SPDX-License-Identifier: MIT
/*
 * Keeps one lab: starts QEMU, waits until the agent in it is ready, goes to the
 * background and then passes frames between clients on a UNIX socket and the
 * agent on QEMU's virtio port.
 *
 *	labd DIR BOOT-SECONDS [--pause] -- QEMU [ARG...]
 *
 * Works in DIR: "alive" is locked as long as the lab exists, "pid" is ours,
 * "sock" takes clients, "labd.log" has QEMU's complaints. The chardev in ARGs
 * must be fd=3. Returns 0 once the lab can be used, 1 with a line on stderr.
 * QEMU dies with this process whatever ends it, SIGKILL included, and the lock
 * dies with both, so a stale DIR needs no cleaning.
 *
 * While somebody runs something, QEMU gets a frame that says nothing every
 * POKE_MS. Its processor loses an interrupt now and then: helper_vmrun of QEMU
 * 7.2 sets a bit of cpu->interrupt_request without the lock under which the
 * device thread sets another. If that was for the local timer, and the lab at
 * rest, it slept (HLT=1, IF=1, the timer's vector in IRR, nothing in ISR) until
 * anything else interrupted it, for ever if nothing did. The next interrupt of
 * any kind delivers both.
 *
 * --pause stops QEMU while nobody runs anything: under -icount sleep=off an
 * idle guest races from timer to timer and would take a whole host processor.
 */
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The agent has as many places; later clients wait to be accepted. */
#define CLIENTS	     64
#define PORT_BACKLOG (8u << 20)
#define POKE_MS	     200

/* A client slot stays used until the agent has sent WIRE_EXIT for it. */
struct client {
	bool used;
	bool opened; /* the agent knows the session */
	bool over;   /* the agent is through with it */
	uint32_t id;
	int fd; /* -1 once the client has gone */
	struct buf rx;
	struct buf tx;
};

struct labd {
	pid_t qemu;
	int port;
	int sigfd;
	int listener;
	bool pause;
	bool paused;
	bool down;
	long poked_ms;
	uint32_t next_id;
	struct buf rx;
	struct buf tx;
	struct client clients[CLIENTS];
};

static void client_free(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	buf_free(&c->rx);
	buf_free(&c->tx);
	*c = (struct client){ .fd = -1 };
}

static void client_hangup(struct labd *d, struct client *c)
{
	struct wire_head h = { .session = c->id, .type = WIRE_HANGUP };

	if (!c->opened || c->over) {
		client_free(c);
		return;
	}
	wire_put(&d->tx, h, NULL);
	close(c->fd);
	c->fd = -1;
}

static bool client_may_send(const struct client *c, const struct wire_head *h)
{
	switch (h->type) {
	case WIRE_OPEN:
		return !c->opened;
	case WIRE_DATA:
		return c->opened && h->len <= WIRE_CHUNK && !h->stream;
	case WIRE_EOF:
	case WIRE_WINDOW_ADD:
	case WIRE_SHUT:
	case WIRE_SIGNAL:
		return c->opened;
	default:
		return false;
	}
}

static void client_read(struct labd *d, struct client *c)
{
	const unsigned char *payload;
	struct wire_head h;
	long n = buf_fill(&c->rx, c->fd, 64 << 10);
	int got = 0;

	if (n == -EAGAIN)
		return;
	while (n > 0 && (got = wire_peek(&c->rx, &h, &payload)) > 0) {
		struct wire_head to = h;

		if (h.type == WIRE_DOWN) {
			d->down = true;
			return;
		}
		if (!client_may_send(c, &h)) {
			got = -EPROTO;
			break;
		}
		c->opened = true;
		to.session = c->id;
		if (!c->over)
			wire_put(&d->tx, to, payload);
		wire_drop(&c->rx, &h);
	}
	if (n <= 0 || got < 0)
		client_hangup(d, c);
}

static void client_accept(struct labd *d)
{
	int fd = accept4(d->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c = d->clients;

	if (fd < 0)
		return;
	while (c->used)
		c++;
	*c = (struct client){ .used = true, .id = d->next_id++, .fd = fd };
}

/* False when the agent broke the protocol. */
static bool port_read(struct labd *d)
{
	const unsigned char *payload;
	struct wire_head h;
	long n = buf_fill(&d->rx, d->port, 256 << 10);
	int got;

	if (n <= 0)
		return n == -EAGAIN;
	while ((got = wire_peek(&d->rx, &h, &payload)) > 0) {
		struct client *c = d->clients;

		while (c < d->clients + CLIENTS &&
		       !(c->used && c->id == h.session))
			c++;
		if (c < d->clients + CLIENTS) {
			if (c->fd >= 0)
				wire_put(&c->tx, h, payload);
			if (h.type == WIRE_EXIT)
				c->over = true;
		}
		wire_drop(&d->rx, &h);
	}
	return got == 0;
}

/* Returns whether a place is free for one more client. */
static bool poll_prepare(const struct labd *d, struct pollfd *p)
{
	bool free_place = false;

	p[0] = (struct pollfd){ .fd = d->port, .events = POLLIN };
	if (d->tx.len)
		p[0].events |= POLLOUT;
	p[1] = (struct pollfd){ .fd = d->sigfd, .events = POLLIN };
	for (int i = 0; i < CLIENTS; i++) {
		const struct client *c = &d->clients[i];
		struct pollfd *q = &p[3 + i];

		free_place |= !c->used;
		*q = (struct pollfd){ .fd = c->used ? c->fd : -1 };
		if (d->tx.len < PORT_BACKLOG)
			q->events |= POLLIN;
		if (c->tx.len)
			q->events |= POLLOUT;
	}
	p[2] = (struct pollfd){ .fd = free_place ? d->listener : -1,
				.events = POLLIN };
	return free_place;
}

static void clients_serve(struct labd *d, const struct pollfd *p)
{
	for (int i = 0; i < CLIENTS; i++) {
		struct client *c = &d->clients[i];

		if (!c->used)
			continue;
		if (c->fd >= 0 && p[3 + i].fd == c->fd &&
		    (p[3 + i].revents & (POLLIN | POLLHUP | POLLERR)))
			client_read(d, c);
		if (c->used && c->fd >= 0 && buf_flush(&c->tx, c->fd) < 0)
			client_hangup(d, c);
		if (c->used && c->fd < 0 && c->over)
			client_free(c);
	}
}

static long ms_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool labd_busy(const struct labd *d)
{
	bool busy = d->tx.len > 0;

	for (int i = 0; i < CLIENTS; i++)
		busy |= d->clients[i].used && d->clients[i].opened &&
			!d->clients[i].over;
	return busy;
}

static void qemu_pause(struct labd *d, bool busy)
{
	if (!d->pause || busy == !d->paused)
		return;
	kill(d->qemu, busy ? SIGCONT : SIGSTOP);
	d->paused = !busy;
}

/* Returns how long poll may wait for the next time. */
static int qemu_poke(struct labd *d, bool busy)
{
	struct wire_head h = { .type = WIRE_POKE };
	long now = ms_now();

	if (d->pause || !busy)
		return -1;
	if (now - d->poked_ms >= POKE_MS && !d->tx.len) {
		wire_put(&d->tx, h, NULL);
		d->poked_ms = now;
	}
	return POKE_MS;
}

/* True when the lab has to end: a signal came or QEMU is gone. */
static bool signal_ends(struct labd *d)
{
	struct signalfd_siginfo si;

	if (read(d->sigfd, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return false;
	if (si.ssi_signo != SIGCHLD)
		return true;
	if (waitpid(d->qemu, NULL, WNOHANG) != d->qemu)
		return false;
	d->qemu = 0;
	return true;
}

static void labd_serve(struct labd *d)
{
	struct pollfd p[3 + CLIENTS];
	bool busy;
	int wait;

	while (!d->down) {
		busy = labd_busy(d);
		qemu_pause(d, busy);
		wait = qemu_poke(d, busy);
		poll_prepare(d, p);
		if (poll(p, 3 + CLIENTS, wait) < 0 && errno != EINTR)
			return;
		if (p[1].revents && signal_ends(d))
			return;
		if (p[0].revents & (POLLIN | POLLHUP | POLLERR) &&
		    !port_read(d))
			return;
		clients_serve(d, p);
		if (p[2].revents & POLLIN)
			client_accept(d);
		if (buf_flush(&d->tx, d->port) < 0)
			return;
	}
}

static void __attribute__((noreturn)) qemu_exec(char **argv, int port, pid_t up)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != up)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (port != 3) {
		dup2(port, 3);
	} else {
		fcntl(3, F_SETFD, 0);
	}
	close_range(4, ~0u, 0);
	execvp(argv[0], argv);
	dprintf(2, "cannot run '%s': %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* NULL once the agent has said that it is ready, else what went wrong. */
static const char *ready_wait(struct labd *d, long seconds)
{
	struct pollfd p[2] = { { .fd = d->port, .events = POLLIN },
			       { .fd = d->sigfd, .events = POLLIN } };
	long end = ms_now() + seconds * 1000;
	const unsigned char *payload;
	struct wire_head h;

	for (;;) {
		long left = end - ms_now();

		if (left <= 0 || !poll(p, 2, (int)left))
			return "it did not boot in time";
		if (p[1].revents && signal_ends(d))
			return d->qemu ? "interrupted" : "QEMU ended";
		if (!p[0].revents)
			continue;
		if (buf_fill(&d->rx, d->port, 4096) == 0)
			return "QEMU ended";
		if (wire_peek(&d->rx, &h, &payload) == 0)
			continue;
		if (h.type != WIRE_READY)
			return "the agent speaks another protocol";
		wire_drop(&d->rx, &h);
		return NULL;
	}
}

/* The socket appears under its name only when clients will be served. */
static int socket_listen(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX,
				 .sun_path = "sock.new" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	unlink(a.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(fd, 128) < 0 || rename("sock.new", "sock") < 0)
		return -1;
	return fd;
}

static void pid_write(void)
{
	FILE *f = fopen("pid", "we");

	if (!f)
		return;
	fprintf(f, "%d\n", getpid());
	fclose(f);
}

static void daemon_detach(int alive, int report)
{
	int log = open("labd.log", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	int null = open("/dev/null", O_RDWR);
	int keep[2];

	setsid();
	dup2(null, 0);
	dup2(log < 0 ? null : log, 1);
	dup2(log < 0 ? null : log, 2);
	keep[0] = alive < report ? alive : report;
	keep[1] = alive < report ? report : alive;
	close_range(3, (unsigned int)keep[0] - 1, 0);
	if (keep[1] > keep[0] + 1)
		close_range((unsigned int)keep[0] + 1,
			    (unsigned int)keep[1] - 1, 0);
	close_range((unsigned int)keep[1] + 1, ~0u, 0);
}

static void signals_take(struct labd *d)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	d->sigfd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
}

static const char *lab_start(struct labd *d, char **qemu, long seconds)
{
	pid_t self = getpid();
	const char *why;
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return "socketpair failed";
	signals_take(d);
	d->qemu = fork();
	if (d->qemu < 0)
		return "fork failed";
	if (!d->qemu)
		qemu_exec(qemu, sv[1], self);
	close(sv[1]);
	d->port = sv[0];
	fd_nonblock(d->port);
	why = ready_wait(d, seconds);
	if (why)
		return why;
	d->listener = socket_listen();
	if (d->listener < 0)
		return "the socket cannot be made";
	return NULL;
}

static void __attribute__((noreturn))
daemon_run(char **qemu, long seconds, bool pause, int alive, int report)
{
	static struct labd d = { .listener = -1, .next_id = 1 };
	const char *why;

	daemon_detach(alive, report);
	for (int i = 0; i < CLIENTS; i++)
		d.clients[i].fd = -1;
	d.pause = pause;
	pid_write();
	why = lab_start(&d, qemu, seconds);
	if (!why) {
		why = write(report, "ok", 2) == 2 ? NULL : "nobody waits";
		close(report);
	}
	if (!why)
		labd_serve(&d);
	unlink("sock");
	if (d.qemu > 0) {
		kill(d.qemu, SIGKILL);
		waitpid(d.qemu, NULL, 0);
	}
	/* Reported last: who hears of it may start the next one at once. */
	if (why && write(report, why, strlen(why)) < 0)
		exit(2);
	exit(why ? 1 : 0);
}

int main(int argc, char **argv)
{
	bool pause = argc > 3 && !strcmp(argv[3], "--pause");
	int dash = pause ? 4 : 3;
	char text[128] = "";
	int report[2];
	size_t used = 0;
	ssize_t n;
	int alive;

	if (argc < dash + 2 || strcmp(argv[dash], "--")) {
		fputs("usage: labd DIR SECONDS [--pause] -- QEMU...\n", stderr);
		return 125;
	}
	if (chdir(argv[1]) < 0) {
		fprintf(stderr, "lab: enter '%s': %s\n", argv[1],
			strerror(errno));
		return 1;
	}
	alive = open("alive", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (alive < 0 || flock(alive, LOCK_EX | LOCK_NB) < 0) {
		fprintf(stderr, "lab: lock '%s/alive': %s\n", argv[1],
			strerror(errno));
		return 1;
	}
	unlink("pid");
	unlink("sock");
	if (pipe2(report, O_CLOEXEC) < 0)
		return 1;
	switch (fork()) {
	case -1:
		perror("lab: fork");
		return 1;
	case 0:
		daemon_run(argv + dash + 1, strtol(argv[2], NULL, 10), pause,
			   alive, report[1]);
	default:
		break;
	}
	close(report[1]);
	while (used < sizeof(text) - 1 &&
	       (n = read(report[0], text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)n;
	if (!strcmp(text, "ok"))
		return 0;
	fprintf(stderr, "lab: start: %s (see %s/console.log, labd.log there)\n",
		used ? text : "labd died", argv[1]);
	return 1;
}
