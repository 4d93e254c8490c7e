// SPDX-License-Identifier: MIT
/*
 * See jail.h. A layer that the host refuses is left out, none depends on
 * another one: without namespaces Landlock stands in for the empty root, and
 * the filters hold with nothing else.
 *
 * What each costs, in microseconds of exact lab time (tests/lab/run
 * --icount):
 *
 *	supervisor: fork, wait			270
 *	pid and user namespace			 30
 *	mount namespace, empty tmpfs as root	200
 *	net namespace			       1300
 *	ipc namespace				110
 *	uts namespace				 10
 *	bounding set, call by call		100
 *	filters of both threads			 60
 *	narrowing of the VM (MSRs)		 15 (before memory slots; 15,000
 *						     after them)
 *
 * The net namespace is dear for what it adds to a filter without socket(),
 * and is kept: it is what holds when the filter is wrong.
 *
 * Rejected: a chroot into an empty folder of the host (/proc/tty/ldisc is
 * one), 150 cheaper, but what the host had mounted would still be there.
 */
#include "jail/jail.h"

#include "lib/cleanup.h"
#include "lib/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/*
 * As root: a uid of its own for each machine, from a range that no distribution
 * and no container manager hands out (systemd's list of uids ends its last
 * range below it). Its number in the range is the kernel's own id of an
 * eventfd: there is one set of them for all namespaces, and none is given
 * twice while it is open, which ours is until all of the process is gone.
 * Rejected: the process id, of which each container has its own; the inode of
 * a namespace, which is as unique, but who may make none has that of others.
 */
#define ID_BASE	  0x70000000u
#define ID_RANGE  0x0fffffffl
#define ID_NOBODY 65534u

/* Of an oom_score_adj: how much more than its service, and the most. */
#define VICTIM_MORE 500u
#define VICTIM_MOST 1000u

/* Enough for what a pool's worker receives; poll wants room for all, too. */
#define FILES_MAX 64u

static const struct {
	const char *name, *what;
} layers[JAIL_NR] = {
	[JAIL_PID_NS] = { "pid_ns", "sees and signals no other process" },
	[JAIL_USER_NS] = { "user_ns", "its rights are over nothing" },
	[JAIL_IPC_NS] = { "ipc_ns", "no shared memory or queues of others" },
	[JAIL_UTS_NS] = { "uts_ns", "a host name of its own" },
	[JAIL_NET_NS] = { "net_ns", "no network, no abstract sockets" },
	[JAIL_ROOT] = { "root", "no file can be reached by a path" },
	[JAIL_ID] = { "id", "not root, and the same as no other process" },
	[JAIL_CAPS] = { "caps", "no capabilities, and none to be had" },
	[JAIL_LIMITS] = { "limits", "no core dump, no debugger" },
	[JAIL_SYSCALLS] = { "syscalls", "an allow-list for each thread" },
	[JAIL_NARROW] = { NULL, NULL }, /* the architecture's */
};

const char *jail_layer_name(const struct jail *j, enum jail_layer l)
{
	return layers[l].name ? layers[l].name : j->arch->layer;
}

const char *jail_layer_what(const struct jail *j, enum jail_layer l)
{
	return layers[l].what ? layers[l].what : j->arch->what;
}

unsigned jail_list_missing(const struct jail *j, unsigned of, struct text *t)
{
	unsigned l, nr = 0;

	for (l = 0; l < JAIL_NR; l++)
		if (of & ~j->given & 1u << l)
			text_printf(t, "%s%s", nr++ ? ", " : "",
				    jail_layer_name(j, (enum jail_layer)l));
	return nr;
}

static void give(struct jail *j, enum jail_layer l, bool given)
{
	j->given |= (unsigned)given << l;
}

void jail_init(struct jail *j, enum jail_mode mode, struct supervisor *s,
	       const struct policy_arch *arch)
{
	*j = (struct jail){
		.mode = mode,
		.supervisor = s,
		.arch = arch,
		.id_fd = -1,
	};
	give(j, JAIL_PID_NS, s && s->pid_ns);
	give(j, JAIL_USER_NS, s && s->user_ns);
}

/* ---- capabilities and identity ---- */

static int set_caps(uint32_t low, uint32_t high)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = {
		{ .effective = low, .permitted = low },
		{ .effective = high, .permitted = high },
	};

	return (int)syscall(SYS_capset, &head, data);
}

/* Effective as permitted, which setresuid leaves us on request. */
static void raise_caps(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (!syscall(SYS_capget, &head, data))
		set_caps(data[0].permitted, data[1].permitted);
}

void jail_keep_caps(void)
{
	static const unsigned kept[] = { CAP_SYS_ADMIN, CAP_SETPCAP,
					 CAP_SYS_CHROOT };
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	unsigned i;

	if (syscall(SYS_capget, &head, data))
		return;
	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		data[0].inheritable |= data[0].permitted & 1u << kept[i];
	if (syscall(SYS_capset, &head, data))
		return;
	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept[i], 0, 0);
}

