/* SPDX-License-Identifier: MIT */
/*
 * What a pool's machines and clients are doing, and what follows from that:
 * when a machine is to be started, which of them gets which client, who has
 * waited for too long. Pure: no process, no socket, no clock; pool.c does what
 * is decided here, and says here what happened.
 *
 *	FREE -> STARTING -> WAITING -> RUNNING
 *	          |            |          |
 *	          +--> LOST <--+        ENDING	a kill is on its way
 *	                |                 |
 *	              FREE <--------------+	each state may: it was reaped
 *
 * What holds after every call: nr[] counts the entries by their state, so that
 * a machine whose end is certain is never taken for one that waits; a client
 * is in the table or some machine's, never both; a machine becomes RUNNING
 * once.
 */
#ifndef HUSK_POOL_STATES_H
#define HUSK_POOL_STATES_H

#include <stdbool.h>
#include <stdint.h>

#define POOL_MACHINES_MAX 2048u /* at all, with those that run jobs */
#define POOL_CLIENTS_MAX  256u	/* that wait; more do in the socket's queue */

enum pool_machine_state {
	MACHINE_FREE,		/* no process */
	MACHINE_STARTING,
	MACHINE_WAITING,
	MACHINE_RUNNING,	/* it is a client's */
	MACHINE_LOST,		/* it never was one's, and will not be */
	MACHINE_ENDING,		/* it was one's */
	MACHINE_NR_STATES,
};

enum pool_client_state {
	CLIENT_FREE,
	CLIENT_SILENT,		/* has sent nothing yet */
	CLIENT_ASKING,
};

/* Why a client is sent away. */
enum pool_refusal {
	POOL_SILENT,		/* its request did not come */
	POOL_BUSY,		/* so many jobs run already */
};

struct pool_limits {
	unsigned size;		/* machines to keep waiting */
	unsigned jobs;		/* machines at once that are some client's */
	uint64_t request_ns;	/* for a client to send its request */
};

struct pool_states {
	struct pool_limits limits;
	unsigned nr[MACHINE_NR_STATES];	/* entries of machine[] */
	unsigned nr_slots;	/* of machine[] that were ever used */
	unsigned nr_clients;	/* of client[] that are not free */
	unsigned nr_deaths;	/* in a row, of machines without a client */
	uint64_t count;		/* gives machines and clients their order */
	uint64_t start_ns;	/* not before */
	uint64_t death_ns;	/* the last one */
	uint64_t full_ns;	/* since when limits.jobs run */
	struct {
		enum pool_machine_state state;
		uint64_t order;		/* of those that wait */
	} machine[POOL_MACHINES_MAX];
	struct {
		enum pool_client_state state;
		uint64_t order;
		uint64_t since_ns;	/* it is in this state */
	} client[POOL_CLIENTS_MAX];
};

/* *s is zeros. */
void pool_states_init(struct pool_states *s, const struct pool_limits *l);

/* ---- machines ---- */

/*
 * The entry of a machine to be started now, STARTING from here on, or -1.
 * Nothing of it came up: pool_states_bury.
 */
int pool_states_start(struct pool_states *s, uint64_t now);

/* It says that it is ready. False when it may not: then it is to be lost. */
bool pool_states_ready(struct pool_states *s, unsigned m);

/*
 * It is good for nobody any more: it has died, failed or talked nonsense, or
 * its client has gone. True when it is to be killed, which is once.
 */
bool pool_states_lose(struct pool_states *s, unsigned m, uint64_t now);

/* Its process has been reaped. Returns what it was until then. */
enum pool_machine_state pool_states_bury(struct pool_states *s, unsigned m,
					 uint64_t now);

/* ---- clients ---- */

/* A connection: its entry, or -1 when there is no room. */
int pool_states_connect(struct pool_states *s, uint64_t now);
void pool_states_ask(struct pool_states *s, unsigned c, uint64_t now);
void pool_states_leave(struct pool_states *s, unsigned c);

/* Who gets whom: first come, first served; false when nobody does. */
bool pool_states_match(const struct pool_states *s, unsigned *m, unsigned *c);

/* Those two, which match gave, belong together: the client's entry is free. */
void pool_states_hand(struct pool_states *s, unsigned m, unsigned c,
		      uint64_t now);

/* A client whose time is over, and why, or -1. It stays until it leaves. */
int pool_states_overdue(const struct pool_states *s, uint64_t now,
			enum pool_refusal *why);

/* When to ask start and overdue again; UINT64_MAX: not before an event. */
uint64_t pool_states_next(const struct pool_states *s);

#endif
