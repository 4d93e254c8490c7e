// SPDX-License-Identifier: MIT
/*
 * clone3 puts the child into the cgroup at birth, so no instruction of the
 * job runs outside it. CLONE_VFORK lets init sleep until the child has become
 * the job or died, and CLONE_VM saves it a copy of init's memory, 0.3 ms of
 * exact lab time: it runs on a stack of its own and says in `birth` what went
 * wrong. Rejected: a close-on-exec pipe, which says the same with four more
 * system calls.
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
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "lib/cleanup.h"

#define NOFILE_SOFT 1024
#define NOFILE_HARD 65536

/* Steps of the child on its way to execve, for the report. */
enum step {
	STEP_SESSION,
	STEP_DESCRIPTORS,
	STEP_LIMITS,
	STEP_CAPABILITIES,
	STEP_USER,
	STEP_WORKDIR,
	STEP_EXEC,
};

/* What the child leaves behind for its parent. */
struct birth {
	uint64_t exec_ns;
	enum step step;
	int code;	  /* errno of that step, 0: none */
	bool file_exists; /* ENOENT was about its interpreter */
};

struct plan {
	const struct job *job;
	const char **argv;
	const char **envp;
	int theirs[RUN_NR_PIPES];
	unsigned int nr_pipes; /* how many of them this job has */
	struct birth birth;
};

uint64_t run_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- the child ---------------------------------------------------------- */

_Noreturn static void give_up(struct plan *p, enum step step)
{
	p->birth.step = step;
	p->birth.code = errno;
	_exit(127);
}

/*
 * All sources are above: init holds these numbers. Descriptors were made
 * close-on-exec; closing them here as well means not having to trust that.
 */
static int take_descriptors(const struct plan *p)
{
	for (unsigned int i = 0; i < p->nr_pipes; i++)
		if (dup2(p->theirs[i], (int)i) < 0)
			return -1;
	return (int)syscall(SYS_close_range, p->nr_pipes, ~0u, 0);
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
static void try_exec(struct plan *p, const char *path)
{
	p->birth.exec_ns = run_clock();
	execve(path, (char *const *)(uintptr_t)p->argv,
	       (char *const *)(uintptr_t)p->envp);
	if (errno == ENOENT && !faccessat(AT_FDCWD, path, F_OK, 0)) {
		p->birth.file_exists = true;
		errno = ENOENT;
	}
}

/* Like execvp, but a file that the kernel cannot run is not tried by sh. */
static void exec_job(struct plan *p)
{
	const char *name = p->argv[0];
	const char *path = job_getenv(p->envp, "PATH");
	bool denied = false;
	char file[PATH_MAX];

	if (strchr(name, '/')) {
		try_exec(p, name);
		return;
	}
	errno = ENOENT;
	while (job_path_next(&path, name, file, sizeof(file))) {
		try_exec(p, file);
		if (errno == EACCES)
			denied = true;
		else if (errno != ENOENT && errno != ENOTDIR)
			return;
	}
	errno = denied ? EACCES : ENOENT;
}

/* The order matters: each step still has the rights that it needs. */
_Noreturn static void be_born(struct plan *p)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(022);
	if (setsid() < 0)
		give_up(p, STEP_SESSION);
	if (take_descriptors(p))
		give_up(p, STEP_DESCRIPTORS);
	if (set_limits())
		give_up(p, STEP_LIMITS);
	if (forgo_capabilities())
		give_up(p, STEP_CAPABILITIES);
	if (become_user(p->job->uid, p->job->gid))
		give_up(p, STEP_USER);
	if (chdir(p->job->workdir))
		give_up(p, STEP_WORKDIR);
	exec_job(p);
	give_up(p, STEP_EXEC);
}

/* ---- the parent --------------------------------------------------------- */

