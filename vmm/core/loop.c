// SPDX-License-Identifier: MIT
/*
 * See loop.h. The eventfd is written at most once per sleep: `woken` is
 * cleared before the wants are asked, so a change that comes later writes
 * again and a change that came earlier is seen by the asking itself.
 *
 * Each round polls and looks at the timers, whatever the step and the wants
 * have to say: with work that they made themselves it only does not wait.
 * Going round without, until nothing was new, was rejected: a guest that
 * always has something new held the loop for ever.
 */
#include "core/loop.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

uint64_t loop_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int loop_init(struct loop *l, void (*step)(void *opaque), void *opaque,
	      struct err *e)
{
	*l = (struct loop){ .wake_fd = -1, .step = step, .opaque = opaque };
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake_fd < 0)
		return err_sys(e, "create the event loop's eventfd");
	return 0;
}

void loop_fini(struct loop *l)
{
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	l->wake_fd = -1;
}

void loop_add_watch(struct loop *l, const struct loop_watch *w)
{
	assert(l->nr_watches < LOOP_MAX_WATCHES);
	l->watch[l->nr_watches++] = *w;
}

struct loop_timer *loop_add_timer(struct loop *l, void (*expired)(void *),
				  void *opaque)
{
	struct loop_timer *t;

	assert(l->nr_timers < LOOP_MAX_TIMERS);
	t = &l->timer[l->nr_timers++];
	*t = (struct loop_timer){ .expired = expired, .opaque = opaque };
	return t;
}

void loop_wake(struct loop *l)
{
	static const uint64_t one = 1;
	ssize_t r;

	if (atomic_exchange(&l->woken, true))
		return;
	/* Fails only when the counter is full: then it is readable anyway. */
	r = write(l->wake_fd, &one, sizeof(one));
	(void)r;
}

void loop_wake_soon(struct loop *l)
{
	atomic_store(&l->soon, true);
}

void loop_wake_now(struct loop *l)
{
	if (atomic_exchange(&l->soon, false))
		loop_wake(l);
}

/* Fill `pfd` with what is wanted now; map[i] is the watch behind entry i. */
static nfds_t collect(struct loop *l, struct pollfd *pfd, unsigned *map)
{
	nfds_t n = 0;
	unsigned i;

	pfd[n++] = (struct pollfd){ .fd = l->wake_fd, .events = POLLIN };
	for (i = 0; i < l->nr_watches; i++) {
		const struct loop_watch *w = &l->watch[i];
		short events = w->want(w->opaque);

		if (!events || w->fd < 0)
			continue;
		map[n] = i;
		pfd[n++] = (struct pollfd){ .fd = w->fd, .events = events };
	}
	return n;
}

/* Time to the earliest timer, or NULL when none is armed. */
static struct timespec *next_timeout(const struct loop *l, struct timespec *ts)
{
	uint64_t first = UINT64_MAX, now, left;
	unsigned i;

	for (i = 0; i < l->nr_timers; i++)
		if (l->timer[i].at_ns && l->timer[i].at_ns < first)
			first = l->timer[i].at_ns;
	if (first == UINT64_MAX)
		return NULL;
	now = loop_now();
	left = first > now ? first - now : 0;
	ts->tv_sec = (time_t)(left / 1000000000u);
	ts->tv_nsec = (long)(left % 1000000000u);
	return ts;
}

static void run_timers(struct loop *l)
{
	uint64_t now = loop_now();
	unsigned i;

	for (i = 0; i < l->nr_timers && !l->stop; i++) {
		struct loop_timer *t = &l->timer[i];

		if (!t->at_ns || t->at_ns > now)
			continue;
		t->at_ns = 0;
		t->expired(t->opaque);
	}
}

static void drain_wake(struct loop *l)
{
	uint64_t n;
	ssize_t r = read(l->wake_fd, &n, sizeof(n));

	(void)r;
}

int loop_run(struct loop *l, struct err *e)
{
	struct pollfd pfd[LOOP_MAX_WATCHES + 1];
	unsigned map[LOOP_MAX_WATCHES + 1];

	for (;;) {
		struct timespec ts = { 0 }, *wait = &ts;
		nfds_t n, i;
		int r;

		atomic_store(&l->woken, false);
		atomic_store(&l->soon, false);
		l->step(l->opaque);
		if (l->stop)
			return 0;
		n = collect(l, pfd, map);
		/* The step itself may have changed what it looks at. */
		if (!atomic_load(&l->soon))
			wait = next_timeout(l, &ts);
		r = ppoll(pfd, n, wait, NULL);
		if (r < 0 && errno != EINTR)
			return err_sys(e, "wait for events");
		if (r > 0 && pfd[0].revents)
			drain_wake(l);
		/* Timers first: a flood of data must not starve a deadline. */
		run_timers(l);
		for (i = 1; r > 0 && i < n && !l->stop; i++)
			if (pfd[i].revents)
				l->watch[map[i]].ready(l->watch[map[i]].opaque,
						       pfd[i].revents);
	}
}
