// SPDX-License-Identifier: MIT
/* LINK: vmm/arch/x86_64/state_format.c vmm/arch/x86_64/state_check.c */
/* LINK: vmm/arch/x86_64/msrs.c vmm/arch/x86_64/msr_filter.c */
/* LINK: vmm/arch/x86_64/cpuid_fit.c vmm/arch/x86_64/cpuid_rules.c */
/*
 * A vCPU's state as bytes: what is written is read back, and anything else is
 * refused with a line that says what is wrong with it. Bytes of the file are
 * changed by hand where the writer could not write such a thing.
 */
#include "arch/x86_64/state_format.h"

#include "arch/arch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NR_LEAVES 3u
#define NR_MSRS	  4u

/* Where things are in the head and behind it. */
#define AT_MACHINE 8u
#define AT_VERSION 10u
#define AT_LENGTH  12u
#define AT_PARTS   16u

static struct {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entry[NR_LEAVES];
} cpuid = {
	.head = { .nent = NR_LEAVES },
	.entry = { { .function = 0, .eax = 1 },
		   { .function = 1, .ebx = 0x05000800 },
		   { .function = 7, .flags = 1 } },
};

static struct {
	struct kvm_msrs head;
	struct kvm_msr_entry entry[NR_MSRS];
} msrs = {
	.head = { .nmsrs = NR_MSRS },
	.entry = { { .index = 0x174, .data = 1 },
		   { .index = 0x277, .data = 2 },
		   { .index = 0x4b564d01, .data = 3 },
		   { .index = 0xc0000102, .data = 4 } },
};

static struct kvm_mp_state mp = { KVM_MP_STATE_HALTED };
static struct kvm_regs regs = { .rip = 0x1000 };
static struct kvm_sregs sregs = {
	.cr3 = 0x2000,
	.cr4 = 0x3606f0,
	.efer = 0xd01,
	.apic_base = 0xfee00d00,
};
static struct kvm_xcrs xcrs = { .nr_xcrs = 1 };
static uint8_t xsave[STATE_XSAVE_MIN + 128];
static struct kvm_debugregs debug = { .dr7 = 0x400 };
static struct kvm_lapic_state lapic;
static struct vcpu_tsc tsc = { 1, 2, 3, 0 };
static struct kvm_vcpu_events events;

static struct vcpu_state state;
static _Alignas(8) uint8_t buf[ARCH_VCPU_STATE_MAX];
static size_t len;

static void view(enum vcpu_part part, const void *data, size_t size)
{
	state.part[part].data = data;
	state.part[part].len = (uint32_t)size;
}

static int set_up(void **unused)
{
	struct err e = { 0 };

	(void)unused;
	memset(xsave, 0x5a, sizeof(xsave));
	view(VCPU_CPUID, &cpuid, sizeof(cpuid));
	view(VCPU_MP_STATE, &mp, sizeof(mp));
	view(VCPU_REGS, &regs, sizeof(regs));
	view(VCPU_SREGS, &sregs, sizeof(sregs));
	view(VCPU_XCRS, &xcrs, sizeof(xcrs));
	view(VCPU_XSAVE, xsave, sizeof(xsave));
	view(VCPU_DEBUGREGS, &debug, sizeof(debug));
	view(VCPU_LAPIC, &lapic, sizeof(lapic));
	view(VCPU_TSC, &tsc, sizeof(tsc));
	view(VCPU_MSRS, &msrs, sizeof(msrs));
	view(VCPU_EVENTS, &events, sizeof(events));
	return vcpu_state_write(&state, buf, sizeof(buf), &len, &e);
}

static void refused(const char *word)
{
	struct vcpu_state s;
	struct err e = { 0 };
	int r = vcpu_state_read(&s, buf, len, &e);

	assert_true(r < 0);
	assert_int_equal(e.code, -r);
	if (!strstr(e.msg, word))
		fail_msg("'%s' does not say '%s'", e.msg, word);
}

static void put32(size_t at, uint32_t v)
{
	memcpy(buf + at, &v, sizeof(v));
}

static uint32_t get32(size_t at)
{
	uint32_t v;

	memcpy(&v, buf + at, sizeof(v));
	return v;
}

