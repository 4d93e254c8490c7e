// SPDX-License-Identifier: MIT
/*
 * Whatever needs no job is done before there is one: the template is mapped,
 * the pages that a job touches are touched, the vCPUs have their state and
 * their threads, the loop is there. What waits after that is a process in its
 * jail whose guest has not run and uses no CPU.
 *
 * Rejected: to have the guest itself do once, before there is a job, what it
 * does for each. That wrote to pages that the job then did not use, and was
 * never what the rehearsal of the template had done.
 *
 * The link to the pool is closed with the hand-over, so that a machine that
 * is taken over by its guest has nobody to talk to but its own client.
 */
#include "pool/machine.h"

#include "pool/socket.h"
#include "pool/wire.h"
#include "run/run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static void tell_pool(int link, char what, const char *line)
{
	char buf[1 + sizeof(((struct err *)0)->msg)];
	size_t n = strnlen(line, sizeof(buf) - 1);

	buf[0] = what;
	memcpy(buf + 1, line, n);
	/* A pool that is gone has us killed. */
	(void)pool_socket_send(link, buf, n + 1, sizeof(buf), NULL, 0, -1);
}

void pool_machine_fail(int link, const struct err *e)
{
	tell_pool(link, POOL_FAILED, e->msg);
}

static int make_ready(struct run *run, struct err *e)
{
	int r = run_adopt_machine(run, POOL_FD_TEMPLATE, POOL_FD_IMAGE, e);

	if (!r)
		r = run_init_loop(run, e);
	/* Until there is a client, its streams give and take nothing. */
	run->touch = true;
	run->till_rest = true;
	if (!r)
		r = run_init_vm(run, e);
	run->till_rest = false;
	/* Whether its client wants counts of memory is not known yet. */
	run->own.timeline = true;
	if (!r)
		r = run_enter_jail(run, JAIL_WAITER, e);
	return r;
}

#define FOREVER UINT64_MAX

/* False when the time is over. */
static bool wait_readable(int fd, uint64_t until_ns)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct timespec ts;
	uint64_t now, left;
	int r;

	do {
		now = until_ns == FOREVER ? 0 : loop_now();
		left = until_ns > now ? until_ns - now : 0;
		ts.tv_sec = (time_t)(left / 1000000000u);
		ts.tv_nsec = (long)(left % 1000000000u);
		r = ppoll(&p, 1, until_ns == FOREVER ? NULL : &ts, NULL);
	} while (r < 0 && errno == EINTR);
	return r > 0;
}

/* The client's connection, or -1 when there will be none. */
static int await_client(int link)
{
	char byte;
	int fd;

	if (!wait_readable(link, FOREVER) ||
	    pool_socket_receive(link, &byte, 1, &fd, 1) != 1)
		return -1;
	return fd;
}

