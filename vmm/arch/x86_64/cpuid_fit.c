// SPDX-License-Identifier: MIT
/*
 * See cpuid_fit.h. Registers whose bits are features by the rules are compared
 * as sets, the sizes and places of the register save areas and the maker's
 * name must be equal, the width of physical addresses may not shrink. Caches,
 * topology, names and frequencies are not compared: no instruction faults for
 * them.
 */
#include "arch/x86_64/cpuid_fit.h"

#include "arch/x86_64/cpuid_rules.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define BIT(n) (1u << (n))

static const char *const reg_names[CPUID_NR_REGS] = { "EAX", "EBX", "ECX",
						      "EDX" };

/* Names for those that people know. */
static const struct {
	uint32_t leaf, sub, reg, bit;
	const char *name;
} names[] = {
	{ 0x1, 0, CPUID_ECX, 9, "ssse3" },
	{ 0x1, 0, CPUID_ECX, 12, "fma" },
	{ 0x1, 0, CPUID_ECX, 13, "cx16" },
	{ 0x1, 0, CPUID_ECX, 19, "sse4.1" },
	{ 0x1, 0, CPUID_ECX, 20, "sse4.2" },
	{ 0x1, 0, CPUID_ECX, 23, "popcnt" },
	{ 0x1, 0, CPUID_ECX, 25, "aes" },
	{ 0x1, 0, CPUID_ECX, 26, "xsave" },
	{ 0x1, 0, CPUID_ECX, 28, "avx" },
	{ 0x1, 0, CPUID_ECX, 30, "rdrand" },
	{ 0x7, 0, CPUID_EBX, 0, "fsgsbase" },
	{ 0x7, 0, CPUID_EBX, 3, "bmi1" },
	{ 0x7, 0, CPUID_EBX, 5, "avx2" },
	{ 0x7, 0, CPUID_EBX, 8, "bmi2" },
	{ 0x7, 0, CPUID_EBX, 9, "erms" },
	{ 0x7, 0, CPUID_EBX, 16, "avx512f" },
	{ 0x7, 0, CPUID_EBX, 18, "rdseed" },
	{ 0x7, 0, CPUID_EBX, 20, "smap" },
	{ 0x7, 0, CPUID_EBX, 29, "sha" },
	{ 0x7, 0, CPUID_ECX, 9, "vaes" },
	{ 0x7, 0, CPUID_ECX, 22, "rdpid" },
	{ 0x7, 0, CPUID_EDX, 4, "fsrm" },
	{ 0x7, 0, CPUID_EDX, 26, "ibrs" },
	{ 0x7, 0, CPUID_EDX, 27, "stibp" },
	{ 0x80000001, 0, CPUID_EDX, 26, "1 GiB pages" },
	{ 0x80000001, 0, CPUID_EDX, 27, "rdtscp" },
	{ 0x80000007, 0, CPUID_EDX, 8, "invariant TSC" },
};

static const struct kvm_cpuid_entry2 *find(const struct kvm_cpuid_entry2 *entry,
					   unsigned nr, uint32_t leaf,
					   uint32_t sub)
{
	static const struct kvm_cpuid_entry2 none;

	for (unsigned i = 0; i < nr; i++)
		if (entry[i].function == leaf && entry[i].index == sub)
			return &entry[i];
	return &none;
}

static uint32_t reg_of(const struct kvm_cpuid_entry2 *c, unsigned reg)
{
	const uint32_t v[CPUID_NR_REGS] = { c->eax, c->ebx, c->ecx, c->edx };

	return v[reg];
}

static const char *name_of(uint32_t leaf, uint32_t sub, unsigned reg,
			   unsigned bit)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].leaf == leaf && names[i].sub == sub &&
		    names[i].reg == reg && names[i].bit == bit)
			return names[i].name;
	return NULL;
}

static int lacks(const struct kvm_cpuid_entry2 *c, unsigned reg,
		 uint32_t missing, struct err *e)
{
	unsigned bit = (unsigned)__builtin_ctz(missing);
	const char *name = name_of(c->function, c->index, reg, bit);

	return err_set(e, ENOTSUP,
		       "this host's CPU or KVM lacks %s%sCPUID 0x%x.%u %s bit "
		       "%u%s, which the template's guest uses (make the "
		       "template on such a host)",
		       name ? name : "", name ? " (" : "", c->function,
		       c->index,
		       reg_names[reg], bit, name ? ")" : "");
}

static int fit_features(const struct kvm_cpuid_entry2 *told, unsigned nr_told,
			const struct kvm_cpuid_entry2 *here, unsigned nr_here,
			struct err *e)
{
	for (unsigned i = 0; i < cpuid_nr_rules; i++) {
		const struct cpuid_rule *rule = &cpuid_rules[i];
		const struct kvm_cpuid_entry2 *t, *h;

		if (!rule->features)
			continue;
		t = find(told, nr_told, rule->leaf, rule->first);
		h = find(here, nr_here, rule->leaf, rule->first);
		for (unsigned reg = 0; reg < CPUID_NR_REGS; reg++) {
			uint32_t missing = reg_of(t, reg) & ~reg_of(h, reg);

			if (rule->features & BIT(reg) && missing)
				return lacks(t, reg, missing, e);
		}
	}
	return 0;
}

static int fit_maker(const struct kvm_cpuid_entry2 *t,
		     const struct kvm_cpuid_entry2 *h, struct err *e)
{
	const uint32_t told[3] = { t->ebx, t->edx, t->ecx };
	const uint32_t here[3] = { h->ebx, h->edx, h->ecx };

	if (!memcmp(told, here, sizeof(told)))
		return 0;
	return err_set(e, ENOTSUP,
		       "the template was made on a CPU of another maker (make "
		       "it on such a host)");
}

