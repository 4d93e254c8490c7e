// SPDX-License-Identifier: MIT
/*
 * clone3 puts the child into the cgroup at birth, so no instruction of the
 * job runs outside it. CLONE_VM saves it a copy of init's memory, 0.3 ms of
 * exact lab time: it runs on a stack of its own, finds its command in struct
 * run, and says there what went wrong. errno is both processes' as well: init
 * does nothing that may fail while the child is not behind its gate.
 *
 * init waits for the child by a pipe that ends with it or with its execve.
 * Rejected: CLONE_VFORK, where the child could not wait for init; a futex,
 * which takes more pages of a copy than a pipe, which every job has.
 */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <linux/securebits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arch.h"
#include "lib/cleanup.h"

#define NOFILE_SOFT 1024
#define NOFILE_HARD 65536

/* Each string of a job is a byte at least. Untouched pages are never made. */
#define NR_STRINGS (HUSK_JOB_MAX + JOB_NR_DEFAULTS + 2)

uint64_t run_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- the child ---------------------------------------------------------- */

_Noreturn static void give_up(struct run *r, enum run_step step)
{
	r->step = step;
	r->code = errno;
	_exit(127);
}

/*
 * All sources are above: init holds these numbers. Descriptors were made
 * close-on-exec; closing them here as well means not having to trust that.
 */
static int take_descriptors(const struct run *r)
{
	int gate = (int)r->nr_pipes, birth = gate + 1;

	for (unsigned int i = 0; i < r->nr_pipes; i++)
		if (dup2(r->theirs[i], (int)i) < 0)
			return -1;
	if (dup3(r->gate[0], gate, O_CLOEXEC) < 0 ||
	    dup3(r->birth[1], birth, O_CLOEXEC) < 0)
		return -1;
	return (int)syscall(SYS_close_range, birth + 1, ~0u, 0);
}

/* Say so, and wait for the command. */
static void wait_at_gate(struct run *r)
{
	int gate = (int)r->nr_pipes;
	char byte = 0;

	if (write(gate + 1, &byte, 1) != 1)
		give_up(r, RUN_DESCRIPTORS);
	while (read(gate, &byte, 1))
		; /* nobody writes: it is a signal of no matter */
}

/* The number of processes is the cgroup's business alone. */
static int set_limits(void)
{
	static const struct {
		int what;
		struct rlimit limit;
	} limits[] = {
		{ RLIMIT_CORE, { 0, 0 } },
		{ RLIMIT_NOFILE, { NOFILE_SOFT, NOFILE_HARD } },
		{ RLIMIT_NPROC, { RLIM_INFINITY, RLIM_INFINITY } },
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
		if (setrlimit(limits[i].what, &limits[i].limit))
			return -1;
	return 0;
}

/*
 * No set and no later execve gives a capability: the bounding set is empty,
 * uid 0 means nothing, and both are locked.
 */
static int forgo_capabilities(void)
{
	unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
			     SECBIT_NO_SETUID_FIXUP_LOCKED |
			     SECBIT_KEEP_CAPS_LOCKED |
			     SECBIT_NO_CAP_AMBIENT_RAISE |
			     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

	for (unsigned long cap = 0; !prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);)
		cap++;
	if (errno != EINVAL) /* which only means: no such capability */
		return -1;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
		return -1;
	return prctl(PR_SET_SECUREBITS, bits, 0, 0, 0);
}

/* Raw calls: libc's would look for other threads to take along. */
static int become_user(uid_t uid, gid_t gid)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	const struct __user_cap_data_struct none[2] = { { 0 } };

	if (syscall(SYS_setgroups, 0, NULL) ||
	    syscall(SYS_setresgid, gid, gid, gid) ||
	    syscall(SYS_setresuid, uid, uid, uid) ||
	    syscall(SYS_capset, &head, none))
		return -1;
	/* It is init's memory still, whose files in /proc stay init's. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))
		return -1;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* execve, noting the time; returns only on failure. */
