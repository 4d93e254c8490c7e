// SPDX-License-Identifier: MIT
/*
 * A vCPU's state goes into a copy and the guest goes on: what it had in its
 * registers, what time it thinks it is, the timer it waits for.
 *
 * Software KVM delivers no interrupts and emulates ring 0 without vector
 * instructions; the guest does there what it can, and everything here holds
 * for that. Its guests have the host's TSC and CPUID, whatever they were given;
 * what is asked of those is left out there. Nothing is a matter of speed: times
 * are compared with times taken before and after, and only after minutes
 * something is taken for a hang.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "state_box.h"

#include "arch/probe.h"
#include "arch/x86_64/msrs.h"
#include "arch/x86_64/state_format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define HANG_S	  600u
#define NR_COPIES 200u
#define MAX_CALLS 12u

/* Of hardware KVM: a TSC for each VM, CPUID as it was set. */
#define CAN_TSC	  0x100u
#define CAN_CPUID 0x200u
#define CAN_ALL	  (SG_AVX | SG_IRQ | SG_USER | CAN_TSC | CAN_CPUID)

#define MSR_KERNEL_GS 0xc0000102u
#define MSR_CLOCK     0x4b564d01u

static struct box box, copy;
static struct box_state state, again;
static uint64_t can; /* SG_*: what this host can run */
static unsigned nr_ioctls;

/* libc's, counted. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	nr_ioctls++;
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

static const struct sg_msr values[] = {
	{ MSR_KERNEL_GS, 0x00001234deadbeefull, 0 },
	{ 0xc0000081, 0x0023001000000000ull, 0 }, /* STAR */
	{ 0xc0000082, 0xffffffff81000040ull, 0 }, /* LSTAR */
	{ 0xc0000084, 0x0000000000257fd5ull, 0 }, /* SFMASK */
	{ 0x174, 0x10, 0 },			  /* SYSENTER_CS */
	{ 0x175, 0x1000, 0 },			  /* SYSENTER_ESP */
	{ 0x277, 0x0407050600070106ull, 0 },	  /* PAT */
	{ 0x2ff, 0x806, 0 },			  /* MTRR default type */
	{ MSR_CLOCK, SG_CLOCK | 1, 0 },
};

#define NR_VALUES (sizeof(values) / sizeof(values[0]))

static int set_up(void **unused)
{
	(void)unused;
	memset(&box, 0, sizeof(box));
	memset(&copy, 0, sizeof(copy));
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	box_fini(&copy);
	box_fini(&box);
	return 0;
}