static void close_all(const int *fds, unsigned nr)
{
	unsigned i;

	for (i = 0; i < nr; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/*
 * The whole request in `buf`, its descriptors in `fds`; its length, 0 for what
 * is none, or -ETIMEDOUT. Only the first packet may have descriptors.
 */
static ssize_t read_request(int fd, uint64_t patience_ns, uint8_t *buf,
			    int fds[POOL_FDS_MAX])
{
	uint64_t until = patience_ns ? loop_now() + patience_ns : FOREVER;
	size_t have = 0, all = 0;

	do {
		unsigned max = have ? 0 : POOL_FDS_MAX;
		size_t room = all ? all - have : POOL_PACKET;
		ssize_t n;

		if (!wait_readable(fd, until))
			return -ETIMEDOUT;
		n = pool_socket_receive(fd, buf + have, room, fds, max);
		if (n <= 0)
			return 0;
		if (!have)
			all = pool_wire_size(buf, (size_t)n, POOL_REQUEST);
		have += (size_t)n;
	} while (have < all);
	return have == all ? (ssize_t)all : 0;
}

/* The machine's part of the configuration stays, the job's is the client's. */
static void adopt_request(struct run *run, const struct pool_request *req)
{
	struct config c = req->config;
	uint64_t now = loop_now();

	c.template = run->own.template;
	c.kernel = run->own.kernel;
	c.image = run->own.image;
	c.memory = run->own.memory;
	c.cpus = run->own.cpus;
	c.pool_timeout_ns = run->own.pool_timeout_ns;
	run->own = c;
	run->o->clock[CLOCK_T0_START] = req->t0_ns < now ? req->t0_ns : now;
}

/* What the pool's operator wants of each job. */
static int check_limits(const struct config *c, struct err *e)
{
	double max = (double)c->pool_timeout_ns / 1e9;

	if (!c->pool_timeout_ns)
		return 0;
	if (!c->timeout_ns || c->timeout_ns > c->pool_timeout_ns)
		return err_set(e, EINVAL,
			       "use the pool: its jobs have a --timeout of at "
			       "most %.9g s (give --timeout=%.9g, or less)",
			       max, max);
	if (c->timeout_from == TIMEOUT_FROM_STDIN)
		return err_set(e, EINVAL,
			       "use the pool: the --timeout of its jobs counts "
			       "from the start (leave --timeout-from out)");
	return 0;
}

static int attach(struct run *run, const int fds[POOL_FDS_MAX], struct err *e)
{
	const struct config *c = run->config;
	int fd[STREAM_NR] = { fds[0], fds[1], fds[2], -1 };
	unsigned i, next = STREAM_RESULT;

	if (c->result_fd >= 0 || c->result_file)
		fd[STREAM_RESULT] = fds[next++];
	if (c->console_file)
		run->console_fd = fds[next];
	for (i = 0; i < STREAM_NR; i++)
		run->stream[i].ours = true;
	return run_attach_streams(run, fd, e);
}

static short client_wants(void *opaque)
{
	(void)opaque;
	return POLLIN;
}

/* A signal to the client; or it has gone, or talks nonsense. */
static void client_ready(void *opaque, short revents)
{
	struct run *run = opaque;
	uint8_t buf[POOL_SIGNAL_LEN];
	ssize_t n;
	int sig;

	(void)revents;
	n = pool_socket_receive(run->client_fd, buf, sizeof(buf), NULL, 0);
	sig = n > 0 ? pool_signal_parse(buf, (size_t)n) : 0;
	run_interrupt(run, sig ? sig : SIGKILL);
}

static int start_job(struct run *run, const int fds[POOL_FDS_MAX],
		     struct err *e)
{
	struct loop_watch client = { run->client_fd, client_wants,
				     client_ready, run };
	int r = check_limits(run->config, e);

	if (!r)
		r = run_check_job(run, e);
	if (!r)
		r = attach(run, fds, e);
	if (!r)
		r = vm_rewind(&run->vm, &run->template, e);
	if (!r)
		r = run_init_control(run, e);
	if (r)
		return r;
	run_watch(run);
	loop_add_watch(&run->loop, &client);
	run_prepare(run);
	/* The last that only a waiter may; what runs may what any run may. */
	r = jail_seal(&run->jail, JAIL_LOOP, run->vm.kvm.vm_fd, -1, e);
	return r ? r : run_go(run, e);
}

static void reply(struct run *run)
{
	uint8_t buf[POOL_REPLY_MAX];
	struct identity id;
	size_t len;

	run_identify(run, &id);
	len = pool_reply_pack(buf, run->config, run->o, &id);
	(void)pool_socket_send(run->client_fd, buf, len, sizeof(buf), NULL, 0,
			       -1);
}

/* The backstop rang: nobody else could tell the client why. */
static void reply_late(void *opaque)
{
	run_be_late(opaque);
	reply(opaque);
}

/* From a whole request to the reply. */
static void serve_request(struct run *run, const struct pool_request *req,
			  const int fds[POOL_FDS_MAX])
{
	struct err e;

	adopt_request(run, req);
	supervisor_on_late(reply_late, run);
	if (start_job(run, fds, &e)) {
		vm_stop(&run->vm);
		run_give_up(run, &e);
	} else {
		run_finish(run);
	}
	reply(run);
}

static bool has_fds(const int fds[POOL_FDS_MAX], unsigned nr)
{
	unsigned i;

	for (i = 0; i < POOL_FDS_MAX; i++)
		if ((fds[i] >= 0) != (i < nr))
			return false;
	return true;
}

/* There will be no job, and this is why. */
__attribute__((format(printf, 3, 4))) static void
refuse(struct run *run, int code, const char *fmt, ...)
{
	va_list ap;

	run->o->verdict = VERDICT_ERROR;
	run->o->code = code;
	va_start(ap, fmt);
	vsnprintf(run->o->reason, sizeof(run->o->reason), fmt, ap);
	va_end(ap);
	reply(run);
}

static void serve_client(struct run *run)
{
	/* Of the longest request; pages that none fills are never made. */
	uint8_t *buf = malloc(POOL_REQUEST_MAX + POOL_PACKET);
	int fds[POOL_FDS_MAX] = { -1, -1, -1, -1, -1 };
	uint64_t patience = run->config->request_ns;
	struct pool_request req;
	ssize_t len;

	if (!buf)
		return;
	len = read_request(run->client_fd, patience, buf, fds);
	if (len > 0 && !pool_request_parse(&req, buf, (size_t)len) &&
	    has_fds(fds, pool_request_fds(&req.config))) {
		serve_request(run, &req, fds);
		return;
	}
	close_all(fds, POOL_FDS_MAX);
	if (len == -ETIMEDOUT)
		refuse(run, ETIMEDOUT, POOL_LATE, (double)patience / 1e9);
	else
		refuse(run, EPROTO,
		       "use the pool: it does not understand this request (is "
		       "it of another version of husk?)");
}

int pool_machine_main(const struct config *c)
{
	/* Zero from the start; of its pages only those are there it uses. */
	static struct run run;
	struct supervisor s;
	const struct run_start start = { .t0_ns = loop_now(),
					 .status_fd = -1,
					 .supervisor = &s };
	struct outcome o;
	char line[sizeof(((struct err *)0)->msg)];
	struct err e;

	/* What it is called in /proc, since it has no path. */
	prctl(PR_SET_NAME, "husk");
	supervisor_adopt(&s, POOL_FD_PARENT);
	run_init(&run, c, &start, &o);
	if (make_ready(&run, &e)) {
		pool_machine_fail(POOL_FD_LINK, &e);
		return 1;
	}
	/* One word of warning has room; the walls are the graver one. */
	if (!run_warn_of_jail(&run, line, sizeof(line)) &&
	    run.vm.untouched.code)
		snprintf(line, sizeof(line), "%s", run.vm.untouched.msg);
	tell_pool(POOL_FD_LINK, POOL_READY, line);
	run.client_fd = await_client(POOL_FD_LINK);
	close(POOL_FD_LINK);
	if (run.client_fd >= 0)
		serve_client(&run);
	return 0;
}