static void try_exec(struct run *r, const char *path)
{
	r->start_ns = run_clock();
	execve(path, (char *const *)(uintptr_t)r->argv,
	       (char *const *)(uintptr_t)r->envp);
	if (errno == ENOENT && !faccessat(AT_FDCWD, path, F_OK, 0)) {
		r->file_exists = true;
		errno = ENOENT;
	}
}

/* Like execvp, but a file that the kernel cannot run is not tried by sh. */
static void exec_job(struct run *r)
{
	const char *name = r->argv[0];
	const char *path = job_getenv(r->envp, "PATH");
	bool denied = false;

	if (strchr(name, '/')) {
		try_exec(r, name);
		return;
	}
	errno = ENOENT;
	while (job_path_next(&path, name, r->file, sizeof(r->file))) {
		try_exec(r, r->file);
		if (errno == EACCES)
			denied = true;
		else if (errno != ENOENT && errno != ENOTDIR)
			return;
	}
	errno = denied ? EACCES : ENOENT;
}

/* The order matters: each step still has the rights that it needs. */
_Noreturn static void be_born(struct run *r)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(022);
	if (setsid() < 0)
		give_up(r, RUN_SESSION);
	if (take_descriptors(r))
		give_up(r, RUN_DESCRIPTORS);
	if (set_limits())
		give_up(r, RUN_LIMITS);
	if (forgo_capabilities())
		give_up(r, RUN_CAPABILITIES);
	if (become_user(r->uid, r->gid))
		give_up(r, RUN_USER);
	wait_at_gate(r);
	if (chdir(r->workdir))
		give_up(r, RUN_WORKDIR);
	exec_job(r);
	give_up(r, RUN_EXEC);
}

/* ---- the parent --------------------------------------------------------- */

static int describe_exec(const struct run *r, struct err *e)
{
	const char *name = r->argv[0];

	switch (r->code) {
	case ENOENT:
		if (r->file_exists)
			return err_set(e, ENOENT,
				       "run '%s': its interpreter or loader "
				       "is not in the image", name);
		if (!strchr(name, '/'))
			return err_set(e, ENOENT,
				       "run '%s': not found in PATH", name);
		break;
	case ENOEXEC:
		return err_set(e, ENOEXEC,
			       "run '%s': not a program for this machine "
			       "(a script needs a '#!' line)", name);
	}
	errno = r->code;
	return err_sys(e, "run '%s'", name);
}

/* What kept the child from becoming the job. */
static enum run_result describe(const struct run *r, struct err *e)
{
	static const char *const steps[] = {
		[RUN_SESSION] = "start a session",
		[RUN_DESCRIPTORS] = "hand over the streams",
		[RUN_LIMITS] = "set resource limits",
		[RUN_CAPABILITIES] = "drop capabilities",
		[RUN_USER] = "become the job's user",
	};

	if (!r->code) { /* no step failed: it had no time to say why */
		err_set(e, ECHILD,
			"start a process for the job: it was killed");
		return RUN_BROKEN;
	}
	errno = r->code;
	switch (r->step) {
	case RUN_EXEC:
		describe_exec(r, e);
		return RUN_NOT_STARTED;
	case RUN_WORKDIR:
		err_sys(e, "enter the working directory '%s'", r->workdir);
		return RUN_NOT_STARTED;
	default:
		err_sys(e, "%s", steps[r->step]);
		return RUN_BROKEN;
	}
}

/*
 * The pipes belong to the job's user: opening /dev/stdout opens the pipe
 * anew, with the permission check of a file.
 */
static int make_pipe(struct run *r, unsigned int i, struct err *e)
{
	bool to_job = i == HUSK_PORT_STDIN || i == HUSK_SEED_FD;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return err_sys(e, "make a pipe for the job");
	r->ours[i] = fds[to_job];
	r->theirs[i] = fds[!to_job];
	if (fchown(r->theirs[i], r->uid, r->gid) ||
	    fcntl(r->ours[i], F_SETFL, O_NONBLOCK))
		return err_sys(e, "set up a pipe for the job");
	return 0;
}

static int make_pipes(struct run *r, struct err *e)
{
	for (unsigned int i = 0; i < r->nr_pipes; i++)
		if (make_pipe(r, i, e))
			return -e->code;
	if (pipe2(r->gate, O_CLOEXEC) || pipe2(r->birth, O_CLOEXEC))
		return err_sys(e, "make a pipe for the job");
	return 0;
}

