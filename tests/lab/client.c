// SPDX-License-Identifier: MIT
/*
 * Runs one command in a lab and behaves like it: its streams are ours, and so
 * is its exit status.
 *
 *	lab-run [--cwd DIR] [--env NAME[=VALUE]]... [--user UID] [--no-kvm]
 *		[--timeout SECONDS] [--down] DIR -- CMD [ARG...]
 *
 * DIR is the lab's state folder. Statuses: the command's own; 128 + signal when
 * one ended it; 124 when --timeout (wall clock here) ended it; 126, 127 when it
 * could not be run; 125 with a line on stderr when the lab failed. The first
 * SIGINT, SIGTERM, SIGHUP or SIGQUIT is passed to the command's process group,
 * a second one kills it. Nothing but the command's bytes goes to stdout.
 *
 * Descriptors 0, 1 and 2 stay in the mode they are in, for they are shared with
 * other processes: they are polled, and a pipe is written PIPE_BUF at a time,
 * which is what poll(2) promises to take without waiting.
 */
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* After a kill the lab gets this long to answer before we give up on it. */
#define GRACE_MS 15000

struct options {
	const char *dir;
	const char *cwd;
	struct wire_open open;
	struct buf env;
	long timeout_ms; /* 0: none */
	bool down;
	char **argv;
};

struct client {
	int sock;
	int sigfd;
	struct buf rx;
	struct buf tx;
	struct buf out[3];  /* [1] and [2]: not yet written here */
	uint32_t passed[3]; /* written, not yet given back as credit */
	uint32_t credit;    /* for stdin */
	bool in_open;
	bool out_open[3]; /* our side takes bytes */
	bool out_eof[3];
	bool is_file[3];
	bool killed;
	bool timed_out;
	int signals;
	long end_ms; /* 0: never */
	int status;  /* -1 until the command has ended */
};

static long ms_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int lab_connect(const char *dir)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "sock" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* Relative, because sun_path is short and a checkout may lie deep. */
	if (fd < 0 || chdir(dir) < 0 ||
	    connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		fprintf(stderr, "lab: connect to '%s/sock': %s\n", dir,
			strerror(errno));
		exit(125);
	}
	fd_nonblock(fd);
	return fd;
}

static void open_send(struct client *c, const struct options *o)
{
	struct wire_head h = { .type = WIRE_OPEN };
	struct wire_open open = o->open;
	struct buf b = { 0 };

	while (o->argv[open.argc])
		open.argc++;
	buf_append(&b, &open, sizeof(open));
	buf_append(&b, o->cwd, strlen(o->cwd) + 1);
	for (char **a = o->argv; *a; a++)
		buf_append(&b, *a, strlen(*a) + 1);
	buf_append(&b, o->env.mem, o->env.len);
	if (b.len > WIRE_MAX) {
		fputs("lab: arguments and environment are too long\n", stderr);
		exit(125);
	}
	h.len = (uint32_t)b.len;
	wire_put(&c->tx, h, b.mem + b.start);
	buf_free(&b);
}

static void signal_send(struct client *c, int sig)
{
	struct wire_head h = { .type = WIRE_SIGNAL };

	wire_put_u32(&c->tx, h, (uint32_t)sig);
	if (sig != SIGKILL)
		return;
	c->killed = true;
	c->end_ms = ms_now() + GRACE_MS;
}

static void stdin_end(struct client *c, bool tell)
{
	struct wire_head h = { .type = WIRE_EOF };

	if (c->in_open && tell)
		wire_put(&c->tx, h, NULL);
	c->in_open = false;
}

static void stdin_read(struct client *c)
{
	struct wire_head h = { .type = WIRE_DATA };
	unsigned char data[WIRE_CHUNK];
	size_t max = c->credit < sizeof(data) ? c->credit : sizeof(data);
	ssize_t n = read(0, data, max);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		stdin_end(c, true);
		return;
	}
	h.len = (uint32_t)n;
	c->credit -= h.len;
	wire_put(&c->tx, h, data);
}

static void output_shut(struct client *c, int fd)
{
	struct wire_head h = { .type = WIRE_SHUT, .stream = (uint8_t)fd };

	if (!c->out_open[fd])
		return;
	c->out_open[fd] = false;
	buf_free(&c->out[fd]);
	wire_put(&c->tx, h, NULL);
}

/*
 * A stream that was closed when we started must stay so: were its number given
 * to our socket, the command's bytes would land there. Outputs with nobody
 * behind them are marked as shut, stdin is at its end.
 */
