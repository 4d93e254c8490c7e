/* SPDX-License-Identifier: MIT */
/*
 * The host's end of the guest protocol (include/husk/proto.h): gives the job
 * to guest-init when it is ready, and understands what it reports.
 *
 * Everything that arrives is the guest's word: frames are collected in a
 * buffer of fixed size, checked, and copied out; the first one that does not
 * fit the conversation makes the control end BAD and the rest is dropped.
 *
 * Locking: the console device's lock, as for every port.
 */
#ifndef HUSK_BACKENDS_CONTROL_H
#define HUSK_BACKENDS_CONTROL_H

#include "devices/virtio/console.h"
#include "husk/proto.h"
#include "lib/err.h"

enum control_state {
	CONTROL_WAITING,	/* for READY */
	CONTROL_READY,		/* the job may be given */
	CONTROL_STARTED,
	CONTROL_ENDED,		/* end and reason are valid */
	CONTROL_BAD,		/* the guest broke the protocol */
};

struct control {
	enum control_state state;
	struct husk_ready ready;
	struct husk_end end;
	char reason[HUSK_REASON_MAX + 1];	/* printable */
	uint8_t *job;		/* owned: the JOB frame */
	size_t job_len, job_given;
	size_t have;		/* bytes in buf */
	uint8_t buf[sizeof(struct husk_frame) + HUSK_REPORT_MAX];
	/* The state has moved. With the console locked, from any thread. */
	void (*moved)(void *opaque);
	void *opaque;
};

/* Strings of the job, borrowed for the call. */
struct control_job {
	const char *hostname, *workdir;
	char *const *argv;		/* NULL-terminated, at least one */
	const char *const *env;		/* nr_env NAME=VALUE strings */
	unsigned nr_env;
};

extern const struct port_ops control_ops;

/*
 * Build the JOB frame. `job` has its fixed part filled in except for counts
 * and strings_len. -E2BIG when the strings exceed what the protocol takes.
 */
int control_init(struct control *c, const struct husk_job *job,
		 const struct control_job *strings,
		 void (*moved)(void *opaque), void *opaque, struct err *e);

/* Without a job: it stays READY for ever. For making a template. */
void control_init_idle(struct control *c, void (*moved)(void *opaque),
		       void *opaque);

/* In a copy of a template READY has been said: the job may go at once. */
void control_resume(struct control *c);

void control_fini(struct control *c);

#endif
