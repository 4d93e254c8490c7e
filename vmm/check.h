/* SPDX-License-Identifier: MIT */
/*
 * `husk check`: is this host fit to run a job. Each question is one line with
 * a hint when the answer is no. It changes nothing on the host and runs at
 * most a guest of a few instructions.
 */
#ifndef HUSK_CHECK_H
#define HUSK_CHECK_H

#include "config.h"

#include <stdio.h>

/* Prints to `out`; returns 0 when a Linux guest can run here, else 1. */
int check_host(FILE *out, const struct config *c, bool json, bool colour);

#endif
