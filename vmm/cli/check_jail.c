// SPDX-License-Identifier: MIT
/*
 * See check_jail.h. The child does just what a machine does before its first
 * instruction and then says through a pipe how far it came; a host that kills
 * it for that is told from one that refuses.
 */
#include "cli/check_jail.h"

#include "arch/arch.h"
#include "arch/host.h"
#include "lib/cleanup.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

static const char *const hints[JAIL_NR] = {
	[JAIL_PID_NS] = "allow namespaces: user.max_user_namespaces above 0, "
			"kernel.unprivileged_userns_clone=1, "
			"kernel.apparmor_restrict_unprivileged_userns=0; in a "
			"container, let its profile allow clone and unshare",
	[JAIL_ROOT] = "allow mount namespaces, or boot with lsm=landlock,...",
	[JAIL_ID] = "run husk as an ordinary user, or with CAP_SETUID and "
		    "CAP_SETGID and all ids mapped",
	[JAIL_CAPS] = "give root CAP_SETPCAP, or run husk as an ordinary user",
	[JAIL_SYSCALLS] = "use a kernel with CONFIG_SECCOMP_FILTER",
	[JAIL_NARROW] = host_explain_narrow,
};

const char *check_jail_hint(enum jail_layer l)
{
	if (l < JAIL_ROOT)
		l = JAIL_PID_NS;
	return hints[l] ? hints[l] : "";
}

static void enter(struct supervisor *s, int out)
{
	struct jail j;
	struct err e;
	ssize_t n;

	jail_init(&j, JAIL_AUTO, s, &arch_policy);
	if (jail_enter(&j, &e) || jail_seal(&j, JAIL_LOOP, -1, -1, &e))
		_exit(1);
	/* Pointers in it mean nothing to the reader, who knows that. */
	n = write(out, &j, sizeof(j));
	_exit(n == sizeof(j) ? 0 : 1);
}

int check_try_jail(struct jail *j, struct err *e)
{
	auto_fd in = -1, out = -1;
	struct supervisor s;
	int ends[2], status;
	sigset_t old;
	ssize_t n;
	int r;

	if (pipe2(ends, O_CLOEXEC))
		return err_sys(e, "make a pipe");
	in = ends[0];
	out = ends[1];
	sigprocmask(SIG_SETMASK, NULL, &old);
	r = supervisor_split(&s, true, e);
	if (r)
		return r;
	if (!s.pid)
		enter(&s, out);
	cleanup_fd(&out);
	n = read(in, j, sizeof(*j));
	waitpid(s.pid, &status, 0);
	supervisor_forget(&s);
	sigprocmask(SIG_SETMASK, &old, NULL);
	j->supervisor = NULL;
	if (n == sizeof(*j))
		return 0;
	return err_set(e, EPERM, "a process that tried it ended with %s %d",
		       WIFSIGNALED(status) ? "signal" : "status",
		       WIFSIGNALED(status) ? WTERMSIG(status) :
					     WEXITSTATUS(status));
}

bool check_try_narrow(int kvm_fd)
{
	auto_fd vm = ioctl(kvm_fd, KVM_CREATE_VM, 0);

	return vm >= 0 && !arch_vm_narrow(vm);
}
