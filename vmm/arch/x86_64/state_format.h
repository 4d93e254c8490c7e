/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a vCPU's state and of a VM's clock, as they lie in a template.
 * Pure: no ioctl, so that tests and a fuzzer can have all of it.
 *
 * Little-endian. A head (magic of 8 bytes, u16 machine as in ELF, u16 version,
 * u32 length of all), then the parts in the order of enum vcpu_part, each one
 * exactly once: u32 type, u32 length, that many bytes, zeros up to a multiple
 * of 8. Every state has one spelling: what was read and is written again is
 * the same bytes.
 *
 * A part's bytes are a structure of KVM's user interface as <linux/kvm.h> has
 * it for x86-64. That is an interface that the kernel keeps, its padding has
 * names and is zero here, and so a part goes from the mapped file into the
 * ioctl without a copy. Values of our own choice would need a second set of
 * structures that says the same.
 */
#ifndef HUSK_ARCH_X86_64_STATE_FORMAT_H
#define HUSK_ARCH_X86_64_STATE_FORMAT_H

#include "lib/err.h"

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

/* Raise with any change of a part's meaning; older ones are refused. */
#define STATE_VERSION 1u
#define STATE_MACHINE 62u /* EM_X86_64 */

#define STATE_MAX_MSRS	128u	/* that differ from a fresh vCPU's */
#define STATE_XSAVE_MIN 4096u	/* of KVM_GET_XSAVE */
#define STATE_XSAVE_MAX 16384u

/* Types in the file; the order is that of the file. */
enum vcpu_part {
	VCPU_CPUID = 1,	/* kvm_cpuid2, nothing that KVM derives */
	VCPU_MP_STATE,	/* kvm_mp_state */
	VCPU_REGS,	/* kvm_regs */
	VCPU_SREGS,	/* kvm_sregs */
	VCPU_XCRS,	/* kvm_xcrs */
	VCPU_XSAVE,	/* kvm_xsave with what KVM_CAP_XSAVE2 adds */
	VCPU_DEBUGREGS, /* kvm_debugregs */
	VCPU_LAPIC,	/* kvm_lapic_state */
	VCPU_TSC,	/* struct vcpu_tsc */
	VCPU_MSRS,	/* kvm_msrs: see msrs.h; by rising index */
	VCPU_EVENTS,	/* kvm_vcpu_events */
	VCPU_PARTS_END
};

struct vcpu_tsc {
	uint64_t value;		/* the guest's TSC when it was saved */
	uint64_t deadline;	/* IA32_TSC_DEADLINE; 0: no timer is armed */
	uint32_t khz;		/* 0: KVM didn't know */
	uint32_t pad;
};

/* Views into a buffer which outlives them. Index 0 is not used. */
struct vcpu_state {
	struct {
		const void *data;	/* 8-aligned */
		uint32_t len;
	} part[VCPU_PARTS_END];
};

/*
 * Look at `len` bytes of anything (8-aligned) and set the views, or say what
 * is wrong with them. Afterwards all lengths and counts fit; MSRs rise; the
 * CPUID list has leaf 1.
 */
int vcpu_state_read(struct vcpu_state *s, const void *buf, size_t len,
		    struct err *e);

/*
 * May a vCPU of husk be in that state: CPUID, MSRs, EFER, CR4, APIC base and
 * events that a guest of ours can have? -EPROTO if not.
 */
int vcpu_state_check(const struct vcpu_state *s, struct err *e);

/* The bytes of `s`, whose parts are all set, into buf; *len is set. */
int vcpu_state_write(const struct vcpu_state *s, void *buf, size_t size,
		     size_t *len, struct err *e);

/* Which vCPU it was: its APIC id, which is the index. */
unsigned vcpu_state_index(const struct vcpu_state *s);

/* The clock's state has a head of its own kind and one value, kvm-clock. */
int clock_state_read(uint64_t *ns, const void *buf, size_t len,
		     struct err *e);
int clock_state_write(uint64_t ns, void *buf, size_t size, size_t *len,
		      struct err *e);

#endif