/* By number: glibc's would look for threads. */
static bool set_ids(uid_t id, uid_t saved)
{
	return !syscall(SYS_setgroups, 0, NULL) &&
	       !syscall(SYS_setresgid, id, id, id) &&
	       !syscall(SYS_setresuid, id, id, saved);
}

/* The number in the line of /proc/self/fdinfo that starts with `key`, or -1. */
static long fd_info(int fd, const char *key)
{
	static const char folder[] = "/proc/self/fdinfo/";
	char path[sizeof(folder) + 10], buf[256];
	auto_fd info = -1;
	struct text t;
	const char *c;
	ssize_t n;
	long v = -1;

	text_init(&t, path, sizeof(path));
	text_add(&t, folder, strlen(folder));
	text_add_uint(&t, (unsigned)fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	n = info < 0 ? -1 : read(info, buf, sizeof(buf) - 1);
	buf[n > 0 ? n : 0] = '\0';
	c = strstr(buf, key);
	if (!c)
		return -1;
	/* Digits; strtol would bring in the locale. */
	for (c += strlen(key); *c >= '0' && *c <= '9' && v < ID_RANGE; c++)
		v = (v < 0 ? 0 : v * 10) + (*c - '0');
	return v;
}

/* A uid that is no other machine's as long as id_fd is open. */
static bool choose_id(struct jail *j, uid_t *id)
{
	long n;

	j->id_fd = eventfd(0, EFD_CLOEXEC);
	n = j->id_fd < 0 ? -1 : fd_info(j->id_fd, "eventfd-id: ");
	*id = ID_BASE + (uid_t)n;
	return n >= 0 && n < ID_RANGE;
}

/* Without the right to signal others, whom does root reach? */
static bool can_kill(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	return !syscall(SYS_capget, &head, data) &&
	       data[0].effective >> CAP_KILL & 1;
}

/*
 * What is not root already is whoever its user chose. Root in a container that
 * lacks CAP_KILL can neither stop nor end a process of another user, not even
 * by its own death (the kernel asks for PDEATHSIG, too): there root stays our
 * saved uid, which no call that is left to us can bring back, and the layer
 * counts as missing.
 */
static void leave_root(struct jail *j)
{
	bool own, kept = !can_kill();
	uid_t id;

	if (geteuid()) {
		give(j, JAIL_ID, true);
		return;
	}
	prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	own = choose_id(j, &id) && set_ids(id, kept ? 0 : id);
	if (!own)
		set_ids(ID_NOBODY, kept ? 0 : ID_NOBODY);
	raise_caps();
	give(j, JAIL_ID, own && !kept);
}

static void drop_caps(struct jail *j)
{
	unsigned long cap = 0;

	while (!prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
		cap++;
	give(j, JAIL_CAPS,
	     !set_caps(0, 0) && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/* ---- namespaces and files ---- */

#define SPACES (CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET)

/* All at once where that goes, else each that goes. Returns what we have. */
static int unshare_spaces(int wanted)
{
	static const int each[] = { CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWIPC,
				    CLONE_NEWUTS, CLONE_NEWNET };
	int have = 0;
	unsigned i;

	if (!unshare(wanted))
		return wanted;
	for (i = 0; i < sizeof(each) / sizeof(each[0]); i++)
		if (wanted & each[i] && !unshare(each[i]))
			have |= each[i];
	return have;
}

/*
 * A tmpfs without room for a file over the root, ".." leads into it, and what
 * was there before is let go of.
 */
static bool empty_root(bool own_user_ns)
{
	const unsigned long flags =
		MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;

	/* Mounts of a new user namespace lead nowhere already. */
	if (!own_user_ns && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL))
		return false;
	if (mount("husk", "/", "tmpfs", flags, "size=4k,nr_inodes=1") ||
	    chdir("/.."))
		return false;
	/* pivot_root does not work on an initramfs; chroot does. */
	if (!syscall(SYS_pivot_root, ".", "."))
		return !umount2(".", MNT_DETACH) && !chdir("/");
	return !chroot(".") && !chdir("/");
}

/* Every kind of access that this kernel's Landlock knows, none allowed. */
static bool deny_files(void)
{
	struct landlock_ruleset_attr attr = { 0 };
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
			   LANDLOCK_CREATE_RULESET_VERSION);
	auto_fd fd = -1;

	if (abi < 1)
		return false;
	/* 13 rights first, then REFER, TRUNCATE (3), IOCTL_DEV (5). */
	attr.handled_access_fs =
		(1u << (13 + (abi >= 2) + (abi >= 3) + (abi >= 5))) - 1;
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr,
			  sizeof(attr.handled_access_fs), 0);
	return fd >= 0 && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !syscall(SYS_landlock_restrict_self, fd, 0);
}

static void enter_namespaces(struct jail *j)
{
	bool user = j->given >> JAIL_USER_NS & 1;
	int have = unshare_spaces(SPACES | (user ? 0 : CLONE_NEWUSER));

	user |= (have & CLONE_NEWUSER) != 0;
	give(j, JAIL_USER_NS, user);
	give(j, JAIL_IPC_NS, have & CLONE_NEWIPC);
	give(j, JAIL_UTS_NS, have & CLONE_NEWUTS);
	give(j, JAIL_NET_NS, have & CLONE_NEWNET);
	if (have & CLONE_NEWNS && empty_root(user)) {
		give(j, JAIL_ROOT, true);
		return;
	}
	j->landlock = deny_files();
	give(j, JAIL_ROOT, j->landlock);
}

/* ---- what it is among the host's processes ---- */

/*
 * When memory is short, the kernel takes a machine before the service that
 * started it. First of all, for a process that has changed its ids may not.
 */
static void offer_itself(void)
{
	auto_fd fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char buf[16] = "";
	struct text t;
	uint64_t now;
	ssize_t n;

	if (fd < 0 || read(fd, buf, sizeof(buf) - 1) <= 0)
		return;
	buf[strcspn(buf, "\n")] = '\0';
	/* One that is to be spared is as far from the end as it can be. */
	if (parse_uint(buf, 0, VICTIM_MOST, &now))
		now = 0;
	now += VICTIM_MORE;
	text_init(&t, buf, sizeof(buf));
	text_add_uint(&t, now < VICTIM_MOST ? now : VICTIM_MOST);
	/* Where that is refused, it is as likely to go as its service. */
	n = pwrite(fd, buf, text_len(&t), 0);
	(void)n;
}

/*
 * What a guest taught the CPU's branch predictors is forgotten before another
 * process runs, and the other way round. For good, and for threads that are
 * yet to come; a CPU that needs none of it refuses.
 *
 * Rejected: PR_SPEC_STORE_BYPASS, since all that this process holds is its own
 * job's, and an MSR would be written at each entry of the guest;
 * PR_SPEC_L1D_FLUSH, which kills a process on a core with two threads.
 */
static void keep_guesses_apart(void)
{
	prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH,
	      PR_SPEC_FORCE_DISABLE, 0, 0);
}

