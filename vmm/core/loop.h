/* SPDX-License-Identifier: MIT */
/*
 * The host side's event loop: descriptors, timers, and a stop flag.
 *
 * One thread runs it. A watch does not remember what it waits for: before
 * each sleep the loop asks its want() for poll(2) events (0: leave it out),
 * so what is watched follows from device state and cannot go stale. Another
 * thread that changed such state calls loop_wake. The owner's step() runs
 * first: there it looks whether everything is done. Step and wants may change
 * such state, too, and find it changed anew each time: timers and descriptors
 * have their turn in every round all the same, and it is theirs to do little.
 *
 * poll and not epoll: there are at most a dozen descriptors, and regular
 * files, which epoll refuses, count as always ready.
 */
#ifndef HUSK_CORE_LOOP_H
#define HUSK_CORE_LOOP_H

#include "lib/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LOOP_MAX_WATCHES 12
#define LOOP_MAX_TIMERS	 4

struct loop_watch {
	int fd;				/* borrowed; < 0: asked, never polled */
	short (*want)(void *opaque);
	void (*ready)(void *opaque, short revents);
	void *opaque;
};

struct loop_timer {
	uint64_t at_ns;			/* CLOCK_MONOTONIC; 0: not armed */
	void (*expired)(void *opaque);	/* disarmed before it is called */
	void *opaque;
};

struct loop {
	int wake_fd;			/* owned, an eventfd */
	atomic_bool woken;		/* a wake-up is on its way */
	atomic_bool soon;		/* one is to come */
	bool stop;			/* set by callbacks only */
	void (*step)(void *opaque);	/* before each sleep; may set stop */
	void *opaque;
	unsigned nr_watches, nr_timers;
	struct loop_watch watch[LOOP_MAX_WATCHES];
	struct loop_timer timer[LOOP_MAX_TIMERS];
};

int loop_init(struct loop *l, void (*step)(void *opaque), void *opaque,
	      struct err *e);
void loop_fini(struct loop *l);

/* Add before or while it runs, loop thread only; slots are never reused. */
void loop_add_watch(struct loop *l, const struct loop_watch *w);
struct loop_timer *loop_add_timer(struct loop *l, void (*expired)(void *),
				  void *opaque);

/* Serve until l->stop. Only fails when poll itself does. */
int loop_run(struct loop *l, struct err *e);

/* Any thread, async-signal-safe: make a sleeping loop look again. */
void loop_wake(struct loop *l);

/*
 * The same in two parts, for a change under a lock that the loop wants, too:
 * woken at once it would only wait for that lock. loop_wake_soon notes it;
 * loop_wake_now, after the unlock and in the same thread, wakes if something
 * was noted that the loop has not seen. The loop's own thread needs no second
 * part.
 */
void loop_wake_soon(struct loop *l);
void loop_wake_now(struct loop *l);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t loop_now(void);

#endif
