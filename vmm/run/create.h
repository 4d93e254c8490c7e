/* SPDX-License-Identifier: MIT */
/*
 * `husk template ...`: making a template and looking at one.
 */
#ifndef HUSK_CREATE_H
#define HUSK_CREATE_H

#include "job/config.h"
#include "lib/err.h"
#include "run/open.h"
#include "template/template.h"

#include <stdio.h>

/*
 * Boot the machine of the configuration until its init waits for a job, or
 * the warm command for its input, and nothing moves any more; write it to
 * `file`. `progress` gets lines on what is going on, or is NULL. The process
 * is jailed after.
 */
int create_template(const struct config *c, const struct run_start *start,
		    const struct template_file *file, FILE *progress,
		    struct err *e);

/* What the template was made from, in lines. */
int create_info(const char *path, FILE *out, struct err *e);

/* Read all of it and compare checksums; a line when it is whole. */
int create_verify(const char *path, FILE *out, struct err *e);

#endif
