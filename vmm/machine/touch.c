// SPDX-License-Identifier: MIT
/*
 * The little guest and its list are put over a page that is the copy's own
 * already, and the page's bytes are put back.
 *
 * Reading is enough: KVM lets a guest write where the host's own page may be
 * written, and template_prefault has made it so.
 *
 * Rejected: KVM_PRE_FAULT_MEMORY, which does this since Linux 6.12, a call for
 * each run: a second way for those who have it, which takes 1.41 instead of
 * 1.77 lab-ms for 400 pages in runs of four, and twice as long where KVM's
 * tdp_mmu is off (docs/hosts.md). A memory slot for the little guest: that it
 * goes away again would empty the tables.
 */
#include "machine/touch.h"

#include "arch/arch.h"

#include <errno.h>
#include <string.h>

/* Filled anew when there are more. */
#define PAGES_MAX 512u

struct list {
	struct arch_pages pages[PAGES_MAX];
	unsigned nr;
};

/* The run, if the little guest can reach it. */
static bool is_in_reach(const struct gmem *m, const struct template_run *run)
{
	gpa_t gpa = (gpa_t)run->page * GMEM_PAGE;
	uint64_t len = (uint64_t)run->count * GMEM_PAGE;

	return gmem_ptr(m, gpa, len) && gpa + len <= arch_touch_end;
}

/* A page for the little guest; false: none would stay what it is. */
static bool find_place(const struct gmem *m, const struct template *t,
		       gpa_t *gpa)
{
	unsigned i;

	for (i = 0; i < t->nr_runs; i++) {
		struct template_run run = template_touched(t, i);

		*gpa = (gpa_t)run.page * GMEM_PAGE;
		if (run.written && is_in_reach(m, &run))
			return true;
	}
	return false;
}

static int touch_list(struct vcpu *v, uint8_t *place, gpa_t gpa,
		      const struct list *l, struct err *e)
{
	unsigned done = 0;
	uint32_t exit;
	int r;

	while (done < l->nr) {
		done += arch_touch_fill(place, l->pages + done, l->nr - done);
		r = arch_touch_begin(v->fd, gpa, e);
		if (r)
			return r;
		exit = vcpu_step(v);
		if (exit != arch_touch_exit)
			return err_set(e, EIO,
				       "KVM_RUN ended with exit reason %u",
				       exit);
	}
	return 0;
}

static int touch_all(struct vcpu *v, const struct gmem *m,
		     const struct template *t, uint8_t *place, gpa_t gpa,
		     struct err *e)
{
	struct list l = { .nr = 0 };
	unsigned i;
	int r = 0;

	for (i = 0; !r && i < t->nr_runs; i++) {
		struct template_run run = template_touched(t, i);

		if (is_in_reach(m, &run))
			l.pages[l.nr++] =
				(struct arch_pages){ run.page, run.count };
		if (l.nr < PAGES_MAX && i + 1 < t->nr_runs)
			continue;
		r = touch_list(v, place, gpa, &l, e);
		l.nr = 0;
	}
	return r;
}

int touch_pages(struct vcpu *v, const struct gmem *m, const struct template *t,
		struct err *e)
{
	uint8_t saved[GMEM_PAGE], *place;
	gpa_t gpa;
	int r;

	if (!t->nr_runs)
		return 0;
	if (!find_place(m, t, &gpa))
		return err_set(e, ENOENT, "its list has no page to work in");
	place = gmem_ptr(m, gpa, GMEM_PAGE);
	memcpy(saved, place, GMEM_PAGE);
	r = touch_all(v, m, t, place, gpa, e);
	memcpy(place, saved, GMEM_PAGE);
	return r;
}
