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
#include "job/config.h"
#include "job/outcome.h"

#include <assert.h>
#include <stdatomic.h>

struct share {
	atomic_bool late;	/* SIGALRM ended it: its backstop rang */
	struct outcome outcome;
	struct stream stream[STREAM_NR];
	_Alignas(64) exit_counts exits[CONFIG_CPUS_MAX];
};

static_assert(sizeof(struct share) <= 4096, "a page");

#endif
