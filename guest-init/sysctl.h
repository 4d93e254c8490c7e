/* SPDX-License-Identifier: MIT */
/*
 * What the kernel's settings must be in a machine that runs one job, where
 * their defaults are made for a host of many users.
 */
#ifndef GUEST_INIT_SYSCTL_H
#define GUEST_INIT_SYSCTL_H

#include "lib/err.h"

/*
 * Make the settings. What a kernel does not have is left out; what it refuses
 * is an error: returns 0, or -errno with *e set.
 */
int sysctl_set_up(struct err *e);

#endif
