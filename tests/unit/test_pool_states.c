// SPDX-License-Identifier: MIT
/* LINK: vmm/pool/states.c */
/*
 * A pool is played: machines that start, get ready, fail and die, clients that
 * come, ask, hang up and are handed over, hand-overs that fail, time that
 * passes. All of it in every order up to some length, and at random for long.
 * After each step the counts are made anew from the entries, and whoever a
 * machine is given to is followed by a number of its own.
 */
#include "pool/states.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIZE	2u
#define JOBS	2u
#define CLIENTS 3u	/* at a time */
#define SLOTS	8u	/* more than are ever used at once here */
#define SECOND	1000000000ull

/* What stands beside the pool's entries, as descriptors do in pool.c. */
struct play {
	struct pool_states s;
	uint64_t now;
	unsigned next_name;
	unsigned machine_has[SLOTS];	/* name of its client; 0: none */
	unsigned machine_is[SLOTS];	/* name, got when it was ready */
	unsigned client_is[CLIENTS];	/* name; 0: nobody */
	bool killed[SLOTS];
};

enum kind {
	START, PASS, CONNECT, SERVE, SERVE_FAILS, READY, LOSE, BURY, ASK,
	LEAVE, NR_KINDS,
};

struct event {
	enum kind kind;
	unsigned which;
};

static void init(struct play *p, unsigned jobs)
{
	const struct pool_limits l = { SIZE, jobs, 10 * SECOND };

	memset(p, 0, sizeof(*p));
	pool_states_init(&p->s, &l);
	p->now = 100 * SECOND;
}

/* The entries in use, and nothing of the long tables behind them. */
static void copy(struct play *to, const struct play *from)
{
	memcpy(to, from, offsetof(struct play, s.machine[SLOTS]));
	memcpy(to->s.client, from->s.client,
	       CLIENTS * sizeof(from->s.client[0]));
	memcpy(&to->now, &from->now,
	       sizeof(*to) - offsetof(struct play, now));
}

/* ---- what must hold ---- */

static unsigned nr_in(const struct play *p, enum pool_machine_state state)
{
	unsigned i, n = 0;

	for (i = 0; i < p->s.nr_slots; i++)
		n += p->s.machine[i].state == state;
	return n;
}

static void check_counts(const struct play *p)
{
	unsigned i, n = 0;

	assert_true(p->s.nr_slots <= SLOTS);
	for (i = 0; i < MACHINE_NR_STATES; i++)
		assert_int_equal(p->s.nr[i],
				 nr_in(p, (enum pool_machine_state)i));
	for (i = 0; i < CLIENTS; i++)
		n += p->s.client[i].state != CLIENT_FREE;
	assert_int_equal(p->s.nr_clients, n);
	assert_true(nr_in(p, MACHINE_WAITING) + nr_in(p, MACHINE_STARTING) <=
		    SIZE);
	assert_true(nr_in(p, MACHINE_RUNNING) + nr_in(p, MACHINE_ENDING) <=
		    p->s.limits.jobs);
}

/* A client is in one place, and a machine has one if it is its. */
static void check_names(const struct play *p)
{
	unsigned i, k;

	for (i = 0; i < CLIENTS; i++)
		assert_int_equal(p->client_is[i] != 0,
				 p->s.client[i].state != CLIENT_FREE);
	for (i = 0; i < p->s.nr_slots; i++) {
		enum pool_machine_state state = p->s.machine[i].state;

		assert_int_equal(p->machine_has[i] != 0,
				 state == MACHINE_RUNNING ||
					 state == MACHINE_ENDING);
		assert_int_equal(p->killed[i], state == MACHINE_LOST ||
						       state == MACHINE_ENDING);
		for (k = 0; p->machine_has[i] && k < CLIENTS; k++)
			assert_int_not_equal(p->machine_has[i],
					     p->client_is[k]);
	}
}

