/* SPDX-License-Identifier: MIT */
/*
 * Which system calls a sealed thread may make, why, and the BPF program that
 * holds it to them. Pure.
 */
#ifndef HUSK_JAIL_POLICY_H
#define HUSK_JAIL_POLICY_H

#include "core/policy.h"

#include <linux/filter.h>
#include <sys/types.h>

/*
 * Row `i` of all there are: those of any architecture, then those of `arch`.
 * NULL: there are no more.
 */
const struct policy_row *policy_row(const struct policy_arch *arch, unsigned i);

/* What the checks compare with. */
struct policy_values {
	const struct policy_arch *arch;
	int vm_fd, vcpu_fd;
	pid_t pid;
};

#define POLICY_MAX	 160u
#define POLICY_ROWS_MAX 64u	/* of one thread */

/*
 * Write the program; its length, or 0, which the kernel refuses, when it has
 * no room. Anything it does not allow kills.
 */
unsigned policy_build(enum jail_thread thread, const struct policy_values *v,
		      struct sock_filter out[POLICY_MAX]);

#endif
