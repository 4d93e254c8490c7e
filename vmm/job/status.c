// SPDX-License-Identifier: MIT
/*
 * The status object and the timeline table. Every member is always there;
 * what is not known is null, so a reader needs no "if present". The format is
 * in husk(1) and the test suite holds the two together.
 *
 * Texts of others (paths, reasons that a guest may have chosen) are bounded,
 * so that the whole always fits STATUS_MAX.
 */
#include "job/status.h"

#include "arch/arch.h"
#include "job/version.h"
#include "lib/json.h"
#include "lib/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define STATUS_FORMAT 1
#define PATH_TEXT_MAX 1024 /* bytes of a path in the object */
#define WORD_TEXT_MAX 128
#define REASON_MAX    1024

static const struct point {
	const char *key;
	const char *label;
} points[CLOCK_NR] = {
	[CLOCK_T0_START] = {"t0_start", "T0 husk starts"},
	[CLOCK_T1_RUN] = {"t1_run", "T1 first KVM_RUN"},
	[CLOCK_T2_INIT] = {"t2_init", "T2 guest-init runs"},
	[CLOCK_T3_FIRST_BYTE] = {"t3_first_byte", "T3 first byte of the job"},
	[CLOCK_T4_EXIT] = {"t4_exit", "T4 end delivered"},
	[CLOCK_T5_REAPED] = {"t5_reaped", "T5 all reaped"},
};

static const char *const exit_names[EXIT_KIND_NR] = {
	[EXIT_KIND_NOTIFY] = "notify",
	[EXIT_KIND_VIRTIO] = "virtio",
	[EXIT_KIND_IRQCHIP] = arch_words.irqchip,
	[EXIT_KIND_ARCH] = arch_words.exit,
	[EXIT_KIND_MMIO_OTHER] = "mmio_other",
	[EXIT_KIND_SIGNAL] = "signal",
	[EXIT_KIND_OTHER] = "other",
};

static const char *const stream_names[STREAM_NR] = {
	[STREAM_STDIN] = "stdin",
	[STREAM_STDOUT] = "stdout",
	[STREAM_STDERR] = "stderr",
	[STREAM_RESULT] = "result",
};

static uint64_t count_exits(const struct outcome *o)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < EXIT_KIND_NR; i++)
		sum += o->exits[i];
	return sum;
}

/* Nanoseconds since T0; only meaningful when both points were reached. */
static uint64_t since_start(const struct outcome *o, enum clock_point p)
{
	uint64_t t0 = o->clock[CLOCK_T0_START];

	return o->clock[p] > t0 ? o->clock[p] - t0 : 0;
}

static bool is_signal_verdict(enum verdict v)
{
	return v == VERDICT_SIGNALED || v == VERDICT_INTERRUPTED ||
	       v == VERDICT_OOM || v == VERDICT_CPU_TIME;
}

/* A number, or null when it is the one that stands for "none". */
static void put_unless(struct json *j, const char *key, uint64_t value,
		       uint64_t none)
{
	if (value == none)
		json_null(j, key);
	else
		json_uint(j, key, value);
}

/* "SIGKILL", "ENOENT" or null: which of them the code is, the verdict says. */
static void put_code_name(struct json *j, const struct outcome *o)
{
	const char *name = NULL, *prefix = "";
	char buf[32];

	if (is_signal_verdict(o->verdict)) {
		name = sigabbrev_np(o->code);
		prefix = "SIG";
	} else if (o->verdict == VERDICT_START_FAILED ||
		   o->verdict == VERDICT_ERROR) {
		name = o->code > 0 ? strerrorname_np(o->code) : NULL;
	}
	if (name)
		snprintf(buf, sizeof(buf), "%s%s", prefix, name);
	json_string(j, "code_name", name ? buf : NULL, WORD_TEXT_MAX);
}

static void put_streams(struct json *j, const struct outcome *o)
{
	json_begin(j, "streams", '{');
	for (unsigned i = 0; i < STREAM_NR; i++) {
		json_begin(j, stream_names[i], '{');
		json_uint(j, "bytes", o->stream[i].bytes);
		json_uint(j, "delivered", o->stream[i].delivered);
		json_bool(j, "truncated", o->stream[i].truncated);
		json_end(j, '}');
	}
	json_end(j, '}');
}

static void put_timeline(struct json *j, const struct outcome *o)
{
	json_begin(j, "timeline_ns", '{');
	for (enum clock_point p = CLOCK_T1_RUN; p < CLOCK_NR; p++) {
		if (o->clock[p])
			json_uint(j, points[p].key, since_start(o, p));
		else
			json_null(j, points[p].key);
	}
	json_end(j, '}');
}

static void put_exits(struct json *j, const struct outcome *o)
{
	json_begin(j, "exits", '{');
	json_uint(j, "total", count_exits(o));
	for (unsigned i = 0; i < EXIT_KIND_NR; i++)
		json_uint(j, exit_names[i], o->exits[i]);
	json_end(j, '}');
}

/* A file of the machine; `mark` is the name that its maker gave it. */
static void put_file(struct json *j, const char *key, const char *path,
		     uint64_t size, int64_t mtime, const char *mark_key,
		     const char *mark)
{
	json_begin(j, key, '{');
	json_string(j, "path", path, PATH_TEXT_MAX);
	put_unless(j, "size", size, 0);
	if (size)
		json_int(j, "mtime", mtime);
	else
		json_null(j, "mtime"); /* it was not even opened */
	json_string(j, mark_key, mark[0] ? mark : NULL, WORD_TEXT_MAX);
	json_end(j, '}');
}