/* ---- the rest ---- */

/*
 * Not RLIMIT_NPROC: since Linux 6.14 the first KVM_RUN makes a kernel thread
 * in this process, which counts. Not RLIMIT_FSIZE: outputs are of any length.
 */
static void set_limits(struct jail *j)
{
	const struct rlimit none = { 0, 0 }, files = { FILES_MAX, FILES_MAX };

	give(j, JAIL_LIMITS,
	     !setrlimit(RLIMIT_CORE, &none) &&
		     !setrlimit(RLIMIT_NOFILE, &files) &&
		     !prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
}

static bool has_filters(void)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	return !syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action);
}

static int refuse_less(const struct jail *j, struct err *e)
{
	char list[256];
	struct text t;

	text_init(&t, list, sizeof(list));
	if (!jail_list_missing(j, JAIL_ALL, &t))
		return 0;
	return err_set(e, EPERM,
		       "enter the jail: this host refuses %s (--jail=auto "
		       "does without; husk check says more)",
		       list);
}

int jail_enter(struct jail *j, struct err *e)
{
	j->pid = getpid();
	if (j->mode == JAIL_OFF)
		return 0;
	/* No free may give memory back by brk, which is no more. */
	mallopt(M_TRIM_THRESHOLD, INT_MAX);
	offer_itself();
	keep_guesses_apart();
	leave_root(j);
	enter_namespaces(j);
	drop_caps(j);
	set_limits(j);
	give(j, JAIL_SYSCALLS, has_filters());
	if (j->supervisor) {
		supervisor_bind(j->supervisor);
		cleanup_fd(&j->supervisor->parent_fd);
	}
	return j->mode == JAIL_REQUIRE ? refuse_less(j, e) : 0;
}

int jail_seal(const struct jail *j, enum jail_thread thread, int vm_fd,
	      int vcpu_fd, struct err *e)
{
	const struct policy_values v = { j->arch, vm_fd, vcpu_fd, j->pid };
	struct sock_filter filter[POLICY_MAX];
	struct sock_fprog prog = { .filter = filter };

	if (j->mode == JAIL_OFF || !(j->given >> JAIL_SYSCALLS & 1))
		return 0;
	prog.len = (unsigned short)policy_build(thread, &v, filter);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
		return err_sys(e, "filter the system calls of a thread");
	return 0;
}
