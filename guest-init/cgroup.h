/* SPDX-License-Identifier: MIT */
/*
 * The job's cgroup: what bounds it, what counts it, what kills it whole.
 */
#ifndef GUEST_INIT_CGROUP_H
#define GUEST_INIT_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

struct cgroup_cpu {
	uint64_t all_ns;
	uint64_t user_ns;
	uint64_t sys_ns;
};

struct cgroup_usage {
	struct cgroup_cpu cpu;
	uint64_t mem_peak; /* bytes, page cache of the image included */
	uint32_t pids_peak;
};

/*
 * What is read of each job is open from the beginning: in a copy of a
 * template, finding a file costs more pages than reading it.
 */
struct cgroup {
	int dir;    /* which clone3 takes */
	/*
	 * memory.events: polls as POLLPRI each time the cgroup has run into
	 * its memory limit since cgroup_is_starved last looked.
	 */
	int events;
	int cpu_stat, memory_peak, pids_peak; /* -1: not there */
};

/* Make it in a cgroup2 mount (a directory descriptor); no file is open yet. */
int cgroup_make(struct cgroup *cg, int cgroup2, struct err *e);

/* Open the files, and count events of its memory from now on. */
int cgroup_watch(struct cgroup *cg, struct err *e);

/* Limit it to what memory the machine has to give. */
int cgroup_limit_memory(const struct cgroup *cg, struct err *e);

int cgroup_limit_pids(const struct cgroup *cg, uint32_t pids_max,
		      struct err *e);

/* SIGKILL to every process in it. Returns before they are dead. */
void cgroup_kill(const struct cgroup *cg);

/* Did the kernel kill one of its processes for want of memory? */
bool cgroup_was_oom(const struct cgroup *cg);

/*
 * Is it at its limit with so little page cache left to give up that its
 * programs would lose their own text? Takes notice of the event.
 */
bool cgroup_is_starved(const struct cgroup *cg);

/*
 * What its processes used up to now, dead ones included; what the kernel does
 * not tell is 0. CPU time alone is one file, for those who look often.
 */
void cgroup_read_cpu(const struct cgroup *cg, struct cgroup_cpu *out);
void cgroup_read_usage(const struct cgroup *cg, struct cgroup_usage *out);

/*
 * The number behind `key` in a flat keyed file ("key 123\n" lines). Pure.
 */
bool cgroup_field(const char *text, const char *key, uint64_t *out);

#endif
