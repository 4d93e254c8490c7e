// SPDX-License-Identifier: MIT
/*
 * Making a template is a run that stops when guest-init says RESTING. The
 * quiet point after it is found by looking: all vCPUs wait for an interrupt,
 * and none of their timers fires soon.
 * A machine that is never quiet is not kept, since a copy would go on with
 * whatever it was doing.
 */
#include "run/create.h"

#include "job/version.h"
#include "lib/cleanup.h"
#include "lib/show.h"
#include "run/run.h"
#include "template/template.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * What its kernel does when init has come to rest is done by then. On a slow
 * host it may need longer than that for what it does between two looks: so
 * there is more time before each, up to the last.
 */
#define SETTLE_NS   2000000
#define SETTLE_LAST 500000000
#define QUIET_TRIES 60

/*
 * A timer that is about to fire would do so first thing in each copy, with 15
 * pages to touch. The kernel's own go away; a warm command may set more.
 */
#define QUIET_NS    100000000u
#define PATIENCE_NS 2000000000u

/* For people, so no quoting; what is too long is cut. */
static void append_word(char *buf, size_t size, const char *word)
{
	size_t len = strlen(buf);

	snprintf(buf + len, size - len, "%s%s", len ? " " : "", word);
}

static void fill_identity(const struct run *run, uint64_t created,
			  struct template_identity *id)
{
	const struct config *c = run->config;
	auto_free char *kernel = realpath(c->kernel, NULL);
	auto_free char *image = realpath(c->image, NULL);
	char **arg;

	*id = (struct template_identity){
		.memory = c->memory,
		.cpus = c->cpus,
		.created = created,
		.kernel_size = run->vm.kernel_size,
		.kernel_mtime = run->vm.kernel_mtime,
		.image_size = run->disk.size,
	};
	memcpy(id->image_uuid, run->disk.uuid, sizeof(id->image_uuid));
	id->image_crc = run->disk.super_crc;
	id->warm = c->warm;
	for (arg = c->warm ? c->argv : NULL; arg && *arg; arg++)
		append_word(id->command, sizeof(id->command), *arg);
	snprintf(id->kernel, sizeof(id->kernel), "%s",
		 kernel ? kernel : c->kernel);
	snprintf(id->image, sizeof(id->image), "%s", image ? image : c->image);
	memcpy(id->kernel_salt, run->vm.entry.salt, sizeof(id->kernel_salt));
	snprintf(id->husk_version, sizeof(id->husk_version), "%s",
		 version_number);
	snprintf(id->husk_commit, sizeof(id->husk_commit), "%s",
		 version_commit);
}

static void show_progress(void *opaque, uint64_t done, uint64_t all)
{
	FILE *out = opaque;

	fprintf(out, "\rwriting memory: %3u %%", (unsigned)(done * 100 / all));
	fflush(out);
}

/* Pause a machine that has come to rest, once all its vCPUs are idle. */
static int pause_idle(struct run *run, struct err *e)
{
	struct timespec pause = { .tv_nsec = SETTLE_NS };
	uint64_t waited = 0;
	unsigned i;
	int r;

	for (i = 0; i < QUIET_TRIES; i++) {
		nanosleep(&pause, NULL);
		waited += (uint64_t)pause.tv_nsec;
		if (pause.tv_nsec < SETTLE_LAST)
			pause.tv_nsec += pause.tv_nsec / 2;
		r = vm_pause(&run->vm, e);
		if (r || (vm_is_idle(&run->vm) &&
			  (waited >= PATIENCE_NS ||
			   vm_timer(&run->vm) >= QUIET_NS)))
			return r;
		r = vm_start(&run->vm, e);
		if (r)
			return r;
	}
	return err_set(e, EBUSY, "the machine does not come to rest");
}

static int keep(struct run *run, struct template_source *source,
		const struct template_file *file, FILE *progress,
		struct err *e)
{
	auto_free struct vm_state *state = malloc(sizeof(*state));
	int r;

	if (!state)
		return err_sys(e, "get memory for the machine's state");
	r = pause_idle(run, e);
	if (r)
		return err_prefix(e, "make the template: ");
	r = vm_save(&run->vm, state, source, e);
	if (r)
		return r;
	r = template_write(file, source, progress ? show_progress : NULL,
			   progress, e);
	if (progress)
		fputs("\r\033[K", progress);
	return r;
}

