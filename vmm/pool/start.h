/* SPDX-License-Identifier: MIT */
/*
 * What every machine of a pool starts from, and a new process for one.
 */
#ifndef HUSK_POOL_START_H
#define HUSK_POOL_START_H

#include "run/run.h"

#include <sys/stat.h>
#include <sys/types.h>

struct pool_seed {
	const struct run *run;	/* borrowed: template and image, open */
	char **argv;		/* borrowed; to start it with */
	int null_fd;		/* owned; -1: none */
	int self_fd;		/* owned: our program, as it was then */
	struct stat template;	/* as it was */
};

/* *s has run and argv, and no descriptor: the process's end closes them. */
int pool_seed_open(struct pool_seed *s, struct err *e);

/*
 * A process that becomes a machine: its pid, and in *link our end of the
 * socket to it. -EINVAL when the template is no longer what was opened.
 */
pid_t pool_start_machine(const struct pool_seed *s, int *link, struct err *e);

#endif
