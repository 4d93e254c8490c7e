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
 * Serve a started job until it is over, everything it left running is dead,
 * and every byte of its outputs is in its port's queue or its port closed by
 * the host. Fills *end but for the reason. sigchld is a non-blocking
 * signalfd; takes over the stream ports and the pipes in r.
 */
int serve(struct run *r, int cgroup, int sigchld, const struct ports *ports,
	  uint64_t cpu_time_ns, struct husk_end *end, struct err *e);

#endif
