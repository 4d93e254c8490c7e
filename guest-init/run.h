/* SPDX-License-Identifier: MIT */
/*
 * The job as a process: born confined, watched, reaped.
 *
 * What a job has: descriptors 0, 1, 2 and 3 as pipes and no other (a held one
 * HUSK_READY_FD and HUSK_SEED_FD, too, so that it can wait for GO); its uid
 * and gid, no other group; no capability, in no set, and no way to get one;
 * its own session without a terminal; default signals; no core dumps.
 */
#ifndef GUEST_INIT_RUN_H
#define GUEST_INIT_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "job.h"
#include "lib/err.h"

/* stdin, stdout, stderr, result; the numbers are enum husk_port's too. */
#define RUN_NR_STREAMS 4
#define RUN_NR_PIPES   6 /* with those of a held job */

struct run {
	pid_t pid;	   /* the job's main process */
	/* Our ends of the pipes by the job's numbers, O_NONBLOCK; -1: none. */
	int ours[RUN_NR_PIPES];
	uint64_t start_ns; /* CLOCK_MONOTONIC right before execve, or of GO */
	/* CPU time used before start_ns, which counts for nothing. */
	uint64_t cpu_user_ns, cpu_sys_ns, cpu_ns;
	uint64_t end_ns;   /* of its death, once over */
	bool over;
	int status;	   /* as from waitpid, once over */
};

enum run_result {
	RUN_STARTED,
	RUN_NOT_STARTED, /* the job's fault: no such command, ... */
	RUN_BROKEN,	 /* ours or the kernel's */
};

/*
 * Start the job in its cgroup. SIGCHLD must be blocked,
 * descriptors below RUN_NR_PIPES taken, and everything else close-on-exec.
 * Unless RUN_STARTED comes back, *e says why and its code is the errno.
 */
enum run_result run_start(const struct job *job, int cgroup, struct run *r,
			  struct err *e);

/* Reap whoever has died; sets r->over when the main process is among them. */
void run_reap(struct run *r);

/* Kill what the dead job left running and wait until nothing is left. */
void run_sweep(int cgroup);

/* CLOCK_MONOTONIC in ns. */
uint64_t run_clock(void);

#endif
