/* SPDX-License-Identifier: MIT */
/*
 * SIGINT, SIGTERM and SIGHUP as something that can be waited for and asked
 * about, so that an interrupted build takes the ordinary error path, which
 * removes the unfinished image.
 *
 * Pointers to a struct interrupt may be NULL everywhere (tests, library use):
 * then nothing ever interrupts.
 */
#ifndef HUSK_ROOTFS_INTERRUPT_H
#define HUSK_ROOTFS_INTERRUPT_H

#include "lib/err.h"

struct interrupt {
	int fd;	   /* signalfd, non-blocking; -1 before interrupt_open */
	int signo; /* what arrived, 0 so far */
};

/* Block the signals and open the descriptor. */
int interrupt_open(struct interrupt *in, struct err *e);

/* 0, or -EINTR with err "interrupted" once a signal has arrived. */
int interrupt_check(struct interrupt *in, struct err *e);

/* Wait until fd can be read (or is at its end); -EINTR as above. */
int interrupt_wait_fd(struct interrupt *in, int fd, struct err *e);

/*
 * If a signal arrived, die by it the default way, so that a shell sees the
 * truth in the exit status; else just return.
 */
void interrupt_finish(struct interrupt *in);

#endif
