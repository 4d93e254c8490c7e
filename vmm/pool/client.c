// SPDX-License-Identifier: MIT
/*
 * The client opens what is its user's, the streams and files of the run, so
 * that rights and relative paths are its own; the machine gets descriptors.
 * From then on only the machine has them: a reader that leaves or a stdin
 * that nobody reads any more is what it would be without a pool.
 *
 * A signal is passed on, and the machine's reply says how it ended. Without
 * a machine yet, the request lies unread in the socket, and the end is ours
 * to say.
 */
#include "pool/client.h"

#include "lib/cleanup.h"
#include "pool/peer.h"
#include "pool/socket.h"
#include "pool/wire.h"
#include "run/run.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>

/* After the deadline by this much, a machine that says nothing has hung. */
#define GRACE_NS 10000000000ull

static int send_request(struct run *run, uint64_t t0_ns, bool *whole,
			struct err *e)
{
	const struct config *c = run->config;
	auto_free uint8_t *buf = NULL;
	int fds[POOL_FDS_MAX], r;
	unsigned i, nr = 0;
	long len = pool_request_pack(c, t0_ns, &buf, e);

	if (len < 0)
		return -e->code;
	for (i = 0; i < STREAM_NR; i++)
		if (run->stream[i].fd >= 0)
			fds[nr++] = run->stream[i].fd;
	if (run->console_fd >= 0)
		fds[nr++] = run->console_fd;
	r = pool_socket_send(run->client_fd, buf, (size_t)len, POOL_PACKET, fds,
			     nr, run->signal_fd);
	*whole = !r;
	/* await_reply sees the signal, or what it says that closed. */
	if (!r || r == -EINTR || r == -EPIPE || r == -ECONNRESET)
		return 0;
	return err_set(e, -r, "use pool '%s': %s", c->pool, strerror(-r));
}

/* They are the machine's now. */
static void let_go(struct run *run)
{
	unsigned i;

	for (i = 0; i < STREAM_NR; i++)
		if (!run->stream[i].keep_open)
			stream_close(&run->stream[i]);
	cleanup_fd(&run->console_fd);
}

/*
 * A signal came. The first goes to the machine, which says what was delivered
 * until then; without a machine, or when that is deaf, the end is here.
 */
static void pass_signal(struct run *run, bool *passed)
{
	struct signalfd_siginfo si;
	uint8_t buf[POOL_SIGNAL_LEN];

	if (read(run->signal_fd, &si, sizeof(si)) != sizeof(si))
		return;
	if (*passed || pool_socket_is_unread(run->client_fd)) {
		run_interrupt(run, (int)si.ssi_signo);
		return;
	}
	pool_signal_pack(buf, (int)si.ssi_signo);
	(void)pool_socket_send(run->client_fd, buf, sizeof(buf), sizeof(buf),
			       NULL, 0, -1);
	*passed = true;
}

/* When to look whether the time limit was reached; UINT64_MAX: never. */
static uint64_t first_deadline(const struct run *run)
{
	const struct config *c = run->config;
	uint64_t at;

	if (!c->timeout_ns || c->timeout_from == TIMEOUT_FROM_STDIN ||
	    __builtin_add_overflow(run->o->clock[CLOCK_T0_START],
				   c->timeout_ns, &at))
		return UINT64_MAX;
	return at;
}

/* Keeping the limit is the machine's; unless there is none, or it has hung. */
static void look_at_time(struct run *run, uint64_t *deadline)
{
	uint64_t first = first_deadline(run);

	if (*deadline == first && !pool_socket_is_unread(run->client_fd)) {
		*deadline = first + GRACE_NS;
		return;
	}
	run_deadline_expired(run);
}

static void take_reply(struct run *run, const struct pool_reply *reply)
{
	uint64_t t0_ns = run->o->clock[CLOCK_T0_START];

	*run->o = reply->outcome;
	run->o->clock[CLOCK_T0_START] = t0_ns;
	run->own.memory = reply->memory;
	run->own.cpus = reply->cpus;
}

static int read_reply(struct run *run, struct pool_reply *reply,
		      struct err *e)
{
	uint8_t buf[POOL_REPLY_MAX];
	ssize_t n = pool_socket_receive(run->client_fd, buf, sizeof(buf), NULL,
					0);

