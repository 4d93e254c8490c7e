// SPDX-License-Identifier: MIT
/*
 * A machine is a fork of the pool, not a program of its own: it has the
 * template's head and its open files already, and shares what it does not
 * write. It keeps none of the pool's other descriptors. The pool is its
 * supervisor, with whom it dies.
 */
#include "pool_internal.h"

#include "lib/cleanup.h"
#include "pool_machine.h"
#include "template_format.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

static void close_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* In the new process: only the pool's files and the link stay open. */
static void shed(const struct pool *p)
{
	unsigned i;

	/* The table is only read: a page written is a page of our own. */
	for (i = 0; i < p->states.nr_slots; i++) {
		close_open(p->machine[i].link);
		close_open(p->machine[i].client);
	}
	for (i = 0; p->states.nr_clients && i < POOL_CLIENTS_MAX; i++)
		close_open(p->client[i]);
	for (i = 0; i <= STDERR_FILENO; i++)
		dup2(p->null_fd, (int)i);
	close(p->null_fd);
	close(p->listen_fd);
	close(p->signal_fd);
}

/*
 * SIGINT, SIGTERM and SIGHUP stay blocked: they are the pool's. A session of
 * its own, or a terminal that is a client's stdin would stop it (SIGTTIN).
 */
_Noreturn static void be_machine(struct pool *p, struct supervisor *s, int link)
{
	setsid();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	shed(p);
	jail_init(&p->run.jail, p->run.config->jail, s);
	_exit(pool_machine_run(&p->run, link));
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
	cleanup_fd(&s.parent_fd);
	cleanup_fd(&s.late_fd);
	new->pid = s.pid;
	new->was_ready = false;
	return 0;
}
