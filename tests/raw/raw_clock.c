// SPDX-License-Identifier: MIT
/*
 * Time in a copy: TSC and kvm-clock go on from where they were, the timer that
 * the guest waits for fires, two vCPUs agree.
 *
 * On software KVM guests have the host's TSC whatever they were given, and no
 * interrupts; what needs those is not asked there. Nothing is a matter of
 * speed: times are compared with times taken before and after, and only after
 * minutes something is taken for a hang.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "state_box.h"

#include "arch/x86_64/msrs.h"

#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define NR_COPIES 200u

static struct box box, copy, *boxes[] = { &copy, &box, NULL };
static struct box_state state;
static uint64_t can;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- TSC and clock ---- */

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

	if (!(can & BOX_TSC))
		saved = 0;
	box_ready(&box, 1, 0, 0);
	box_save(&box, &state);
	tsc = box_part(&state, 0, VCPU_TSC);
	if (saved)
		tsc->value = saved;
	t0 = now_ns();
	box_copy(&copy, &box, &state);
	tsc_now = box_msr(&copy, 0, MSR_TSC);
	assert_int_equal(box_run(&copy, 0), SG_PORT_DONE);
	assert_true(box_report(&copy)->tsc_after >= tsc_now);
	assert_true(box_report(&copy)->tsc_after >=
		    box_report(&copy)->tsc_before);
	if (!(can & BOX_TSC))
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

	box_ready(&box, 1, 0, 0);
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

/* It waits longer than what may be lost by the comparison. */
#define WAIT_NS 300000000u

static void copy_and_wait(void)
{
	uint64_t until = now_ns() + WAIT_NS;

	box_copy(&copy, &box, &state);
	while (now_ns() < until)
		;
}

static void a_copy_that_waited_does_not_notice(void **unused)
{
	struct err e = { 0 };
	struct vcpu_tsc *tsc;
	uint64_t clock, t0, ns;

	(void)unused;
	box_ready(&box, 1, 0, 0);
	box_save(&box, &state);
	tsc = box_part(&state, 0, VCPU_TSC);
	if (clock_state_read(&clock, state.clock, state.clock_len, &e))
		fail_msg("%s", e.msg);
	copy_and_wait();
	t0 = now_ns();
	box_rewind(&copy, &state);
	assert_int_equal(box_run(&copy, 0), SG_PORT_DONE);
	ns = clock_of(&copy) - clock;
	assert_true(ns <= (now_ns() - t0) / 100 * 101 + 1000000);
	if (can & BOX_TSC)
		assert_true(box_report(&copy)->tsc_after - tsc->value <=
			    cycles(now_ns() - t0));
}

/* ---- timers ---- */

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
	box_ready(&box, 1, can & SG_IRQ, 100 * SOON);
	box_save(&box, &state);
	box_copy(&copy, &box, &state);
	assert_fires();
}

/* Of a TSC far from a new vCPU's: months are between the two deadlines. */
static void old_timer_fires(void **unused)
{
	struct vcpu_tsc *tsc;

	(void)unused;
	box_ready(&box, 1, can & SG_IRQ, 100 * SOON);
	box_save(&box, &state);
	if (can & BOX_TSC) {
		tsc = box_part(&state, 0, VCPU_TSC);
		tsc->value = 1ull << 55;
		tsc->deadline = tsc->value + SOON;
	}
	box_copy(&copy, &box, &state);
	assert_fires();
}

static void timer_of_a_copy_that_waited_fires(void **unused)
{
	(void)unused;
	box_ready(&box, 1, can & SG_IRQ, 100 * SOON);
	box_save(&box, &state);
	copy_and_wait();
	box_rewind(&copy, &state);
	assert_fires();
}

/* Its time came between the last instruction and the save. */
static void expired_timer_fires(void **unused)
{
	uint64_t deadline;

	(void)unused;
	box_ready(&box, 1, can & SG_IRQ, SOON);
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
	box_ready(&box, 1, can & SG_IRQ, SOON);
	box_save(&box, &state);
	for (unsigned i = 0; i < NR_COPIES; i++) {
		box_copy(&copy, &box, &state);
		assert_fires();
		box_fini(&copy);
	}
}

/* ---- two vCPUs ---- */

static void both_go_on_in_step(void **unused)
{
	const struct sg_report *r;

	(void)unused;
	box_ready_two(&box, can & (SG_IRQ | SG_AVX));
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
	box_ready_two(&box, can & (SG_IRQ | SG_AVX));
	box_save(&box, &state);
	((struct vcpu_tsc *)box_part(&state, 0, VCPU_TSC))->value = 700000000;
	((struct vcpu_tsc *)box_part(&state, 1, VCPU_TSC))->value = 701000000;
	box_copy(&copy, &box, &state);
	assert_int_equal(tsc_offset(0), tsc_offset(1));
	box_rewind(&copy, &state);
	assert_int_equal(tsc_offset(0), tsc_offset(1));
}

/* A vCPU that the guest never started is still to be started. */
static void waiting_vcpu_waits(void **unused)
{
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_UNINITIALIZED };

	(void)unused;
	box_ready(&box, 2, 0, 0);
	assert_int_equal(ioctl(box.fd[1], KVM_SET_MP_STATE, &mp), 0);
	box_save(&box, &state);
	box_copy(&copy, &box, &state);
	assert_int_equal(ioctl(copy.fd[1], KVM_GET_MP_STATE, &mp), 0);
	assert_int_equal(mp.mp_state, KVM_MP_STATE_UNINITIALIZED);
	assert_int_equal(box_run(&copy, 0), SG_PORT_DONE);
}

int main(void)
{
#define TEST(f) BOX_TEST(f, boxes)
	const struct CMUnitTest tests[] = {
		TEST(tsc_goes_on),	 TEST(young_tsc_goes_on),
		TEST(old_tsc_goes_on),	 TEST(clock_goes_on),
		TEST(old_clock_goes_on), TEST(armed_timer_fires),
		TEST(old_timer_fires),	 TEST(expired_timer_fires),
		TEST(every_copy_wakes),	 TEST(both_go_on_in_step),
		TEST(one_tsc_for_both),	 TEST(waiting_vcpu_waits),
		TEST(a_copy_that_waited_does_not_notice),
		TEST(timer_of_a_copy_that_waited_fires),
	};

	box_watch();
	can = box_can();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