/* Up to the place where it is saved; `delta` cycles for the timer. */
static void boot(unsigned nr, uint64_t flags, uint64_t delta)
{
	struct sg_report *r;

	box_boot(&box, nr, flags);
	r = box_report(&box);
	r->delta = delta;
	r->nr_msrs = NR_VALUES;
	memcpy(r->msr, values, sizeof(values));
	for (unsigned i = 0; i < sizeof(r->ymm_in); i++)
		r->ymm_in[i] = (uint8_t)(i * 7 + 1);
	assert_int_equal(box_run(&box, 0), SG_PORT_READY);
	box_settle(&box, 0);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The views into a saved state. */
static struct vcpu_state parts_of(const struct box_state *s, unsigned cpu)
{
	struct err e = { 0 };
	struct vcpu_state v;

	if (vcpu_state_read(&v, s->vcpu[cpu], s->len[cpu], &e))
		fail_msg("%s", e.msg);
	return v;
}

/* The part itself, to be spoilt. */
static void *part_of(struct box_state *s, unsigned cpu, enum vcpu_part part)
{
	struct vcpu_state v = parts_of(s, cpu);

	return s->vcpu[cpu] +
	       ((const uint8_t *)v.part[part].data - s->vcpu[cpu]);
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
	struct vcpu_state a = parts_of(&state, 0), b = parts_of(&again, 0);
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
	boot(1, can & SG_AVX, 1ull << 50);
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
	boot(1, can & SG_AVX, 0);
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
	boot(1, can & SG_AVX, 1ull << 50);
	box_save(&box, &state);
	box_like(&copy, &box);
	nr_ioctls = 0;
	if (arch_vcpu_restore(copy.kvm.fd, copy.kvm.vm_fd, copy.fd[0], 0,
			      state.vcpu[0], state.len[0], &e))
		fail_msg("%s", e.msg);
	calls = nr_ioctls;
	printf("# %u calls, %zu bytes, %u MSRs\n", calls, state.len[0],
	       *(const uint32_t *)parts_of(&state, 0).part[VCPU_MSRS].data);
	assert_in_range(calls, 1, MAX_CALLS);
}

/* ---- the guest goes on ---- */

static void goes_on_with_its_registers(void **unused)
{
	static const uint8_t pi[10] = { 0x35, 0xc2, 0x68, 0x21, 0xa2,
					0xda, 0x0f, 0xc9, 0x00, 0x40 };
	const struct sg_report *r;

	(void)unused;
	boot(1, can & SG_AVX, 0);
	box_save(&box, &state);
	box_copy(&copy, &box, &state);
	box_fini(&box);
	assert_int_equal(box_run(&copy, 0), SG_PORT_DONE);
	r = box_report(&copy);
	for (unsigned i = 0; i < SG_NR_REGS; i++)
		assert_int_equal(r->regs[i], 0x0101010101010100ull + (i & 7) +
						     (i < 8 ? 8 : 0x10));
	for (unsigned i = 0; i < NR_VALUES; i++)
		assert_int_equal(r->msr[i].after, values[i].value);
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
	boot(1, can & SG_USER, 0);
	box_save(&box, &state);
	box_copy(&copy, &box, &state);
	assert_int_equal(box_run(&copy, 0),
			 can & SG_USER ? SG_PORT_USER : SG_PORT_DONE);
}

/* ---- time ---- */

/* Cycles of the guest's TSC in ns of ours, 1 % more and some. */
static uint64_t cycles(uint64_t ns)
{
	int khz = ioctl(copy.fd[0], KVM_GET_TSC_KHZ, 0);

	assert_true(khz > 0);
	return (uint64_t)((double)ns * khz / 1e6 * 1.01) + 1000000;
}

static void check_tsc_goes_on(uint64_t saved)
{
	struct vcpu_tsc *tsc;
	uint64_t t0, tsc_now;

	if (!(can & CAN_TSC))
		saved = 0;
	boot(1, 0, 0);
	box_save(&box, &state);
	tsc = part_of(&state, 0, VCPU_TSC);
	if (saved)
		tsc->value = saved;
	t0 = now_ns();
	box_copy(&copy, &box, &state);
	tsc_now = box_msr(&copy, 0, MSR_TSC);
	assert_int_equal(box_run(&copy, 0), SG_PORT_DONE);
	assert_true(box_report(&copy)->tsc_after >= tsc_now);
	assert_true(box_report(&copy)->tsc_after >=
		    box_report(&copy)->tsc_before);
	if (!(can & CAN_TSC))
		return;
	assert_true(tsc_now >= tsc->value);
	assert_true(tsc_now - tsc->value <= cycles(now_ns() - t0));
	assert_true(box_report(&copy)->tsc_after - tsc->value <=
		    cycles(now_ns() - t0));
}

static void tsc_goes_on(void **unused)
{
	(void)unused;
	check_tsc_goes_on(0);
}

/* Younger than a second: KVM would take it for a vCPU out of step. */
static void young_tsc_goes_on(void **unused)
{
	(void)unused;
	check_tsc_goes_on(1000000000);
}

static void old_tsc_goes_on(void **unused)
{
	(void)unused;
	check_tsc_goes_on(1ull << 55);
}

static uint64_t clock_of(const struct box *b)
{
	struct kvm_clock_data c = { 0 };

	assert_int_equal(ioctl(b->kvm.vm_fd, KVM_GET_CLOCK, &c), 0);
	return c.clock;
}

/* The page that KVM keeps for the guest, too. */
static void check_clock(uint64_t saved)
{
	uint64_t before, after, t0, in_page;
	struct err e = { 0 };

	boot(1, 0, 0);
	box_save(&box, &state);
	if (saved && clock_state_write(saved, state.clock, sizeof(state.clock),
				       &state.clock_len, &e))
		fail_msg("%s", e.msg);
	if (clock_state_read(&before, state.clock, state.clock_len, &e))
		fail_msg("%s", e.msg);
	t0 = now_ns();
	box_copy(&copy, &box, &state);
	assert_int_equal(box_run(&copy, 0), SG_PORT_DONE);
	after = clock_of(&copy);
	assert_true(after >= before);
	assert_true(after - before <= (now_ns() - t0) / 100 * 101 + 1000000);
	memcpy(&in_page, (uint8_t *)gmem_ptr(&copy.mem, SG_CLOCK, 32) + 16,
	       sizeof(in_page));
	assert_true(in_page >= before && in_page <= after);
}

static void clock_goes_on(void **unused)
{
	(void)unused;
	check_clock(0);
}

/* As if it had run for three years, or the host had just been booted. */
static void old_clock_goes_on(void **unused)
{
	(void)unused;
	check_clock(100000000ull * 1000000000ull);
}

/* Cycles of about a millisecond. */
#define SOON 3000000u

static void assert_fires(void)
{
	assert_int_equal(box_run(&copy, 0), SG_PORT_DONE);
	assert_int_equal(box_report(&copy)->ticks, 1);
	assert_true(box_msr(&copy, 0, MSR_TSC) >=
		    box_report(&copy)->tsc_before + box_report(&copy)->delta);
}

static void armed_timer_fires(void **unused)
{
	(void)unused;
	boot(1, can & SG_IRQ, 100 * SOON);
	box_save(&box, &state);
	box_copy(&copy, &box, &state);
	assert_fires();
}

/* Its time came between the last instruction and the save. */
static void expired_timer_fires(void **unused)
{
	uint64_t deadline;

	(void)unused;
	boot(1, can & SG_IRQ, SOON);
	deadline = box_report(&box)->tsc_before + SOON;
	while (box_msr(&box, 0, MSR_TSC) <= deadline)
		;
	box_save(&box, &state);
	box_copy(&copy, &box, &state);
	assert_fires();
}

/* The traps of restore order showed in a few of a hundred copies. */
static void every_copy_wakes(void **unused)
{
	(void)unused;
	boot(1, can & SG_IRQ, SOON);
	box_save(&box, &state);
	for (unsigned i = 0; i < NR_COPIES; i++) {
		box_copy(&copy, &box, &state);
		assert_fires();
		box_fini(&copy);
	}
}

/* ---- two vCPUs ---- */

/* vCPU 1 waits in HLT, or spins where that can't be left. */
static void boot_two(void)
{
	struct kvm_mp_state mp = { 0 };

	boot(2, SG_MP | (can & (SG_IRQ | SG_AVX)), 0);
	assert_int_equal(box_run(&box, 1), SG_PORT_AP);
	box_settle(&box, 1);
	if (!(can & SG_IRQ))
		return;
	do {
		box_start(&box, 1);
		box_stop(&box, 1);
		ioctl(box.fd[1], KVM_GET_MP_STATE, &mp);
	} while (mp.mp_state != KVM_MP_STATE_HALTED);
}

static void both_go_on_in_step(void **unused)
{
	const struct sg_report *r;

	(void)unused;
	boot_two();
	box_save(&box, &state);
	box_copy(&copy, &box, &state);
	box_start(&copy, 1);
	assert_int_equal(box_run(&copy, 0), SG_PORT_DONE);
	box_stop(&copy, 1);
	r = box_report(&copy);
	assert_int_equal(r->ap_count, 1);
	assert_true(r->tsc_before <= r->tsc_1);
	assert_true(r->tsc_1 <= r->ap_tsc);
	assert_true(r->ap_tsc <= r->tsc_2);
}

static uint64_t tsc_offset(unsigned cpu)
{
	uint64_t offset = 0;
	struct kvm_device_attr a = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&offset,
	};

	assert_int_equal(ioctl(copy.fd[cpu], KVM_GET_DEVICE_ATTR, &a), 0);
	return offset;
}