static void streams_check(struct client *c)
{
	for (int i = 0; i < 3; i++) {
		struct stat st;

		c->out_open[i] = i && fstat(i, &st) == 0;
		c->is_file[i] = c->out_open[i] && S_ISREG(st.st_mode);
		if (fcntl(i, F_GETFD) < 0 && open("/dev/null", O_RDWR) != i)
			exit(125);
	}
}

/* Says so to a command that was opened with an output nobody reads. */
static void outputs_shut(struct client *c)
{
	for (uint8_t i = 1; i < 3; i++) {
		struct wire_head h = { .type = WIRE_SHUT, .stream = i };

		if (!c->out_open[i])
			wire_put(&c->tx, h, NULL);
	}
}

static void output_write(struct client *c, int fd)
{
	struct wire_head h = { .type = WIRE_WINDOW_ADD, .stream = (uint8_t)fd };
	struct buf *b = &c->out[fd];
	size_t len = b->len;
	ssize_t n;

	if (!c->is_file[fd] && len > PIPE_BUF)
		len = PIPE_BUF;
	n = write(fd, b->mem + b->start, len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		output_shut(c, fd);
		return;
	}
	buf_consume(b, (size_t)n);
	c->passed[fd] += (uint32_t)n;
	if (c->passed[fd] < WIRE_WINDOW / 4)
		return;
	wire_put_u32(&c->tx, h, c->passed[fd]);
	c->passed[fd] = 0;
}

static void frame_take(struct client *c, const struct wire_head *h,
		       const unsigned char *payload)
{
	switch (h->type) {
	case WIRE_DATA:
		if (c->out_open[h->stream])
			buf_append(&c->out[h->stream], payload, h->len);
		break;
	case WIRE_WINDOW_ADD:
		c->credit += wire_u32(h, payload);
		break;
	case WIRE_SHUT:
		stdin_end(c, false);
		break;
	case WIRE_EXIT:
		c->status = (int)wire_u32(h, payload);
		stdin_end(c, false);
		break;
	default:
		break;
	}
}

static void __attribute__((noreturn))
lab_gone(const struct options *o, const char *why)
{
	fprintf(stderr,
		"lab: %s while '%s' ran (see console.log and labd.log in "
		"'%s')\n",
		why, o->argv[0], o->dir);
	exit(125);
}

static void sock_read(struct client *c, const struct options *o)
{
	const unsigned char *payload;
	struct wire_head h;
	long n = buf_fill(&c->rx, c->sock, 64 << 10);
	int got;

	if (n == -EAGAIN)
		return;
	if (n <= 0)
		lab_gone(o, "the lab ended");
	while ((got = wire_peek(&c->rx, &h, &payload)) > 0) {
		frame_take(c, &h, payload);
		wire_drop(&c->rx, &h);
	}
	if (got < 0)
		lab_gone(o, "a broken frame came");
}