/* Where a part's head is: type, length. */
static size_t head_of(enum vcpu_part part)
{
	size_t at = AT_PARTS;

	while (get32(at) != part)
		at += 8 + (get32(at + 4) + 7) / 8 * 8;
	return at;
}

static size_t data_of(enum vcpu_part part)
{
	return head_of(part) + 8;
}

static void what_is_written_is_read(void **unused)
{
	struct vcpu_state s;
	struct err e = { 0 };

	(void)unused;
	assert_int_equal(vcpu_state_read(&s, buf, len, &e), 0);
	for (enum vcpu_part i = VCPU_CPUID; i < VCPU_PARTS_END; i++) {
		assert_int_equal(s.part[i].len, state.part[i].len);
		assert_memory_equal(s.part[i].data, state.part[i].data,
				    s.part[i].len);
		assert_int_equal((uintptr_t)s.part[i].data % 8, 0);
	}
	assert_int_equal(vcpu_state_index(&s), 5);
}

static void written_again_it_is_the_same(void **unused)
{
	static uint8_t again[ARCH_VCPU_STATE_MAX];
	struct vcpu_state s;
	struct err e = { 0 };
	size_t n;

	(void)unused;
	assert_int_equal(vcpu_state_read(&s, buf, len, &e), 0);
	assert_int_equal(vcpu_state_write(&s, again, sizeof(again), &n, &e), 0);
	assert_int_equal(n, len);
	assert_memory_equal(again, buf, len);
}

static void every_truncation(void **unused)
{
	struct vcpu_state s;
	struct err e = { 0 };
	size_t whole = len;

	(void)unused;
	for (len = 0; len < whole; len++) {
		assert_true(vcpu_state_read(&s, buf, len, &e) < 0);
		if (len < AT_PARTS)
			continue;
		/* Also one whose head agrees. */
		put32(AT_LENGTH, (uint32_t)len);
		assert_true(vcpu_state_read(&s, buf, len, &e) < 0);
		put32(AT_LENGTH, (uint32_t)whole);
	}
	assert_int_equal(vcpu_state_read(&s, buf, len, &e), 0);
}

static void something_behind_it(void **unused)
{
	(void)unused;
	len += 8;
	refused("bytes instead of");
	put32(AT_LENGTH, (uint32_t)len);
	refused("follows");
}

static void not_a_state(void **unused)
{
	(void)unused;
	buf[0] ^= 1;
	refused("no vCPU state");
}

static void other_machine(void **unused)
{
	(void)unused;
	buf[AT_MACHINE] = 183; /* arm64 */
	refused("machine type 183");
}

static void other_version(void **unused)
{
	(void)unused;
	buf[AT_VERSION]++;
	refused("make the template again");
	buf[AT_VERSION] -= 2;
	refused("format 0");
}

static void missing_and_repeated_parts(void **unused)
{
	(void)unused;
	for (enum vcpu_part i = VCPU_CPUID; i < VCPU_PARTS_END; i++) {
		size_t at = head_of(i);

		put32(at, i + 1);
		refused("is missing");
		put32(at, i == VCPU_CPUID ? VCPU_PARTS_END : i - 1u);
		refused("is missing");
		put32(at, 0xffffffff);
		refused("is missing");
		put32(at, i);
	}
}

static void absurd_lengths(void **unused)
{
	static const uint32_t lengths[] = {
		0,	    1,		7,	    0x10000,   0x7fffffff,
		0x80000000, 0xfffffff8, 0xfffffff9, 0xffffffff
	};
	struct vcpu_state s;
	struct err e = { 0 };

	(void)unused;
	for (enum vcpu_part i = VCPU_CPUID; i < VCPU_PARTS_END; i++) {
		size_t at = head_of(i) + 4;
		uint32_t right = get32(at);

		for (unsigned j = 0; j < sizeof(lengths) / 4; j++) {
			put32(at, lengths[j]);
			refused("length");
		}
		/* One element, one byte, one word too many. */
		put32(at, right + 1);
		refused("length");
		put32(at, right + 40);
		assert_true(vcpu_state_read(&s, buf, len, &e) < 0);
		put32(at, right + 16);
		assert_true(vcpu_state_read(&s, buf, len, &e) < 0);
		put32(at, right);
	}
}

