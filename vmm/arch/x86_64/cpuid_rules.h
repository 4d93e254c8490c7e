/* SPDX-License-Identifier: MIT */
/*
 * What a guest's CPUID may say: one table, from which it is made and by which
 * that of a template is judged. Pure.
 *
 * A bit that is not in the table is clear in every guest, whatever the host
 * has: a new feature comes with state that no template carries, or with
 * registers past the filter, until somebody has looked.
 */
#ifndef HUSK_ARCH_X86_64_CPUID_RULES_H
#define HUSK_ARCH_X86_64_CPUID_RULES_H

#include <stdbool.h>
#include <stdint.h>

#define CPUID_LEAF_XSAVE    0xdu
#define CPUID_LEAF_TOPOLOGY 0xbu
#define CPUID_LEAF_WIDTH    0x80000008u

/* Register state that guests may have: x87, SSE, AVX, and AVX-512's three. */
#define CPUID_XCR0 0xe7u

enum cpuid_reg { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX, CPUID_NR_REGS };

struct cpuid_rule {
	uint32_t leaf, first, last;	/* subleaves; both 0 for most */
	bool indexed;			/* ECX chooses one */
	uint32_t may[CPUID_NR_REGS];	/* bits that may be set */
	unsigned features;		/* 1 << register: its bits are features,
					   the others' are values */
};

extern const struct cpuid_rule cpuid_rules[];
extern const unsigned cpuid_nr_rules;

/* The rule for a subleaf; NULL: no guest has it. */
const struct cpuid_rule *cpuid_find_rule(uint32_t leaf, uint32_t sub);

#endif
