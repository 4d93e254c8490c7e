// SPDX-License-Identifier: MIT
/*
 * See control.h. A frame is handled when it is complete; bytes beyond it are
 * the beginning of the next one.
 */
#include "backends/control.h"

#include "lib/iov.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static size_t strings_size(const struct control_job *s, uint32_t *argc)
{
	size_t n = strlen(s->hostname) + 1 + strlen(s->workdir) + 1;
	unsigned i;

	for (*argc = 0; s->argv[*argc]; ++*argc)
		n += strlen(s->argv[*argc]) + 1;
	for (i = 0; i < s->nr_env; i++)
		n += strlen(s->env[i]) + 1;
	return n;
}

static uint8_t *put(uint8_t *p, const void *src, size_t len)
{
	memcpy(p, src, len);
	return p + len;
}

static uint8_t *put_string(uint8_t *p, const char *s)
{
	return put(p, s, strlen(s) + 1);
}

/* The head of our frame; returns where its payload goes, or NULL. */
static uint8_t *make_frame(struct control *c, enum husk_frame_type type,
			   size_t len, struct err *e)
{
	struct husk_frame f = { .magic = HUSK_MAGIC,
				.version = HUSK_VERSION,
				.type = (uint16_t)type,
				.len = (uint32_t)len };

	c->frame_len = sizeof(f) + len;
	c->frame = malloc(c->frame_len);
	if (c->frame)
		return put(c->frame, &f, sizeof(f));
	err_sys(e, "prepare the job");
	return NULL;
}

static void init(struct control *c, void (*moved)(void *opaque), void *opaque)
{
	memset(c, 0, sizeof(*c));
	c->moved = moved;
	c->opaque = opaque;
}

int control_init(struct control *c, const struct husk_job *job,
		 const struct control_job *strings,
		 void (*moved)(void *opaque), void *opaque, struct err *e)
{
	struct husk_job fixed = *job;
	size_t len;
	uint8_t *p;
	uint32_t i;

	init(c, moved, opaque);
	len = strings_size(strings, &fixed.argc);
	if (len > HUSK_JOB_MAX - sizeof(fixed))
		return err_set(e, E2BIG,
			       "pass the command on: arguments and environment "
			       "have %zu bytes, at most %zu fit (send the data "
			       "on stdin)",
			       len, HUSK_JOB_MAX - sizeof(fixed));
	fixed.envc = strings->nr_env;
	fixed.strings_len = (uint32_t)len;
	p = make_frame(c, HUSK_JOB, sizeof(fixed) + len, e);
	if (!p)
		return -e->code;
	c->hold = fixed.flags & HUSK_JOB_HOLD;
	c->clock_at = sizeof(struct husk_frame) +
			 offsetof(struct husk_job, realtime_ns);
	p = put(p, &fixed, sizeof(fixed));
	p = put_string(p, strings->hostname);
	p = put_string(p, strings->workdir);
	for (i = 0; i < fixed.argc; i++)
		p = put_string(p, strings->argv[i]);
	for (i = 0; i < fixed.envc; i++)
		p = put_string(p, strings->env[i]);
	return 0;
}

int control_init_rest(struct control *c, const struct husk_rest *rest,
		      void (*moved)(void *opaque), void *opaque,
		      struct err *e)
{
	uint8_t *p;

	init(c, moved, opaque);
	c->rest = true;
	p = make_frame(c, HUSK_REST, sizeof(*rest), e);
	if (!p)
		return -e->code;
	put(p, rest, sizeof(*rest));
	return 0;
}

int control_init_go(struct control *c, const struct husk_go *go,
		    const char *hostname, void (*moved)(void *opaque),
		    void *opaque, struct err *e)
{
	size_t len = strlen(hostname);
	struct husk_go fixed = *go;
	uint8_t *p;

	init(c, moved, opaque);
	fixed.hostname_len = (uint32_t)len;
	p = make_frame(c, HUSK_GO, sizeof(fixed) + len, e);
	if (!p)
		return -e->code;
	c->clock_at = sizeof(struct husk_frame) +
			 offsetof(struct husk_go, realtime_ns);
	c->state = CONTROL_STARTED;
	p = put(p, &fixed, sizeof(fixed));
	put(p, hostname, len);
	return 0;
}

void control_fini(struct control *c)
{
	free(c->frame);
	c->frame = NULL;
}

/* JOB and GO say the time with the same three numbers. */
struct clock_fields {
	uint64_t realtime_ns, counter, counter_khz;
};

static_assert(offsetof(struct husk_job, counter_khz) -
	      offsetof(struct husk_job, realtime_ns) == 16, "clock of JOB");
static_assert(offsetof(struct husk_go, counter_khz) -
	      offsetof(struct husk_go, realtime_ns) == 16, "clock of GO");

/* The guest gets the time at which it gets the job, not that of its boot. */
static void set_clock(struct control *c, uint64_t counter, uint64_t khz)
{
	struct clock_fields f = { .counter = counter, .counter_khz = khz };
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	f.realtime_ns = (uint64_t)ts.tv_sec * 1000000000u +
			(uint64_t)ts.tv_nsec;
	/* A frame's payload has no alignment. */
	memcpy(c->frame + c->clock_at, &f, sizeof(f));
}