static void wrong_counts(void **unused)
{
	static const uint32_t counts[] = { 0,	      2,	  5,
					   256,	      0x10000000, 0x20000000,
					   0xffffffff };

	(void)unused;
	for (unsigned i = 0; i < sizeof(counts) / 4; i++) {
		put32(data_of(VCPU_CPUID), counts[i]);
		refused("wrong count");
	}
	put32(data_of(VCPU_CPUID), NR_LEAVES);
	for (unsigned i = 0; i < sizeof(counts) / 4; i++) {
		put32(data_of(VCPU_MSRS), counts[i]);
		refused("wrong count");
	}
}

/* A cut in the middle of a part, with a head that agrees with the rest. */
static void part_longer_than_the_file(void **unused)
{
	(void)unused;
	len = data_of(VCPU_XSAVE) + 100;
	put32(AT_LENGTH, (uint32_t)len);
	refused("cut off");
}

static void padding_that_is_not_zero(void **unused)
{
	(void)unused;
	put32(data_of(VCPU_MP_STATE) + 4, 0x01000000);
	refused("zeros");
}

/* It can be read, and no guest of ours can be like that. */
static void not_ours(const char *word)
{
	struct vcpu_state s;
	struct err e = { 0 };

	assert_int_equal(vcpu_state_read(&s, buf, len, &e), 0);
	assert_int_equal(vcpu_state_check(&s, &e), -EPROTO);
	if (!strstr(e.msg, word))
		fail_msg("'%s' does not say '%s'", e.msg, word);
	assert_null(strchr(e.msg, '\n'));
}

static void ours(void)
{
	struct vcpu_state s;
	struct err e = { 0 };

	assert_int_equal(vcpu_state_read(&s, buf, len, &e), 0);
	if (vcpu_state_check(&s, &e))
		fail_msg("%s", e.msg);
}

static void msrs_that_do_not_belong(void **unused)
{
	static const uint32_t never[] = { 0x10,	 0x11,	0x12,  0x1b,  0x8b,
					  0x6e0, 0x800, 0x83f, 0x10a, 0x480,
					  0x1b8, 0xc1 };
	size_t at = data_of(VCPU_MSRS) + 8;

	(void)unused;
	ours();
	for (unsigned i = 0; i < sizeof(never) / 4; i++) {
		/* The first keeps the order whatever it is, up to 0x277. */
		size_t where = never[i] >= 0x277 ? at + 16 : at;
		uint32_t was = get32(where);

		put32(where, never[i]);
		not_ours("does not belong");
		put32(where, was);
	}
	put32(at + 32, 0x4b564d00); /* wall clock */
	not_ours("does not belong");
	put32(at + 32, 0x4b564d01);
	put32(at + 48, 0xc0000101); /* GS base */
	not_ours("does not belong");
	put32(at + 48, 0xc0010117); /* VM_HSAVE_PA */
	not_ours("does not belong");
}

/* What KVM takes from the host's side, though no guest of ours has it. */
static void registers_of_others(void **unused)
{
	size_t at = data_of(VCPU_SREGS);
	size_t efer = at + offsetof(struct kvm_sregs, efer);
	size_t cr4 = at + offsetof(struct kvm_sregs, cr4);
	size_t base = at + offsetof(struct kvm_sregs, apic_base);

	(void)unused;
	put32(efer, 0x1d01); /* SVME */
	not_ours("EFER = 0x1d01");
	put32(efer, 0x200d01); /* AUTOIBRS */
	ours();
	put32(cr4, 0x3626f0); /* VMXE */
	not_ours("CR4 = 0x3626f0");
	put32(cr4, 0x7606f0); /* PKE */
	not_ours("CR4");
	put32(cr4, 0x6f0);
	put32(base, 0xfee01d00);
	not_ours("APIC base");
	put32(base, 0xfee00900);
	put32(base + 4, 1);
	not_ours("APIC base");
}

