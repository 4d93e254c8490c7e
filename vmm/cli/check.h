/* SPDX-License-Identifier: MIT */
/*
 * `husk check`: is this host fit to run a job. Each question is one line with
 * a hint when the answer is no. It changes nothing on the host and runs at
 * most a guest of a few instructions. Strict, it asks besides how the host is
 * set up for strangers' jobs (check_settings.h).
 */
#ifndef HUSK_CHECK_H
#define HUSK_CHECK_H

#include "cli/check_report.h"
#include "job/config.h"

#include <stdio.h>

/*
 * Prints to `out` as the bits of `how` say. Returns 0 when a Linux guest can
 * run here and, strict, when nothing that was asked is to be set better.
 */
int check_host(FILE *out, const struct config *c, unsigned how);

#endif
