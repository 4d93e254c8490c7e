// SPDX-License-Identifier: MIT
/*
 * The jobs of bench that do something: work KIND [N]. Each writes a byte when
 * it starts and another when its loop is over, so that who reads them sees how
 * long the loop took, on a clock that no guest can bend.
 *
 *	cpu N	 N rounds of arithmetic
 *	memory N N million reads and writes all over 64 MiB
 *	calls N	 N small system calls, and N / 100 times fork and wait
 *	byte	 has no loop at all
 *	idle	 waits for ever, and costs only what it is
 *	spin	 computes for ever, deaf to SIGTERM
 *
 * Static and free of floating point: what is measured is the wall around it.
 */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SPACE (64u << 20)

/* Read at the end, so that no loop can be left out. */
static volatile uint64_t sink;

static uint64_t next(uint64_t x)
{
	x ^= x << 13;
	x ^= x >> 7;
	return x ^ x << 17;
}

static void work_cpu(long n)
{
	uint64_t x = 1;

	for (long i = 0; i < n; i++)
		x = next(x);
	sink = x;
}

static void work_memory(long n)
{
	uint64_t *space = malloc(SPACE), x = 1;

	if (!space)
		_exit(1);
	memset(space, 1, SPACE);
	for (long i = 0; i < n * 1000000; i++) {
		x = next(x);
		space[x % (SPACE / sizeof(*space))] += x;
	}
	sink = space[x % (SPACE / sizeof(*space))];
	free(space);
}

static void work_calls(long n)
{
	for (long i = 0; i < n; i++) {
		pid_t pid;

		syscall(SYS_getppid);
		if (i % 100)
			continue;
		pid = fork();
		if (!pid)
			_exit(0);
		if (pid < 0 || waitpid(pid, NULL, 0) < 0)
			_exit(1);
	}
}

static void say(void)
{
	if (write(STDOUT_FILENO, "\n", 1) != 1)
		_exit(1);
}

int main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "";
	long n = argc > 2 ? strtol(argv[2], NULL, 10) : 1;

	say();
	if (!strcmp(kind, "byte"))
		;
	else if (!strcmp(kind, "cpu"))
		work_cpu(n);
	else if (!strcmp(kind, "memory"))
		work_memory(n);
	else if (!strcmp(kind, "calls"))
		work_calls(n);
	else if (!strcmp(kind, "idle"))
		pause();
	else if (!strcmp(kind, "spin"))
		for (signal(SIGTERM, SIG_IGN);; sink++)
			;
	else
		return 2;
	say();
	return 0;
}