	/* It has not read our request; what it said comes after this. */
	if (n == -ECONNRESET)
		n = pool_socket_receive(run->client_fd, buf, sizeof(buf), NULL,
					0);
	if (n > 0 && !pool_reply_parse(reply, buf, (size_t)n)) {
		take_reply(run, reply);
		return 0;
	}
	memset(reply, 0, sizeof(*reply));
	return err_set(e, EIO,
		       n > 0 ? "run in pool '%s': its machine talks nonsense" :
			       "run in pool '%s': its machine was killed, or "
			       "the pool ended",
		       run->config->pool);
}

/* Until run->o has a verdict. No signal can follow half a request. */
static int await_reply(struct run *run, bool whole, struct pool_reply *reply,
		       struct err *e)
{
	struct pollfd p[] = { { .fd = run->client_fd, .events = POLLIN },
			      { .fd = run->signal_fd, .events = POLLIN } };
	uint64_t deadline = first_deadline(run);
	bool passed = !whole;
	int r;

	while (run->o->verdict == VERDICT_NONE) {
		uint64_t now = deadline == UINT64_MAX ? 0 : loop_now();
		uint64_t left = deadline > now ? deadline - now : 0;
		struct timespec ts = { .tv_sec = (time_t)(left / 1000000000u),
				       .tv_nsec = (long)(left % 1000000000u) };

		r = ppoll(p, 2, deadline == UINT64_MAX ? NULL : &ts, NULL);
		if (r < 0 && errno != EINTR)
			return err_sys(e, "wait for the pool");
		if (r > 0 && p[0].revents)
			return read_reply(run, reply, e);
		if (r > 0)
			pass_signal(run, &passed);
		if (!r)
			look_at_time(run, &deadline);
	}
	return 0;
}

/* The pool closes the connection when the machine is gone. */
static void await_end(struct run *run)
{
	struct pollfd p = { .fd = run->client_fd, .events = POLLIN };
	uint8_t buf[POOL_REPLY_MAX];

	while (poll(&p, 1, -1) < 0 ||
	       pool_socket_receive(run->client_fd, buf, sizeof(buf), NULL, 0) >
		       0)
		;
	run->o->clock[CLOCK_T5_REAPED] = loop_now();
}

/* Whoever listens is to get our streams, and his word is to be believed. */
static int check_owner(const struct run *run, struct err *e)
{
	const struct config *c = run->config;
	bool unknown;
	uid_t uid;

	if (pool_peer_is_trusted(run->client_fd, &c->pool_uid, c->nr_pool_uid,
				 &uid, &unknown))
		return 0;
	if (unknown)
		return err_set(e, EACCES,
			       "use pool '%s': its user is none that is known "
			       "here (start both in the same user namespace)",
			       c->pool);
	return err_set(e, EACCES,
		       "use pool '%s': it is uid %u's, neither yours nor "
		       "root's (if you trust it, add --pool-uid=%u)",
		       c->pool, uid, uid);
}

static int open_all(struct run *run, struct err *e)
{
	int r = run_open_streams(run, e);

	if (!r)
		r = run_open_console(run, e);
	if (r)
		return r;
	run->client_fd = pool_socket_connect(run->config->pool, e);
	if (run->client_fd < 0)
		return run->client_fd;
	r = check_owner(run, e);
	return r ? r : run_open_signals(run, e);
}

int pool_run_job(const struct config *c, const struct run_start *start,
		 struct outcome *o, struct err *e)
{
	struct pool_reply reply = { 0 };
	struct err ignored;
	struct run run = { 0 };
	bool whole;
	int r;

	run_init(&run, c, start, o);
	r = open_all(&run, e);
	if (!r)
		r = send_request(&run, start->t0_ns, &whole, e);
	if (!r) {
		let_go(&run);
		r = await_reply(&run, whole, &reply, e);
	}
	o->clock[CLOCK_T4_EXIT] = loop_now();
	if (r) {
		run_give_up(&run, e);
		run_write_status(&run, &reply.id, &ignored);
		return r;
	}
	r = run_write_status(&run, &reply.id, e);
	if (c->timeline)
		await_end(&run);
	return r;
}
