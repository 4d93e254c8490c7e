// SPDX-License-Identifier: MIT
/*
 * See states.h.
 *
 * Replacements start some time after a hand-over, so that they do not take
 * the CPU from the job that was just handed out, unless a client waits. What
 * dies without ever having been a client's is replaced later each time, so
 * that a template that cannot live does not keep a CPU busy.
 *
 * A client beyond the limit of jobs waits a moment before it is told: the
 * machine of a job that has just ended takes that long to go, and whoever runs
 * one job after the other would else be refused by chance.
 */
#include "pool/states.h"

#define STARTS_MAX    2u	     /* at a time */
#define PAUSE_NS      20000000ull    /* after a hand-over */
#define BACKOFF_NS    20000000ull    /* after a death, doubled each time, */
#define BACKOFF_STEPS 8u	     /* so many times */
#define CALM_NS	      60000000000ull /* then the count begins anew */
#define BUSY_NS	      1000000000ull  /* for a machine's end */

void pool_states_init(struct pool_states *s, const struct pool_limits *l)
{
	s->limits = *l;
}

/* ---- machines ---- */

static void set_state(struct pool_states *s, unsigned m,
		      enum pool_machine_state to)
{
	s->nr[s->machine[m].state]--;
	s->machine[m].state = to;
	s->nr[to]++;
}

static unsigned nr_jobs(const struct pool_states *s)
{
	return s->nr[MACHINE_RUNNING] + s->nr[MACHINE_ENDING];
}

static bool is_full(const struct pool_states *s)
{
	return nr_jobs(s) >= s->limits.jobs;
}

static void note_death(struct pool_states *s, uint64_t now)
{
	unsigned steps;

	if (now - s->death_ns > CALM_NS)
		s->nr_deaths = 0;
	steps = s->nr_deaths < BACKOFF_STEPS ? s->nr_deaths : BACKOFF_STEPS;
	s->nr_deaths++;
	s->death_ns = now;
	/* The first is replaced at once. */
	s->start_ns = steps ? now + (BACKOFF_NS << steps) : now;
}

static bool wants_machine(const struct pool_states *s)
{
	unsigned used = s->nr_slots - s->nr[MACHINE_FREE];

	return s->nr[MACHINE_WAITING] + s->nr[MACHINE_STARTING] <
		       s->limits.size &&
	       s->nr[MACHINE_STARTING] < STARTS_MAX && used < POOL_MACHINES_MAX;
}

/* The first that asks, or -1. */
static int first_asking(const struct pool_states *s)
{
	int best = -1;
	unsigned i;

	for (i = 0; s->nr_clients && i < POOL_CLIENTS_MAX; i++)
		if (s->client[i].state == CLIENT_ASKING &&
		    (best < 0 || s->client[i].order < s->client[best].order))
			best = (int)i;
	return best;
}

/* Somebody waits for a machine, and they live: no time to lose. */
static uint64_t start_time(const struct pool_states *s)
{
	if (!s->nr_deaths && !s->nr[MACHINE_WAITING] && !is_full(s) &&
	    first_asking(s) >= 0)
		return 0;
	return s->start_ns;
}

static unsigned find_free(struct pool_states *s)
{
	unsigned i;

	for (i = 0; i < s->nr_slots; i++)
		if (s->machine[i].state == MACHINE_FREE)
			return i;
	s->nr[MACHINE_FREE]++;
	return s->nr_slots++;
}

int pool_states_start(struct pool_states *s, uint64_t now)
{
	unsigned m;

	if (!wants_machine(s) || now < start_time(s))
		return -1;
	m = find_free(s);
	set_state(s, m, MACHINE_STARTING);
	return (int)m;
}

bool pool_states_ready(struct pool_states *s, unsigned m)
{
	if (s->machine[m].state != MACHINE_STARTING)
		return false;
	s->machine[m].order = s->count++;
	set_state(s, m, MACHINE_WAITING);
	return true;
}

