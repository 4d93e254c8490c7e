/* SPDX-License-Identifier: MIT */
/*
 * What comes before there are two processes (supervisor.h), since both may
 * have to say how it ended.
 */
#ifndef HUSK_RUN_OPEN_H
#define HUSK_RUN_OPEN_H

#include "jail/supervisor.h"
#include "job/config.h"
#include "lib/err.h"

/* What the machine's process begins with. */
struct run_start {
	uint64_t t0_ns;		/* time husk started (CLOCK_MONOTONIC) */
	int status_fd;		/* owned; -1: none */
	struct supervisor *supervisor; /* borrowed */
	void (*say)(const char *line); /* a warning; NULL: to nobody */
	/*
	 * Say that `name`, which --`option` gives, was found nowhere, and
	 * fail. Not asked with a template, which has its files.
	 */
	int (*missing)(const char *name, const char *option, struct err *e);
};

/*
 * Close every descriptor that the configuration does not name, and open the
 * status; *fd is -1 when none is wanted.
 */
int run_open_status(const struct config *c, int *fd, struct err *e);

/*
 * Open a file for output: not emptied yet, so that a run that cannot start
 * loses nothing of what was in it.
 */
int run_open_output(const char *what, const char *path, struct err *e);

#endif
