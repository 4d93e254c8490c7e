/* LINK: vmm/jail/jail.c vmm/jail/policy.c vmm/jail/supervisor.c */
/* LINK: vmm/arch/x86_64/policy.c */
// SPDX-License-Identifier: MIT
/*
 * The jail, from inside: processes that seal themselves as each kind of thread
 * does and then try what they may and what they may not; and what is left of
 * a process that has entered, on this host and on one that refuses namespaces.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/kvm.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/arch.h"
#include "jail/jail.h"

#define VM_FD	7
#define VCPU_FD 9
#define OTHER	100
#define X32	0x40000000

#define ANY (RUN | LOOPS | 1u << JAIL_WAITER)
#define RUN (1u << JAIL_LOOP | 1u << JAIL_VCPU)
#define LOOPS (1u << JAIL_LOOP | 1u << JAIL_MAKER)
#define VCPU (1u << JAIL_VCPU)

static const char *const thread_names[] = { "loop", "vcpu", "maker",
					    "waiter" };

/* Status of a child that seals itself and makes this call. */
static int status_of(enum jail_thread thread, long nr, const uint64_t *a)
{
	struct jail j = { .given = 1u << JAIL_SYSCALLS,
			  .arch = &arch_policy };
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		struct err e;
		uint64_t first = a[0];

		j.pid = getpid();
		if (first == UINT64_MAX - 1) /* this process */
			first = (uint64_t)j.pid;
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (jail_seal(&j, thread, VM_FD,
			      thread == JAIL_VCPU ? VCPU_FD : -1, &e))
			_exit(99);
		syscall(nr, first, a[1], a[2], a[3], a[4], a[5]);
		/* Neither exit nor exit_group is everybody's. */
		syscall(thread == JAIL_VCPU ? SYS_exit : SYS_exit_group, 42);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

#define SELF (UINT64_MAX - 1)

static const struct {
	const char *what;
	unsigned threads;
	long nr;
	uint64_t arg[6];
} forbidden[] = {
	{ "open", ANY, SYS_open, { 0 } },
	{ "openat", ANY, SYS_openat, { (uint64_t)AT_FDCWD } },
	{ "openat2", ANY, SYS_openat2, { 0 } },
	{ "socket", ANY, SYS_socket, { AF_UNIX, SOCK_STREAM } },
	{ "connect", ANY, SYS_connect, { 3 } },
	{ "execve", ANY, SYS_execve, { 0 } },
	{ "execveat", ANY, SYS_execveat, { 0 } },
	{ "ptrace", ANY, SYS_ptrace, { 0 } },
	{ "other memory", ANY, SYS_process_vm_writev, { 1 } },
	{ "executable memory", ANY, SYS_mmap,
	  { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
	    UINT32_MAX } },
	{ "a file as memory", ANY, SYS_mmap,
	  { 0, 4096, PROT_READ, MAP_PRIVATE, 3 } },
	{ "memory", RUN, SYS_mmap,
	  { 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, UINT32_MAX } },
	{ "mprotect", ANY, SYS_mprotect, { 0, 0, PROT_EXEC } },
	{ "memory that is kept in dumps", ANY, SYS_madvise,
	  { 0, 0, MADV_DODUMP } },
	{ "terminal ioctl", ANY, SYS_ioctl, { 0, 0x5412 /* TIOCSTI */ } },
	{ "new VM", ANY, SYS_ioctl, { VM_FD, KVM_CREATE_VM } },
	{ "new memory of a VM", ANY, SYS_ioctl,
	  { VM_FD, KVM_SET_USER_MEMORY_REGION } },
	{ "KVM_RUN elsewhere", VCPU, SYS_ioctl, { OTHER, KVM_RUN } },
	{ "KVM_RUN on a loop", 1u << JAIL_LOOP, SYS_ioctl,
	  { VCPU_FD, KVM_RUN } },
	{ "MSI elsewhere", ANY, SYS_ioctl, { OTHER, KVM_SIGNAL_MSI } },
	{ "clone", ANY, SYS_clone, { SIGCHLD } },
	{ "clone3", ANY, SYS_clone3, { 0 } },
	{ "fork", ANY, SYS_fork, { 0 } },
	{ "vfork", ANY, SYS_vfork, { 0 } },
	{ "kill", ANY, SYS_kill, { 1, 0 } },
	{ "signal to another", ANY, SYS_tgkill, { 1, 1, SIGUSR1 } },
	{ "another signal", ANY, SYS_tgkill, { SELF, SELF, SIGKILL } },
	{ "kick from a vCPU", VCPU, SYS_tgkill, { SELF, SELF, SIGUSR1 } },
	{ "another timer", ANY, SYS_setitimer, { ITIMER_VIRTUAL, 0, 0 } },
	{ "prctl", ANY, SYS_prctl, { PR_SET_DUMPABLE, 1 } },
	{ "setuid", ANY, SYS_setuid, { 0 } },
	{ "unshare", ANY, SYS_unshare, { 0 } },
	{ "mount", ANY, SYS_mount, { 0 } },
	{ "bpf", ANY, SYS_bpf, { 0 } },
	{ "io_uring", ANY, SYS_io_uring_setup, { 0 } },
	{ "userfaultfd", ANY, SYS_userfaultfd, { 0 } },
	{ "keys", ANY, SYS_add_key, { 0 } },
	{ "memfd", ANY, SYS_memfd_create, { 0 } },
	{ "pidfd_getfd", ANY, SYS_pidfd_getfd, { 0 } },
	{ "dup", ANY, SYS_dup, { 0 } },
	{ "fcntl", ANY, SYS_fcntl, { 0, 0 /* F_DUPFD */ } },
	{ "PI futex", ANY, SYS_futex, { 0, FUTEX_LOCK_PI } },
	{ "futex requeue", ANY, SYS_futex, { 0, FUTEX_CMP_REQUEUE } },
	{ "urgent data", ANY, SYS_sendmsg, { 3, 0, MSG_OOB } },
	{ "getpid of x32", ANY, X32 | SYS_getpid, { 0 } },
	{ "read of x32", ANY, X32 | SYS_read, { UINT32_MAX } },
	{ "a number that is none", ANY, 100000, { 0 } },
	{ "files of the maker", RUN, SYS_ftruncate, { UINT32_MAX } },
	{ "end of all on a vCPU", VCPU, SYS_exit_group, { 0 } },
	{ "end of a loop alone", LOOPS, SYS_exit, { 0 } },
};

static void each_forbidden_kind_kills(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
		for (unsigned t = 0; t < JAIL_NR_THREADS; t++) {
			int status;

			if (!(forbidden[i].threads >> t & 1))
				continue;
			status = status_of((enum jail_thread)t,
					   forbidden[i].nr, forbidden[i].arg);
			if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
				continue;
			fail_msg("%s on a %s: status %#x", forbidden[i].what,
				 thread_names[t], (unsigned)status);
		}
}

/* The other door: 32-bit system calls have other numbers. */
static void the_32_bit_door_is_shut(void **state)
{
	struct jail j = { .given = 1u << JAIL_SYSCALLS,
			  .arch = &arch_policy };
	int status;
	pid_t pid;

	(void)state;
	for (unsigned t = 0; t < JAIL_NR_THREADS; t++) {
		pid = fork();
		if (!pid) {
			struct err e;
			long r = 3; /* read here, close there */

			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
			jail_seal(&j, (enum jail_thread)t, VM_FD, VCPU_FD, &e);
			__asm__ volatile("int $0x80"
					 : "+a"(r)
					 : "b"(-1), "c"(0), "d"(0)
					 : "memory", "r8", "r9", "r10", "r11");
			_exit(42);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		/* SIGSEGV: a kernel without that door. */
		assert_true(WIFSIGNALED(status) &&
			    (WTERMSIG(status) == SIGSYS ||
			     WTERMSIG(status) == SIGSEGV));
	}
}

/* Arguments that a row asks for; others are wrong on purpose. */
static void fill_args(const struct policy_row *r, uint64_t *a)
{
	for (unsigned i = 0; i < 6; i++)
		a[i] = r->nr == SYS_setitimer ? 0 : UINT32_MAX;
	for (unsigned i = 0; i < 2; i++) {
		const struct policy_check *c = &r->check[i];

		if (c->kind == POLICY_VALUE)
			a[c->arg] = c->value;
		else if (c->kind == POLICY_VM)
			a[c->arg] = VM_FD;
		else if (c->kind == POLICY_OWN)
			a[c->arg] = VCPU_FD;
		else if (c->kind == POLICY_PID)
			a[c->arg] = SELF;
	}
}

static void each_allowed_call_passes(void **state)
{
	const struct policy_row *r;
	uint64_t a[6];

	(void)state;
	for (unsigned i = 0; (r = policy_row(&arch_policy, i)); i++)
		for (unsigned t = 0; t < JAIL_NR_THREADS; t++) {
			int status;

			/* It would tear the child's stack apart. */
			if (!(r->threads >> t & 1) || r->nr == SYS_rt_sigreturn)
				continue;
			fill_args(r, a);
			status = status_of((enum jail_thread)t, r->nr, a);
			if (!WIFEXITED(status))
				fail_msg("%s on a %s: status %#x", r->name,
					 thread_names[t], (unsigned)status);
		}
}

static unsigned count_calls(unsigned threads)
{
	const struct policy_row *r, *q;
	unsigned n = 0, i, k;

	for (i = 0; (r = policy_row(&arch_policy, i)); i++) {
		for (k = 0; k < i; k++) {
			q = policy_row(&arch_policy, k);
			if (q->nr == r->nr && q->threads & threads)
				break;
		}
		n += k == i && r->threads & threads;
	}
	return n;
}

static void the_list_is_short_and_has_reasons(void **state)
{
	const struct policy_row *r;

	(void)state;
	for (unsigned i = 0; (r = policy_row(&arch_policy, i)); i++) {
		assert_true(r->threads);
		assert_true(strlen(r->why) > 5);
		print_message("# %-16s%-5s%-5s%-6s%-7s %s\n", r->name,
			      r->threads >> JAIL_LOOP & 1 ? "loop" : "",
			      r->threads >> JAIL_VCPU & 1 ? "vcpu" : "",
			      r->threads >> JAIL_MAKER & 1 ? "maker" : "",
			      r->threads >> JAIL_WAITER & 1 ? "waiter" : "",
			      r->why);
	}
	print_message("# a run has %u, its vCPUs %u, a maker %u\n",
		      count_calls(RUN), count_calls(VCPU),
		      count_calls(1u << JAIL_MAKER));
	assert_true(count_calls(RUN) <= 20);
	assert_true(count_calls(VCPU) < count_calls(1u << JAIL_LOOP));
}

/* ---- the other layers ---- */

struct findings {
	struct jail jail;
	int result;
	struct err e;
	bool opened, made, has_caps, has_bounds;
	int no_new_privs, dumpable;
	uid_t uid;
	gid_t gid;
	rlim_t core, files;
	long victim, victim_before; /* oom_score_adj */
	int guesses, guesses_before; /* of indirect branches */
};

/* As a container's profile does it: some calls fail. */
static void refuse_calls(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mount, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_chroot, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};
	struct sock_fprog p = { sizeof(f) / sizeof(f[0]), f };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p))
		_exit(98);
}