bool pool_states_lose(struct pool_states *s, unsigned m, uint64_t now)
{
	switch (s->machine[m].state) {
	case MACHINE_STARTING:
	case MACHINE_WAITING:
		set_state(s, m, MACHINE_LOST);
		note_death(s, now);
		return true;
	case MACHINE_RUNNING:
		set_state(s, m, MACHINE_ENDING);
		return true;
	default:
		return false;
	}
}

enum pool_machine_state pool_states_bury(struct pool_states *s, unsigned m,
					 uint64_t now)
{
	enum pool_machine_state was = s->machine[m].state;

	if (was == MACHINE_STARTING || was == MACHINE_WAITING)
		note_death(s, now);
	set_state(s, m, MACHINE_FREE);
	return was;
}

/* ---- clients ---- */

int pool_states_connect(struct pool_states *s, uint64_t now)
{
	unsigned i;

	for (i = 0; i < POOL_CLIENTS_MAX; i++) {
		if (s->client[i].state != CLIENT_FREE)
			continue;
		s->client[i].state = CLIENT_SILENT;
		s->client[i].order = s->count++;
		s->client[i].since_ns = now;
		s->nr_clients++;
		return (int)i;
	}
	return -1;
}

void pool_states_ask(struct pool_states *s, unsigned c, uint64_t now)
{
	if (s->client[c].state != CLIENT_SILENT)
		return;
	s->client[c].state = CLIENT_ASKING;
	s->client[c].since_ns = now;
}

void pool_states_leave(struct pool_states *s, unsigned c)
{
	if (s->client[c].state == CLIENT_FREE)
		return;
	s->client[c].state = CLIENT_FREE;
	s->nr_clients--;
}

bool pool_states_match(const struct pool_states *s, unsigned *m, unsigned *c)
{
	int client = first_asking(s), machine = -1;
	unsigned i;

	if (client < 0 || is_full(s) || !s->nr[MACHINE_WAITING])
		return false;
	for (i = 0; i < s->nr_slots; i++)
		if (s->machine[i].state == MACHINE_WAITING &&
		    (machine < 0 ||
		     s->machine[i].order < s->machine[machine].order))
			machine = (int)i;
	*m = (unsigned)machine;
	*c = (unsigned)client;
	return machine >= 0;
}

void pool_states_hand(struct pool_states *s, unsigned m, unsigned c,
		      uint64_t now)
{
	set_state(s, m, MACHINE_RUNNING);
	pool_states_leave(s, c);
	s->nr_deaths = 0;
	s->start_ns = now + PAUSE_NS;
	if (is_full(s))
		s->full_ns = now;
}

static uint64_t after(uint64_t from, uint64_t by)
{
	return from > UINT64_MAX - by ? UINT64_MAX : from + by;
}

/* When this client is to be told; UINT64_MAX: never. */
static uint64_t end_of_patience(const struct pool_states *s, unsigned c)
{
	uint64_t since = s->client[c].since_ns;

	if (s->client[c].state == CLIENT_SILENT)
		return after(since, s->limits.request_ns);
	if (s->client[c].state != CLIENT_ASKING || !is_full(s))
		return UINT64_MAX;
	return after(since > s->full_ns ? since : s->full_ns, BUSY_NS);
}

int pool_states_overdue(const struct pool_states *s, uint64_t now,
			enum pool_refusal *why)
{
	unsigned i;

	for (i = 0; s->nr_clients && i < POOL_CLIENTS_MAX; i++) {
		if (now < end_of_patience(s, i))
			continue;
		*why = s->client[i].state == CLIENT_SILENT ? POOL_SILENT :
							     POOL_BUSY;
		return (int)i;
	}
	return -1;
}

uint64_t pool_states_next(const struct pool_states *s)
{
	uint64_t at = wants_machine(s) ? start_time(s) : UINT64_MAX, end;
	unsigned i;

	for (i = 0; s->nr_clients && i < POOL_CLIENTS_MAX; i++) {
		end = end_of_patience(s, i);
		if (end < at)
			at = end;
	}
	return at;
}
