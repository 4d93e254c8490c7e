/* LINK: vmm/core/loop.c */
// SPDX-License-Identifier: MIT
/*
 * The event loop: what is watched follows from want(), a wake-up is never
 * lost, timers come before data, stop ends it at once.
 *
 * Nothing here depends on how long something takes: a loop that misses an
 * event sleeps for ever, and the runner's limit ends the program.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/loop.h"

struct watched {
	struct loop *l;
	int fd;
	short events, seen;
	unsigned asked, ready;
	unsigned stop_after;
	bool keep;		/* leave the byte in the pipe */
};

static unsigned steps, stop_at_step;
static atomic_uint changes;
static struct loop loop;

static void on_step(void *opaque)
{
	struct loop *l = opaque;

	if (++steps == stop_at_step)
		l->stop = true;
}

static short on_want(void *opaque)
{
	struct watched *w = opaque;

	w->asked++;
	return w->events;
}

static void on_ready(void *opaque, short revents)
{
	struct watched *w = opaque;
	char c;

	w->seen |= revents;
	w->ready++;
	if (!w->keep && (revents & POLLIN))
		assert_int_equal(read(w->fd, &c, 1), 1);
	if (w->ready == w->stop_after)
		w->l->stop = true;
}

static int set_up(void **state)
{
	struct err e;

	(void)state;
	steps = stop_at_step = 0;
	return loop_init(&loop, on_step, &loop, &e);
}

static int tear_down(void **state)
{
	(void)state;
	loop_fini(&loop);
	loop_fini(&loop);
	return 0;
}

static void watch(struct watched *w, int fd, short events)
{
	struct loop_watch lw = { fd, on_want, on_ready, w };

	w->l = &loop;
	w->fd = fd;
	w->events = events;
	loop_add_watch(&loop, &lw);
}

static void run(void)
{
	struct err e;

	assert_int_equal(loop_run(&loop, &e), 0);
}

static void stops_in_a_step(void **state)
{
	(void)state;
	stop_at_step = 1;
	run();
	assert_int_equal(steps, 1);
}

static void serves_what_is_ready(void **state)
{
	struct watched in = { 0 }, out = { 0 }, none = { 0 };
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "abc", 3), 3);
	in.stop_after = 3;
	watch(&in, p[0], POLLIN);
	watch(&out, p[1], 0);
	watch(&none, -1, POLLIN);
	run();
	assert_int_equal(in.ready, 3);
	assert_int_equal(in.seen, POLLIN);
	/* Asked each time, never ready: it wanted nothing. */
	assert_int_equal(out.asked, 3);
	assert_int_equal(out.ready, 0);
	/* Without a descriptor, too: asking may be all that it takes. */
	assert_int_equal(none.asked, 3);
	assert_int_equal(none.ready, 0);
	close(p[0]);
	close(p[1]);
}

static void stop_keeps_others_from_being_served(void **state)
{
	struct watched a = { .stop_after = 1 }, b = { .stop_after = 1 };
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	watch(&a, p[1], POLLOUT);
	watch(&b, p[1], POLLOUT);
	run();
	assert_int_equal(a.ready + b.ready, 1);
	close(p[0]);
	close(p[1]);
}

static void hang_up_is_told(void **state)
{
	struct watched w = { .stop_after = 1, .keep = true };
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	close(p[1]);
	watch(&w, p[0], POLLIN);
	run();
	assert_true(w.seen & POLLHUP);
	close(p[0]);
}

static void regular_files_are_ready(void **state)
{
	struct watched w = { .stop_after = 1, .keep = true };
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	watch(&w, fd, POLLIN);
	run();
	assert_int_equal(w.seen, POLLIN);
	close(fd);
}

/* ---- waking ---- */

static void *wake_many(void *arg)
{
	unsigned i;

	for (i = 0; i < 1000; i++)
		loop_wake(arg);
	return NULL;
}

static void wake_before_the_sleep_counts(void **state)
{
	(void)state;
	stop_at_step = 2;
	loop_wake(&loop);
	loop_wake(&loop);
	run();
	assert_int_equal(steps, 2);
}

struct ping {
	atomic_uint asked, answered;
};

