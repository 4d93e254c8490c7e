/* SPDX-License-Identifier: MIT */
/*
 * The console ports, found by the names that the host gave them.
 *
 * The kernel makes them one after the other in a work queue, on the host's
 * messages, while init already runs.
 */
#ifndef GUEST_INIT_PORTS_H
#define GUEST_INIT_PORTS_H

#include <husk/proto.h>

#include "lib/err.h"

struct ports {
	int fd[HUSK_NR_PORTS]; /* by enum husk_port, -1: not there yet */
};

/*
 * Open all ports, waiting for those that are not there yet: for some
 * seconds, then it is an error. The control port blocks, the others do not.
 * sysfs and devtmpfs are directory descriptors of these file systems.
 */
int ports_open(struct ports *p, int sysfs, int devtmpfs, struct err *e);

#endif
