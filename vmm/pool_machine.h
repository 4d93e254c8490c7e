/* SPDX-License-Identifier: MIT */
/*
 * One machine of a pool, in a process of its own: restored, waiting, and then
 * a run for the one client whose connection it is handed.
 */
#ifndef HUSK_POOL_MACHINE_H
#define HUSK_POOL_MACHINE_H

#include "run_internal.h"

/* First byte of what a machine says to the pool; a line follows POOL_FAILED. */
#define POOL_READY  'R'
#define POOL_FAILED 'F'

/* To a client that holds a place or a machine without saying for what. */
#define POOL_LATE                                                              \
	"use the pool: the request did not come within %g s (send it at "      \
	"once, or ask for a longer husk pool --request-time)"

/*
 * Be a machine, the last thing that this process does: it is left to its end
 * to take the machine apart. `run` has the template and its image open and no
 * machine yet. Over `link`, a packet socket to the pool, it says READY or
 * FAILED, and then takes one packet with a descriptor: the connection of its
 * client. Everything that the client sends is read here. Returns the exit
 * status.
 */
int pool_machine_run(struct run *run, int link);

#endif
