/* SPDX-License-Identifier: MIT */
/*
 * Can this host do what templates and pools need? Tried, not asked.
 */
#ifndef HUSK_CHECK_COPY_H
#define HUSK_CHECK_COPY_H

#include "lib/err.h"

/*
 * Make a vCPU as a run does and save it, have another touch a page as a
 * machine of a pool does while it waits, give that one the state, and let it
 * go on. Says which of the steps this KVM refuses.
 */
int check_try_copy(struct err *e);

#endif
