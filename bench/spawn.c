// SPDX-License-Identifier: MIT
/*
 * Times commands from outside, from before fork to after wait:
 *
 *	spawn [OPTIONS] ROUNDS NAME CMD [ARG...] [+ NAME CMD [ARG...]]...
 *
 * A round runs each command once, so that whatever drifts drifts for all. The
 * first round only warms caches up. Prints "NAME NANOSECONDS" for each run of
 * the others (-w); a command that fails ends it with a line on stderr and 1.
 *
 *	-o	 stdout is a pipe that is read here, and a run lasts until its
 *		 end: "NAME NANOSECONDS FIRST LAST BYTES", with the time of the
 *		 first and of the last byte (0 0 0 when there was none)
 *	-i BYTES with -o: so many zeros on stdin
 *	-f FILE	 stdin is this file; without both it is /dev/null
 *	-j N	 runs of a round at a time: N are started together, and a line
 *		 is the time from the first fork to the last wait
 *	-p MS	 pause before a run; 200
 *	-w N	 rounds that only warm up; 1
 *	-a	 any exit status will do
 *
 * A command whose first word is "chroot=DIR" runs in there. "@N" in a word
 * becomes a number that no other run has, for those who name what they run.
 *
 * Static and without stdio where it counts: its own fork is part of what is
 * measured, and a small process forks fast. An adaptor's shell would be a part
 * of it, too; so adaptors say what to run, and this runs it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MAX 16
#define WORDS_MAX    64
#define WORD_MAX     4096
#define ROUNDS_MAX   100000
#define JOBS_MAX     1024

struct command {
	char *name;
	char **argv;
};

struct options {
	bool out;
	bool any_status;
	long in_bytes;
	long pause_ms;
	long jobs;
	long warm_up;
};

struct times {
	uint64_t total, first, last, bytes;
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

/* The words of a run, with its number in them; -1 when there are too many. */
static int number_words(const struct command *c, unsigned long number,
			char **words, char *text, size_t size)
{
	int n = 0;

	for (char **w = c->argv; *w; w++) {
		const char *at = strstr(*w, "@N");
		int len;

		if (n == WORDS_MAX - 1)
			return -1;
		if (!at) {
			words[n++] = *w;
			continue;
		}
		len = snprintf(text, size, "%.*s%lu%s", (int)(at - *w), *w,
			       number, at + 2);
		if (len < 0 || (size_t)len >= size)
			return -1;
		words[n++] = text;
		text += len + 1;
		size -= (size_t)len + 1;
	}
	words[n] = NULL;
	return n;
}

/* Forks a run with these as stdin and stdout, -1 being what we have. */
static pid_t start(const struct command *c, int in, int out)
{
	static unsigned long number;
	char *words[WORDS_MAX], text[WORD_MAX];
	char **argv = words;
	pid_t pid;

	if (number_words(c, (unsigned long)getpid() * 100000 + number++, words,
			 text, sizeof(text)) < 0) {
		errno = E2BIG;
		return complain("words of", c->name);
	}
	pid = fork();
	if (pid < 0)
		return complain("fork for", c->name);
	if (pid)
		return pid;
	if ((in >= 0 && dup2(in, STDIN_FILENO) < 0) ||
	    (out >= 0 && dup2(out, STDOUT_FILENO) < 0))
		_exit(126);
	signal(SIGPIPE, SIG_DFL);
	if (!strncmp(*argv, "chroot=", 7)) {
		if (chroot(*argv + 7) || chdir("/"))
			_exit(126);
		argv++;
	}
	execvp(argv[0], argv);
	_exit(127);
}

static int reap(const struct command *c, pid_t pid, bool any_status)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return complain("wait for", c->name);
	if (!status || any_status)
		return 0;
	fprintf(stderr, "spawn: '%s' ended with status %#x\n", c->name,
		(unsigned int)status);
	return -1;
}

/* Feeds and reads a run until it has closed its stdout. */
static int pump(int in, long feed, int out, struct times *t)
{
	static char zeros[1 << 16], heap[1 << 16];
	struct pollfd fds[] = { { out, POLLIN, 0 }, { in, POLLOUT, 0 } };

	if (!feed && in >= 0) {
		close(in);
		fds[1].fd = -1;
	}
	for (;;) {
		ssize_t n;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return complain("poll", "streams");
		if (fds[1].revents) {
			n = write(in, zeros, feed < (long)sizeof(zeros) ?
				  (size_t)feed : sizeof(zeros));
			if (n < 0 && errno != EAGAIN)
				feed = 0;
			feed -= n > 0 ? n : 0;
			if (!feed) {
				close(in);
				fds[1] = (struct pollfd){ -1, 0, 0 };
			}
		}
		if (!fds[0].revents)
			continue;
		n = read(out, heap, sizeof(heap));
		if (n < 0)
			return complain("read", "stdout");
		if (!n)
			break;
		t->last = now();
		t->first = t->first ? t->first : t->last;
		t->bytes += (uint64_t)n;
	}
	if (fds[1].fd >= 0)
		close(in);
	return 0;
}

