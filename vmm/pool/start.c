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
#include "pool/start.h"

#include "pool/machine.h"
#include "template/format.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <unistd.h>

/* Now, since the file may be another one later, or none. */
static int open_self(void)
{
	const char *path = (const char *)getauxval(AT_EXECFN);
	int fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);

	/* Without /proc, by the name that it was started with. */
	return fd < 0 && path ? open(path, O_PATH | O_CLOEXEC) : fd;
}

int pool_seed_open(struct pool_seed *s, struct err *e)
{
	if (fstat(s->run->template.fd, &s->template))
		return err_sys(e, "look at template '%s'",
			       s->run->config->template);
	s->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (s->null_fd < 0)
		return err_sys(e, "open '/dev/null'");
	s->self_fd = open_self();
	if (s->self_fd < 0)
		return err_sys(e, "open husk's own program, which its machines "
				  "start with");
	return 0;
}

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
_Noreturn static void be_machine(const struct pool_seed *seed,
				 const struct supervisor *s, int link)
{
	const int fds[POOL_FD_END] = {
		seed->null_fd, seed->null_fd, seed->null_fd,
		[POOL_FD_LINK] = link,
		[POOL_FD_TEMPLATE] = seed->run->template.fd,
		[POOL_FD_IMAGE] = seed->run->disk.fd,
		[POOL_FD_PARENT] = s->parent_fd,
	};
	static char name[] = POOL_MACHINE_NAME;
	int self = fcntl(seed->self_fd, F_DUPFD_CLOEXEC, POOL_FD_END);
	int failed = fcntl(link, F_DUPFD_CLOEXEC, POOL_FD_END);
	struct err e;

	setsid();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (s->user_ns)
		jail_keep_caps();
	seed->argv[0] = name;
	if (self >= 0 && failed >= 0 && place(fds))
		execveat(self, "", seed->argv, environ, AT_EMPTY_PATH);
	err_sys(&e, "start a machine: exec husk");
	pool_machine_fail(failed, &e);
	_exit(1);
}

/* A copy is of the file that was checked, not of what was made of it since. */
static int check_template(const struct pool_seed *seed, struct err *e)
{
	const char *path = seed->run->config->template;
	struct stat st;

	if (fstat(seed->run->template.fd, &st))
		return err_sys(e, "look at template '%s'", path);
	if (st.st_size == seed->template.st_size &&
	    template_stamp(&st) == template_stamp(&seed->template))
		return 0;
	return err_set(e, EINVAL,
		       "use template '%s': it was changed under the pool "
		       "(make it again, and start the pool again)",
		       path);
}

pid_t pool_start_machine(const struct pool_seed *seed, int *link, struct err *e)
{
	struct supervisor s;
	sigset_t blocked;
	int pair[2], r;

	if (check_template(seed, e))
		return -e->code;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return err_sys(e, "start a machine: socketpair");
	sigprocmask(SIG_BLOCK, NULL, &blocked);
	r = supervisor_split(&s, seed->run->config->jail != JAIL_OFF, e);
	if (!r && !s.pid)
		be_machine(seed, &s, pair[1]);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	close(pair[1]);
	if (r) {
		close(pair[0]);
		return r;
	}
	/* Machines are waited for here, all of them at once. */
	supervisor_forget(&s);
	*link = pair[0];
	return s.pid;
}
