/* SPDX-License-Identifier: MIT */
/*
 * A rehearsal: one copy of a new template is run to see what copies write to.
 */
#ifndef HUSK_REHEARSE_H
#define HUSK_REHEARSE_H

#include "job/config.h"
#include "lib/err.h"
#include "run/run.h"
#include "template/template.h"

enum rehearsal {
	REHEARSAL_INIT,	   /* or of the warm process; the first */
	REHEARSAL_PROGRAM, /* of the image */
};

/*
 * Run a copy of the template in `file`, which was made as *c says, and add to
 * the file which pages it touched. What the copy does is no concern of ours:
 * only an error of husk's own is one. In a process of its own, for it ends in
 * the jail.
 */
int rehearse(const struct config *c, const struct run_start *start,
	     const struct template_file *file, enum rehearsal which,
	     struct err *e);

#endif