static void signal_read(struct client *c)
{
	struct signalfd_siginfo si;

	if (read(c->sigfd, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	signal_send(c, c->signals++ ? SIGKILL : (int)si.ssi_signo);
}

static void clock_check(struct client *c, const struct options *o)
{
	if (!c->end_ms || ms_now() < c->end_ms)
		return;
	if (!c->killed) {
		c->timed_out = true;
		signal_send(c, SIGKILL);
		return;
	}
	if (c->status < 0)
		fprintf(stderr,
			"lab: '%s' was killed but the lab does "
			"not answer\n",
			o->argv[0]);
	exit(c->timed_out ? 124 : 125);
}

static int poll_timeout(const struct client *c)
{
	long left;

	if (!c->end_ms)
		return -1;
	left = c->end_ms - ms_now();
	if (left > INT_MAX - 1)
		left = INT_MAX - 1;
	return left < 0 ? 0 : (int)left + 1;
}

/* Output is watched even when there is none: its reader may go away. */
static void poll_prepare(const struct client *c, struct pollfd p[5])
{
	p[0] = (struct pollfd){ .fd = c->in_open && c->credit ? 0 : -1,
				.events = POLLIN };
	for (int i = 1; i < 3; i++) {
		p[i] = (struct pollfd){ .fd = c->out_open[i] ? i : -1 };
		if (c->out[i].len)
			p[i].events = POLLOUT;
	}
	p[3] = (struct pollfd){ .fd = c->sock, .events = POLLIN };
	if (c->tx.len)
		p[3].events |= POLLOUT;
	p[4] = (struct pollfd){ .fd = c->sigfd, .events = POLLIN };
}

static bool client_done(const struct client *c)
{
	return c->status >= 0 && !c->out[1].len && !c->out[2].len;
}

static void client_loop(struct client *c, const struct options *o)
{
	struct pollfd p[5];

	while (!client_done(c)) {
		poll_prepare(c, p);
		if (poll(p, 5, poll_timeout(c)) < 0 && errno != EINTR)
			lab_gone(o, "poll failed");
		if (p[4].revents)
			signal_read(c);
		if (p[0].revents & POLLNVAL)
			stdin_end(c, true);
		else if (p[0].revents)
			stdin_read(c);
		for (int i = 1; i < 3; i++) {
			if (p[i].revents & POLLOUT)
				output_write(c, i);
			else if (p[i].revents)
				output_shut(c, i);
		}
		if (p[3].revents)
			sock_read(c, o);
		if (buf_flush(&c->tx, c->sock) < 0)
			lab_gone(o, "the lab ended");
		clock_check(c, o);
	}
}

/* Returns once labd has gone, which closes the socket last of all. */
static void lab_down(struct client *c)
{
	struct wire_head h = { .type = WIRE_DOWN };
	struct pollfd p = { .fd = c->sock, .events = POLLIN };

	wire_put(&c->tx, h, NULL);
	if (buf_flush(&c->tx, c->sock) < 0)
		return;
	while (poll(&p, 1, GRACE_MS) > 0 && buf_fill(&c->rx, c->sock, 4096) > 0)
		continue;
}

static void signals_take(struct client *c)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGQUIT);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	c->sigfd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void __attribute__((noreturn)) usage(void)
{
	fputs("usage: lab-run [--cwd DIR] [--env NAME[=VALUE]]... [--user UID] "
	      "[--no-kvm] [--timeout SECONDS] [--down] DIR -- CMD [ARG...]\n",
	      stderr);
	exit(125);
}

static double number_parse(const char *text, double max)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= 0) || v > max) {
		fprintf(stderr, "lab: '%s' is not a number up to %.0f\n", text,
			max);
		exit(125);
	}
	return v;
}

/* NAME alone takes the caller's value, and nothing if there is none. */
static void env_add(struct options *o, const char *text)
{
	const char *value = strchr(text, '=') ? "" : getenv(text);

	if (!value)
		return;
	buf_append(&o->env, text, strlen(text));
	if (!strchr(text, '=')) {
		buf_append(&o->env, "=", 1);
		buf_append(&o->env, value, strlen(value));
	}
	buf_append(&o->env, "", 1);
	o->open.envc++;
}

static void options_parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "cwd", required_argument, NULL, 'c' },
		{ "env", required_argument, NULL, 'e' },
		{ "user", required_argument, NULL, 'u' },
		{ "no-kvm", no_argument, NULL, 'k' },
		{ "timeout", required_argument, NULL, 't' },
		{ "down", no_argument, NULL, 'd' },
		{ 0 }
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		if (opt == 'c')
			o->cwd = optarg;
		else if (opt == 'e')
			env_add(o, optarg);
		else if (opt == 'u')
			o->open.uid = (uint32_t)number_parse(optarg, 4e9);
		else if (opt == 'k')
			o->open.flags |= WIRE_OPEN_NO_KVM;
		else if (opt == 't')
			o->timeout_ms =
				(long)(number_parse(optarg, 1e9) * 1000) + 1;
		else if (opt == 'd')
			o->down = true;
		else
			usage();
	}
	if (argc - optind < 3 || strcmp(argv[optind + 1], "--"))
		usage();
	o->dir = argv[optind];
	o->argv = argv + optind + 2;
}

int main(int argc, char **argv)
{
	static struct client c = { .in_open = true,
				   .credit = WIRE_WINDOW,
				   .status = -1 };
	char *here = getcwd(NULL, 0);
	struct options o = { .cwd = here ? here : "/" };

	streams_check(&c);
	options_parse(&o, argc, argv);
	c.sock = lab_connect(o.dir);
	signals_take(&c);
	if (o.timeout_ms)
		c.end_ms = ms_now() + o.timeout_ms;
	open_send(&c, &o);
	outputs_shut(&c);
	client_loop(&c, &o);
	if (o.down)
		lab_down(&c);
	buf_free(&o.env);
	free(here);
	return c.timed_out ? 124 : c.status;
}
