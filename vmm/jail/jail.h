/* SPDX-License-Identifier: MIT */
/*
 * husk's own jail: what a process gives up once everything is open and before
 * the first guest instruction, in layers. Each is taken where the host allows
 * it; `given` says which were.
 *
 * Order, all before a guest runs:
 *	supervisor_split	pid namespace
 *	set-up			everything that is ever needed is opened
 *	jail_enter		one thread: all layers but the filters
 *	pthread_create		vCPU threads inherit them, each calls jail_seal
 *				for itself and waits (vm_park does so)
 *	jail_seal		this thread: from here on only its system calls
 *	vm_start		guests run
 * A pool's machine does the same, with a list for its loop that is wider, and
 * then waits for its job: descriptors that arrive later may be read, written
 * and closed like others; ioctl is for those of KVM alone. Before the guest
 * runs it seals its loop once more, with the list of any run: of two filters
 * both must allow a call.
 */
#ifndef HUSK_JAIL_H
#define HUSK_JAIL_H

#include "jail/policy.h"
#include "jail/supervisor.h"
#include "lib/err.h"
#include "lib/text.h"

#include <stdbool.h>
#include <sys/types.h>

/* What to do without a layer of husk's own jail. */
enum jail_mode {
	JAIL_AUTO,	/* go on */
	JAIL_REQUIRE,	/* refuse */
	JAIL_OFF,	/* take none, for debugging */
};

enum jail_layer {
	JAIL_PID_NS,	/* sees no other process */
	JAIL_USER_NS,
	JAIL_IPC_NS,
	JAIL_UTS_NS,
	JAIL_NET_NS,
	JAIL_ROOT,	/* empty root, or Landlock that denies everything */
	JAIL_ID,	/* root only: a uid and gid of its own */
	JAIL_CAPS,	/* no capability, none to be had: no_new_privs */
	JAIL_LIMITS,	/* no core dump, no debugger, few descriptors */
	JAIL_SYSCALLS,	/* seccomp filters can be had */
	JAIL_NARROW,	/* the VM lacks what Linux has no use for */
	JAIL_NR,
};

struct jail {
	enum jail_mode mode;
	struct supervisor *supervisor;	/* borrowed; NULL: none */
	const struct policy_arch *arch;	/* borrowed */
	unsigned given;			/* bit per enum jail_layer */
	bool landlock;			/* how JAIL_ROOT is given */
	pid_t pid;			/* getpid() */
	int id_fd;			/* whose number is our uid's; -1: none.
					 * Never closed before the end */
};

/* Layers that exist before jail_enter are taken from the supervisor. */
void jail_init(struct jail *j, enum jail_mode mode, struct supervisor *s,
	       const struct policy_arch *arch);

/*
 * Before an exec, after which jail_enter comes: the kernel takes the
 * capabilities away that an ordinary user has over his new user namespace;
 * those stay that a jail is built with.
 */
void jail_keep_caps(void);

/*
 * Enter: with a single thread. JAIL_OFF does nothing; JAIL_REQUIRE fails with
 * one line that names every layer that is missing.
 */
int jail_enter(struct jail *j, struct err *e);

/* Filter this thread's system calls for good. `vcpu_fd` is -1 on a loop. */
int jail_seal(const struct jail *j, enum jail_thread thread, int vm_fd,
	      int vcpu_fd, struct err *e);

/* "user_ns" and what the layer is for. */
const char *jail_layer_name(const struct jail *j, enum jail_layer l);
const char *jail_layer_what(const struct jail *j, enum jail_layer l);

/* All layers; those without which a guest that breaks out is on the host. */
#define JAIL_ALL   ((1u << JAIL_NR) - 1)
#define JAIL_WALLS (1u << JAIL_ROOT | 1u << JAIL_CAPS | 1u << JAIL_SYSCALLS)

/* Names of those among `of` that were not given, with commas; how many. */
unsigned jail_list_missing(const struct jail *j, unsigned of, struct text *t);

#endif
