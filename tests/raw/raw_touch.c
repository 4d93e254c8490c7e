// SPDX-License-Identifier: MIT
/*
 * The guest that touches pages for a waiting machine, on /dev/kvm: it reaches
 * what is on the list and nothing else, and leaves memory as it was.
 */
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/msrs.h"
#include "lib/pack.h"
#include "machine/measure.h"
#include "machine/touch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cmocka.h>

#define MEMORY	 (64ull << 20)
#define PLACE	 16u	/* the page that is written to */
#define FIRST	 64u	/* then every other page, */
#define NR_OTHER 700u	/* more than one list holds */

struct box {
	struct kvm kvm;
	struct gmem mem;
	struct vcpu v;
	exit_counts exits;
	struct template t;
	uint8_t list[(NR_OTHER + 3) * 8];
};

static void put_run(struct pack *p, uint32_t page, uint32_t count, bool written)
{
	pack_u32(p, page);
	pack_u32(p, count | (uint32_t)written << 31);
}

/* What the list of a template would be that ends with a run outside RAM. */
static void make_list(struct box *b, bool own)
{
	struct pack p;
	unsigned i;

	pack_init(&p, b->list, sizeof(b->list));
	put_run(&p, PLACE, 1, own);
	for (i = 0; i < NR_OTHER; i++)
		put_run(&p, FIRST + 2 * i, 1, false);
	put_run(&p, 4000, 3, false);
	put_run(&p, MEMORY / GMEM_PAGE - 1, 2, true);
	b->t = (struct template){
		.fd = -1,
		.nr_runs = NR_OTHER + 3,
		.touched = { b->list, p.len },
	};
}

static void open_box(struct box *b, bool own)
{
	struct err e;

	memset(b, 0, sizeof(*b));
	if (kvm_open(&b->kvm, &e) ||
	    gmem_init(&b->mem, MEMORY, 3ull << 30, 4ull << 30, &e))
		fail_msg("%s", e.msg);
	madvise(b->mem.map, b->mem.map_len, MADV_NOHUGEPAGE);
	memset(gmem_ptr(&b->mem, PLACE * GMEM_PAGE, GMEM_PAGE), 0x5a,
	       GMEM_PAGE);
	if (kvm_create_vm(&b->kvm, &b->mem, 2, &e) ||
	    vcpu_init(&b->v, &b->kvm, 0, &e) || vcpu_prepare_signals(&e) ||
	    vcpu_start(&b->v, &e) || vcpu_wait_parked(&b->v, &e))
		fail_msg("%s", e.msg);
	b->v.exits = b->exits;
	make_list(b, own);
}

static void close_box(struct box *b)
{
	vcpu_kick(&b->v, VCPU_QUIT);
	vcpu_join(&b->v);
	vcpu_fini(&b->v);
	kvm_fini(&b->kvm);
	gmem_fini(&b->mem);
}

struct seen {
	unsigned listed, others;
};

static void see(void *opaque, gpa_t gpa, bool written)
{
	uint64_t page = gpa / GMEM_PAGE;
	struct seen *s = opaque;

	(void)written;
	if (page == PLACE || (page >= 4000 && page < 4003) ||
	    (page >= FIRST && page < FIRST + 2 * NR_OTHER && page % 2 == 0))
		s->listed++;
	else
		s->others++;
}

static struct seen look(const struct box *b)
{
	struct seen s = { 0 };
	struct measure m;

	measure_open(&m);
	measure_touched(&m, &b->mem, 0, MEMORY, see, &s);
	measure_close(&m);
	return s;
}

static void check_place(const struct box *b)
{
	const uint8_t *p = gmem_ptr(&b->mem, PLACE * GMEM_PAGE, GMEM_PAGE);
	unsigned i;

	for (i = 0; i < GMEM_PAGE; i++)
		assert_int_equal(p[i], 0x5a);
}

static void check_touched(struct box *b)
{
	struct seen s;
	struct err e;

	assert_int_equal(look(b).listed, 1);
	if (touch_pages(&b->v, &b->mem, &b->t, &e))
		fail_msg("%s", e.msg);
	s = look(b);
	assert_int_equal(s.listed, 1 + NR_OTHER + 3);
	assert_int_equal(s.others, 0);
	check_place(b);
	/* Its exits are not the guest's. */
	assert_int_equal(b->exits[EXIT_KIND_ARCH], 0);
	assert_int_equal(b->v.first_run_ns, 0);
}

static void touches_what_is_listed(void **unused)
{
	struct box b;

	(void)unused;
	open_box(&b, true);
	check_touched(&b);
	close_box(&b);
}

/* Whatever the vCPU was before, 64-bit mode with paging included. */
static void touches_after_a_state(void **unused)
{
	struct kvm_segment code = {
		.limit = ~0u, .selector = 8, .type = 0xb, .present = 1,
		.s = 1, .l = 1, .g = 1,
	};
	struct cpuid_list cpuid;
	struct kvm_sregs s;
	struct box b;
	struct err e;

	(void)unused;
	open_box(&b, true);
	if (cpu_ask_cpuid(b.kvm.fd, &cpuid, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(ioctl(b.v.fd, KVM_SET_CPUID2, &cpuid), 0);
	assert_int_equal(ioctl(b.v.fd, KVM_GET_SREGS, &s), 0);
	s.cs = code;
	s.cr0 = 0x80000031;
	s.cr3 = 0x1000;
	s.cr4 = 0x20;
	s.efer = 0x500;
	assert_int_equal(ioctl(b.v.fd, KVM_SET_SREGS, &s), 0);
	check_touched(&b);
	close_box(&b);
}

static void check_untouched(struct box *b, const char *word)
{
	struct err e = { 0 };

	assert_true(touch_pages(&b->v, &b->mem, &b->t, &e) < 0);
	assert_non_null(strstr(e.msg, word));
	assert_int_equal(look(b).listed, 1);
	check_place(b);
}

/* With no page that is the copy's own there is none to run in. */
static void says_that_there_is_no_place(void **unused)
{
	struct box b;

	(void)unused;
	open_box(&b, false);
	check_untouched(&b, "no page to work in");
	close_box(&b);
}

/* Its code is nowhere: whatever KVM makes of that, it is no touching. */
static void says_that_the_guest_failed(void **unused)
{
	struct kvm_userspace_memory_region none = { .slot = 0 };
	struct box b;

	(void)unused;
	open_box(&b, true);
	assert_int_equal(
		ioctl(b.kvm.vm_fd, KVM_SET_USER_MEMORY_REGION, &none), 0);
	check_untouched(&b, "exit reason");
	close_box(&b);
}

/* What KVM freezes and husk restores is written before the first run. */
static void no_other_msr_is_frozen(void **unused)
{
	struct {
		uint32_t nmsrs, index[256];
	} list = { .nmsrs = 256 };
	struct kvm kvm;
	struct err e;

	(void)unused;
	if (kvm_open(&kvm, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(
		ioctl(kvm.fd, KVM_GET_MSR_FEATURE_INDEX_LIST, &list), 0);
	for (uint32_t i = 0; i < list.nmsrs; i++)
		if (msr_is_kept(list.index[i]) &&
		    !msr_is_frozen(list.index[i]))
			fail_msg("MSR 0x%x is a feature", list.index[i]);
	kvm_fini(&kvm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(touches_what_is_listed),
		cmocka_unit_test(touches_after_a_state),
		cmocka_unit_test(says_that_there_is_no_place),
		cmocka_unit_test(says_that_the_guest_failed),
		cmocka_unit_test(no_other_msr_is_frozen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
