// SPDX-License-Identifier: MIT
/*
 * See own_core.h; the interface is the kernel's admin-guide/hw-vuln/
 * core-scheduling.rst.
 *
 * Rejected: that the supervisor takes the cookie while the machine is being
 * made. It would hide nothing: its own end waits for the grace period, too.
 */
#include "jail/own_core.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>

/* Of one thread; the process has no other. */
#define SCOPE_THREAD 0

bool own_core_is_in_use(void)
{
	uint64_t cookie = 0;

	return !prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET, 0, SCOPE_THREAD,
		      (unsigned long)(uintptr_t)&cookie) &&
	       cookie;
}

int own_core_take(enum own_core mode, struct err *e)
{
	if (mode == OWN_CORE_OFF ||
	    (mode == OWN_CORE_AUTO && !own_core_is_in_use()))
		return 0;
	if (!prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, SCOPE_THREAD, 0))
		return 0;
	/* No core of this host has a second thread to share. */
	if (errno == ENODEV || mode == OWN_CORE_AUTO)
		return 0;
	return err_set(e, errno,
		       "take a core of its own: %s (Linux 5.14 or newer with "
		       "CONFIG_SCHED_CORE does it; --own-core=off goes "
		       "without)",
		       strerror(errno));
}
