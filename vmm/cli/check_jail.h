/* SPDX-License-Identifier: MIT */
/*
 * Which layers of the jail this host gives, found out by a process that
 * enters it.
 */
#ifndef HUSK_CHECK_JAIL_H
#define HUSK_CHECK_JAIL_H

#include "jail/jail.h"

/*
 * Fill *j with what was given, JAIL_NARROW left out. Fails when the process
 * does not come back, with what killed it.
 */
int check_try_jail(struct jail *j, struct err *e);

/* Can a VM of this KVM be narrowed (arch.h)? */
bool check_try_narrow(int kvm_fd);

/* What to do for a layer that is missing. */
const char *check_jail_hint(enum jail_layer l);

#endif
