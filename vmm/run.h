/* SPDX-License-Identifier: MIT */
/*
 * One run: open what the configuration names, build the machine, serve it
 * until the job has ended or something ended it, tell how.
 */
#ifndef HUSK_RUN_H
#define HUSK_RUN_H

#include "config.h"
#include "lib/err.h"
#include "outcome.h"
#include "status.h"

/*
 * Returns 0 with *o filled, whatever the verdict, or -errno with *e set and
 * o->verdict VERDICT_ERROR when husk itself or its input is at fault. The
 * status object has been written in both cases. `t0_ns` is the time husk
 * started (CLOCK_MONOTONIC). Does not print; o->reason and *e are for main.
 */
int run_job(const struct config *c, uint64_t t0_ns, struct outcome *o,
	    struct err *e);

#endif
