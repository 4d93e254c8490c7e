/* SPDX-License-Identifier: MIT */
/*
 * The job's cgroup: what bounds it, what counts it, what kills it whole.
 */
#ifndef GUEST_INIT_CGROUP_H
#define GUEST_INIT_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

struct cgroup_usage {
	uint64_t cpu_user_ns;
	uint64_t cpu_sys_ns;
	uint64_t mem_peak; /* bytes, page cache of the image included */
	uint32_t pids_peak;
};

/*
 * Make the cgroup in a cgroup2 mount (a directory descriptor). Returns its
 * directory, which clone3 takes and all functions below want; or -errno.
 */
int cgroup_make(int cgroup2, struct err *e);

/* Limit it to what memory the machine has to give. */
int cgroup_limit_memory(int cgroup, struct err *e);

int cgroup_limit_pids(int cgroup, uint32_t pids_max, struct err *e);

/* SIGKILL to every process in it. Returns before they are dead. */
void cgroup_kill(int cgroup);

/* CPU time of all its processes so far, dead ones included, in ns. */
uint64_t cgroup_cpu_ns(int cgroup);

/* Did the kernel kill one of its processes for want of memory? */
bool cgroup_was_oom(int cgroup);

/*
 * A descriptor that polls as POLLPRI each time the cgroup has run into its
 * memory limit since cgroup_is_starved last looked; or -errno.
 */
int cgroup_watch_memory(int cgroup, struct err *e);

/*
 * Is it at its limit with so little page cache left to give up that its
 * programs would lose their own text? Takes notice of the event.
 */
bool cgroup_is_starved(int cgroup, int events);

/* What it used up to now; what the kernel does not tell is 0. */
void cgroup_read_usage(int cgroup, struct cgroup_usage *out);

/*
 * The number behind `key` in a flat keyed file ("key 123\n" lines). Pure.
 */
bool cgroup_field(const char *text, const char *key, uint64_t *out);

#endif
