// SPDX-License-Identifier: MIT
/*
 * Each copy of a template starts by writing to the same few hundred pages:
 * page tables, stacks and run queues of the guest's kernel, init's own memory.
 * A copy or two are run to find them, with jobs that do nothing, or with no
 * input for one that is warm.
 *
 * The first job is init's own file: it is there whatever the image holds, needs
 * nothing of it, and ends at once since it is not PID 1. The second is a
 * program of the image, for the way from its disk: if there is none, the search
 * for it. Its text is read to pages that no other job needs: so it adds pages
 * that it did not write to.
 *
 * Rejected: KVM's dirty log. A private mapping tells the same by itself: what
 * was written is no longer the file's.
 */
#include "run/rehearse.h"

#include "machine/measure.h"
#include "run/run.h"

#include <stdio.h>
#include <sys/mman.h>

/* A warm command may go on without input; ours ends, on slow hosts too. */
#define PATIENCE_WARM_NS 5000000000u
#define PATIENCE_NS	 60000000000u

/* Pages in order, those that the template lists already among them. */
struct list {
	struct template_run run[TEMPLATE_MAX_RUNS];
	unsigned nr;
	const struct template *t;
	unsigned next, done; /* its run that comes next, pages of it done */
};

static void add_page(struct list *l, uint32_t page, bool written)
{
	struct template_run *last = &l->run[l->nr ? l->nr - 1 : 0];

	if (l->nr && last->page + last->count == page &&
	    last->written == written)
		last->count++;
	else if (l->nr < TEMPLATE_MAX_RUNS)
		l->run[l->nr++] = (struct template_run){ page, 1, written };
}

/* What is listed already, below `end`. Returns whether the last page is. */
static bool add_listed(struct list *l, uint64_t end)
{
	uint64_t page = 0;

	while (l->next < l->t->nr_runs) {
		struct template_run run = template_touched(l->t, l->next);

		while (l->done < run.count && run.page + l->done < end) {
			page = run.page + l->done++;
			add_page(l, (uint32_t)page, run.written);
		}
		if (l->done < run.count)
			break;
		l->next++;
		l->done = 0;
	}
	return page + 1 == end;
}

/* Only the first rehearsal tells what is written to. */
static void add_touched(void *opaque, gpa_t gpa, bool written)
{
	uint32_t page = (uint32_t)(gpa / GMEM_PAGE);
	struct list *l = opaque;

	if (!add_listed(l, (uint64_t)page + 1) && !(written && l->t->nr_runs))
		add_page(l, page, written);
}

static int set_up(struct run *run, struct err *e)
{
	static const int nobody[STREAM_NR] = { -1, -1, -1, -1 };
	int r = run_open_template(run, e);

	if (!r)
		r = run_attach_streams(run, nobody, e);
	measure_open(&run->measure);
	return r ? r : run_assemble(run, e);
}

/*
 * With a page of a file the host maps those around it, but none beyond the end
 * of a mapping: so each page is to be one. The advice is another for each
 * second page, and the kernel cannot join them. Where it does not want that
 * many, some pages are listed that were not touched.
 */
static void keep_pages_apart(const struct run *run)
{
	unsigned i;

	for (i = 0; i < run->template.nr_extents; i++) {
		struct template_extent x = template_extent(&run->template, i);
		uint8_t *hva = gmem_ptr(&run->vm.mem, x.gpa, x.len);
		uint64_t at;

		for (at = 0; hva && at < x.len; at += 2 * GMEM_PAGE)
			if (madvise(hva + at, GMEM_PAGE, MADV_RANDOM))
				return;
	}
}

static int play(struct run *run, struct list *l, struct err *e)
{
	unsigned i;
	int r = set_up(run, e);

	if (r)
		return r;
	keep_pages_apart(run);
	run_prepare(run);
	r = run_enter_jail(run, JAIL_MAKER, e);
	if (!r)
		r = run_go(run, e);
	if (r)
		return r;
	vm_stop(&run->vm);
	for (i = 0; i < run->template.nr_extents; i++) {
		struct template_extent x = template_extent(&run->template, i);

		measure_touched(&run->measure, &run->vm.mem, x.gpa, x.len,
				add_touched, l);
	}
	add_listed(l, UINT64_MAX);
	return 0;
}

int rehearse(const struct config *c, const struct run_start *start,
	     const struct template_file *file, enum rehearsal which,
	     struct err *e)
{
	static char init[] = "/proc/self/exe", program[] = "/bin/true";
	char *argv[] = { which == REHEARSAL_INIT ? init : program, NULL };
	const struct run_start own_start = { .t0_ns = loop_now(),
					     .status_fd = -1,
					     .supervisor =
						     start->supervisor };
	struct config own = *c;
	struct list list = { .nr = 0 };
	char path[32];
	struct outcome o;
	struct run run = { 0 };
	int r;

	list.t = &run.template;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file->out.fd);
	own.template = path;
	own.warm = false;
	own.timeout_ns = c->warm ? PATIENCE_WARM_NS : PATIENCE_NS;
	own.timeout_from = TIMEOUT_FROM_START;
	own.output_limit = UINT64_MAX;
	own.result_file = NULL;
	if (c->warm)
		argv[0] = NULL;
	own.argv = argv;
	run_init(&run, &own, &own_start, &o);
	r = play(&run, &list, e);
	if (!r)
		r = template_add_touched(file, &run.template, list.run,
					 list.nr, e);
	run_release(&run);
	return r;
}