static void close_theirs(const struct run *r)
{
	for (unsigned int i = 0; i < r->nr_pipes; i++)
		close(r->theirs[i]);
	close(r->gate[0]);
	close(r->birth[1]);
}

/*
 * A job that is root must not be the same user as PID 1, or it could set
 * the limits and the priority of init. The fixup bit keeps the capabilities.
 * Who changes its user is no longer dumpable, and its files in /proc become
 * root's: made dumpable again, they are init's own. To trace it still takes
 * its user or a capability.
 */
static int step_aside(struct err *e)
{
	if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) ||
	    syscall(SYS_setresuid, JOB_UID_RESERVED, JOB_UID_RESERVED,
		    JOB_UID_RESERVED) ||
	    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))
		return err_sys(e, "leave uid 0 to the job");
	return 0;
}

/*
 * Call be_born in a child. libc's clone knows no cgroup, and from its syscall
 * the child could not return on another stack.
 */
static long clone_child(const struct clone_args *args, struct run *r)
{
	long pid = arch_clone(args, be_born, r);

	if (pid >= 0)
		return pid;
	errno = (int)-pid;
	return -1;
}

/* Until it waits at its gate, or has died on the way there. */
static int bear(struct run *r, const struct cgroup *cg, struct err *e)
{
	static uint8_t stack[32768] __attribute__((aligned(16)));
	struct clone_args args = {
		.flags = CLONE_VM | CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.stack = (uintptr_t)stack,
		.stack_size = sizeof(stack),
		.cgroup = (unsigned int)cg->dir,
	};
	long pid = clone_child(&args, r);
	char byte;

	if (pid < 0)
		return err_sys(e, "start a process for the job");
	r->pid = (pid_t)pid;
	close_theirs(r);
	if (read(r->birth[0], &byte, 1) == 1)
		return 0;
	describe(r, e);
	return -e->code;
}

/* One whose terms turned out to be others. */
static void discard(struct run *r)
{
	kill(r->pid, SIGKILL);
	while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
		;
	for (unsigned int i = 0; i < r->nr_pipes; i++)
		close(r->ours[i]);
	close(r->gate[1]);
	close(r->birth[0]);
}

int run_prepare(struct run *r, const struct job_terms *terms, bool hold,
		const struct cgroup *cg, struct err *e)
{
	static const char *strings[NR_STRINGS];
	unsigned int nr_pipes = hold ? RUN_NR_PIPES : RUN_NR_STREAMS;

	if (r->pid && r->uid == terms->uid && r->gid == terms->gid &&
	    r->nr_pipes == nr_pipes)
		return 0;
	if (r->pid)
		discard(r);
	*r = (struct run){
		.uid = terms->uid,
		.gid = terms->gid,
		.nr_pipes = nr_pipes,
		.argv = strings,
		.before = r->before,
	};
	/* A page that was never written to costs a copy a fault of its own. */
	strings[0] = "";
	if (make_pipes(r, e) || (r->uid == 0 && step_aside(e)))
		return -e->code;
	return bear(r, cg, e);
}

enum run_result run_start(struct run *r, const struct job *job, struct err *e)
{
	char byte;

	r->envp = r->argv + job->argc + 1;
	r->workdir = job->workdir;
	job_argv(job, r->argv);
	job_envp(job, r->envp);
	close(r->gate[1]);
	while (read(r->birth[0], &byte, 1))
		; /* the end is all that comes */
	close(r->birth[0]);
	return r->code ? describe(r, e) : RUN_STARTED;
}

void run_reap(struct run *r)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != r->pid)
			continue;
		r->over = true;
		r->end_ns = run_clock();
		r->status = status;
	}
}

/*
 * Whose parent dies becomes init's child, so "no child left" means that no
 * process is left at all.
 */
void run_sweep(const struct cgroup *cg)
{
	if (waitpid(-1, NULL, WNOHANG) < 0)
		return;
	cgroup_kill(cg);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}
