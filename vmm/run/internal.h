/* SPDX-License-Identifier: MIT */
/*
 * What the sources of a run share: run.c (the course of it and its end),
 * setup.c (everything opened and wired) and events.c (what happens
 * meanwhile, and the decision).
 *
 * A run has two halves that pools take apart: the machine, and the job with
 * its streams. Making a template has the first alone (create.c); a machine of
 * a pool opens the first, waits, and gets the second (pool/machine.c), whose
 * descriptors a client has opened (pool/client.c). Nobody else includes this.
 */
#ifndef HUSK_RUN_INTERNAL_H
#define HUSK_RUN_INTERNAL_H

#include "backends/control.h"
#include "backends/disk.h"
#include "backends/stream.h"
#include "core/loop.h"
#include "jail/jail.h"
#include "job/config.h"
#include "job/outcome.h"
#include "job/status.h"
#include "machine/measure.h"
#include "machine/vm.h"
#include "run/open.h"
#include "run/share.h"

#include <stdatomic.h>

struct run {
	const struct config *config;	/* &own */
	struct config own;		/* with what a template says */
	bool till_rest;			/* it ends when the guest rests */
	bool touch;			/* it has time before the job */
	bool backstop;			/* its timer runs */
	bool emptied;			/* the output files are ours now */
	struct template template;
	struct outcome *o;
	struct loop loop;
	struct loop_timer *deadline;
	struct disk disk;
	struct control control;
	struct stream *stream;		/* STREAM_NR of them, in the share */
	struct share *share;		/* with the supervisor, or our own */
	struct share own_share;
	struct port_watch {
		struct run *run;
		unsigned port;
	} port_watch[STREAM_NR];
	int result_fd, status_fd, console_fd, signal_fd;
	int client_fd;			/* of a pool's; -1: none */
	struct jail jail;
	void (*say)(const char *line);	/* NULL: to nobody */
	struct measure measure;

	/* Set by any thread, read by run_step. */
	atomic_bool stdin_seen;
	atomic_bool over_limit;
	atomic_bool stream_failed;
	atomic_int control_state;
	atomic_int vcpu_ended;	   /* enum vcpu_end + 1 */
	char vcpu_text[96];	   /* written before vcpu_ended */
	pthread_mutex_t vcpu_lock; /* of the two above, between vCPUs */

	uint64_t console_bytes;	/* written, and not more than the limit */
	bool console_cut;	/* what comes after is dropped */
	size_t console_have;
	char console_line[256];
	struct vm vm;
};

/* setup.c: fill *run; what failed half-way run_release releases. */
int run_set_up(struct run *run, struct err *e);

/*
 * The parts of it. The streams and the log that a user gave, nothing of them
 * changed yet; the streams from descriptors that are open (-1: none).
 */
int run_open_streams(struct run *run, struct err *e);
int run_attach_streams(struct run *run, const int fd[STREAM_NR],
		       struct err *e);
int run_open_console(struct run *run, struct err *e);

/* The template, and the machine that it says; then whether the job fits it. */
int run_open_template(struct run *run, struct err *e);
int run_check_job(struct run *run, struct err *e);

/*
 * Both, from descriptors of a process that has opened and checked them with
 * this configuration; owned from here on.
 */
int run_adopt_machine(struct run *run, int template_fd, int image_fd,
		      struct err *e);

/* All other files of the machine, and whether the host can run it. */
int run_open_machine(struct run *run, struct err *e);
int run_init_vm(struct run *run, struct err *e);

/* All that is left to do when template, streams and console are open. */
int run_assemble(struct run *run, struct err *e);

/* The event loop, and in it the streams and signals that are open. */
int run_init_loop(struct run *run, struct err *e);
void run_watch(struct run *run);

int run_init_control(struct run *run, struct err *e);
int run_open_signals(struct run *run, struct err *e);

/* Everything a run holds, empty; *run is zeros, `c` is copied. */
void run_init(struct run *run, const struct config *c,
	      const struct run_start *start, struct outcome *o);
void run_release(struct run *run);

/* From here on it counts there. */
void run_adopt_share(struct run *run, struct share *share);

/*
 * The warning for a jail that lacks a wall; false when there is none to give.
 */
bool run_warn_of_jail(const struct run *run, char *line, size_t size);

/*
 * After the set-up, before vm_start: close what is not needed any more, enter
 * the jail, make the vCPUs' threads, seal all of them.
 */
int run_enter_jail(struct run *run, enum jail_thread loop, struct err *e);

/*
 * run.c: what only waits for the machine to run: output files are emptied,
 * time limits armed, a copy gets its job. Then run until the loop stops; then
 * stop the machine, deliver what is left, count.
 */
void run_prepare(struct run *run);
int run_go(struct run *run, struct err *e);
void run_finish(struct run *run);

/*
 * In the handler of the backstop's signal: the run is late, with the counts
 * that it has.
 */
void run_be_late(void *opaque);

/* An error of husk becomes the outcome. */
void run_give_up(struct run *run, const struct err *e);

/* What the status object says of the files; then the object itself. */
void run_identify(const struct run *run, struct identity *id);
int run_write_status(struct run *run, const struct identity *id,
		     struct err *e);

/* Empty a regular file that was opened for output; -1 and others: nothing. */
void run_truncate(int fd);

/* events.c: callbacks of devices and vCPUs, a vCPU's thread or ours. */
void run_on_changed(void *opaque);
void run_on_stream(void *opaque, struct stream *s, enum stream_event ev);
void run_on_control(void *opaque);
void run_on_disk_failed(void *opaque);
void run_on_served(void *opaque);
void run_on_vcpu_end(void *opaque, enum vcpu_end end, const char *text);
void run_on_console(void *opaque, const char *buf, size_t len);
void run_flush_console(struct run *run);

/* events.c: the loop's callbacks, loop thread. */
void run_step(void *opaque);
short run_port_wants(void *opaque);
void run_port_ready(void *opaque, short revents);
short run_signal_wants(void *opaque);
void run_signal_ready(void *opaque, short revents);
void run_deadline_expired(void *opaque);

/* A signal ends the run; loop thread. */
void run_interrupt(struct run *run, int signal);

/* The time limit counts from `from`; only the first call does something. */
void run_arm_deadline(struct run *run, uint64_t from);

#endif