/* Who is served next, found by another way: the names say who came first. */
static void check_match(const struct play *p)
{
	unsigned m, c, i, oldest = 0;
	bool any = false, free = p->s.limits.jobs >
				 nr_in(p, MACHINE_RUNNING) +
					 nr_in(p, MACHINE_ENDING);

	for (i = 0; i < CLIENTS; i++) {
		if (p->s.client[i].state != CLIENT_ASKING)
			continue;
		if (!any || p->client_is[i] < p->client_is[oldest])
			oldest = i;
		any = true;
	}
	any &= free && nr_in(p, MACHINE_WAITING);
	assert_int_equal(pool_states_match(&p->s, &m, &c), any);
	if (!any)
		return;
	assert_int_equal(p->s.machine[m].state, MACHINE_WAITING);
	assert_int_equal(c, oldest);
	for (i = 0; i < p->s.nr_slots; i++)
		assert_false(p->s.machine[i].state == MACHINE_WAITING &&
			     p->machine_is[i] < p->machine_is[m]);
}

/* It never stands still: what is missing is started, at a time it names. */
static void check_progress(struct play *p, struct play *room)
{
	unsigned coming = nr_in(p, MACHINE_WAITING) +
			  nr_in(p, MACHINE_STARTING);
	uint64_t at = pool_states_next(&p->s);

	if (coming == SIZE || nr_in(p, MACHINE_STARTING) == 2)
		return;
	assert_true(at <= p->now + 20 * SECOND);
	copy(room, p);
	assert_true(pool_states_start(&room->s, p->now + 20 * SECOND) >= 0);
}

static void check(struct play *p, struct play *room)
{
	check_counts(p);
	check_names(p);
	check_match(p);
	check_progress(p, room);
}

/* ---- what may happen ---- */

static void lose(struct play *p, unsigned m)
{
	bool was = p->killed[m];

	assert_int_equal(pool_states_lose(&p->s, m, p->now),
			 !was && p->s.machine[m].state != MACHINE_FREE);
	p->killed[m] = true;
}

static bool start(struct play *p)
{
	int m = pool_states_start(&p->s, p->now);

	if (m < 0)
		return false;
	assert_true((unsigned)m < SLOTS);
	assert_int_equal(p->machine_has[m], 0);
	p->killed[m] = false;
	return true;
}

static bool serve(struct play *p, bool works)
{
	unsigned m, c;

	if (!pool_states_match(&p->s, &m, &c))
		return false;
	if (!works) {
		lose(p, m);
		return true;
	}
	pool_states_hand(&p->s, m, c, p->now);
	p->machine_has[m] = p->client_is[c];
	p->client_is[c] = 0;
	return true;
}

static bool come(struct play *p)
{
	int c;

	if (p->s.nr_clients == CLIENTS)
		return false;
	c = pool_states_connect(&p->s, p->now);
	assert_in_range(c, 0, CLIENTS - 1);
	p->client_is[c] = ++p->next_name;
	return true;
}

/* Time passes, and who has waited for too long is sent away. */
static void pass(struct play *p, uint64_t ns)
{
	enum pool_refusal why;
	int c;

	p->now += ns;
	while ((c = pool_states_overdue(&p->s, p->now, &why)) >= 0) {
		assert_in_range(c, 0, CLIENTS - 1);
		assert_int_equal(p->s.client[c].state,
				 why == POOL_SILENT ? CLIENT_SILENT :
						      CLIENT_ASKING);
		if (why == POOL_BUSY)
			assert_true(p->s.nr[MACHINE_RUNNING] +
					    p->s.nr[MACHINE_ENDING] >=
				    p->s.limits.jobs);
		pool_states_leave(&p->s, (unsigned)c);
		p->client_is[c] = 0;
	}
	assert_true(pool_states_next(&p->s) > p->now ||
		    p->s.nr[MACHINE_WAITING] + p->s.nr[MACHINE_STARTING] <
			    SIZE);
}

static bool happens_to_machine(struct play *p, struct event ev)
{
	unsigned m = ev.which;

	if (m >= p->s.nr_slots || p->s.machine[m].state == MACHINE_FREE)
		return false;
	if (ev.kind == READY && pool_states_ready(&p->s, m))
		p->machine_is[m] = ++p->next_name;
	else if (ev.kind != BURY)
		lose(p, m); /* READY twice is nonsense */
	if (ev.kind == BURY) {
		pool_states_bury(&p->s, m, p->now);
		p->machine_has[m] = 0;
		p->killed[m] = false;
	}
	return true;
}