void control_resume(struct control *c, uint64_t counter, uint64_t khz)
{
	if (c->state == CONTROL_WAITING)
		c->state = CONTROL_READY;
	if (c->clock_at)
		set_clock(c, counter, khz);
	c->giving = true;
}

/* Each returns false when the payload does not fit the conversation. */
static bool on_ready(struct control *c, const uint8_t *payload, uint32_t len)
{
	if (c->state != CONTROL_WAITING || len != sizeof(c->ready))
		return false;
	memcpy(&c->ready, payload, sizeof(c->ready));
	control_resume(c, 0, 0);
	return true;
}

static bool on_started(struct control *c, uint32_t len)
{
	if (c->state != CONTROL_READY || len)
		return false;
	c->state = CONTROL_STARTED;
	return true;
}

static bool on_resting(struct control *c, uint32_t len)
{
	if (len || c->state != (c->hold ? CONTROL_STARTED : CONTROL_READY) ||
	    (!c->hold && !c->rest))
		return false;
	c->state = CONTROL_RESTING;
	return true;
}

static bool end_is_valid(const struct control *c, const struct husk_end *end,
			 uint32_t len)
{
	if (end->reason_len > HUSK_REASON_MAX ||
	    len != sizeof(*end) + end->reason_len)
		return false;
	switch (end->kind) {
	case HUSK_END_EXITED:
		return c->state == CONTROL_STARTED && end->code <= 255;
	case HUSK_END_SIGNALED:
	case HUSK_END_OOM:
	case HUSK_END_CPU_TIME:
		return c->state == CONTROL_STARTED && end->code >= 1 &&
		       end->code <= 64;
	case HUSK_END_START_FAILED:
		return c->state == CONTROL_READY && end->code >= 1 &&
		       end->code <= 4095;
	case HUSK_END_ERROR:
		return end->code >= 1 && end->code <= 4095;
	default:
		return false;
	}
}

static bool on_end(struct control *c, const uint8_t *payload, uint32_t len)
{
	struct husk_end end;
	uint32_t i;

	if (c->state == CONTROL_ENDED || len < sizeof(end))
		return false;
	memcpy(&end, payload, sizeof(end));
	if (!end_is_valid(c, &end, len))
		return false;
	for (i = 0; i < end.reason_len; i++) {
		uint8_t ch = payload[sizeof(end) + i];

		c->reason[i] = ch >= ' ' && ch <= '~' ? (char)ch : '?';
	}
	c->reason[i] = '\0';
	c->end = end;
	c->state = CONTROL_ENDED;
	return true;
}

static bool dispatch(struct control *c, const struct husk_frame *f,
		     const uint8_t *payload)
{
	switch (f->type) {
	case HUSK_READY:
		return on_ready(c, payload, f->len);
	case HUSK_STARTED:
		return on_started(c, f->len);
	case HUSK_RESTING:
		return on_resting(c, f->len);
	case HUSK_END:
		return on_end(c, payload, f->len);
	default:
		return false;
	}
}

/* Handle the frame at the front of buf; false when it is not complete. */
static bool handle_frame(struct control *c)
{
	struct husk_frame f;
	size_t total;

	if (c->state == CONTROL_BAD || c->have < sizeof(f))
		return false;
	memcpy(&f, c->buf, sizeof(f));
	if (f.magic != HUSK_MAGIC || f.version != HUSK_VERSION ||
	    f.len > HUSK_REPORT_MAX) {
		c->state = CONTROL_BAD;
		c->moved(c->opaque);
		return false;
	}
	total = sizeof(f) + f.len;
	if (c->have < total)
		return false;
	if (!dispatch(c, &f, c->buf + sizeof(f)))
		c->state = CONTROL_BAD;
	c->have -= total;
	memmove(c->buf, c->buf + total, c->have);
	c->moved(c->opaque);
	return true;
}

static void collect(struct control *c, const uint8_t *src, size_t len)
{
	while (len && c->state != CONTROL_BAD) {
		size_t n = sizeof(c->buf) - c->have;

		if (n > len)
			n = len;
		memcpy(c->buf + c->have, src, n);
		c->have += n;
		src += n;
		len -= n;
		while (handle_frame(c))
			;
	}
}

static ssize_t control_take(void *be, const struct iovec *iov, unsigned nr,
			    size_t len)
{
	unsigned i;

	for (i = 0; i < nr; i++)
		collect(be, iov[i].iov_base, iov[i].iov_len);
	return (ssize_t)len;
}

static ssize_t control_give(void *be, const struct iovec *iov, unsigned nr)
{
	struct control *c = be;
	size_t n;

	if (!c->giving || c->state == CONTROL_BAD ||
	    c->frame_given == c->frame_len)
		return -EAGAIN;
	n = iov_from_buf(iov, nr, c->frame + c->frame_given,
			 c->frame_len - c->frame_given);
	c->frame_given += n;
	return (ssize_t)n;
}

const struct port_ops control_ops = {
	.take = control_take,
	.give = control_give,
};
