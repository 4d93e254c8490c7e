// SPDX-License-Identifier: MIT
/*
 * See cpuid_rules.h. References: Intel SDM volume 2 "CPUID", AMD APM volume 3
 * appendix E, Linux Documentation/virt/kvm/x86/cpuid.rst; what KVM offers was
 * read in Linux 5.10, 6.1, 6.12 and 7.2.
 *
 * Left out, though KVM offers it: what is not for guests in guests (SVM, VMX
 * and its leaves, performance counters, last branches, SGX, processor trace,
 * SEV), register state that a template does not carry (AMX, MPX, protection
 * keys, shadow stacks, indirect branch tracking, XFD), what guests would wait
 * with (MONITOR, MWAITX, WAITPKG), five levels of tables, address bits that
 * are ignored (LAM, UAI), bus lock traps, and what nobody here could try yet:
 * AVX10, APX, FRED and its LKGS, WRMSRNS, ERAPS, CPUID faults by HWCR.
 */
#include "arch/x86_64/cpuid_rules.h"

#include <asm/kvm_para.h>
#include <stddef.h>

#define BIT(n) (1u << (n))
#define ALL    (~0u)

#define A BIT(CPUID_EAX)
#define B BIT(CPUID_EBX)
#define C BIT(CPUID_ECX)
#define D BIT(CPUID_EDX)

#define KVM_FEATURES_KEPT                                                      \
	(BIT(KVM_FEATURE_NOP_IO_DELAY) | BIT(KVM_FEATURE_CLOCKSOURCE2) |       \
	 BIT(KVM_FEATURE_PV_EOI) | BIT(KVM_FEATURE_PV_SEND_IPI) |              \
	 BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT))

