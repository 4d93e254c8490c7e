/* SPDX-License-Identifier: MIT */
/*
 * `husk run --pool`: a run whose machine waits in another process. What the
 * user sees of it is as with run_job.
 */
#ifndef HUSK_POOL_CLIENT_H
#define HUSK_POOL_CLIENT_H

#include "job/config.h"
#include "job/outcome.h"
#include "lib/err.h"
#include "run/open.h"

/* As run_job in run.h, in a machine of the pool at c->pool. */
int pool_run_job(const struct config *c, const struct run_start *start,
		 struct outcome *o, struct err *e);

#endif
