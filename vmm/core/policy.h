/* SPDX-License-Identifier: MIT */
/*
 * System calls as values: what a sealed thread may make, row by row. The jail
 * has rows of its own and makes a program of them (jail/policy.h); an
 * architecture brings those of what only its KVM is asked for.
 *
 * Without pointers: a page of relocated ones would be each process's own.
 */
#ifndef HUSK_CORE_POLICY_H
#define HUSK_CORE_POLICY_H

#include <stdint.h>

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

#define POLICY_ARCH_MAX 20u

/* What an architecture brings. */
struct policy_arch {
	uint32_t audit;		/* AUDIT_ARCH_... of the calls' numbers */
	char layer[12];		/* of the jail, in which the VM is narrowed */
	char what[44];		/* it is for */
	struct policy_row row[POLICY_ARCH_MAX]; /* ends with an empty name */
};

#endif