/* False when it cannot happen now. */
static bool happens(struct play *p, struct event ev)
{
	switch (ev.kind) {
	case START:
		return start(p);
	case PASS:
		pass(p, ev.which ? 11 * SECOND : SECOND / 2);
		return true;
	case CONNECT:
		return come(p);
	case SERVE:
	case SERVE_FAILS:
		return serve(p, ev.kind == SERVE);
	case ASK:
		if (p->s.client[ev.which].state != CLIENT_SILENT)
			return false;
		pool_states_ask(&p->s, ev.which, p->now);
		return true;
	case LEAVE:
		if (p->s.client[ev.which].state == CLIENT_FREE)
			return false;
		pool_states_leave(&p->s, ev.which);
		p->client_is[ev.which] = 0;
		return true;
	default:
		return happens_to_machine(p, ev);
	}
}

static unsigned variants(enum kind kind)
{
	switch (kind) {
	case PASS:
		return 2;
	case READY:
	case LOSE:
	case BURY:
		return 4;
	case ASK:
	case LEAVE:
		return CLIENTS;
	default:
		return 1;
	}
}

#define DEPTH 7u

static uint64_t nr_steps;

static void explore(struct play *stack, struct play *room, unsigned depth)
{
	struct event ev = { .kind = START };

	check(stack, room);
	nr_steps++;
	if (!depth)
		return;
	for (; ev.kind < NR_KINDS; ev.kind++)
		for (ev.which = 0; ev.which < variants(ev.kind); ev.which++) {
			copy(stack + 1, stack);
			if (happens(stack + 1, ev))
				explore(stack + 1, room, depth - 1);
		}
}

/* From nothing, and from a pool whose machines wait and whose clients ask. */
static void every_order(void **state)
{
	struct play *stack = calloc(DEPTH + 2, sizeof(*stack));

	(void)state;
	assert_non_null(stack);
	init(stack, JOBS);
	explore(stack, stack + DEPTH + 1, DEPTH);
	init(stack, JOBS);
	for (unsigned i = 0; i < SIZE; i++) {
		assert_true(happens(stack, (struct event){ START, 0 }));
		assert_true(happens(stack, (struct event){ READY, i }));
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		assert_true(happens(stack, (struct event){ CONNECT, 0 }));
		assert_true(happens(stack, (struct event){ ASK, i }));
	}
	explore(stack, stack + DEPTH + 1, DEPTH - 2);
	print_message("# %llu steps\n", (unsigned long long)nr_steps);
	free(stack);
}

static void at_random(void **state)
{
	struct play *p = calloc(2, sizeof(*p));
	uint64_t seed = 88172645463325252ull;

	(void)state;
	assert_non_null(p);
	for (unsigned i = 0; i < 300000; i++) {
		struct event ev;

		if (i % 1000 == 0)
			init(p, i % 3000 ? JOBS : UINT32_MAX >> 1);
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		ev.kind = (enum kind)(seed % NR_KINDS);
		ev.which = (unsigned)(seed >> 32) % variants(ev.kind);
		/* Without limits, machines come until their table ends here. */
		if (ev.kind == START && p->s.nr_slots == SLOTS &&
		    !p->s.nr[MACHINE_FREE])
			continue;
		happens(p, ev);
		check(p, p + 1);
	}
	free(p);
}

/* The one that crashed: a dead machine next to clients that ask. */
static void a_dead_machine_is_nobodys(void **state)
{
	struct play *p = calloc(1, sizeof(*p));
	unsigned m, c;

	(void)state;
	init(p, JOBS);
	for (unsigned i = 0; i < 3; i++) {
		happens(p, (struct event){ CONNECT, 0 });
		happens(p, (struct event){ ASK, i });
	}
	happens(p, (struct event){ START, 0 });
	happens(p, (struct event){ READY, 0 });
	happens(p, (struct event){ LOSE, 0 });
	assert_int_equal(p->s.nr[MACHINE_WAITING], 0);
	assert_false(pool_states_match(&p->s, &m, &c));
	/* And its place is to be filled before it is buried. */
	assert_int_equal(pool_states_start(&p->s, p->now), 1);
	free(p);
}

