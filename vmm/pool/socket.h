/* SPDX-License-Identifier: MIT */
/*
 * The sockets of a pool: SOCK_SEQPACKET of the UNIX family, so that packets
 * stay whole and a descriptor arrives with the packet that it was sent with.
 * Nothing here looks into a packet.
 */
#ifndef HUSK_POOL_SOCKET_H
#define HUSK_POOL_SOCKET_H

#include "lib/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define POOL_SOCKET_FDS 5u /* most descriptors in a packet */

/*
 * A listening socket at `path`, for its owner only, or for `all`. One that
 * nobody listens at any more is replaced; one where somebody does is
 * -EADDRINUSE.
 */
int pool_socket_listen(const char *path, bool all, struct err *e);

/* A connection to it. Waits while its queue is full. */
int pool_socket_connect(const char *path, struct err *e);

/*
 * Send bytes in packets of at most `packet`, descriptors with the first.
 * Waits for room, but no longer than until stop_fd (-1: none) has something
 * to read, which gives -EINTR. 0 or -errno.
 */
int pool_socket_send(int fd, const void *buf, size_t len, size_t packet,
		     const int *fds, unsigned nr_fds, int stop_fd);

/*
 * One packet that is there, or -EAGAIN; 0: the other end has gone. Up to
 * `max` descriptors, close-on-exec, go to `fds`, the rest to -1; a packet
 * with more of them, or one longer than `size`, is -EPROTO, and then none of
 * its descriptors stays open.
 */
ssize_t pool_socket_receive(int fd, void *buf, size_t size, int *fds,
			    unsigned max);

/* Has the other end not yet read everything that was sent to it? */
bool pool_socket_is_unread(int fd);

#endif