static void look_around(struct findings *f)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct c[2];
	struct rlimit r;

	f->opened = open("/etc/passwd", O_RDONLY) >= 0;
	f->made = open("/tmp/husk-jail-test", O_WRONLY | O_CREAT, 0600) >= 0;
	if (!syscall(SYS_capget, &head, c))
		f->has_caps = c[0].effective | c[1].effective |
			      c[0].permitted | c[1].permitted |
			      c[0].inheritable | c[1].inheritable;
	for (unsigned long i = 0; i <= 40; i++)
		f->has_bounds |= prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1;
	f->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	f->dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
	getrlimit(RLIMIT_CORE, &r);
	f->core = r.rlim_cur;
	getrlimit(RLIMIT_NOFILE, &r);
	f->files = r.rlim_max;
}

static long read_victim(int fd)
{
	char buf[16] = "";

	assert_true(pread(fd, buf, sizeof(buf) - 1, 0) > 0);
	return strtol(buf, NULL, 10);
}

/* What it is among the host's processes: read before it has no files. */
static void look_at_standing(struct findings *f, int victim_fd)
{
	f->victim = read_victim(victim_fd);
	f->guesses = prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH, 0,
			   0, 0);
}

/* What a child finds that enters the jail this way. */
static struct findings enter(enum jail_mode mode, bool refused, uid_t as)
{
	struct findings *f = mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct findings out;
	int status, victim_fd;
	pid_t pid;