/* They are saved one after the other; the copy's have one TSC. */
static void one_tsc_for_both(void **unused)
{
	(void)unused;
	boot_two();
	box_save(&box, &state);
	((struct vcpu_tsc *)part_of(&state, 0, VCPU_TSC))->value = 700000000;
	((struct vcpu_tsc *)part_of(&state, 1, VCPU_TSC))->value = 701000000;
	box_copy(&copy, &box, &state);
	assert_int_equal(tsc_offset(0), tsc_offset(1));
}

/* A vCPU that the guest never started is still to be started. */
static void waiting_vcpu_waits(void **unused)
{
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_UNINITIALIZED };

	(void)unused;
	boot(2, 0, 0);
	assert_int_equal(ioctl(box.fd[1], KVM_SET_MP_STATE, &mp), 0);
	box_save(&box, &state);
	box_copy(&copy, &box, &state);
	assert_int_equal(ioctl(copy.fd[1], KVM_GET_MP_STATE, &mp), 0);
	assert_int_equal(mp.mp_state, KVM_MP_STATE_UNINITIALIZED);
	assert_int_equal(box_run(&copy, 0), SG_PORT_DONE);
}

/* ---- refusals ---- */

static void assert_refused(const char *word)
{
	struct err e = { 0 };

	assert_true(arch_vcpu_restore(copy.kvm.fd, copy.kvm.vm_fd, copy.fd[0],
				      0, state.vcpu[0], state.len[0], &e) < 0);
	assert_non_null(strstr(e.msg, word));
	assert_null(strchr(e.msg, '\n'));
}

