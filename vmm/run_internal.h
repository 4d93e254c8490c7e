/* SPDX-License-Identifier: MIT */
/*
 * What the three sources of a run share: run.c (the course of it and its
 * end), run_setup.c (everything opened and wired) and run_events.c (what
 * happens meanwhile, and the decision). Nobody else includes this.
 */
#ifndef HUSK_RUN_INTERNAL_H
#define HUSK_RUN_INTERNAL_H

#include "backends/control.h"
#include "backends/disk.h"
#include "backends/stream.h"
#include "config.h"
#include "core/loop.h"
#include "jail.h"
#include "measure.h"
#include "outcome.h"
#include "run_open.h"
#include "vm.h"

#include <stdatomic.h>

struct run {
	const struct config *config;	/* &own */
	struct config own;		/* with what a template says */
	bool creating;			/* a template, not a run */
	bool emptied;			/* the output files are ours now */
	struct template template;
	struct outcome *o;
	struct vm vm;
	struct loop loop;
	struct loop_timer *deadline;
	struct disk disk;
	struct control control;
	struct stream stream[STREAM_NR];
	struct port_watch {
		struct run *run;
		unsigned port;
	} port_watch[STREAM_NR];
	int result_fd, status_fd, console_fd, signal_fd;
	struct jail jail;
	struct measure measure;

	/* Set by any thread, read by run_step. */
	atomic_bool stdin_seen;
	atomic_bool over_limit;
	atomic_bool stream_failed;
	atomic_int control_state;
	atomic_int vcpu_ended;	   /* enum vcpu_end + 1 */
	char vcpu_text[96];	   /* written before vcpu_ended */
	pthread_mutex_t vcpu_lock; /* of the two above, between vCPUs */

	size_t console_have;
	char console_line[256];
};

/* run_setup.c: fill *run; what failed half-way run_job releases. */
int run_set_up(struct run *run, struct err *e);

/* Everything a run holds, empty; `c` is copied. */
void run_init(struct run *run, const struct config *c,
	      const struct run_start *start, struct outcome *o);
void run_release(struct run *run);

/*
 * After run_set_up, before vm_start: close what is not needed any more, enter
 * the jail, make the vCPUs' threads, seal all of them.
 */
int run_enter_jail(struct run *run, struct err *e);

/* Empty a regular file that was opened for output; -1 and others: nothing. */
void run_truncate(int fd);

/* run_events.c: callbacks of the devices, any thread. */
void run_on_changed(void *opaque);
void run_on_stream(void *opaque, struct stream *s, enum stream_event ev);
void run_on_control(void *opaque);
void run_on_disk_failed(void *opaque);
void run_on_vcpu_end(void *opaque, enum vcpu_end end, const char *text);
void run_on_console(void *opaque, const char *buf, size_t len);
void run_flush_console(struct run *run);

/* run_events.c: the loop's callbacks, loop thread. */
void run_step(void *opaque);
short run_port_wants(void *opaque);
void run_port_ready(void *opaque, short revents);
short run_signal_wants(void *opaque);
void run_signal_ready(void *opaque, short revents);
void run_deadline_expired(void *opaque);

/* The time limit counts from `from`; only the first call does something. */
void run_arm_deadline(struct run *run, uint64_t from);

#endif
