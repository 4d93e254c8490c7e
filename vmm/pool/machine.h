/* SPDX-License-Identifier: MIT */
/*
 * One machine of a pool, in a process of its own: restored, waiting, and then
 * a run for the one client whose connection it is handed.
 */
#ifndef HUSK_POOL_MACHINE_H
#define HUSK_POOL_MACHINE_H

#include "job/config.h"
#include "lib/err.h"

/* What a machine is called, and the descriptors that it is started with. */
#define POOL_MACHINE_NAME "husk-machine"
enum pool_machine_fd {
	POOL_FD_LINK = 3,
	POOL_FD_TEMPLATE,
	POOL_FD_IMAGE,
	POOL_FD_PARENT,		/* a pidfd of the pool */
	POOL_FD_END,
};

/* First byte of what a machine says to the pool; a line follows POOL_FAILED. */
#define POOL_READY  'R'
#define POOL_FAILED 'F'

/* To a client that holds a place or a machine without saying for what. */
#define POOL_LATE                                                              \
	"use the pool: the request did not come within %g s (send it at "      \
	"once, or ask for a longer husk pool --request-time)"

/*
 * Be a machine, the last thing that this process does: it is left to its end
 * to take the machine apart. It was started as POOL_MACHINE_NAME, with the
 * pool's command line, of which `c` was made, and descriptors that are good
 * as they are. Over the link, a packet socket to the pool, it says READY or
 * FAILED, and then takes one packet with a descriptor: the connection of its
 * client. Everything that the client sends is read here. Returns the exit
 * status.
 */
int pool_machine_main(const struct config *c);

/* Before that: why there will be none. */
void pool_machine_fail(int link, const struct err *e);

#endif
