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
	CONTROL_RESTING,	/* the quiet point of a template */
	CONTROL_ENDED,		/* end and reason are valid */
	CONTROL_BAD,		/* the guest broke the protocol */
};

struct control {
	enum control_state state;
	struct husk_ready ready;
	struct husk_end end;
	char reason[HUSK_REASON_MAX + 1];	/* printable */
	bool rest, hold;	/* it ends in RESTING: without, with a job */
	bool giving;		/* the guest is ready for our frame */
	uint8_t *frame;		/* owned: JOB, REST or GO */
	size_t frame_len, frame_given;
	size_t clock_at;	/* where in it the time goes; 0: nowhere */
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

/* Send the guest to rest without a job. For making a template. */
int control_init_rest(struct control *c, const struct husk_rest *rest,
		      void (*moved)(void *opaque), void *opaque,
		      struct err *e);

/* Let a held job go; for control_resume. hostname_len is set here. */
int control_init_go(struct control *c, const struct husk_go *go,
		    const char *hostname, void (*moved)(void *opaque),
		    void *opaque, struct err *e);

/*
 * In a copy of a template: what went before has been said there. The guest is
 * told the time of day, for which its cycle counter stands at `counter` now
 * and runs at `khz`; 0 when that is not known.
 */
void control_resume(struct control *c, uint64_t counter, uint64_t khz);

void control_fini(struct control *c);

#endif