/* Why there is nothing to keep; 0 when there is. */
static int explain(const struct run *run, struct err *e)
{
	const struct outcome *o = run->o;
	const char *words = o->reason, *colon = *words ? ": " : "";

	switch (o->verdict) {
	case VERDICT_NONE:
		return 0;
	case VERDICT_EXITED:
		return err_set(e, ECHILD,
			       "make the template: the warm command exited with "
			       "%d before it was ready%s%s",
			       o->code, colon, words);
	case VERDICT_SIGNALED:
		return err_set(e, ECHILD,
			       "make the template: the warm command was killed "
			       "by signal %d before it was ready%s%s",
			       o->code, colon, words);
	default:
		return err_set(e, EIO, "make the template: %s", words);
	}
}

int create_template(const struct config *c, const struct run_start *start,
		    const struct template_file *file, FILE *progress,
		    struct err *e)
{
	struct template_source source = { 0 };
	struct outcome o;
	struct run run = { 0 };
	int r;

	run_init(&run, c, start, &o);
	run.till_rest = true;
	if (progress)
		show_line(progress, "booting%s", c->warm ? ", warming up" : "");
	r = run_set_up(&run, e);
	if (!r)
		r = vm_prepare_save(&run.vm, e);
	if (!r) {
		/* Names of files cannot be asked for inside the jail. */
		fill_identity(&run, file->created, &source.id);
		run_arm_deadline(&run, start->t0_ns);
		r = run_enter_jail(&run, JAIL_MAKER, e);
	}
	if (!r)
		r = vm_start(&run.vm, e);
	if (!r)
		r = loop_run(&run.loop, e);
	if (!r)
		r = explain(&run, e);
	if (!r)
		r = keep(&run, &source, file, progress, e);
	run_release(&run);
	return r;
}

static uint64_t memory_bytes(const struct template *t)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < t->nr_extents; i++)
		sum += template_extent(t, i).len;
	return sum;
}

/* Of what a copy touches at its start. */
static uint64_t touched_bytes(const struct template *t, bool written)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < t->nr_runs; i++) {
		struct template_run run = template_touched(t, i);

		if (run.written == written)
			sum += (uint64_t)run.count * GMEM_PAGE;
	}
	return sum;
}

int create_info(const char *path, FILE *out, struct err *e)
{
	const struct template_identity *id;
	struct template t;
	time_t created;
	char date[64];
	struct tm tm;
	int r = template_open(&t, path, e);

	if (r)
		return r;
	id = &t.id;
	created = (time_t)id->created;
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC",
		 gmtime_r(&created, &tm));
	show_line(out, "template   %s, format %u", path, TEMPLATE_VERSION);
	show_line(out, "made       %s by husk %s (%s)", date, id->husk_version,
		  id->husk_commit);
	show_line(out, "machine    %llu MiB, %u CPU%s",
		  (unsigned long long)(id->memory >> 20), id->cpus,
		  id->cpus > 1 ? "s" : "");
	show_line(out, "memory     %llu KiB in %u extents",
		  (unsigned long long)(memory_bytes(&t) >> 10), t.nr_extents);
	show_line(out,
		  "touched    %llu KiB written, %llu KiB read at the start of "
		  "a copy",
		  (unsigned long long)(touched_bytes(&t, true) >> 10),
		  (unsigned long long)(touched_bytes(&t, false) >> 10));
	show_line(out, "kernel     %s (%s)", id->kernel, id->kernel_salt);
	show_line(out, "image      %s, %llu bytes", id->image,
		  (unsigned long long)id->image_size);
	if (id->warm)
		show_line(out, "warm       %s", id->command);
	template_close(&t);
	return 0;
}

int create_verify(const char *path, FILE *out, struct err *e)
{
	struct template t;
	int r = template_open(&t, path, e);

	if (r)
		return r;
	r = template_verify(&t, e);
	if (r)
		err_prefix(e, "verify template '%s': ", path);
	else
		show_line(out, "%s: whole, %llu KiB of memory in %u extents",
			  path, (unsigned long long)(memory_bytes(&t) >> 10),
			  t.nr_extents);
	template_close(&t);
	return r;
}
