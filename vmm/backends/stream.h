/* SPDX-License-Identifier: MIT */
/*
 * One of the job's byte streams on the host: a descriptor that somebody gave
 * us, behind a console port. Counts, limits, never blocks, buffers nothing.
 *
 * Never to block without setting O_NONBLOCK on a description that others
 * share takes one of three ways, chosen when the stream is opened:
 *
 *	regular file, disk	a read or write does not wait for anyone
 *	socket			MSG_DONTWAIT
 *	pipe, terminal		a description of our own, by opening
 *				/proc/self/fd/N again with O_NONBLOCK, or
 *				/dev/tty, if that is the terminal
 *	where that is refused	RWF_NOWAIT: pipes since Linux 6.5. Others are
 *				asked with poll first, and get no more bytes
 *				than fit when poll says that some do; between
 *				the two, only who else uses the description
 *				could still take the room, or the input
 *
 * Locking: the console device's lock covers take and give; the counters are
 * read by others only after the machine has stopped.
 */
#ifndef HUSK_BACKENDS_STREAM_H
#define HUSK_BACKENDS_STREAM_H

#include "devices/virtio/console.h"
#include "lib/err.h"

enum stream_event {
	STREAM_FIRST_BYTE,	/* the first one passed */
	STREAM_OVER_LIMIT,	/* the job wrote more than the limit */
	STREAM_FAILED,		/* the host could not write: error is set */
};

enum stream_way { STREAM_FILE, STREAM_SOCKET, STREAM_OWN, STREAM_SHARED };

struct stream {
	const char *name;	/* for messages */
	int fd;			/* owned once opened; -1: none */
	bool input;
	bool keep_open;		/* closing is left to process exit */
	bool ours;		/* its opener has made it so: none is made */
	bool held;		/* nothing comes, nothing is taken yet */
	enum stream_way way;
	bool asks;		/* SHARED: poll comes first */
	bool is_terminal;
	uint64_t limit;		/* bytes from the job; UINT64_MAX: none */
	uint64_t bytes;		/* passed to or from the guest */
	uint64_t delivered;	/* reached the descriptor */
	bool truncated;
	int error;		/* errno of a failed write */
	/* With the console locked, from any thread. */
	void (*event)(void *opaque, struct stream *s, enum stream_event ev);
	void *opaque;
};

extern const struct port_ops stream_input_ops, stream_output_ops;

/*
 * Take over `fd`, which must be open in the right direction; -1 makes a
 * stream that takes and drops everything.
 */
int stream_open(struct stream *s, const char *name, int fd, bool input,
		struct err *e);

/* Close the descriptor; idempotent. */
void stream_close(struct stream *s);

#endif
