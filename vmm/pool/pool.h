/* SPDX-License-Identifier: MIT */
/*
 * `husk pool`: machines restored from a template, waiting behind a socket,
 * each of them for one client of `husk run --pool`.
 *
 * The server opens the template once and then only counts: it starts
 * processes (machine.h), hands each of them one connection unread, and
 * replaces what has been handed out or has died. It never reads a byte of a
 * client, and of a machine only whether it is ready and, when it is not, why.
 */
#ifndef HUSK_POOL_H
#define HUSK_POOL_H

#include "job/config.h"
#include "lib/err.h"

/*
 * Serve c->listen with c->pool_size machines of c->template until SIGINT,
 * SIGTERM or SIGHUP, then 0: every machine has been ended and the socket
 * removed. Before that, -errno when there is no pool to be had. `argv` is the
 * command line that `c` was made of; machines get it, too. `say` hears of
 * what an operator should know, a line at a time.
 */
int pool_serve(const struct config *c, char **argv,
	       void (*say)(const char *line), struct err *e);

#endif