static void put_options(struct json *j, const struct config *c)
{
	json_begin(j, "options", '{');
	json_uint(j, "memory", c->memory);
	json_uint(j, "cpus", c->cpus);
	put_unless(j, "timeout_ns", c->timeout_ns, 0);
	json_string(j, "timeout_from",
		    c->timeout_from == TIMEOUT_FROM_STDIN ? "stdin" : "start",
		    WORD_TEXT_MAX);
	put_unless(j, "cpu_time_ns", c->cpu_time_ns, 0);
	json_uint(j, "pids", c->pids_max);
	put_unless(j, "tmp_size", c->tmp_size, 0);
	put_unless(j, "output_limit", c->output_limit, UINT64_MAX);
	json_string(j, "on_output_limit",
		    c->on_output_limit == OUTPUT_KILL ? "kill" : "truncate",
		    WORD_TEXT_MAX);
	json_uint(j, "uid", c->uid);
	json_uint(j, "gid", c->gid);
	json_end(j, '}');
}

static void put_end(struct json *j, const struct outcome *o)
{
	json_string(j, "verdict", outcome_verdict_name(o->verdict),
		    WORD_TEXT_MAX);
	json_int(j, "exit_status", outcome_exit_status(o));
	json_int(j, "code", o->code);
	put_code_name(j, o);
	json_string(j, "said_by", o->guest_said ? "guest" : "husk",
		    WORD_TEXT_MAX);
	json_string(j, "reason", o->reason[0] ? o->reason : outcome_line(o),
		    REASON_MAX);
}

/* What the guest measured, if it came to telling us: no job takes 0 ns. */
static void put_usage(struct json *j, const struct outcome *o)
{
	uint64_t none = o->wall_ns ? UINT64_MAX : 0;

	put_unless(j, "wall_ns", o->wall_ns, 0);
	put_unless(j, "cpu_user_ns", o->cpu_user_ns, none);
	put_unless(j, "cpu_system_ns", o->cpu_sys_ns, none);
	put_unless(j, "memory_peak", o->mem_peak, 0);
	put_unless(j, "pids_peak", o->pids_peak, 0);
}

size_t status_format(char *buf, size_t size, const struct config *c,
		     const struct identity *id, const struct outcome *o)
{
	struct json j;

	json_init(&j, buf, size);
	json_begin(&j, NULL, '{');
	json_uint(&j, "husk_status", STATUS_FORMAT);
	put_end(&j, o);
	put_usage(&j, o);
	put_streams(&j, o);
	put_timeline(&j, o);
	put_exits(&j, o);
	put_unless(&j, "guest_pages", o->guest_pages, 0);
	put_unless(&j, "private_bytes", o->private_bytes, 0);
	put_file(&j, "kernel", id->kernel, id->kernel_size, id->kernel_mtime,
		 "salt", id->kernel_salt);
	put_file(&j, "image", id->image, id->image_size, id->image_mtime,
		 "uuid", id->image_uuid);
	put_options(&j, c);
	json_begin(&j, "husk", '{');
	json_string(&j, "version", version_number, WORD_TEXT_MAX);
	json_string(&j, "commit", version_commit, WORD_TEXT_MAX);
	json_end(&j, '}');
	json_end(&j, '}');
	text_add(&j.text, "\n", 1);
	return text_len(&j.text);
}

#define BAR_COLUMNS 32u

/* Time from left to right, one colour for each phase. */
static void put_bar(struct text *t, enum clock_point phase, uint64_t from,
		    uint64_t to, uint64_t whole)
{
	unsigned start, end;

	if (!whole || to > whole)
		return;
	start = (unsigned)(from * BAR_COLUMNS / whole);
	end = (unsigned)(to * BAR_COLUMNS / whole);
	text_printf(t, "  %*s\033[4%um%*s\033[0m", (int)start, "",
		    1 + (unsigned)phase % 6, (int)(end - start + 1), "");
}

/* Milliseconds with three decimals. */
static void put_ms(struct text *t, uint64_t ns)
{
	text_printf(t, "%8" PRIu64 ".%03u ms", ns / 1000000,
		    (unsigned)(ns / 1000 % 1000));
}

static void put_points(struct text *t, const struct outcome *o, bool colour)
{
	uint64_t last = 0, whole = 0;

	for (enum clock_point p = 0; p < CLOCK_NR; p++)
		if (o->clock[p])
			whole = since_start(o, p);
	for (enum clock_point p = 0; p < CLOCK_NR; p++) {
		uint64_t at = since_start(o, p);

		text_printf(t, "  %-26s", points[p].label);
		if (!o->clock[p]) {
			text_printf(t, "%15s\n", "not reached");
			continue;
		}
		put_ms(t, at);
		if (p != CLOCK_T0_START) {
			text_printf(t, "  +");
			put_ms(t, at > last ? at - last : 0);
			if (colour && at >= last)
				put_bar(t, p, last, at, whole);
		}
		text_printf(t, "\n");
		last = at > last ? at : last;
	}
}

size_t status_timeline(char *buf, size_t size, const struct outcome *o,
		       bool colour)
{
	const char *comma = ": ";
	struct text t;

	text_init(&t, buf, size);
	text_printf(&t, "husk: timeline\n");
	put_points(&t, o, colour);
	text_printf(&t, "  exits %" PRIu64, count_exits(o));
	for (unsigned i = 0; i < EXIT_KIND_NR; i++) {
		if (!o->exits[i])
			continue;
		text_printf(&t, "%s%s %" PRIu64, comma, exit_names[i],
			    o->exits[i]);
		comma = ", ";
	}
	text_printf(&t,
		    "\n  memory %" PRIu64 " KiB of the guest touched, %" PRIu64
		    " KiB private to husk\n",
		    o->guest_pages * 4, o->private_bytes / 1024);
	return text_len(&t);
}
