// SPDX-License-Identifier: MIT
/* LINK: vmm/arch/x86_64/state_format.c vmm/arch/x86_64/state_check.c */
/* LINK: vmm/arch/x86_64/msrs.c vmm/arch/x86_64/msr_filter.c */
/* LINK: vmm/arch/x86_64/cpuid_fit.c vmm/arch/x86_64/cpuid.c */
/* LINK: vmm/arch/x86_64/cpuid_rules.c */
/*
 * The state of a vCPU or of a clock, of any bytes. What is refused has a line
 * that says why. What is taken lies inside of the buffer with all its counts
 * and is written again as the same bytes; comparing its CPUID with any other
 * comes to an end. What the checks let pass has nothing by which a guest would
 * have more than husk gives: asked here by other words than theirs.
 */
#include "arch/x86_64/cpuid_fit.h"
#include "arch/x86_64/msr_filter.h"
#include "arch/x86_64/msrs.h"
#include "arch/x86_64/state_format.h"
#include "lib/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_written(const struct vcpu_state *s, const uint8_t *buf,
			  size_t size)
{
	auto_free void *again = malloc(size);
	struct err e = { 0 };
	size_t len = 0;

	REQUIRE(again && !vcpu_state_write(s, again, size, &len, &e));
	REQUIRE(len == size && !memcmp(again, buf, size));
	REQUIRE(vcpu_state_write(s, again, size - 1, &len, &e) < 0);
}

static void check_cpuid(const struct kvm_cpuid2 *c)
{
	struct cpuid_list l = { .nent = c->nent };
	struct err e = { 0 };
	int r;

	REQUIRE(c->nent <= CPUID_MAX);
	memcpy(l.entry, c->entries, c->nent * sizeof(l.entry[0]));
	REQUIRE(!cpuid_fit(c->entries, c->nent, l.entry, l.nent, &e));
	cpuid_edit(&l, 0, 8);
	r = cpuid_fit(c->entries, c->nent, l.entry, l.nent, &e);
	if (r)
		REQUIRE_REFUSED(r, &e);
	/* What is made is allowed, whatever it is made of, but twice. */
	memset(&e, 0, sizeof(e));
	r = cpuid_check(l.entry, l.nent, &e);
	REQUIRE(!r || strstr(e.msg, "twice"));
	REQUIRE(cpuid_clean(l.entry, l.nent) <= l.nent);
}

/* As KVM looks a leaf up: the first of it, if it has no subleaves. */
static struct kvm_cpuid_entry2 kvm_finds(const struct kvm_cpuid2 *c,
					 uint32_t leaf, uint32_t sub)
{
	for (uint32_t i = 0; i < c->nent; i++)
		if (c->entries[i].function == leaf &&
		    (!(c->entries[i].flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) ||
		     c->entries[i].index == sub))
			return c->entries[i];
	return (struct kvm_cpuid_entry2){ 0 };
}

static void check_harmless(const struct vcpu_state *s)
{
	const struct kvm_cpuid2 *c = s->part[VCPU_CPUID].data;
	const struct kvm_msrs *m = s->part[VCPU_MSRS].data;
	const struct kvm_sregs *sregs = s->part[VCPU_SREGS].data;

	REQUIRE(!(kvm_finds(c, 1, 0).ecx & (1u << 5 | 1u << 3)));
	REQUIRE(!(kvm_finds(c, 0x80000001, 0).ecx & 1u << 2));
	REQUIRE(!(kvm_finds(c, 7, 0).ebx & (1u << 2 | 1u << 25)));
	REQUIRE(!(kvm_finds(c, 7, 0).edx & (1u << 20 | 1u << 24)));
	REQUIRE(!(kvm_finds(c, 7, 1).eax & 1u << 17));
	REQUIRE(!(kvm_finds(c, 7, 1).edx & 1u << 21));
	REQUIRE(!(kvm_finds(c, 0xd, 0).eax & ~0xe7u));
	REQUIRE(!kvm_finds(c, 0xa, 0).eax && !kvm_finds(c, 0x12, 0).eax);
	REQUIRE(!kvm_finds(c, 0x8000000a, 0).edx);
	REQUIRE(!kvm_finds(c, 0x80000022, 0).eax);
	REQUIRE(!(sregs->efer & 1u << 12) && !(sregs->cr4 & 1u << 13));
	for (uint32_t i = 0; i < m->nmsrs; i++) {
		uint32_t index = m->entries[i].index;
		const struct msr_range *r = msr_allowed;

		while (r->last && (index < r->first || index > r->last))
			r++;
		REQUIRE(r->last);
	}
}

static void check_taken(const struct vcpu_state *s, const uint8_t *buf,
			size_t size)
{
	const struct kvm_msrs *m = s->part[VCPU_MSRS].data;
	struct err e = { 0 };
	int r;

	for (enum vcpu_part i = VCPU_CPUID; i < VCPU_PARTS_END; i++) {
		const uint8_t *at = s->part[i].data;

		REQUIRE(at > buf && s->part[i].len <= size);
		REQUIRE((size_t)(at - buf) <= size - s->part[i].len);
		REQUIRE(!((uintptr_t)at % 8));
	}
	REQUIRE(m->nmsrs <= STATE_MAX_MSRS);
	for (uint32_t i = 1; i < m->nmsrs; i++)
		REQUIRE(m->entries[i - 1].index < m->entries[i].index);
	REQUIRE(vcpu_state_index(s) < 256);
	check_cpuid(s->part[VCPU_CPUID].data);
	r = vcpu_state_check(s, &e);
	if (r)
		REQUIRE_REFUSED(r, &e);
	else
		check_harmless(s);
	check_written(s, buf, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of its own size, so that one byte too far is found. */
	auto_free uint8_t *buf = malloc(size ? size : 1);
	struct err e = { 0 };
	struct vcpu_state s;
	uint64_t ns;
	int r;

	REQUIRE(buf != NULL);
	memcpy(buf, data, size);
	r = vcpu_state_read(&s, buf, size, &e);
	if (r)
		REQUIRE_REFUSED(r, &e);
	else
		check_taken(&s, buf, size);
	memset(&e, 0, sizeof(e));
	r = clock_state_read(&ns, buf, size, &e);
	if (r)
		REQUIRE_REFUSED(r, &e);
	return 0;
}