static void events_of_others(void **unused)
{
	size_t flags = data_of(VCPU_EVENTS) +
		       offsetof(struct kvm_vcpu_events, flags);

	(void)unused;
	put32(flags, KVM_VCPUEVENT_VALID_NMI_PENDING |
			     KVM_VCPUEVENT_VALID_SHADOW);
	ours();
	put32(flags, KVM_VCPUEVENT_VALID_SMM);
	not_ours("events of kind");
	put32(flags, 0);
	put32(data_of(VCPU_MP_STATE), KVM_MP_STATE_AP_RESET_HOLD);
	not_ours("run state");
}

/* The state as a whole is asked, each leaf in test_cpuid.c. */
static void cpuid_of_others(void **unused)
{
	size_t leaf1 = data_of(VCPU_CPUID) + 8 + 40;

	(void)unused;
	put32(leaf1 + 20, 1u << 5); /* ECX: VMX */
	not_ours("CPUID 0x1.0 ECX bit 5");
}

static void msrs_out_of_order_or_twice(void **unused)
{
	size_t at = data_of(VCPU_MSRS) + 8;

	(void)unused;
	put32(at, 0x277);
	refused("not in order");
	put32(at, 0x278);
	refused("not in order");
}

static void cpuid_without_an_id(void **unused)
{
	(void)unused;
	put32(data_of(VCPU_CPUID) + 8 + 40, 2);
	refused("lacks leaf 1");
}

static void largest_state_fits(void **unused)
{
	static uint8_t big[ARCH_VCPU_STATE_MAX];
	struct kvm_msrs *m = (struct kvm_msrs *)(void *)big;
	struct err e = { 0 };

	(void)unused;
	m->nmsrs = STATE_MAX_MSRS;
	view(VCPU_CPUID, big, 8 + 256 * 40);
	view(VCPU_XSAVE, big, STATE_XSAVE_MAX);
	view(VCPU_MSRS, big, 8 + STATE_MAX_MSRS * 16);
	assert_int_equal(vcpu_state_write(&state, buf, sizeof(buf), &len, &e),
			 0);
	assert_true(len < ARCH_VCPU_STATE_MAX);
	assert_true(vcpu_state_write(&state, buf, len - 1, &len, &e) < 0);
	assert_non_null(strstr(e.msg, "more than"));
}

static void odd_buffer(void **unused)
{
	struct vcpu_state s;
	struct err e = { 0 };

	(void)unused;
	memmove(buf + 1, buf, len);
	assert_true(vcpu_state_read(&s, buf + 1, len, &e) < 0);
}

static void the_clock(void **unused)
{
	uint8_t c[ARCH_CLOCK_STATE_MAX];
	struct err e = { 0 };
	uint64_t ns = 0;
	size_t n;

	(void)unused;
	assert_int_equal(
		clock_state_write(0x123456789abcdefull, c, sizeof(c), &n, &e),
		0);
	assert_int_equal(clock_state_read(&ns, c, n, &e), 0);
	assert_true(ns == 0x123456789abcdefull);
	for (size_t cut = 0; cut < n; cut++) {
		assert_true(clock_state_read(&ns, c, cut, &e) < 0);
		if (cut < AT_PARTS)
			continue;
		c[AT_LENGTH] = (uint8_t)cut;
		assert_true(clock_state_read(&ns, c, cut, &e) < 0);
		c[AT_LENGTH] = (uint8_t)n;
	}
	/* A vCPU is no clock, a clock no vCPU. */
	assert_true(clock_state_read(&ns, buf, len, &e) < 0);
	memcpy(buf, c, len = n);
	refused("no vCPU state");
	assert_true(clock_state_write(1, c, n - 1, &n, &e) < 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, set_up)
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_is_read),
		TEST(written_again_it_is_the_same),
		TEST(every_truncation),
		TEST(something_behind_it),
		TEST(not_a_state),
		TEST(other_machine),
		TEST(other_version),
		TEST(missing_and_repeated_parts),
		TEST(absurd_lengths),
		TEST(wrong_counts),
		TEST(part_longer_than_the_file),
		TEST(padding_that_is_not_zero),
		TEST(msrs_that_do_not_belong),
		TEST(registers_of_others),
		TEST(events_of_others),
		TEST(cpuid_of_others),
		TEST(msrs_out_of_order_or_twice),
		TEST(cpuid_without_an_id),
		TEST(largest_state_fits),
		TEST(odd_buffer),
		TEST(the_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
