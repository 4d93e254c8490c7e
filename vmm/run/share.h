/* SPDX-License-Identifier: MIT */
/*
 * One page that a machine and its supervisor both see, and the machine fills:
 * what a run counts, where it counts it. When the machine is killed or hangs,
 * and the supervisor is the one who reports, the counts are not lost.
 *
 * To the supervisor it is a stranger's word, for the machine may have been
 * taken over by its guest: numbers only, copied, never an index or a pointer.
 * Rejected: to have the machine send its counts; one that is killed can't.
 */
#ifndef HUSK_SHARE_H
#define HUSK_SHARE_H

#include "backends/stream.h"
#include "jail/supervisor.h"
#include "job/config.h"
#include "job/outcome.h"

#include <assert.h>

struct share {
	struct outcome outcome;
	struct stream stream[STREAM_NR];
	_Alignas(64) exit_counts exits[CONFIG_CPUS_MAX];
};

static_assert(sizeof(struct share) <= SUPERVISOR_ROOM, "both see all of it");

/* Theirs; NULL: there is none. */
static inline struct share *share_of(const struct supervisor *s)
{
	return s ? s->room : NULL;
}

#endif
