// SPDX-License-Identifier: MIT
/*
 * A vCPU's state goes into a copy: all of it as KVM sees it, and as the guest
 * sees it that goes on; states that must not go on are refused.
 *
 * Software KVM delivers no interrupts, emulates ring 0 without vector
 * instructions, and its guests have the host's CPUID whatever they were given.
 * The guest does there what it can, and what can't be is not asked.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "arch/x86_64/layout.h"
#include "own_ioctl.h"
#include "state_box.h"

#include <stdio.h>
#include <string.h>

#define MAX_CALLS 12u

static struct box box, copy, *boxes[] = { &copy, &box, NULL };
static struct box_state state, again;
static uint64_t can;
static unsigned nr_ioctls;

int on_ioctl(int fd, unsigned long request, void *arg)
{
	nr_ioctls++;
	return libc_ioctl(fd, request, arg);
}

/* ---- the vCPU as KVM sees it ---- */

static void show_msrs(const char *when, const struct kvm_msrs *m)
{
	for (uint32_t i = 0; i < m->nmsrs; i++)
		print_message("# %s: MSR 0x%x = 0x%llx\n", when,
			      m->entries[i].index,
			      (unsigned long long)m->entries[i].data);
}

static void assert_same_state(void)
{
	struct vcpu_state a = box_parts(&state, 0), b = box_parts(&again, 0);
	const struct vcpu_tsc *ta = a.part[VCPU_TSC].data;
	const struct vcpu_tsc *tb = b.part[VCPU_TSC].data;

	for (enum vcpu_part i = VCPU_CPUID; i < VCPU_PARTS_END; i++) {
		if (i == VCPU_TSC ||
		    (a.part[i].len == b.part[i].len &&
		     !memcmp(a.part[i].data, b.part[i].data, a.part[i].len)))
			continue;
		show_msrs("before", a.part[VCPU_MSRS].data);
		show_msrs("after", b.part[VCPU_MSRS].data);
		fail_msg("part %d has changed", i);
	}
	assert_true(tb->value >= ta->value);
	assert_int_equal(ta->deadline, tb->deadline);
	assert_int_equal(ta->khz, tb->khz);
}

static void saved_again_is_the_same(void **unused)
{
	(void)unused;
	box_ready(&box, 1, can & SG_AVX, 1ull << 50);
	box_save(&box, &state);
	box_copy(&copy, &box, &state);
	box_save(&copy, &again);
	assert_same_state();
}

/* What a guest has seldom: breakpoints, an NMI on its way, no NMIs. */
static void rare_state_is_kept(void **unused)
{
	struct kvm_debugregs d = {
		.db = { 0x1000, 0x2000, 0x3000, 0x4000 },
		.dr6 = 0xffff0ff1,
		.dr7 = 0x455,
	};
	struct kvm_vcpu_events v = { 0 };

	(void)unused;
	box_ready(&box, 1, can & SG_AVX, 0);
	assert_int_equal(ioctl(box.fd[0], KVM_SET_DEBUGREGS, &d), 0);
	assert_int_equal(ioctl(box.fd[0], KVM_GET_VCPU_EVENTS, &v), 0);
	v.flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	v.nmi.masked = 1;
	v.nmi.pending = 1;
	v.interrupt.injected = 1;
	v.interrupt.nr = 0x77;
	assert_int_equal(ioctl(box.fd[0], KVM_SET_VCPU_EVENTS, &v), 0);
	box_save(&box, &state);
	box_copy(&copy, &box, &state);
	box_save(&copy, &again);
	assert_same_state();
	assert_int_equal(ioctl(copy.fd[0], KVM_GET_DEBUGREGS, &d), 0);
	assert_int_equal(d.db[3], 0x4000);
	assert_int_equal(ioctl(copy.fd[0], KVM_GET_VCPU_EVENTS, &v), 0);
	assert_int_equal(v.nmi.pending, 1);
	assert_int_equal(v.nmi.masked, 1);
	assert_int_equal(v.interrupt.nr, 0x77);
}

