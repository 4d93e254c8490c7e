/* SPDX-License-Identifier: MIT */
/*
 * What the two sources of a pool's server share: pool.c (its loop, clients and
 * counting) and pool_start.c (a new process for a machine). Nobody else
 * includes this.
 */
#ifndef HUSK_POOL_INTERNAL_H
#define HUSK_POOL_INTERNAL_H

#include "run_internal.h"

#include <sys/stat.h>
#include <sys/types.h>

#define MACHINES_MAX  2048u /* at all, with those that run jobs */
#define CLIENTS_MAX   256u  /* that wait; more wait in the socket's queue */


enum machine_state { FREE, STARTING, WAITING, RUNNING };

struct machine {
	enum machine_state state;
	pid_t pid;
	int link;		/* while it starts or waits; -1: none */
	bool deaf;		/* its end is certain: wait for it */
	int client;		/* while it runs */
	uint64_t since;		/* the order of machines that wait */
};

struct client {
	int fd;
	uint64_t until_ns;	/* to have sent something */
	bool has_sent;
};

struct pool {
	struct run run;		/* the template, opened; no machine */
	struct outcome outcome; /* for the machine's process */
	int listen_fd, signal_fd, null_fd;
	struct stat socket, template; /* as they were */
	unsigned size, nr_ready, nr_starting, nr_running;
	unsigned nr_slots;	/* of machine[] that were ever used */
	unsigned nr_clients, nr_deaths;
	uint64_t count;		/* machines that were ever ready */
	uint64_t start_ns;	/* not before */
	uint64_t death_ns;	/* the last one */
	bool complete;		/* was said */
	bool stop;
	char why[sizeof(((struct err *)0)->msg)]; /* no machine comes up */
	struct machine machine[MACHINES_MAX];
	struct client client[CLIENTS_MAX];
	void (*say)(const char *line);
};

/*
 * pool_start.c: a process that becomes a machine, in a free entry. -EINVAL
 * when the template is no longer the one that was opened.
 */
int pool_start_machine(struct pool *p, struct err *e);

#endif
