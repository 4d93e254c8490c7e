/* SPDX-License-Identifier: MIT */
/*
 * What every hostile guest's test does before and after: a machine of its
 * own; then peak memory within STAGE_PEAK of what the process had, and another
 * machine that reads its disk and writes to its port as if nothing had been.
 * The pieces further down serve honest guests as well.
 *
 * A case is named after the section of the specification that its guest
 * breaks: "virtio" is Virtual I/O Device 1.2, "ioapic" the 82093AA data sheet,
 * "sdm" Intel's Software Developer's Manual.
 */
#ifndef HUSK_TESTS_RAW_STAGE_H
#define HUSK_TESTS_RAW_STAGE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine.h"

/* Guest memory, all of it, and a little for what ASan keeps of the rest. */
#define STAGE_PEAK (RAW_MEMORY + (16ull << 20))

/* Where requests lie in guest memory. */
#define STAGE_HEADER (RAW_DATA + 0x0000)
#define STAGE_STATUS (RAW_DATA + 0x0100)
#define STAGE_MSG    (RAW_DATA + 0x0200)
#define STAGE_FLAG   (RAW_DATA + 0x0f00)
#define STAGE_BUF    (RAW_DATA + 0x1000)
/* The list of the second vCPU. */
#define STAGE_LIST_2 (RAW_DATA + 0x100000)

#define CASE(section, f)                                                       \
	{                                                                      \
		section " " #f, f, stage_open, stage_close, NULL               \
	}
#define CASE_2(section, f)                                                     \
	{                                                                      \
		section " " #f, f, stage_open_2, stage_close, NULL             \
	}

/* Set-up (one or two vCPUs) and tear-down of a case; *state is its machine. */
int stage_open(void **state);
int stage_open_2(void **state);
int stage_close(void **state);

/* Commands that read the status register of device `index`. */
unsigned stage_do_status(struct machine *m, unsigned index);
/* Run to the guest's reset, which must come. */
void stage_run(struct machine *m);
/* Has the device given up on its driver, as 2.1.1 wants? */
void stage_check_broken(struct machine *m, unsigned answer);
void stage_check_sound(struct machine *m, unsigned answer);

/* A disk request in three descriptors, header, data and status, offered. */
void stage_put_request(struct machine *m, uint32_t type, uint64_t sector,
		       uint32_t len);
uint8_t stage_request_status(struct machine *m);

/* The disk up with one queue of `size`. */
void stage_do_disk(struct machine *m, uint16_t size);
/* The console up: port 0 (0, 1), control (2, 3), port 1 (4, 5). */
void stage_do_console(struct machine *m);

/*
 * The second vCPU runs the list at STAGE_LIST_2, over and over, and the first
 * begins when it has done so once. stage_do_2 sets its command `i`,
 * stage_loop_2 ends it.
 */
void stage_do_2(struct machine *m, unsigned i, uint64_t op, uint64_t at,
		uint64_t val);
void stage_loop_2(struct machine *m, unsigned i);
void stage_start_2(struct machine *m);

/* Noise, the same in each run. */
uint32_t stage_noise(uint32_t *seed);

#endif