static void restores_in_few_calls(void **unused)
{
	struct err e = { 0 };
	unsigned calls;

	(void)unused;
	box_ready(&box, 1, can & SG_AVX, 1ull << 50);
	box_save(&box, &state);
	box_like(&copy, &box);
	nr_ioctls = 0;
	if (box_give(&copy, &state, 0, &e))
		fail_msg("%s", e.msg);
	calls = nr_ioctls;
	printf("# %u calls, %zu bytes, %u MSRs\n", calls, state.len[0],
	       *(const uint32_t *)box_parts(&state, 0).part[VCPU_MSRS].data);
	assert_in_range(calls, 1, MAX_CALLS);
}

#define TOUCH_AT (1u << 20)

/* A guest of our own runs before, as in a machine that waits. */
static void restored_after_a_touch(void **unused)
{
	const struct arch_pages page = { TOUCH_AT / GMEM_PAGE, 1 };
	struct err e = { 0 };

	(void)unused;
	box_ready(&box, 1, can & SG_AVX, 0);
	box_save(&box, &state);
	box_like(&copy, &box);
	if (arch_vcpu_prepare(copy.kvm.vm_fd, copy.fd[0], 0, state.vcpu[0],
			      state.len[0], &e) ||
	    arch_touch_prepare(copy.fd[0], state.vcpu[0], state.len[0], &e))
		fail_msg("%s", e.msg);
	arch_touch_fill(gmem_ptr(&copy.mem, TOUCH_AT, GMEM_PAGE), &page, 1);
	if (arch_touch_begin(copy.fd[0], TOUCH_AT, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(box_run(&copy, 0), LAYOUT_PORT_TOUCH);
	box_settle(&copy, 0);
	if (arch_vcpu_restore(copy.kvm.vm_fd, copy.fd[0], 0, state.vcpu[0],
			      state.len[0], &e))
		fail_msg("%s", e.msg);
	box_save(&copy, &again);
	assert_same_state();
}

/* ---- the guest goes on ---- */

static void goes_on_with_its_registers(void **unused)
{
	static const uint8_t pi[10] = { 0x35, 0xc2, 0x68, 0x21, 0xa2,
					0xda, 0x0f, 0xc9, 0x00, 0x40 };
	const struct sg_report *r;

	(void)unused;
	box_ready(&box, 1, can & SG_AVX, 0);
	box_save(&box, &state);
	box_copy(&copy, &box, &state);
	box_fini(&box);
	assert_int_equal(box_run(&copy, 0), SG_PORT_DONE);
	r = box_report(&copy);
	for (unsigned i = 0; i < SG_NR_REGS; i++)
		assert_int_equal(r->regs[i], 0x0101010101010100ull + (i & 7) +
						     (i < 8 ? 8 : 0x10));
	for (unsigned i = 0; i < BOX_NR_MSRS; i++)
		assert_int_equal(r->msr[i].after, box_msrs[i].value);
	if (can & SG_AVX) {
		assert_memory_equal(r->ymm_in, r->ymm_out, sizeof(r->ymm_in));
		assert_memory_equal(r->x87, pi, sizeof(pi));
	}
}

/* OUT in ring 3 asks the task state segment's map. */
static void port_map_works(void **unused)
{
	(void)unused;
	if (!(can & SG_USER))
		print_message("# ring 3 does not get there on this KVM\n");
	box_ready(&box, 1, can & SG_USER, 0);
	box_save(&box, &state);
	box_copy(&copy, &box, &state);
	assert_int_equal(box_run(&copy, 0),
			 can & SG_USER ? SG_PORT_USER : SG_PORT_DONE);
}

/* ---- refusals ---- */

static void assert_refused(const char *word)
{
	struct err e = { 0 };

	assert_true(box_give(&copy, &state, 0, &e) < 0);
	assert_non_null(strstr(e.msg, word));
	assert_null(strchr(e.msg, '\n'));
}

static void other_vcpus_state(void **unused)
{
	(void)unused;
	box_ready_two(&box, can & (SG_IRQ | SG_AVX));
	box_save(&box, &state);
	box_like(&copy, &box);
	memcpy(state.vcpu[0], state.vcpu[1], state.len[1]);
	state.len[0] = state.len[1];
	assert_refused("of vCPU 1");
}

static void other_frequency(void **unused)
{
	struct vcpu_tsc *tsc;
	struct err e = { 0 };

	(void)unused;
	box_ready(&box, 1, 0, 0);
	box_save(&box, &state);
	box_like(&copy, &box);
	tsc = box_part(&state, 0, VCPU_TSC);
	tsc->khz += tsc->khz / 10;
	if (ioctl(copy.kvm.vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) <=
	    0) {
		assert_refused("kHz");
		return;
	}
	if (box_give(&copy, &state, 0, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(ioctl(copy.fd[0], KVM_GET_TSC_KHZ, 0), tsc->khz);
}

/* What a KVM that lacks an MSR says. */
static void unknown_msr(void **unused)
{
	struct kvm_msrs *m;

	(void)unused;
	box_ready(&box, 1, 0, 0);
	box_save(&box, &state);
	box_like(&copy, &box);
	m = box_part(&state, 0, VCPU_MSRS);
	m->entries[m->nmsrs - 1].index = 0xfffffff0;
	assert_refused("MSR 0xfffffff0");
}

static struct kvm_cpuid_entry2 *leaf(uint32_t function)
{
	struct kvm_cpuid2 *c = box_part(&state, 0, VCPU_CPUID);

	for (uint32_t i = 0; i < c->nent; i++)
		if (c->entries[i].function == function && !c->entries[i].index)
			return &c->entries[i];
	fail_msg("no leaf 0x%x", function);
	return NULL;
}

static void assert_checked(const char *word)
{
	const struct arch_state s = { state.vcpu[0], state.len[0] };
	struct err e = { 0 };
	int r = arch_vcpu_check(box.kvm.fd, &s, 1, &e);

	if (!word && r)
		fail_msg("%s", e.msg);
	if (word) {
		assert_true(r < 0);
		assert_non_null(strstr(e.msg, word));
	}
}

static void fits_here(void **unused)
{
	struct kvm_cpuid_entry2 was;

	(void)unused;
	box_ready(&box, 1, can & SG_AVX, 0);
	box_save(&box, &state);
	/* Software KVM has the host's, which no guest of husk may have. */
	if (!(can & BOX_CPUID)) {
		assert_checked("which no guest of this husk has");
		return;
	}
	assert_checked(NULL);
	was = *leaf(0);
	leaf(0)->ebx ^= 1;
	assert_checked("another maker");
	*leaf(0) = was;
	was = *leaf(7);
	leaf(7)->edx |= 1u << 24; /* AMX: husk never offers it */
	assert_checked("CPUID 0x7.0 EDX bit 24");
	*leaf(7) = was;
	leaf(0x80000008)->eax |= 0x3f;
	assert_checked("physical addresses");
}

static void resumes_without_clock_page(void **unused)
{
	struct err e = { 0 };

	(void)unused;
	box_boot(&box, 1, 0);
	assert_int_equal(arch_vcpu_resume(box.fd[0], &e), 0);
}

int main(void)
{
#define TEST(f) BOX_TEST(f, boxes)
	const struct CMUnitTest tests[] = {
		TEST(saved_again_is_the_same),
		TEST(rare_state_is_kept),
		TEST(restores_in_few_calls),
		TEST(restored_after_a_touch),
		TEST(goes_on_with_its_registers),
		TEST(port_map_works),
		TEST(other_vcpus_state),
		TEST(other_frequency),
		TEST(unknown_msr),
		TEST(fits_here),
		TEST(resumes_without_clock_page),
	};

	box_watch();
	can = box_can();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
