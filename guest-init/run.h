/* SPDX-License-Identifier: MIT */
/*
 * The job as a process: born confined, held at a gate until there is a
 * command for it, watched, reaped.
 *
 * A template has that process behind its gate: what a copy has left to do is
 * little more than execve.
 *
 * What a job has: descriptors 0, 1, 2 and 3 as pipes and no other (a held one
 * HUSK_READY_FD and HUSK_SEED_FD, too, so that it can wait for GO); its uid
 * and gid, no other group; no capability, in no set, and no way to get one;
 * its own session without a terminal; default signals; no core dumps.
 */
#ifndef GUEST_INIT_RUN_H
#define GUEST_INIT_RUN_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroup.h"
#include "job.h"
#include "lib/err.h"

/* stdin, stdout, stderr, result; the numbers are enum husk_port's too. */
#define RUN_NR_STREAMS 4
#define RUN_NR_PIPES   6 /* with those of a held job */
/* And those for which a child waits, and that wait for it. */
#define RUN_NR_RESERVED (RUN_NR_PIPES + 2)

/* The child's steps on its way to the command, for the report. */
enum run_step {
	RUN_SESSION,
	RUN_DESCRIPTORS,
	RUN_LIMITS,
	RUN_CAPABILITIES,
	RUN_USER,
	RUN_WORKDIR,
	RUN_EXEC,
};

/*
 * All 0: no process. Not to be moved while there is one: it reads what init
 * writes here and writes itself, since it has init's memory until execve.
 */
struct run {
	pid_t pid;	   /* the job's main process; 0: none */
	uint32_t uid, gid;
	unsigned int nr_pipes;
	/* Our ends of the pipes by the job's numbers, O_NONBLOCK. */
	int ours[RUN_NR_PIPES];
	int theirs[RUN_NR_PIPES];
	int gate[2];	   /* it waits until our end, [1], is closed */
	int birth[2];	   /* a byte when it waits; ends with its execve */
	const char **argv, **envp;
	const char *workdir;
	char file[PATH_MAX]; /* what it tries to execute */
	uint64_t start_ns; /* CLOCK_MONOTONIC right before execve, or of GO */
	enum run_step step;
	int code;	   /* errno of that step; 0: none has failed */
	bool file_exists;  /* ENOENT was about its interpreter */
	/* What was used before start_ns, which counts for nothing. */
	struct cgroup_cpu before;
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
 * Have a process in the cgroup that waits for a job of this user; `hold`: of
 * one that is to warm up. One that waits already and is such a process stays,
 * another is killed. SIGCHLD must be blocked, descriptors below
 * RUN_NR_RESERVED taken, and everything else close-on-exec.
 */
int run_prepare(struct run *r, const struct job_terms *terms, bool hold,
		const struct cgroup *cg, struct err *e);

/*
 * The process that waits becomes the job. Unless RUN_STARTED comes back, *e
 * says why and its code is the errno.
 */
enum run_result run_start(struct run *r, const struct job *job, struct err *e);

/* Reap whoever has died; sets r->over when the main process is among them. */
void run_reap(struct run *r);

/* Kill what the dead job left running and wait until nothing is left. */
void run_sweep(const struct cgroup *cg);

/* CLOCK_MONOTONIC in ns. */
uint64_t run_clock(void);

#endif
