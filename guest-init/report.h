/* SPDX-License-Identifier: MIT */
/*
 * What init tells the outside: frames on the control port, and one line in
 * the kernel log when there is no other way or something is badly wrong.
 */
#ifndef GUEST_INIT_REPORT_H
#define GUEST_INIT_REPORT_H

#include <husk/proto.h>

#include "lib/err.h"

struct report {
	int devtmpfs; /* mount of all device nodes, or -1 */
	int control;  /* control port, blocking, or -1 */
};

/* Send READY. Blocks until the host has opened the port. */
int report_ready(const struct report *r, struct err *e);

int report_started(const struct report *r, struct err *e);

/* Nothing is left to do but to wait for the host. */
int report_resting(const struct report *r, struct err *e);

/* Send END with its reason (may be ""); end->reason_len is set here. */
int report_end(const struct report *r, struct husk_end *end,
	       const char *reason, struct err *e);

/*
 * One line "husk-init: ..." at level EMERG, which the kernel shows on every
 * console, whatever its loglevel.
 */
void report_emergency(const struct report *r, const char *text);

/* report_emergency, then END of kind ERROR if the host listens, and out. */
_Noreturn void report_failure(const struct report *r, const struct err *e);

/*
 * After END: wait until the host stops the machine, or closes the control
 * port and has it reset.
 */
_Noreturn void report_power_off(const struct report *r);

/* Reset at once, without a word. */
_Noreturn void report_reset(void);

#endif