	assert_true(f != MAP_FAILED);
	pid = fork();
	if (!pid) {
		/* Dumpable as a program is that this user has started. */
		if (as && (setgid(as) || setuid(as) ||
			   prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)))
			_exit(97);
		if (refused)
			refuse_calls();
		victim_fd = open("/proc/self/oom_score_adj", O_RDONLY);
		look_at_standing(f, victim_fd);
		f->victim_before = f->victim;
		f->guesses_before = f->guesses;
		jail_init(&f->jail, mode, NULL, &arch_policy);
		f->result = jail_enter(&f->jail, &f->e);
		look_around(f);
		look_at_standing(f, victim_fd);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	out = *f;
	munmap(f, sizeof(*f));
	return out;
}

static bool given(const struct findings *f, enum jail_layer l)
{
	return f->jail.given >> l & 1;
}

/* What must hold wherever the host gives a layer, and of all everywhere. */
static void check_findings(const struct findings *f)
{
	assert_int_equal(f->result, 0);
	assert_true(given(f, JAIL_LIMITS) && given(f, JAIL_SYSCALLS));
	assert_int_equal(f->dumpable, 0);
	assert_int_equal(f->core, 0);
	assert_true(f->files <= 64);
	assert_true(given(f, JAIL_CAPS));
	assert_false(f->has_caps);
	assert_int_equal(f->no_new_privs, 1);
	if (given(f, JAIL_ROOT))
		assert_false(f->opened || f->made);
	else
		assert_true(f->opened);
	if (given(f, JAIL_USER_NS))
		assert_false(f->has_bounds);
	assert_int_equal(f->victim,
			 f->victim_before >= 500 ? 1000 :
			 f->victim_before > 0	 ? f->victim_before + 500 :
						   500);
	if (f->guesses_before > 0 && f->guesses_before & PR_SPEC_PRCTL)
		assert_int_equal(f->guesses, PR_SPEC_PRCTL |
						     PR_SPEC_FORCE_DISABLE);
	else
		assert_int_equal(f->guesses, f->guesses_before);
}

