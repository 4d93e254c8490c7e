/* SPDX-License-Identifier: MIT */
/*
 * What raw_state.c and its guest agree on: places in guest memory, which is
 * mapped one to one and open to ring 3, and the report page where the guest
 * finds what to do and leaves what it saw.
 */
#ifndef HUSK_TESTS_RAW_STATE_GUEST_H
#define HUSK_TESTS_RAW_STATE_GUEST_H

#define SG_GDT	     0x9000
#define SG_IDT	     0xa000
#define SG_TSS	     0xb000 /* with the I/O permission map, up to 0xe000 */
#define SG_STACK     0x10000 /* top; one page for each vCPU below */
#define SG_USER_RSP  0x12000 /* top */
#define SG_CLOCK     0x12000 /* kvm-clock page of vCPU 0 */
#define SG_REPORT    0x13000
#define SG_CODE	     0x20000

/* Selectors of the table there. */
#define SG_SEL_CODE  0x08
#define SG_SEL_DATA  0x10
#define SG_SEL_UDATA 0x1b
#define SG_SEL_UCODE 0x23
#define SG_SEL_TSS   0x28

/* Flags: what this host can run. */
#define SG_AVX	1 /* register files in ring 0 */
#define SG_IRQ	2 /* interrupts through the table */
#define SG_USER 4 /* OUT in ring 3 */
#define SG_MP	8 /* a second vCPU answers */

/* Where the guest is, told by OUT to that port. */
#define SG_PORT_READY 0x80 /* set up: here it is saved */
#define SG_PORT_USER  0x81 /* in ring 3 */
#define SG_PORT_DONE  0x82
#define SG_PORT_AP    0x83 /* second vCPU: set up, waiting */
#define SG_PORT_FAULT 0x8f /* general protection */

#define SG_VECTOR_TIMER 0x40
#define SG_VECTOR_IPI	0x41

/* Report page. */
#define SG_FLAGS      (SG_REPORT + 0)
#define SG_DELTA      (SG_REPORT + 8)  /* TSC cycles; 0: no timer */
#define SG_NR_MSRS    (SG_REPORT + 16)
#define SG_TSC_BEFORE (SG_REPORT + 24)
#define SG_TSC_AFTER  (SG_REPORT + 32)
#define SG_TICKS      (SG_REPORT + 40)
#define SG_GO	      (SG_REPORT + 48)
#define SG_AP_COUNT   (SG_REPORT + 56)
#define SG_AP_TSC     (SG_REPORT + 64)
#define SG_TSC_1      (SG_REPORT + 72)
#define SG_TSC_2      (SG_REPORT + 80)
#define SG_X87	      (SG_REPORT + 96)
#define SG_REGS	      (SG_REPORT + 128)
#define SG_MSRS	      (SG_REPORT + 256)
#define SG_YMM_IN     (SG_REPORT + 1024)
#define SG_YMM_OUT    (SG_REPORT + 1536)

#ifndef __ASSEMBLER__

#include <stdint.h>

#define SG_NR_REGS 10
#define SG_MAX_MSRS 16

struct sg_msr {
	uint64_t index, value, after;
};

struct sg_report {
	uint64_t flags, delta, nr_msrs, tsc_before, tsc_after, ticks, go;
	uint64_t ap_count, ap_tsc, tsc_1, tsc_2, pad0;
	uint8_t x87[16], pad1[16];
	uint64_t regs[SG_NR_REGS], pad2[6];
	struct sg_msr msr[SG_MAX_MSRS];
	uint8_t pad3[384];
	uint8_t ymm_in[512], ymm_out[512];
};

extern const char sg_start[], sg_main[], sg_ap[], sg_timer[], sg_ipi[],
	sg_fault[], sg_end[];

#endif
#endif