/* Each death in a row makes the next start later; a job makes that good. */
static void deaths_slow_it_down(void **state)
{
	struct play *p = calloc(1, sizeof(*p));
	uint64_t last = 0, wait;

	(void)state;
	init(p, JOBS);
	for (unsigned i = 0; i < 8; i++) {
		wait = pool_states_next(&p->s);
		wait = wait > p->now ? wait - p->now : 0;
		assert_true(!i || i == 1 ? !wait : wait > last);
		last = wait;
		p->now += wait;
		assert_int_equal(pool_states_start(&p->s, p->now), 0);
		assert_int_equal(pool_states_bury(&p->s, 0, p->now),
				 MACHINE_STARTING);
	}
	p->now = pool_states_next(&p->s);
	happens(p, (struct event){ START, 0 });
	happens(p, (struct event){ READY, 0 });
	happens(p, (struct event){ CONNECT, 0 });
	happens(p, (struct event){ ASK, 0 });
	assert_true(happens(p, (struct event){ SERVE, 0 }));
	assert_int_equal(p->s.nr_deaths, 0);
	free(p);
}

/* Who waits beyond the limit of jobs is told, unless one ends before. */
static void beyond_the_limit(void **state)
{
	struct play *p = calloc(1, sizeof(*p));
	enum pool_refusal why;

	(void)state;
	init(p, 1);
	happens(p, (struct event){ START, 0 });
	happens(p, (struct event){ READY, 0 });
	for (unsigned i = 0; i < 3; i++) {
		happens(p, (struct event){ CONNECT, 0 });
		happens(p, (struct event){ ASK, i });
	}
	assert_true(happens(p, (struct event){ SERVE, 0 }));
	assert_true(happens(p, (struct event){ START, 0 }) == false);
	p->now += SECOND / 2;
	assert_true(happens(p, (struct event){ START, 0 }));
	happens(p, (struct event){ READY, 1 });
	assert_int_equal(pool_states_overdue(&p->s, p->now, &why), -1);
	assert_false(happens(p, (struct event){ SERVE, 0 }));
	happens(p, (struct event){ BURY, 0 });
	assert_true(happens(p, (struct event){ SERVE, 0 }));
	/* The third has waited for a second by now, and the limit for none. */
	p->now += SECOND / 2;
	assert_int_equal(pool_states_overdue(&p->s, p->now, &why), -1);
	p->now += SECOND / 2;
	assert_int_equal(pool_states_overdue(&p->s, p->now, &why), 2);
	assert_int_equal(why, POOL_BUSY);
	free(p);
}

/* Tables that are full refuse, and lose nobody. */
static void full_tables(void **state)
{
	const struct pool_limits l = { 1024, UINT32_MAX, UINT64_MAX };
	struct pool_states *s = calloc(1, sizeof(*s));
	enum pool_refusal why;
	unsigned m, c, jobs = 0;
	int i;

	(void)state;
	pool_states_init(s, &l);
	for (i = 0; i < (int)POOL_CLIENTS_MAX; i++)
		assert_int_equal(pool_states_connect(s, 1), i);
	assert_int_equal(pool_states_connect(s, 1), -1);
	assert_int_equal(pool_states_overdue(s, UINT64_MAX - 1, &why), -1);
	pool_states_ask(s, 7, 1);
	for (;;) {
		i = pool_states_start(s, UINT64_MAX / 2);
		if (i < 0)
			break;
		assert_true(pool_states_ready(s, (unsigned)i));
		if (!pool_states_match(s, &m, &c))
			continue;
		pool_states_hand(s, m, c, 1);
		pool_states_ask(s, (unsigned)pool_states_connect(s, 1), 1);
		jobs++;
	}
	assert_int_equal(jobs, POOL_MACHINES_MAX);
	assert_int_equal(s->nr_slots, POOL_MACHINES_MAX);
	assert_int_equal(pool_states_bury(s, 5, 1), MACHINE_RUNNING);
	assert_int_equal(pool_states_start(s, UINT64_MAX / 2), 5);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_order),
		cmocka_unit_test(at_random),
		cmocka_unit_test(a_dead_machine_is_nobodys),
		cmocka_unit_test(deaths_slow_it_down),
		cmocka_unit_test(beyond_the_limit),
		cmocka_unit_test(full_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