/* Ask for one step more each time the last was made; then for the end. */
static void *ping_thread(void *arg)
{
	struct ping *p = arg;
	unsigned i;

	for (i = 1; i <= 20000; i++) {
		atomic_store(&p->asked, i);
		loop_wake(&loop);
		while (atomic_load(&p->answered) != i)
			sched_yield();
	}
	return NULL;
}

static void answer_step(void *opaque)
{
	struct ping *p = opaque;
	unsigned n = atomic_load(&p->asked);

	atomic_store(&p->answered, n);
	loop.stop = n == 20000;
}

static void no_wake_is_lost(void **state)
{
	struct ping p = { 0 };
	pthread_t t;

	(void)state;
	loop.step = answer_step;
	loop.opaque = &p;
	assert_int_equal(pthread_create(&t, NULL, ping_thread, &p), 0);
	run();
	pthread_join(t, NULL);
	assert_int_equal(atomic_load(&p.answered), 20000);
}

static void many_wakes_are_one(void **state)
{
	uint64_t n = 0;

	(void)state;
	wake_many(&loop);
	assert_int_equal(read(loop.wake_fd, &n, sizeof(n)), sizeof(n));
	assert_int_equal(n, 1);
}

/* ---- timers ---- */

static unsigned order, timer_place, data_place;

static void on_timer(void *opaque)
{
	struct loop_timer **t = opaque;

	timer_place = ++order;
	if (t)
		assert_int_equal((*t)->at_ns, 0);
}

static void on_timer_stop(void *opaque)
{
	(void)opaque;
	order++;
	loop.stop = true;
}

static void note_data(void *opaque, short revents)
{
	(void)opaque;
	(void)revents;
	data_place = ++order;
	loop.stop = true;
}

static void deadlines_come_before_data(void **state)
{
	struct watched w = { .events = POLLOUT };
	struct loop_watch lw = { -1, on_want, note_data, &w };
	struct loop_timer *t;
	int p[2];

	(void)state;
	order = 0;
	assert_int_equal(pipe(p), 0);
	lw.fd = p[1];
	loop_add_watch(&loop, &lw);
	t = loop_add_timer(&loop, on_timer, &t);
	t->at_ns = 1;
	run();
	assert_int_equal(timer_place, 1);
	assert_int_equal(data_place, 2);
	close(p[0]);
	close(p[1]);
}

static void timers_wait_for_their_time(void **state)
{
	struct loop_timer *late, *early, *never;
	uint64_t before = loop_now();

	(void)state;
	order = 0;
	never = loop_add_timer(&loop, on_timer, NULL);
	late = loop_add_timer(&loop, on_timer, NULL);
	early = loop_add_timer(&loop, on_timer_stop, NULL);
	late->at_ns = UINT64_MAX;
	early->at_ns = before + 1000000;
	run();
	assert_int_equal(order, 1);
	assert_true(loop_now() >= before + 1000000);
	assert_int_equal(early->at_ns, 0);
	assert_int_equal(late->at_ns, UINT64_MAX);
	assert_int_equal(never->at_ns, 0);
}

static void a_timer_may_stop_before_the_next(void **state)
{
	struct loop_timer *a, *b;

	(void)state;
	order = 0;
	a = loop_add_timer(&loop, on_timer_stop, NULL);
	b = loop_add_timer(&loop, on_timer, NULL);
	a->at_ns = b->at_ns = 1;
	run();
	assert_int_equal(order, 1);
	assert_int_equal(b->at_ns, 1);
}

/* ---- what the kernel refuses ---- */

static void on_signal(int sig)
{
	(void)sig;
	loop_wake(&loop);
}

/* A handler that runs during the sleep ends it with EINTR. */
static void signals_do_no_harm(void **state)
{
	struct sigaction sa = { .sa_handler = on_signal }, old;
	struct loop_timer *t;

	(void)state;
	assert_int_equal(sigaction(SIGALRM, &sa, &old), 0);
	stop_at_step = 2;
	t = loop_add_timer(&loop, on_timer, NULL);
	t->at_ns = UINT64_MAX;
	alarm(1);
	run();
	assert_int_equal(steps, 2);
	sigaction(SIGALRM, &old, NULL);
}

static void closed_descriptors_are_told(void **state)
{
	struct watched w = { .stop_after = 1 };
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	watch(&w, p[0], POLLIN);
	close(p[0]);
	close(p[1]);
	run();
	assert_int_equal(w.seen, POLLNVAL);
}