static void entering_as_whoever_we_are(void **state)
{
	struct findings f = enter(JAIL_AUTO, false, 0);

	(void)state;
	check_findings(&f);
	assert_false(given(&f, JAIL_PID_NS)); /* is the supervisor's */
}

static void entering_as_an_ordinary_user(void **state)
{
	struct findings f;

	(void)state;
	f = enter(JAIL_AUTO, false, geteuid() ? 0 : 4242);
	check_findings(&f);
	assert_true(given(&f, JAIL_ID));
}

static long landlock_version(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0,
		       LANDLOCK_CREATE_RULESET_VERSION);
}

/* A container that forbids namespaces: files are still out of reach. */
static void landlock_where_namespaces_are_refused(void **state)
{
	struct findings f = enter(JAIL_AUTO, true, geteuid() ? 0 : 4242);

	(void)state;
	check_findings(&f);
	assert_false(given(&f, JAIL_USER_NS) || given(&f, JAIL_NET_NS));
	assert_int_equal(given(&f, JAIL_ROOT), landlock_version() >= 1);
	assert_int_equal(f.jail.landlock, landlock_version() >= 1);
}

static void require_names_what_is_missing(void **state)
{
	struct findings f = enter(JAIL_REQUIRE, true, 0);

	(void)state;
	assert_int_equal(f.result, -EPERM);
	assert_non_null(strstr(f.e.msg, "refuses pid_ns, user_ns, ipc_ns, "
					"uts_ns, net_ns"));
	assert_non_null(strstr(f.e.msg, "msrs"));
	assert_non_null(strstr(f.e.msg, "--jail=auto"));
	assert_null(strchr(f.e.msg, '\n'));
}

static void off_changes_nothing(void **state)
{
	struct findings f = enter(JAIL_OFF, false, 0);

	(void)state;
	assert_int_equal(f.result, 0);
	assert_int_equal(f.jail.given, 0);
	assert_int_equal(f.victim, f.victim_before);
	assert_int_equal(f.guesses, f.guesses_before);
	assert_true(f.opened);
	assert_int_equal(f.no_new_privs,
			 prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	unlink("/tmp/husk-jail-test");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_forbidden_kind_kills),
		cmocka_unit_test(the_32_bit_door_is_shut),
		cmocka_unit_test(each_allowed_call_passes),
		cmocka_unit_test(the_list_is_short_and_has_reasons),
		cmocka_unit_test(entering_as_whoever_we_are),
		cmocka_unit_test(entering_as_an_ordinary_user),
		cmocka_unit_test(landlock_where_namespaces_are_refused),
		cmocka_unit_test(require_names_what_is_missing),
		cmocka_unit_test(off_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
