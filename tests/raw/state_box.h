/* SPDX-License-Identifier: MIT */
/*
 * A bare VM with the guest of state_guest.S, and copies of it: what raw_state
 * tests with. No devices, no threads of its own; everything that fails here
 * fails the test.
 */
#ifndef HUSK_TESTS_RAW_STATE_BOX_H
#define HUSK_TESTS_RAW_STATE_BOX_H

#include "arch/arch.h"
#include "arch/x86_64/state_format.h"
#include "machine/kvm.h"
#include "state_guest.h"

/* Of hardware KVM: a TSC for each VM, CPUID as it was set. */
#define BOX_TSC	  0x100u
#define BOX_CPUID 0x200u

#define BOX_MEMORY (2ull << 20)
#define BOX_CPUS   2u

struct box {
	struct gmem mem;
	struct kvm kvm;
	unsigned nr;
	int fd[BOX_CPUS];
	struct kvm_run *run[BOX_CPUS];
};

struct box_state {
	_Alignas(8) uint8_t vcpu[BOX_CPUS][ARCH_VCPU_STATE_MAX];
	_Alignas(8) uint8_t clock[ARCH_CLOCK_STATE_MAX];
	size_t len[BOX_CPUS], clock_len;
};

/* What this host can run: SG_* and BOX_*. */
uint64_t box_can(void);

/* At its first instruction, or with memory of `from` and vCPUs as created. */
void box_boot(struct box *b, unsigned nr, uint64_t flags);
void box_like(struct box *b, const struct box *from);
void box_fini(struct box *b);

/* A test with boxes, a list that NULL ends: zero before it, gone after it. */
#define BOX_TEST(f, boxes)                                                     \
	cmocka_unit_test_prestate_setup_teardown(f, box_set_up, box_tear_down, \
						 boxes)
int box_set_up(void **state);
int box_tear_down(void **state);

/* Up to where it is saved; `delta` TSC cycles for the timer. */
void box_ready(struct box *b, unsigned nr, uint64_t flags, uint64_t delta);
/* Two vCPUs; 1 waits in HLT, or spins where that can't be left. */
void box_ready_two(struct box *b, uint64_t flags);

/* What the guest writes into MSRs on the way. */
#define BOX_NR_MSRS 9u
extern const struct sg_msr box_msrs[BOX_NR_MSRS];

struct sg_report *box_report(const struct box *b);

/* After minutes, box_run fails and says what the guest waits for. */
void box_watch(void);

/* Run until an OUT; its port. Other exits fail the test. */
unsigned box_run(struct box *b, unsigned cpu);

/* Let the last exit take effect without running on. */
void box_settle(struct box *b, unsigned cpu);

/* Run in a thread, one at a time; box_stop makes it leave and waits. */
void box_start(struct box *b, unsigned cpu);
void box_stop(struct box *b, unsigned cpu);

void box_save(const struct box *b, struct box_state *s);
/* The state of one vCPU, for a fresh one. */
int box_give(struct box *b, const struct box_state *s, unsigned cpu,
	     struct err *e);
/* vCPUs, then the clock, then resume: as a copy does. */
void box_restore(struct box *b, const struct box_state *s);

/* Its time is that of the save once more. */
void box_rewind(struct box *b, const struct box_state *s);
/* A copy of a stopped box. */
void box_copy(struct box *to, const struct box *from,
	      const struct box_state *s);

/* Views of a saved vCPU; one part of it, to be spoilt. */
struct vcpu_state box_parts(const struct box_state *s, unsigned cpu);
void *box_part(struct box_state *s, unsigned cpu, enum vcpu_part part);

uint64_t box_msr(const struct box *b, unsigned cpu, uint32_t index);
void box_set_msr(const struct box *b, unsigned cpu, uint32_t index,
		 uint64_t value);

#endif