/* One run whose stdout is read here, and whose stdin may be fed. */
static int run_piped(const struct command *c, const struct options *o,
		     struct times *t)
{
	int in[2] = { -1, -1 }, out[2];
	uint64_t begin;
	pid_t pid;
	int rc;

	if (pipe2(out, O_CLOEXEC) || (o->in_bytes && pipe2(in, O_CLOEXEC)) ||
	    (o->in_bytes && fcntl(in[1], F_SETFL, O_NONBLOCK) < 0))
		return complain("pipes for", c->name);
	begin = now();
	pid = start(c, in[0], out[1]);
	if (pid < 0)
		return -1;
	close(out[1]);
	if (in[0] >= 0)
		close(in[0]);
	rc = pump(in[1], o->in_bytes, out[0], t);
	close(out[0]);
	if (reap(c, pid, o->any_status))
		return -1;
	t->total = now() - begin;
	t->first -= t->first ? begin : 0;
	t->last -= t->last ? begin : 0;
	return rc;
}

/* Runs that start together and whose output nobody wants. */
static int run_jobs(const struct command *c, const struct options *o,
		    struct times *t)
{
	static pid_t pids[JOBS_MAX];
	uint64_t begin = now();

	for (long i = 0; i < o->jobs; i++) {
		pids[i] = start(c, -1, -1);
		if (pids[i] < 0)
			return -1;
	}
	for (long i = 0; i < o->jobs; i++)
		if (reap(c, pids[i], o->any_status))
			return -1;
	t->total = now() - begin;
	return 0;
}

static int run(const struct command *c, const struct options *o, bool print)
{
	const struct timespec pause = {
		.tv_sec = o->pause_ms / 1000,
		.tv_nsec = o->pause_ms % 1000 * 1000000,
	};
	struct times t = { 0 };

	/* What a run leaves to be cleaned up later is not the next one's. */
	nanosleep(&pause, NULL);
	lseek(STDIN_FILENO, 0, SEEK_SET);
	if (o->out ? run_piped(c, o, &t) : run_jobs(c, o, &t))
		return -1;
	if (!print)
		return 0;
	printf("%s %" PRIu64, c->name, t.total);
	if (o->out)
		printf(" %" PRIu64 " %" PRIu64 " %" PRIu64, t.first, t.last,
		       t.bytes);
	printf("\n");
	return 0;
}

/* Returns 0, or -1 for an option that is none. */
static int read_options(int argc, char **argv, struct options *o,
			const char **input)
{
	int opt;

	while ((opt = getopt(argc, argv, "+oai:f:j:p:w:")) != -1)
		switch (opt) {
		case 'o':
			o->out = true;
			break;
		case 'a':
			o->any_status = true;
			break;
		case 'i':
			o->in_bytes = strtol(optarg, NULL, 10);
			break;
		case 'f':
			*input = optarg;
			break;
		case 'j':
			o->jobs = strtol(optarg, NULL, 10);
			break;
		case 'p':
			o->pause_ms = strtol(optarg, NULL, 10);
			break;
		case 'w':
			o->warm_up = strtol(optarg, NULL, 10);
			break;
		default:
			return -1;
		}
	if (o->jobs < 1 || o->jobs > JOBS_MAX || o->warm_up < 0 ||
	    o->pause_ms < 0 || o->in_bytes < 0 || (o->in_bytes && !o->out))
		return -1;
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = { .pause_ms = 200, .jobs = 1, .warm_up = 1 };
	const char *input = "/dev/null";
	struct command c[COMMANDS_MAX];
	int bad = read_options(argc, argv, &o, &input), n, in;
	long rounds = optind < argc ? strtol(argv[optind], NULL, 10) : 0;

	n = rounds ? split(argv + optind + 1, c) : -1;
	if (bad || rounds < 1 || rounds > ROUNDS_MAX || n < 1) {
		fprintf(stderr, "usage: spawn [-oa] [-i BYTES] [-f FILE] "
				"[-j N] [-p MS] [-w N] ROUNDS "
				"NAME CMD [ARG...] [+ NAME CMD [ARG...]]..."
				"\n");
		return 2;
	}
	in = open(input, O_RDONLY);
	if (in < 0 || dup2(in, STDIN_FILENO) < 0) {
		complain("open", input);
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	for (long r = -o.warm_up; r < rounds; r++) {
		for (int i = 0; i < n; i++) {
			if (run(&c[i], &o, r >= 0))
				return 1;
			/* Who reads us sees at once that a run hangs. */
			fflush(stdout);
		}
	}
	return 0;
}
