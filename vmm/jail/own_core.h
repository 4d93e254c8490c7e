/* SPDX-License-Identifier: MIT */
/*
 * A core of its own for each machine (core scheduling, Linux 5.14): threads of
 * two machines never run at the same time on one core's two hardware threads,
 * so that what these share tells one job nothing of another.
 *
 * The first cookie on a host makes its kernel wait for a grace period, 10 to
 * 30 ms, and so does the first after the last has gone: longer than a whole
 * run of a template. Where one is in use already, a new one costs a system
 * call. Hence OWN_CORE_AUTO: whoever can pay beforehand (a pool) or has no
 * need to (a process that was started with a cookie) takes one, others do not.
 */
#ifndef HUSK_OWN_CORE_H
#define HUSK_OWN_CORE_H

#include "lib/err.h"

#include <stdbool.h>

enum own_core {
	OWN_CORE_AUTO,	/* where it costs a run no time */
	OWN_CORE_ON,
	OWN_CORE_OFF,
};

/* Has this process a cookie of core scheduling already? */
bool own_core_is_in_use(void);

/*
 * Give this process, which has one thread, a cookie of its own. A CPU without
 * siblings in use needs none, and that is no error. OWN_CORE_ON fails with one
 * line where the kernel refuses; OWN_CORE_AUTO does without.
 */
int own_core_take(enum own_core mode, struct err *e);

#endif
