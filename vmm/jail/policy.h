/* SPDX-License-Identifier: MIT */
/*
 * Which system calls a sealed thread may make, why, and the BPF program that
 * holds it to them. Pure.
 */
#ifndef HUSK_JAIL_POLICY_H
#define HUSK_JAIL_POLICY_H

#include <linux/filter.h>
#include <stdint.h>
#include <sys/types.h>

enum jail_thread {
	JAIL_LOOP,	/* streams, timers, signals of a run */
	JAIL_VCPU,	/* KVM_RUN and the devices that it enters */
	JAIL_MAKER,	/* a loop that then writes a template */
	JAIL_WAITER,	/* a loop that gets its job later, from a pool */
	JAIL_NR_THREADS,
};

enum policy_check_kind {
	POLICY_NONE,
	POLICY_VALUE,	/* (argument & mask) == value, low 32 bits */
	POLICY_VM,	/* the VM's descriptor */
	POLICY_OWN,	/* the vCPU's own descriptor */
	POLICY_PID,	/* this process */
};

struct policy_check {
	enum policy_check_kind kind;
	unsigned arg;
	uint32_t mask, value;
};

/*
 * One way to make a system call; a call has as many rows as it has ways, or
 * one without checks.
 */
struct policy_row {
	char name[16];		/* as strace says it */
	int nr;
	unsigned threads;	/* bit per enum jail_thread */
	struct policy_check check[2];
	char why[72];
};

/*
 * Ends with an empty name. Without pointers: a page of relocated ones would
 * be each process's own.
 */
extern const struct policy_row policy_rows[];

/* What the checks compare with. */
struct policy_values {
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