static void no_descriptors_left(void **state)
{
	struct rlimit old, none;
	struct loop l;
	struct err e = { 0 };

	(void)state;
	getrlimit(RLIMIT_NOFILE, &old);
	none = (struct rlimit){ 0, old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	assert_int_equal(loop_init(&l, on_step, &l, &e), -EMFILE);
	/* poll checks the number of its entries against the same limit. */
	assert_int_equal(loop_run(&loop, &e), -EINVAL);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_non_null(strstr(e.msg, "wait for events"));
	loop_fini(&l);
}

/* Without the second look the loop would sleep for ever. */
static void step_and_change(void *opaque)
{
	struct loop *l = opaque;

	if (++steps < 3)
		loop_wake_soon(l);
	else
		l->stop = true;
}

static void a_step_that_changes_something_is_done_again(void **state)
{
	struct err e;

	(void)state;
	loop.step = step_and_change;
	loop_wake_soon(&loop);
	assert_int_equal(loop_run(&loop, &e), 0);
	assert_int_equal(steps, 3);
}

/* A guest that always has something new: each look finds work and makes it. */
static void step_and_change_for_ever(void *opaque)
{
	/* The bound is for a loop that does it wrong, and would not end. */
	if (++steps == 10000)
		loop.stop = true;
	loop_wake_soon(opaque);
}

static short want_and_change(void *opaque)
{
	loop_wake_soon(opaque);
	return 0;
}

static void endless_work_hides_no_timer(void **state)
{
	struct loop_watch busy = { loop.wake_fd, want_and_change, NULL, &loop };
	struct loop_timer *t;

	(void)state;
	order = 0;
	loop.step = step_and_change_for_ever;
	loop_add_watch(&loop, &busy);
	t = loop_add_timer(&loop, on_timer_stop, NULL);
	t->at_ns = 1;
	run();
	assert_int_equal(order, 1);
	assert_int_equal(steps, 2);
}

static void endless_work_hides_no_descriptor(void **state)
{
	struct loop_watch busy = { loop.wake_fd, want_and_change, NULL, &loop };
	struct watched signals = { .stop_after = 1, .events = POLLIN };
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "s", 1), 1);
	loop.step = step_and_change_for_ever;
	loop_add_watch(&loop, &busy);
	watch(&signals, p[0], POLLIN);
	run();
	assert_int_equal(signals.ready, 1);
	assert_int_equal(steps, 2);
	close(p[0]);
	close(p[1]);
}

static void *change_and_wake(void *opaque)
{
	struct loop *l = opaque;
	unsigned i;

	/* Whatever the loop does meanwhile: each change is seen. */
	for (i = 0; i < 10000; i++) {
		atomic_fetch_add(&changes, 1);
		loop_wake_soon(l);
		loop_wake_now(l);
	}
	return NULL;
}

static void step_until_all_changed(void *opaque)
{
	struct loop *l = opaque;

	l->stop = atomic_load(&changes) == 10000;
}

static void what_the_loop_has_not_seen_wakes_it(void **state)
{
	struct err e;
	pthread_t t;

	(void)state;
	loop.step = step_until_all_changed;
	assert_int_equal(pthread_create(&t, NULL, change_and_wake, &loop), 0);
	assert_int_equal(loop_run(&loop, &e), 0);
	pthread_join(t, NULL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(stops_in_a_step),
		TEST(serves_what_is_ready),
		TEST(stop_keeps_others_from_being_served),
		TEST(hang_up_is_told),
		TEST(regular_files_are_ready),
		TEST(wake_before_the_sleep_counts),
		TEST(no_wake_is_lost),
		TEST(many_wakes_are_one),
		TEST(a_step_that_changes_something_is_done_again),
		TEST(what_the_loop_has_not_seen_wakes_it),
		TEST(endless_work_hides_no_timer),
		TEST(endless_work_hides_no_descriptor),
		TEST(deadlines_come_before_data),
		TEST(timers_wait_for_their_time),
		TEST(a_timer_may_stop_before_the_next),
		TEST(signals_do_no_harm),
		TEST(closed_descriptors_are_told),
		TEST(no_descriptors_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
