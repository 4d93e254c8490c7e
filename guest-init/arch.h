/* SPDX-License-Identifier: MIT */
/*
 * All that an architecture brings to guest-init. Where both are one
 * instruction or a few, they are inline; a port may have functions instead.
 */
#ifndef GUEST_ARCH_H
#define GUEST_ARCH_H

#include <linux/sched.h>
#include <stdint.h>

struct run;

#ifdef __x86_64__
#include "arch_x86_64.h"
#else

/*
 * clone3, whose child calls `born` on the stack that `args` names. Returns in
 * the parent: the child's pid, or -errno.
 */
long arch_clone(const struct clone_args *args, void (*born)(struct run *r),
		struct run *r);

/*
 * The counter that the host and we both see (arch_vcpu_counter of the host's
 * side), or 0: of a CPU that has none, husk does not know the rate.
 */
uint64_t arch_counter(void);

#endif

#endif
