// SPDX-License-Identifier: MIT
/*
 * A machine is a fork of the pool that starts husk anew: it has the pool's open
 * files, and an address layout and a stack canary of its own. Whoever takes
 * over one machine of a pool learns nothing of the others.
 *
 * The program is the one that the pool is, whatever has become of its file; the
 * command line is the pool's, so that both have one configuration. Descriptors
 * are handed on by their numbers, and all others close by themselves. The pool
 * is its supervisor, with whom it dies.
 *
 * Rejected: a fork alone, 1.9 lab-ms cheaper, with one layout for all.
 */
#include "pool/internal.h"

#include "lib/cleanup.h"
#include "pool/machine.h"
#include "template/format.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * The descriptors of a machine, at their numbers. First out of the way, since
 * each may be where another one belongs.
 */
static bool place(const int *fds)
{
	int i, away[POOL_FD_END];

	for (i = 0; i < POOL_FD_END; i++) {
		away[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, POOL_FD_END);
		if (away[i] < 0)
			return false;
	}
	for (i = 0; i < POOL_FD_END; i++)
		if (dup2(away[i], i) < 0)
			return false;
	return true;
}

/*
 * SIGINT, SIGTERM and SIGHUP stay blocked: they are the pool's. A session of
 * its own, or a terminal that is a client's stdin would stop it (SIGTTIN).
 */
_Noreturn static void be_machine(struct pool *p, const struct supervisor *s,
				 int link)
{
	const int fds[POOL_FD_END] = {
		p->null_fd, p->null_fd, p->null_fd,
		[POOL_FD_LINK] = link,
		[POOL_FD_TEMPLATE] = p->run.template.fd,
		[POOL_FD_IMAGE] = p->run.disk.fd,
		[POOL_FD_PARENT] = s->parent_fd,
	};
	static char name[] = POOL_MACHINE_NAME;
	int self = fcntl(p->self_fd, F_DUPFD_CLOEXEC, POOL_FD_END);
	int failed = fcntl(link, F_DUPFD_CLOEXEC, POOL_FD_END);
	struct err e;

	setsid();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (s->user_ns)
		jail_keep_caps();
	p->argv[0] = name;
	if (self >= 0 && failed >= 0 && place(fds))
		execveat(self, "", p->argv, environ, AT_EMPTY_PATH);
	err_sys(&e, "start a machine: exec husk");
	pool_machine_fail(failed, &e);
	_exit(1);
}

/* A copy is of the file that was checked, not of what was made of it since. */
static int check_template(const struct pool *p, struct err *e)
{
	const char *path = p->run.config->template;
	struct stat st;

	if (fstat(p->run.template.fd, &st))
		return err_sys(e, "look at template '%s'", path);
	if (st.st_size == p->template.st_size &&
	    template_stamp(&st) == template_stamp(&p->template))
		return 0;
	return err_set(e, EINVAL,
		       "use template '%s': it was changed under the pool "
		       "(make it again, and start the pool again)",
		       path);
}

int pool_start_machine(struct pool *p, unsigned m, struct err *e)
{
	struct machine *new = &p->machine[m];
	struct supervisor s;
	sigset_t blocked;
	int pair[2], r;

	if (check_template(p, e))
		return -e->code;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return err_sys(e, "start a machine: socketpair");
	new->link = pair[0];
	sigprocmask(SIG_BLOCK, NULL, &blocked);
	r = supervisor_split(&s, p->run.config->jail != JAIL_OFF, e);
	if (!r && !s.pid)
		be_machine(p, &s, pair[1]);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	close(pair[1]);
	if (r) {
		cleanup_fd(&new->link);
		return r;
	}
	/* Machines are waited for here, all of them at once. */
	supervisor_forget(&s);
	new->pid = s.pid;
	new->was_ready = false;
	return 0;
}
