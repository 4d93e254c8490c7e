/* SPDX-License-Identifier: MIT */
/*
 * A whole husk machine, with all its devices, wiring and vCPU threads, whose
 * "kernel" is the interpreter of guest.S: wrapped into a file that the loader
 * takes for Linux, so that nothing of the way to the first instruction is
 * left out.
 *
 * A test writes commands, runs them and looks at what came back. It has rings
 * and data in guest memory at fixed places (RAW_*), laid out by mockring.
 */
#ifndef HUSK_TESTS_RAW_MACHINE_H
#define HUSK_TESTS_RAW_MACHINE_H

/* Places in guest memory, above the kernel's. */
#define RAW_KERNEL 0x1000000
#define RAW_LIST   0x1100000 /* commands */
#define RAW_TEXT   0x1300000 /* bytes for RAW_OUTS */
#define RAW_PD	   0x1400000 /* page table for the devices' GiB */
#define RAW_RINGS  0x1500000
#define RAW_DATA   0x1600000
/* Low ones: a second vCPU starts in 16-bit mode. */
#define RAW_AP	      0x9000
#define RAW_LOW_AVAIL 0xa000
#define RAW_LOW_USED  0xa100

#define RAW_HALT    0
#define RAW_WRITE8  1
#define RAW_WRITE16 2
#define RAW_WRITE32 3
#define RAW_WRITE64 4
#define RAW_READ8   5
#define RAW_READ16  6
#define RAW_READ32  7
#define RAW_READ64  8
#define RAW_OUT8    9
#define RAW_OUT16   10
#define RAW_OUT32   11
#define RAW_IN8	    12
#define RAW_IN16    13
#define RAW_IN32    14
#define RAW_OUTS    15
#define RAW_WRMSR   16
#define RAW_RDMSR   17
#define RAW_WAIT16  18
#define RAW_SPIN    19
#define RAW_TRIPLE  20
#define RAW_JUMP    21

#ifndef __ASSEMBLER__

#include "../unit/mockdrv.h"
#include "job/config.h"
#include "machine/vm.h"

#include <pthread.h>

#define RAW_MEMORY  (64ull << 20)
#define RAW_CONSOLE 0u /* device numbers, as vm.c has them */
#define RAW_DISK    1u
#define RAW_TAKEN   65536u

extern const char guest_start[], guest_next[], guest_end[];

struct command {
	uint64_t op, at, val;
};

struct machine {
	struct vm vm;
	exit_counts exits[CONFIG_CPUS_MAX];
	struct disk disk;
	unsigned nr_commands;
	struct mockring ring[16];	/* of the device set up last */
	gpa_t next_ring;
	bool low_rings;			/* of what is set up from now on */

	/* Under the lock, filled by vCPU threads. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool has_ended;
	enum vcpu_end end;
	char text[96];
	unsigned nr_ends;

	size_t nr_taken;		/* bytes that port stdout took */
	char taken[RAW_TAKEN];
};

/* Build it; `cpus` vCPUs. Fails the test if that fails. */
void machine_init(struct machine *m, unsigned cpus);
void machine_fini(struct machine *m);

/* A test with a machine of one vCPU: new for it, gone after it. */
#define MACHINE_TEST(f, m)                                                     \
	cmocka_unit_test_prestate_setup_teardown(f, machine_set_up,            \
						 machine_tear_down, m)
int machine_set_up(void **state);
int machine_tear_down(void **state);

/* Append a command; its number, for machine_answer. */
unsigned machine_do(struct machine *m, uint64_t op, uint64_t at, uint64_t val);
uint64_t machine_answer(struct machine *m, unsigned command);

/* Run until the guest has ended by itself; how it did. */
enum vcpu_end machine_run(struct machine *m);
/* Start only, and wait until a word of guest memory has a value. */
void machine_start(struct machine *m);
void machine_wait16(struct machine *m, gpa_t at, uint16_t val);

/* Has a vCPU ended by itself so far? And a millisecond's sleep. */
bool machine_has_ended(struct machine *m);
void machine_nap(void);

/* Commands that reset the machine: the usual end of a list. */
void machine_do_reset(struct machine *m);

/* Commands that bring up device `index` with these queues' rings. */
void machine_do_driver(struct machine *m, unsigned index,
		       const uint16_t *sizes, unsigned nr);
void machine_do_kick(struct machine *m, unsigned index, unsigned queue);
/* Offset of a register of device `index`. */
uint64_t machine_reg(unsigned index, uint32_t off);

/* Guest memory through the one translation; fails the test outside RAM. */
void *machine_ptr(struct machine *m, gpa_t gpa, uint64_t len);

/* Sum of exits of one kind. */
uint64_t machine_exits(struct machine *m, enum exit_kind kind);

#endif
#endif
