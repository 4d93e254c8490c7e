/* SPDX-License-Identifier: MIT */
/*
 * The life of a running job: its streams are pumped, its orphans reaped, its
 * CPU time watched; and its last bytes delivered when it is dead.
 */
#ifndef GUEST_INIT_SERVE_H
#define GUEST_INIT_SERVE_H

#include <husk/proto.h>

#include "lib/err.h"
#include "ports.h"
#include "run.h"

/*
 * Wait until a held job has said that it is warm, or is over before that
 * (r->over), then with nothing of it left, *end filled, and its last words in
 * *why. Nothing moves through its streams yet.
 */
int serve_warm_up(struct run *r, const struct cgroup *cg, int sigchld,
		  struct husk_end *end, struct err *why, struct err *e);

/*
 * Serve a started job until it is over, everything it left running is dead,
 * and every byte of its outputs is in its port's queue or its port closed by
 * the host. Fills *end but for the reason. sigchld is a non-blocking
 * signalfd; takes over the stream ports and the pipes in r.
 */
int serve(struct run *r, const struct cgroup *cg, int sigchld,
	  const struct ports *ports, uint64_t cpu_time_ns,
	  struct husk_end *end, struct err *e);

#endif
