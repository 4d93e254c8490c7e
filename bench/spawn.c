// SPDX-License-Identifier: MIT
/*
 * Times commands from outside, from before fork to after wait:
 *
 *	spawn ROUNDS NAME CMD [ARG...] [+ NAME CMD [ARG...]]...
 *
 * A round runs each command once, so that whatever drifts drifts for all. The
 * first round only warms caches up. Prints "NAME NANOSECONDS" for each run of
 * the others; a command that fails ends it with a line on stderr and 1.
 *
 * Static and without stdio where it counts: its own fork is part of what is
 * measured, and a small process forks fast.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MAX 16
#define ROUNDS_MAX   100000

/* What a run leaves to be cleaned up later is not the next one's cost. */
#define PAUSE_NS 200000000

struct command {
	char *name;
	char **argv;
};

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int complain(const char *what, const char *name)
{
	fprintf(stderr, "spawn: %s '%s': %s\n", what, name, strerror(errno));
	return -1;
}

/* Cuts argv at each "+"; returns how many commands, or -1. */
static int split(char **argv, struct command *c)
{
	int n = 0;

	while (*argv) {
		if (n == COMMANDS_MAX || !argv[1] || !strcmp(argv[1], "+"))
			return -1;
		c[n++] = (struct command){ argv[0], argv + 1 };
		while (*argv && strcmp(*argv, "+"))
			argv++;
		if (*argv)
			*argv++ = NULL;
	}
	return n;
}

static int run(const struct command *c, uint64_t *ns)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	uint64_t start;
	int status;
	pid_t pid;

	nanosleep(&pause, NULL);
	start = now();
	pid = fork();
	if (pid < 0)
		return complain("fork for", c->name);
	if (!pid) {
		execv(c->argv[0], c->argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return complain("wait for", c->name);
	*ns = now() - start;
	if (!status)
		return 0;
	fprintf(stderr, "spawn: '%s' ended with status %#x\n", c->name,
		(unsigned int)status);
	return -1;
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
	struct command c[COMMANDS_MAX];
	int n = argc > 1 ? split(argv + 2, c) : -1;
	int null = open("/dev/null", O_RDWR);
	uint64_t ns;

	if (rounds < 1 || rounds > ROUNDS_MAX || n < 1) {
		fprintf(stderr, "usage: spawn ROUNDS NAME CMD [ARG...] "
				"[+ NAME CMD [ARG...]]...\n");
		return 2;
	}
	if (null < 0 || dup2(null, STDIN_FILENO) < 0) {
		complain("open", "/dev/null");
		return 1;
	}
	for (long r = 0; r <= rounds; r++) {
		for (int i = 0; i < n; i++) {
			if (run(&c[i], &ns))
				return 1;
			if (r)
				printf("%s %" PRIu64 "\n", c[i].name, ns);
		}
		fflush(stdout);
	}
	return 0;
}
