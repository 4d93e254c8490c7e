// SPDX-License-Identifier: MIT
/*
 * Verdicts as words and numbers, from one table. The numbers follow the
 * shells and coreutils' timeout(1), so a script that knows these knows husk.
 * A number that depends on the code has its own case; -1 marks it.
 */
#include "job/outcome.h"

#include <errno.h>
#include <stddef.h>

#define STATUS_ERROR	  125
#define STATUS_CANNOT_RUN 126
#define STATUS_NOT_FOUND  127
#define STATUS_SIGNAL	  128 /* plus the signal */

static const struct verdict_fact {
	const char *name;
	int status;	  /* exit status of husk, -1: by code */
	const char *line; /* for stderr when there is no reason; or NULL */
} verdicts[] = {
	[VERDICT_NONE] = {"none", STATUS_ERROR, "the run has no end"},
	[VERDICT_EXITED] = {"exited", -1, NULL},
	[VERDICT_SIGNALED] = {"signaled", -1, NULL},
	[VERDICT_TIMEOUT] = {"timeout", 124, "time limit reached (--timeout)"},
	[VERDICT_CPU_TIME] = {"cpu_time", 124,
			      "CPU time limit reached (--cpu-time)"},
	[VERDICT_OOM] = {"oom", 137,
			 "the job ran out of memory (--memory sets how much "
			 "there is)"},
	[VERDICT_OUTPUT_LIMIT] = {"output_limit", 153,
				  "output limit reached (--output-limit)"},
	[VERDICT_INTERRUPTED] = {"interrupted", -1, NULL},
	[VERDICT_START_FAILED] = {"start_failed", -1,
				  "the command could not be started"},
	[VERDICT_GUEST_CRASH] = {"guest_crash", STATUS_ERROR,
				 "the guest crashed (--console=FILE keeps its "
				 "kernel log)"},
	[VERDICT_ERROR] = {"error", STATUS_ERROR, "internal error"},
};

static const struct verdict_fact *find_fact(enum verdict v)
{
	if ((size_t)v >= sizeof(verdicts) / sizeof(verdicts[0]))
		return &verdicts[VERDICT_NONE];
	return &verdicts[v];
}

int outcome_exit_status(const struct outcome *o)
{
	switch (o->verdict) {
	case VERDICT_EXITED:
		return o->code & 0xff;
	case VERDICT_SIGNALED:
	case VERDICT_INTERRUPTED:
		return STATUS_SIGNAL + (o->code & 0x7f);
	case VERDICT_START_FAILED:
		return o->code == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN;
	default:
		return find_fact(o->verdict)->status;
	}
}

const char *outcome_verdict_name(enum verdict v)
{
	return find_fact(v)->name;
}

const char *outcome_line(const struct outcome *o)
{
	const char *line = find_fact(o->verdict)->line;

	return line && o->reason[0] ? o->reason : line;
}
