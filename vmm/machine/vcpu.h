/* SPDX-License-Identifier: MIT */
/*
 * A vCPU and the thread that runs it: KVM_RUN, hand each exit to a bus, count
 * it, until told to stop or the guest cannot go on.
 *
 * The thread is there before the guest runs and may be parked again: a sealed
 * process makes no threads.
 *
 * vcpu_kick makes a vCPU leave guest mode soon, whatever the guest does: the
 * flag in kvm_run covers the time outside KVM_RUN, the signal the time inside.
 */
#ifndef HUSK_VCPU_H
#define HUSK_VCPU_H

#include "core/bus.h"
#include "jail/jail.h"
#include "job/outcome.h"
#include "machine/kvm.h"

#include <pthread.h>
#include <stdatomic.h>

/* Why a vCPU ended by itself. */
enum vcpu_end {
	VCPU_SHUTDOWN,		/* KVM_EXIT_SHUTDOWN: see arch_words */
	VCPU_RESET,		/* the guest asked for a reset */
	VCPU_FAILED,		/* KVM could not go on; text says why */
	VCPU_REFUSED,		/* the host cannot run it; text says why */
};

/* What its thread is to do. */
enum vcpu_order {
	VCPU_PARK,
	VCPU_RUN,
	VCPU_STEP,
	VCPU_QUIT,
};

struct vcpu {
	unsigned index;
	int fd;				/* owned; -1: none */
	struct kvm_run *run;		/* owned mapping of run_size bytes */
	size_t run_size;
	pthread_t thread;
	bool has_thread;
	pid_t pid, tid;			/* the thread's, for a kick */
	atomic_int order;		/* enum vcpu_order */
	pthread_mutex_t lock;		/* of what follows */
	pthread_cond_t turn;
	bool parked;
	uint32_t stepped;		/* exit reason of VCPU_STEP */
	unsigned again;			/* EAGAIN in a row, of vCPU 0 */
	struct err sealed;		/* code 0: its filter is on */
	const struct jail *jail;	/* borrowed; NULL: none */
	int vm_fd;			/* borrowed, for the filter */
	const struct bus *mmio, *ports;	/* borrowed */
	uint64_t *exits;		/* borrowed, an exit_counts; written by
					 * the thread only */
	uint64_t first_run_ns;		/* time of the first KVM_RUN */
	/* From the vCPU's thread, at most once. */
	void (*ended)(void *opaque, enum vcpu_end end, const char *text);
	void (*served)(void *opaque);	/* after each exit; or NULL */
	void *opaque;
};

/*
 * Window tags of the buses are exit kinds + 1, so that counting needs no
 * second look-up.
 */
static inline unsigned vcpu_tag(enum exit_kind kind)
{
	return (unsigned)kind + 1;
}

/* Create vCPU and mapping; registers are the architecture's business. */
int vcpu_init(struct vcpu *v, const struct kvm *k, unsigned index,
	      struct err *e);
void vcpu_fini(struct vcpu *v);

/* Start the thread, which seals itself and parks, and wait for that: */
int vcpu_start(struct vcpu *v, struct err *e);
int vcpu_wait_parked(struct vcpu *v, struct err *e);
/* Once per process, before the first: */
int vcpu_prepare_signals(struct err *e);

/* Let a parked thread run its guest. */
void vcpu_go(struct vcpu *v);

/*
 * Let it run until the first exit, which nobody serves, and wait for that:
 * the reason, or KVM_EXIT_UNKNOWN when there was none.
 */
uint32_t vcpu_step(struct vcpu *v);

/*
 * Complete the instruction of a stopped vCPU's last exit, whose second half
 * KVM does at the next KVM_RUN: its state is whole after.
 */
int vcpu_settle(struct vcpu *v, struct err *e);

/*
 * Ask the thread to leave the guest and park, or to end. Any thread but its
 * own may wait with vcpu_wait_parked, or vcpu_join.
 */
void vcpu_kick(struct vcpu *v, enum vcpu_order order);
void vcpu_join(struct vcpu *v);

#endif
