// SPDX-License-Identifier: MIT
/*
 * A signalfd instead of a handler: no global, no EINTR race between a check
 * and a blocking read, and clean-up runs as ordinary code.
 */
#include "terminal/interrupt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void fill_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
}

int interrupt_open(struct interrupt *in, struct err *e)
{
	sigset_t set;

	fill_signals(&set);
	in->signo = 0;
	in->fd = -1;
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return err_sys(e, "block signals");
	in->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (in->fd < 0)
		return err_sys(e, "open a signal descriptor");
	return 0;
}

int interrupt_check(struct interrupt *in, struct err *e)
{
	struct signalfd_siginfo info;

	if (!in || in->fd < 0)
		return 0;
	if (!in->signo && read(in->fd, &info, sizeof(info)) == sizeof(info))
		in->signo = (int)info.ssi_signo;
	if (in->signo)
		return err_set(e, EINTR, "interrupted");
	return 0;
}

int interrupt_wait_fd(struct interrupt *in, int fd, struct err *e)
{
	struct pollfd p[2] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = in ? in->fd : -1, .events = POLLIN },
	};

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return err_sys(e, "wait for input");
		if (p[1].revents)
			return interrupt_check(in, e);
		if (p[0].revents)
			return 0;
	}
}

void interrupt_finish(struct interrupt *in)
{
	sigset_t set;

	if (!in || !in->signo)
		return;
	signal(in->signo, SIG_DFL);
	fill_signals(&set);
	raise(in->signo);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}