/* Leaf, subleaves, indexed; EAX, EBX, ECX, EDX; which of them are features. */
const struct cpuid_rule cpuid_rules[] = {
	/* the largest leaf, and who made it */
	{ 0x0, 0, 0, false, { ALL, ALL, ALL, ALL }, 0 },
	/* SSE3, PCLMUL, SSSE3, FMA, CX16, PCID, SSE4, x2APIC, MOVBE, POPCNT,
	 * TSC deadline, AES, XSAVE, AVX, F16C, RDRAND, hypervisor; all but
	 * serial number, debug store, ACPI, thermal monitor, PBE */
	{ 0x1, 0, 0, false, { ALL, ALL, 0xf7fa3203, 0x1f8bfbff }, C | D },
	/* caches, by code and one by one */
	{ 0x2, 0, 0, false, { ALL, ALL, ALL, ALL }, 0 },
	{ 0x4, 0, 15, true, { ALL, ALL, ALL, ALL }, 0 },
	/* an APIC timer that never stops */
	{ 0x6, 0, 0, false, { BIT(2), 0, 0, 0 }, 0 },
	/* FSGSBASE, TSC_ADJUST, BMI, HLE, AVX2, SMEP, ERMS, INVPCID, RTM,
	 * AVX-512, RDSEED, ADX, SMAP, CLFLUSHOPT, CLWB, SHA and two faults of
	 * the x87; then UMIP, GFNI, VAES, VPCLMUL, RDPID, CLDEMOTE, MOVDIR,
	 * AVX-512; then FSRM, MD_CLEAR, SERIALIZE, TSXLDTRK, AVX-512,
	 * speculation control and ARCH_CAPABILITIES */
	{ 0x7, 0, 0, true, { ALL, 0xfdbf2ffb, 0x1a405f46, 0xbc81451c },
	  B | C | D },
	/* SHA512, SM3, SM4, AVX-VNNI and -IFMA, BF16, CMPCCXADD, fast strings,
	 * MOVRS; AVX-VNNI-INT, AVX-NE-CONVERT, PREFETCHI */
	{ 0x7, 1, 1, true, { 0x80801cb7, 0, 0, 0x00004430 }, A | B | C | D },
	/* speculation control */
	{ 0x7, 2, 2, true, { 0, 0, 0, 0x0000003f }, A | B | C | D },
	{ CPUID_LEAF_TOPOLOGY, 0, 2, true, { ALL, ALL, ALL, ALL }, 0 },
	/* register state, its sizes, how it can be saved; its parts */
	{ CPUID_LEAF_XSAVE, 0, 0, true, { CPUID_XCR0, ALL, ALL, 0 }, A | D },
	{ CPUID_LEAF_XSAVE, 1, 1, true, { 0xf, ALL, 0, 0 }, A | C | D },
	{ CPUID_LEAF_XSAVE, 2, 2, true, { ALL, ALL, ALL, 0 }, 0 },
	{ CPUID_LEAF_XSAVE, 5, 7, true, { ALL, ALL, ALL, 0 }, 0 },
	/* frequencies */
	{ 0x15, 0, 0, false, { ALL, ALL, ALL, ALL }, 0 },
	{ 0x16, 0, 0, false, { ALL, ALL, ALL, ALL }, 0 },
	/* Clocks that need no page shared for stolen time, no I/O delays, and
	 * interrupts that end without an exit; no promise that vCPUs are never
	 * preempted. */
	{ KVM_CPUID_SIGNATURE, 0, 0, false, { ALL, ALL, ALL, ALL }, 0 },
	{ KVM_CPUID_FEATURES, 0, 0, false, { KVM_FEATURES_KEPT, 0, 0, 0 },
	  A | D },
	{ 0x80000000, 0, 0, false, { ALL, ALL, ALL, ALL }, 0 },
	/* LAHF, CmpLegacy, CR8, ABM, SSE4A, misaligned SSE, PREFETCHW, OSVW,
	 * XOP, FMA4, TBM, topology; as leaf 1, SYSCALL, NX, MMX, FXSR_OPT,
	 * 1 GiB pages, RDTSCP, 64 bits, 3DNow */
	{ 0x80000001, 0, 0, false, { ALL, ALL, 0x00610bf3, 0xefd3fbff },
	  C | D },
	/* name, caches */
	{ 0x80000002, 0, 0, false, { ALL, ALL, ALL, ALL }, 0 },
	{ 0x80000003, 0, 0, false, { ALL, ALL, ALL, ALL }, 0 },
	{ 0x80000004, 0, 0, false, { ALL, ALL, ALL, ALL }, 0 },
	{ 0x80000005, 0, 0, false, { ALL, ALL, ALL, ALL }, 0 },
	{ 0x80000006, 0, 0, false, { ALL, ALL, ALL, ALL }, 0 },
	/* a TSC that never changes its pace */
	{ 0x80000007, 0, 0, false, { 0, 0, 0, BIT(8) }, D },
	/* width of addresses; CLZERO, WBNOINVD, speculation control; CPUs */
	{ CPUID_LEAF_WIDTH, 0, 0, false, { ALL, 0x771fd205, ALL, 0 }, B },
	/* TLBs, widths of units */
	{ 0x80000019, 0, 0, false, { ALL, ALL, ALL, ALL }, 0 },
	{ 0x8000001a, 0, 0, false, { ALL, ALL, ALL, ALL }, 0 },
	/* caches and topology */
	{ 0x8000001d, 0, 15, true, { ALL, ALL, ALL, ALL }, 0 },
	{ 0x8000001e, 0, 0, false, { ALL, ALL, ALL, ALL }, 0 },
	/* what LFENCE, FS, GS and null selectors do, automatic IBRS, no SMM
	 * control, fast strings, PREFETCHI, AVX-512 BMM, what hits it not */
	{ 0x80000021, 0, 0, false, { 0x78900f67, 0, 0x00000006, 0 }, A | C },
};

const unsigned cpuid_nr_rules = sizeof(cpuid_rules) / sizeof(cpuid_rules[0]);

const struct cpuid_rule *cpuid_find_rule(uint32_t leaf, uint32_t sub)
{
	for (unsigned i = 0; i < cpuid_nr_rules; i++)
		if (cpuid_rules[i].leaf == leaf &&
		    sub >= cpuid_rules[i].first && sub <= cpuid_rules[i].last)
			return &cpuid_rules[i];
	return NULL;
}
