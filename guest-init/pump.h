/* SPDX-License-Identifier: MIT */
/*
 * One stream between the host and the job: a console port on one side, a
 * pipe on the other, and one bounded buffer between them.
 *
 * A stream never blocks and knows nothing of the others, so one that stands
 * still holds up nobody else. Bytes keep their order; none is lost or made
 * up while both ends are open. How an end shows:
 *
 *	host closed an output port	POLLHUP; the job's pipe is closed, and
 *					the job gets SIGPIPE or EPIPE
 *	host closed the stdin port	all its bytes come first, then the
 *					job reads EOF
 *	job closed its stdin		the port is closed: the host may stop
 *	all writers of an output gone	the port is closed after the last byte
 *
 * Both descriptors must be O_NONBLOCK and belong to the stream from
 * pump_open on. SIGPIPE must not kill the caller; PID 1 never dies of it.
 */
#ifndef GUEST_INIT_PUMP_H
#define GUEST_INIT_PUMP_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The driver takes at most this much in one write. */
#define PUMP_CHUNK (32u * 1024)

enum pump_dir {
	PUMP_TO_JOB,   /* src is the port, dst the pipe */
	PUMP_FROM_JOB, /* src is the pipe, dst the port */
};

struct pump {
	enum pump_dir dir;
	int src;	/* -1 once at its end */
	int dst;	/* -1 once closed */
	bool last_call; /* an empty source is at its end, see pump_last_call */
	uint32_t off;	/* buf[off..len) waits to be written */
	uint32_t len;
	uint32_t chunk; /* bytes a write may have; less after ENOMEM */
	uint8_t *buf;	/* borrowed */
};

/* `buf` has PUMP_CHUNK bytes; none of them is touched before one moves. */
void pump_open(struct pump *p, enum pump_dir dir, int src, int dst,
	       uint8_t *buf);

/* No byte will move any more. */
bool pump_done(const struct pump *p);

/* What to wait for: pfd[0] of the source, pfd[1] of the destination. */
void pump_want(const struct pump *p, struct pollfd pfd[2]);

/*
 * Act on what poll() answered for the two. After the last call it needs no
 * answer for the source: one step leaves the stream done, or waiting for its
 * destination alone.
 */
void pump_step(struct pump *p, const struct pollfd pfd[2]);

/*
 * The job is dead and nobody writes any more: what its pipe holds now is all
 * there will be. Output streams end when that has been written; their ports
 * stay open, since END says it better and closing costs the host an exit
 * each. Input streams end here.
 */
void pump_last_call(struct pump *p);

#endif
