/* SPDX-License-Identifier: MIT */
/*
 * One run: open what the configuration names, build the machine, serve it
 * until the job has ended or something ended it, tell how.
 *
 * Whoever wants just that reads run_job and stops there. But a run has two
 * halves that others take apart: the machine, and the job with its streams.
 * Making a template has the first alone (create.c); a machine of a pool opens
 * the first, waits, and gets the second (pool/machine.c), whose descriptors a
 * client has opened (pool/client.c). They have a struct run of their own and
 * call the parts below, in the order in which these stand here.
 */
#ifndef HUSK_RUN_H
#define HUSK_RUN_H

#include "backends/control.h"
#include "backends/disk.h"
#include "backends/stream.h"
#include "core/loop.h"
#include "jail/jail.h"
#include "job/config.h"
#include "job/outcome.h"
#include "job/status.h"
#include "lib/err.h"
#include "machine/measure.h"
#include "machine/vm.h"
#include "run/open.h"
#include "run/share.h"

#include <stdatomic.h>

/*
 * Returns 0 with *o filled, whatever the verdict, or -errno with *e set and
 * o->verdict VERDICT_ERROR when husk itself or its input is at fault. The
 * status object has been written in both cases. Does not print; o->reason and
 * *e are for main. The process is jailed after.
 */
int run_job(const struct config *c, const struct run_start *start,
	    struct outcome *o, struct err *e);

/*
 * In the supervisor: the machine is gone without a word. Writes the status
 * with the verdict and line of *e, or with that of a time limit when `late`.
 */
void run_report_loss(const struct config *c, const struct run_start *start,
		     bool late, const struct err *why, struct outcome *o);

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
	int (*missing)(const char *name, const char *option, struct err *e);
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

/* ---- a run, empty; and its end ---- */

/* Everything a run holds, empty; *run is zeros, `c` is copied. */
void run_init(struct run *run, const struct config *c,
	      const struct run_start *start, struct outcome *o);
void run_release(struct run *run);

/* ---- set-up (setup.c); what failed half-way run_release releases ---- */

/* All of it, of a run that is one. */
int run_set_up(struct run *run, struct err *e);

/*
 * The streams and the log that a user gave, nothing of them changed yet; the
 * streams from descriptors that are open (-1: none).
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

/* The event loop, and in it the streams and signals that are open. */
int run_init_loop(struct run *run, struct err *e);
int run_open_signals(struct run *run, struct err *e);
void run_watch(struct run *run);

int run_init_control(struct run *run, struct err *e);
int run_init_vm(struct run *run, struct err *e);

/* All that is left to do when template, streams and console are open. */
int run_assemble(struct run *run, struct err *e);

/*
 * After the set-up, before vm_start: close what is not needed any more, enter
 * the jail, make the vCPUs' threads, seal all of them.
 */
int run_enter_jail(struct run *run, enum jail_thread loop, struct err *e);

/*
 * The warning for a jail that lacks a wall; false when there is none to give.
 */
bool run_warn_of_jail(const struct run *run, char *line, size_t size);

/* ---- its course ---- */

/*
 * What only waits for the machine to run: output files are emptied, time
 * limits armed, a copy gets its job. Then run until the loop stops; then stop
 * the machine, deliver what is left, count.
 */
void run_prepare(struct run *run);
int run_go(struct run *run, struct err *e);
void run_finish(struct run *run);

/* The time limit counts from `from`; only the first call does something. */
void run_arm_deadline(struct run *run, uint64_t from);

/* It is reached, or a signal ends the run; loop thread. */
void run_deadline_expired(void *opaque);
void run_interrupt(struct run *run, int signal);

/*
 * In the handler of the backstop's signal: the run is late, with the counts
 * that it has.
 */
void run_be_late(void *opaque);

/* An error of husk becomes the outcome. */
void run_give_up(struct run *run, const struct err *e);

/* What is in the log's buffer goes to its file. */
void run_flush_console(struct run *run);

/* ---- what it reports ---- */

/* What the status object says of the files; then the object itself. */
void run_identify(const struct run *run, struct identity *id);
int run_write_status(struct run *run, const struct identity *id,
		     struct err *e);

#endif