static void other_vcpus_state(void **unused)
{
	(void)unused;
	boot_two();
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
	boot(1, 0, 0);
	box_save(&box, &state);
	box_like(&copy, &box);
	tsc = part_of(&state, 0, VCPU_TSC);
	tsc->khz += tsc->khz / 10;
	if (ioctl(copy.kvm.vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) <=
	    0) {
		assert_refused("kHz");
		return;
	}
	if (arch_vcpu_restore(copy.kvm.fd, copy.kvm.vm_fd, copy.fd[0], 0,
			      state.vcpu[0], state.len[0], &e))
		fail_msg("%s", e.msg);
	assert_int_equal(ioctl(copy.fd[0], KVM_GET_TSC_KHZ, 0), tsc->khz);
}

/* What a KVM that lacks an MSR says. */
static void unknown_msr(void **unused)
{
	struct kvm_msrs *m;

	(void)unused;
	boot(1, 0, 0);
	box_save(&box, &state);
	box_like(&copy, &box);
	m = part_of(&state, 0, VCPU_MSRS);
	m->entries[m->nmsrs - 1].index = 0xfffffff0;
	assert_refused("MSR 0xfffffff0");
}

static struct kvm_cpuid_entry2 *leaf(uint32_t function)
{
	struct kvm_cpuid2 *c = part_of(&state, 0, VCPU_CPUID);

	for (uint32_t i = 0; i < c->nent; i++)
		if (c->entries[i].function == function && !c->entries[i].index)
			return &c->entries[i];
	fail_msg("no leaf 0x%x", function);
	return NULL;
}

static void assert_checked(const char *word)
{
	struct err e = { 0 };
	int r = arch_vcpu_check(box.kvm.fd, state.vcpu[0], state.len[0], &e);

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
	boot(1, can & SG_AVX, 0);
	box_save(&box, &state);
	if (can & CAN_CPUID)
		assert_checked(NULL);
	was = *leaf(0);
	leaf(0)->ebx ^= 1;
	assert_checked("another maker");
	*leaf(0) = was;
	if (!(can & CAN_CPUID))
		return;
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
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(saved_again_is_the_same),
		TEST(rare_state_is_kept),
		TEST(restores_in_few_calls),
		TEST(goes_on_with_its_registers),
		TEST(port_map_works),
		TEST(tsc_goes_on),
		TEST(young_tsc_goes_on),
		TEST(old_tsc_goes_on),
		TEST(clock_goes_on),
		TEST(old_clock_goes_on),
		TEST(armed_timer_fires),
		TEST(expired_timer_fires),
		TEST(every_copy_wakes),
		TEST(both_go_on_in_step),
		TEST(one_tsc_for_both),
		TEST(waiting_vcpu_waits),
		TEST(other_vcpus_state),
		TEST(other_frequency),
		TEST(unknown_msr),
		TEST(fits_here),
		TEST(resumes_without_clock_page),
	};

	box_watch(HANG_S);
	can = probe_is_software_kvm() ? 0 : CAN_ALL;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