/* Save areas: the guest has their places in memory. */
static int fit_xsave(const struct kvm_cpuid_entry2 *told, unsigned nr_told,
		     const struct kvm_cpuid_entry2 *here, unsigned nr_here,
		     struct err *e)
{
	uint32_t xcr0 = find(told, nr_told, CPUID_LEAF_XSAVE, 0)->eax;

	for (uint32_t i = 2; i < 32; i++) {
		const struct kvm_cpuid_entry2 *t, *h;

		if (!(xcr0 & BIT(i)))
			continue;
		t = find(told, nr_told, CPUID_LEAF_XSAVE, i);
		h = find(here, nr_here, CPUID_LEAF_XSAVE, i);
		if (t->eax != h->eax || t->ebx != h->ebx || t->ecx != h->ecx)
			return err_set(e, ENOTSUP,
				       "this host saves register state %u "
				       "elsewhere than the template's (make "
				       "the template on such a host)",
				       i);
	}
	return 0;
}

static int fit_width(const struct kvm_cpuid_entry2 *t,
		     const struct kvm_cpuid_entry2 *h, struct err *e)
{
	if ((t->eax & 0xff) <= (h->eax & 0xff))
		return 0;
	return err_set(e, ENOTSUP,
		       "this host has physical addresses of %u bits, the "
		       "template's guest uses %u (make the template on such a "
		       "host)",
		       h->eax & 0xff, t->eax & 0xff);
}

static int fit_rule(const struct kvm_cpuid_entry2 *c, struct err *e)
{
	const struct cpuid_rule *r = cpuid_find_rule(c->function, c->index);
	uint32_t flags =
		r && r->indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;

	if (!r || c->flags != flags)
		return err_set(e, EPROTO,
			       "the template's guest has CPUID 0x%x.%u, which "
			       "no guest of this husk has (make the template "
			       "again)",
			       c->function, c->index);
	for (unsigned reg = 0; reg < CPUID_NR_REGS; reg++) {
		uint32_t over = reg_of(c, reg) & ~r->may[reg];

		if (over)
			return err_set(e, EPROTO,
				       "the template's guest has CPUID 0x%x.%u "
				       "%s bit %d, which no guest of this husk "
				       "has (make the template again)",
				       c->function, c->index, reg_names[reg],
				       __builtin_ctz(over));
	}
	return 0;
}

/* KVM takes the first of two: so would nobody here. */
static bool is_twice(const struct kvm_cpuid_entry2 *entry, unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (entry[k].function == entry[i].function &&
		    entry[k].index == entry[i].index)
			return true;
	return false;
}

int cpuid_check(const struct kvm_cpuid_entry2 *entry, unsigned nr,
		struct err *e)
{
	int r = 0;

	for (unsigned i = 0; !r && i < nr; i++) {
		r = fit_rule(&entry[i], e);
		if (!r && is_twice(entry, i))
			r = err_set(e, EPROTO,
				    "the template's guest has CPUID 0x%x.%u "
				    "twice (make the template again)",
				    entry[i].function, entry[i].index);
	}
	return r;
}

/* What says which vCPU it is. */
static void clear_id(struct kvm_cpuid_entry2 *c)
{
	if (c->function == 1)
		c->ebx &= 0xffffff;
	else if (c->function == CPUID_LEAF_TOPOLOGY)
		c->edx = 0;
	else if (c->function == 0x8000001e)
		c->eax = c->ebx = 0;
}

int cpuid_same(const struct kvm_cpuid_entry2 *a, unsigned nr_a,
	       const struct kvm_cpuid_entry2 *b, unsigned nr_b, struct err *e)
{
	for (unsigned i = 0; nr_a == nr_b && i < nr_a; i++) {
		struct kvm_cpuid_entry2 x = a[i], y = b[i];

		clear_id(&x);
		clear_id(&y);
		if (memcmp(&x, &y, sizeof(x)))
			return err_set(e, EPROTO,
				       "the vCPUs of the template differ in "
				       "CPUID 0x%x.%u (make it again)",
				       y.function, y.index);
	}
	return nr_a == nr_b ? 0
			    : err_set(e, EPROTO,
				      "the vCPUs of the template differ in "
				      "CPUID (make it again)");
}

int cpuid_fit(const struct kvm_cpuid_entry2 *told, unsigned nr_told,
	      const struct kvm_cpuid_entry2 *here, unsigned nr_here,
	      struct err *e)
{
	int r;

	r = fit_maker(find(told, nr_told, 0, 0), find(here, nr_here, 0, 0), e);
	if (!r)
		r = fit_features(told, nr_told, here, nr_here, e);
	if (!r)
		r = fit_xsave(told, nr_told, here, nr_here, e);
	if (!r)
		r = fit_width(find(told, nr_told, CPUID_LEAF_WIDTH, 0),
			      find(here, nr_here, CPUID_LEAF_WIDTH, 0), e);
	return r;
}

static void clear_runtime(struct kvm_cpuid_entry2 *c)
{
	if (c->function == 1)
		c->ecx &= ~BIT(27); /* OSXSAVE: CR4's bit */
	else if (c->function == 7 && c->index == 0)
		c->ecx &= ~BIT(4); /* OSPKE: CR4's bit */
	else if (c->function == CPUID_LEAF_XSAVE && c->index <= 1)
		c->ebx = 0; /* size for the XCR0 of the moment */
}

unsigned cpuid_clean(struct kvm_cpuid_entry2 *entry, unsigned nr)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < nr; i++) {
		struct kvm_cpuid_entry2 *c = &entry[i];

		clear_runtime(c);
		if (c->eax || c->ebx || c->ecx || c->edx)
			entry[kept++] = *c;
	}
	return kept;
}
