// SPDX-License-Identifier: MIT
/*
 * The guest that touches pages for a waiting machine, on /dev/kvm: it reaches
 * what is on the list and nothing else, and leaves memory as it was.
 */
#include "lib/pack.h"
#include "measure.h"
#include "touch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
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

static void touches_what_is_listed(void **unused)
{
	struct box b;
	struct seen s;

	(void)unused;
	open_box(&b, true);
	assert_int_equal(look(&b).listed, 1);
	touch_pages(&b.v, &b.mem, &b.t);
	s = look(&b);
	assert_int_equal(s.listed, 1 + NR_OTHER + 3);
	assert_int_equal(s.others, 0);
	check_place(&b);
	/* Its exits are not the guest's. */
	assert_int_equal(b.v.exits[EXIT_KIND_PIO], 0);
	assert_int_equal(b.v.first_run_ns, 0);
	close_box(&b);
}

/* With no page that is the copy's own there is none to run in. */
static void touches_nothing_without_a_place(void **unused)
{
	struct box b;

	(void)unused;
	open_box(&b, false);
	touch_pages(&b.v, &b.mem, &b.t);
	assert_int_equal(look(&b).listed, 1);
	check_place(&b);
	close_box(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(touches_what_is_listed),
		cmocka_unit_test(touches_nothing_without_a_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
