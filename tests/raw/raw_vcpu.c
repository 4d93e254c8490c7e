// SPDX-License-Identifier: MIT
/*
 * What a vCPU makes of KVM_RUN's answers that no test's KVM gives: whose fault
 * it is that a guest does not run. KVM_RUN is played here.
 */
#include "machine/vcpu.h"

#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "own_ioctl.h"

#define MEMORY (2ull << 20)

static struct {
	int error;		/* of each KVM_RUN */
	uint32_t first, then;	/* exit reasons; first 0: there is none */
	uint64_t entry;		/* reason of KVM_EXIT_FAIL_ENTRY */
	unsigned runs;
} play;

static struct box {
	struct kvm kvm;
	struct gmem mem;
	struct bus mmio, ports;
	exit_counts exits;
	struct vcpu v;
} box;

static sem_t is_over;
static enum vcpu_end why;
static char text[200];

static int play_run(void)
{
	struct kvm_run *run = box.v.run;

	play.runs++;
	if (play.error) {
		errno = play.error;
		return -1;
	}
	run->exit_reason = play.runs == 1 && play.first ? play.first
							 : play.then;
	run->fail_entry.hardware_entry_failure_reason = play.entry;
	return 0;
}

int on_ioctl(int fd, unsigned long request, void *arg)
{
	return request == KVM_RUN ? play_run() : libc_ioctl(fd, request, arg);
}

static void note_end(void *opaque, enum vcpu_end end, const char *words)
{
	(void)opaque;
	why = end;
	snprintf(text, sizeof(text), "%s", words);
	sem_post(&is_over);
}

static void expect(unsigned index, enum vcpu_end end, const char *words)
{
	struct err e;

	memset(&box, 0, sizeof(box));
	sem_init(&is_over, 0, 0);
	if (kvm_open(&box.kvm, &e) ||
	    gmem_init(&box.mem, MEMORY, 3ull << 30, 4ull << 30, &e) ||
	    kvm_create_vm(&box.kvm, &box.mem, 2, &e) ||
	    vcpu_init(&box.v, &box.kvm, index, &e) ||
	    vcpu_prepare_signals(&e))
		fail_msg("%s", e.msg);
	memset(box.exits, 0, sizeof(box.exits));
	box.v.exits = box.exits;
	box.v.mmio = &box.mmio;
	box.v.ports = &box.ports;
	box.v.ended = note_end;
	if (vcpu_start(&box.v, &e) || vcpu_wait_parked(&box.v, &e))
		fail_msg("%s", e.msg);
	vcpu_go(&box.v);
	while (sem_wait(&is_over))
		;
	vcpu_kick(&box.v, VCPU_QUIT);
	vcpu_join(&box.v);
	vcpu_fini(&box.v);
	kvm_fini(&box.kvm);
	gmem_fini(&box.mem);
	assert_int_equal(why, end);
	if (!strstr(text, words))
		fail_msg("'%s' does not say '%s'", text, words);
	play = (typeof(play)){ 0 };
}

/* Before the guest has done anything it is not the guest. */
static void first_entry(void **unused)
{
	(void)unused;
	play.then = KVM_EXIT_FAIL_ENTRY;
	play.entry = 0x80000021;
	expect(0, VCPU_REFUSED, "refuses to enter it (0x80000021)");
}

static void later_entry(void **unused)
{
	(void)unused;
	play.first = KVM_EXIT_HLT;
	play.then = KVM_EXIT_FAIL_ENTRY;
	play.entry = 0x80000021;
	expect(0, VCPU_FAILED, "refused to enter the guest (0x80000021)");
}

/* Control fields are KVM's, whenever the CPU finds that they are wrong. */
static void control_fields(void **unused)
{
	(void)unused;
	play.first = KVM_EXIT_HLT;
	play.then = KVM_EXIT_FAIL_ENTRY;
	play.entry = 7;
	expect(0, VCPU_REFUSED, "refuses to enter it (0x7)");
}

static void memory_is_gone(void **unused)
{
	(void)unused;
	play.error = EFAULT;
	expect(0, VCPU_REFUSED, "KVM_RUN: Bad address (is its memory gone?)");
}

/* It is tried again, and not for ever. */
static void no_room_for_a_thread(void **unused)
{
	(void)unused;
	play.error = EAGAIN;
	expect(0, VCPU_REFUSED, "room below ulimit -u and pids.max?)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_entry),
		cmocka_unit_test(later_entry),
		cmocka_unit_test(control_fields),
		cmocka_unit_test(memory_is_gone),
		cmocka_unit_test(no_room_for_a_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
