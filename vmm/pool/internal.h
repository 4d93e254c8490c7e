/* SPDX-License-Identifier: MIT */
/*
 * What the two sources of a pool's server share: pool.c (its loop, clients and
 * counting) and start.c (a new process for a machine). Nobody else
 * includes this.
 */
#ifndef HUSK_POOL_INTERNAL_H
#define HUSK_POOL_INTERNAL_H

#include "pool/states.h"
#include "run/internal.h"

#include <sys/stat.h>
#include <sys/types.h>

/* What belongs to the entries of pool_states; -1: no descriptor. */
struct machine {
	pid_t pid;
	int link;		/* while it starts or waits */
	int client;		/* while it runs */
	bool was_ready;
};

struct pool {
	struct run run;		/* the template, opened; no machine */
	struct outcome outcome; /* for the machine's process */
	int listen_fd, signal_fd, null_fd;
	int self_fd;		/* our program, as it was when we started */
	char **argv;		/* borrowed; to start it with */
	struct stat socket, template; /* as they were */
	bool has_lived;		/* some machine was ready once */
	bool complete;		/* was said */
	bool stop;
	char why[sizeof(((struct err *)0)->msg)]; /* no machine comes up */
	struct pool_states states;
	struct machine machine[POOL_MACHINES_MAX];
	int client[POOL_CLIENTS_MAX];
	void (*say)(const char *line);
};

/*
 * start.c: a process that becomes machine `m`. -EINVAL when the template
 * is no longer the one that was opened.
 */
int pool_start_machine(struct pool *p, unsigned m, struct err *e);

#endif
