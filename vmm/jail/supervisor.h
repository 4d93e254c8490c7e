/* SPDX-License-Identifier: MIT */
/*
 * Two processes for a machine: the machine, which is all that husk was, and
 * its supervisor, which has the pid that the user sees, holds nothing but
 * stderr and the status, and waits. A machine that is killed (by its jail, by
 * the OOM killer, by a bug) thereby still has somebody who says so, and one
 * that is pid 1 of a pid namespace of its own sees no other process.
 *
 * The machine dies with its supervisor, whatever that dies of.
 */
#ifndef HUSK_SUPERVISOR_H
#define HUSK_SUPERVISOR_H

#include "lib/err.h"

#include <stdbool.h>
#include <sys/types.h>

#define SUPERVISOR_ROOM 4032	/* bytes; with a word of ours, a page */

struct supervisor {
	pid_t pid;	/* in the parent: the machine; in the machine: 0 */
	int parent_fd;	/* machine: pidfd of the supervisor; -1: none */
	void *room;	/* SUPERVISOR_ROOM bytes that both see, owned by both
			 * until they end; NULL: nobody sees any */
	bool pid_ns;	/* the machine has this namespace of its own */
	bool user_ns;	/* " */
};

struct supervisor_end {
	int status;	/* exit status of the machine, or -1 */
	int signal;	/* that killed it, or 0 */
	bool late;	/* it ended itself: its backstop rang */
	bool cpu_limit;	/* it was killed for RLIMIT_CPU */
};

/*
 * Make the machine: returns twice, with s->pid telling who is who. Only with
 * a single thread. `isolate` asks for a pid namespace, and for the user
 * namespace that an ordinary user needs for it; what the host refuses is left
 * out. SIGINT, SIGTERM, SIGHUP are blocked in both, so that none is lost.
 * The machine has called supervisor_bind, and SIGALRM ends it, which as pid 1
 * it would ignore. The room is zeros.
 */
int supervisor_split(struct supervisor *s, bool isolate, struct err *e);

/*
 * Machine, after an exec: what supervisor_split has made of it before that,
 * whose pidfd of the supervisor it still has. There is no room: who started us
 * waits for us all at once.
 */
void supervisor_adopt(struct supervisor *s, int parent_fd);

/*
 * Machine: die when the supervisor dies. To be called again after each change
 * of uid or capabilities, which makes the kernel forget it.
 */
void supervisor_bind(const struct supervisor *s);

/*
 * Machine: what SIGALRM does before that, in its handler. What it reads may be
 * half-way to its next state, and it must not wait for anybody.
 */
void supervisor_on_late(void (*act)(void *opaque), void *opaque);

/* A parent that waits by itself: let go of what supervisor_wait needs. */
void supervisor_forget(struct supervisor *s);

/*
 * Supervisor: close all but stderr and `keep` (-1: none), pass SIGINT,
 * SIGTERM and SIGHUP on, stop and continue with it, until the machine has
 * ended. The signals are unblocked then.
 */
void supervisor_wait(struct supervisor *s, const int keep[2],
		     struct supervisor_end *end);

/* What killed it, as an error; returns -e->code. */
int supervisor_explain(const struct supervisor_end *end, struct err *e);

#endif
