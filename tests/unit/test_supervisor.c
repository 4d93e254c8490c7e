// SPDX-License-Identifier: MIT
/* LINK: vmm/jail/supervisor.c */
/*
 * A supervisor and its machine stop as one and go on as one. The husk of a
 * test is a child, in a process group of its own as a shell would have it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/supervisor.h"

#define STATUS 7

/*
 * A machine that cannot stop at once: it waits for the child of a vfork, which
 * waits for the end of `gate`.
 */
static int stubborn_machine(int gate)
{
	char c;
	pid_t pid = vfork();

	if (!pid)
		_exit(read(gate, &c, 1) != 0);
	return pid > 0 ? STATUS : 1;
}

static int be_husk(int gate)
{
	struct supervisor_end end;
	struct supervisor s;
	struct err e;

	setpgid(0, 0);
	if (supervisor_split(&s, false, &e))
		return 1;
	if (!s.pid)
		_exit(stubborn_machine(gate));
	supervisor_wait(&s, (int[]){ -1, -1 }, &end);
	return end.status;
}

/* What a file of /proc says of a process, "" when it is gone. */
static void look(const char *what, pid_t pid, char text[256])
{
	size_t n = 0;
	FILE *f;

	snprintf(text, 256, "/proc/%d/task/%d/%s", pid, pid, what);
	f = fopen(text, "r");
	if (f) {
		n = fread(text, 1, 255, f);
		fclose(f);
	}
	text[n] = '\0';
}

static char state_of(pid_t pid)
{
	char text[256], *name_end;

	look("stat", pid, text);
	name_end = strrchr(text, ')');
	return name_end ? name_end[2] : '\0';
}

static pid_t child_of(pid_t pid)
{
	char text[256];

	for (;;) {
		look("children", pid, text);
		if (text[0])
			return (pid_t)strtol(text, NULL, 10);
		usleep(1000);
	}
}

/* A husk whose machine cannot stop before *gate is closed. */
static pid_t start_husk(int *gate)
{
	int ends[2];
	pid_t husk;

	assert_int_equal(pipe(ends), 0);
	husk = fork();
	assert_true(husk >= 0);
	if (!husk) {
		close(ends[1]);
		_exit(be_husk(ends[0]));
	}
	close(ends[0]);
	*gate = ends[1];
	return husk;
}

static void stops_after_its_machine(void **state)
{
	int gate, status, i;
	pid_t husk = start_husk(&gate), machine = child_of(husk);

	(void)state;
	child_of(machine);

	kill(husk, SIGTTIN);
	/* Time to do it wrong; what is right does not depend on it. */
	for (i = 0; i < 100; i++) {
		assert_int_equal(waitpid(husk, &status, WNOHANG | WUNTRACED),
				 0);
		usleep(1000);
	}
	/* What the machine would send while it has not stopped. */
	kill(husk, SIGTTIN);
	close(gate);
	assert_int_equal(waitpid(husk, &status, WUNTRACED), husk);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(WSTOPSIG(status), SIGTTIN);
	assert_int_equal(state_of(machine), 'T');

	kill(husk, SIGCONT);
	assert_int_equal(waitpid(husk, &status, WUNTRACED), husk);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), STATUS);
}

/* A machine that ends instead of stopping: its status is not lost. */
static void ends_while_it_should_stop(void **state)
{
	int gate, status;
	pid_t husk = start_husk(&gate);

	(void)state;
	kill(child_of(husk), SIGKILL);
	kill(husk, SIGTSTP);
	kill(husk, SIGCONT);
	close(gate);
	do {
		assert_int_equal(waitpid(husk, &status, WUNTRACED), husk);
		if (WIFSTOPPED(status))
			kill(husk, SIGCONT);
	} while (!WIFEXITED(status));
	/* -1: killed. */
	assert_int_equal(WEXITSTATUS(status), 255);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stops_after_its_machine),
		cmocka_unit_test(ends_while_it_should_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
