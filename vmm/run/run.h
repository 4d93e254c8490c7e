/* SPDX-License-Identifier: MIT */
/*
 * One run: open what the configuration names, build the machine, serve it
 * until the job has ended or something ended it, tell how.
 */
#ifndef HUSK_RUN_H
#define HUSK_RUN_H

#include "job/config.h"
#include "job/outcome.h"
#include "job/status.h"
#include "lib/err.h"
#include "run/open.h"

/*
 * In the supervisor: the machine is gone without a word. Writes the status
 * with the verdict and line of *e, or with that of a time limit when `late`.
 */
void run_report_loss(const struct config *c, const struct run_start *start,
		     bool late, const struct err *why, struct outcome *o);

/*
 * Returns 0 with *o filled, whatever the verdict, or -errno with *e set and
 * o->verdict VERDICT_ERROR when husk itself or its input is at fault. The
 * status object has been written in both cases. Does not print; o->reason and
 * *e are for main. The process is jailed after.
 */
int run_job(const struct config *c, const struct run_start *start,
	    struct outcome *o, struct err *e);

#endif