static int describe_exec(const struct plan *p, struct err *e)
{
	const char *name = p->job->args;

	switch (p->birth.code) {
	case ENOENT:
		if (p->birth.file_exists)
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
	errno = p->birth.code;
	return err_sys(e, "run '%s'", name);
}

static enum run_result describe(const struct plan *p, struct err *e)
{
	static const char *const steps[] = {
		[STEP_SESSION] = "start a session",
		[STEP_DESCRIPTORS] = "hand over the streams",
		[STEP_LIMITS] = "set resource limits",
		[STEP_CAPABILITIES] = "drop capabilities",
		[STEP_USER] = "become the job's user",
	};

	errno = p->birth.code;
	switch (p->birth.step) {
	case STEP_EXEC:
		describe_exec(p, e);
		return RUN_NOT_STARTED;
	case STEP_WORKDIR:
		err_sys(e, "enter the working directory '%s'",
			p->job->workdir);
		return RUN_NOT_STARTED;
	default:
		err_sys(e, "%s", steps[p->birth.step]);
		return RUN_BROKEN;
	}
}

/*
 * The pipes belong to the job's user: opening /dev/stdout opens the pipe
 * anew, with the permission check of a file.
 */
static int make_pipe(const struct job *job, unsigned int i, int *ours,
		     int *theirs, struct err *e)
{
	bool to_job = i == HUSK_PORT_STDIN || i == HUSK_SEED_FD;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return err_sys(e, "make a pipe for the job");
	*ours = fds[to_job];
	*theirs = fds[!to_job];
	if (fchown(*theirs, job->uid, job->gid) ||
	    fcntl(*ours, F_SETFL, O_NONBLOCK))
		return err_sys(e, "set up a pipe for the job");
	return 0;
}

static int make_plan(struct plan *p, int ours[], struct err *e)
{
	const struct job *job = p->job;
	size_t n = (size_t)job->argc + 1 + job->envc + JOB_NR_DEFAULTS + 1;
	size_t size = n * sizeof(*p->argv);

	/* It lives as long as PID 1 does: it is never given back. */
	p->argv = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
	if (p->argv == MAP_FAILED)
		return err_sys(e, "get %zu bytes of memory", size);
	p->envp = p->argv + job->argc + 1;
	job_argv(job, p->argv);
	job_envp(job, p->envp);
	p->nr_pipes = job->hold ? RUN_NR_PIPES : RUN_NR_STREAMS;
	for (unsigned int i = 0; i < p->nr_pipes; i++)
		if (make_pipe(job, i, &ours[i], &p->theirs[i], e))
			return -e->code;
	return 0;
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
static long clone_child(const struct clone_args *args, struct plan *p)
{
	long pid;

#ifdef __x86_64__
	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %[plan], %%rdi\n\t"
			 "call *%[be_born]\n"
			 "1:"
			 : "=a"(pid)
			 : "0"((long)SYS_clone3), "D"(args),
			   "S"(sizeof(*args)), [plan] "r"(p),
			   [be_born] "r"(be_born)
			 : "rcx", "r11", "cc", "memory");
#else
#error "how does a child begin on a stack of its own here?"
#endif
	if (pid >= 0)
		return pid;
	errno = (int)-pid;
	return -1;
}

enum run_result run_start(const struct job *job, int cgroup, struct run *r,
			  struct err *e)
{
	static uint8_t stack[32768] __attribute__((aligned(16)));
	struct plan plan = { .job = job };
	struct clone_args args = {
		.flags = CLONE_VFORK | CLONE_VM | CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.stack = (uintptr_t)stack,
		.stack_size = sizeof(stack),
		.cgroup = (unsigned int)cgroup,
	};
	long pid;

	*r = (struct run){ 0 };
	if (make_plan(&plan, r->ours, e))
		return RUN_BROKEN;
	if (job->uid == 0 && step_aside(e))
		return RUN_BROKEN;
	pid = clone_child(&args, &plan);
	if (pid < 0) {
		err_sys(e, "start a process for the job");
		return RUN_BROKEN;
	}
	r->pid = (pid_t)pid;
	r->start_ns = plan.birth.exec_ns;
	for (unsigned int i = 0; i < plan.nr_pipes; i++)
		close(plan.theirs[i]);
	return plan.birth.code ? describe(&plan, e) : RUN_STARTED;
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
void run_sweep(int cgroup)
{
	if (waitpid(-1, NULL, WNOHANG) < 0)
		return;
	cgroup_kill(cgroup);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}
