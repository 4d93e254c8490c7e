/* SPDX-License-Identifier: MIT */
/*
 * The rest of what an architecture brings (see arch.h): what husk check asks
 * of a host, and a run that went wrong early. Texts are for people.
 *
 * Is this KVM one that husk can use? There are KVMs without hardware support
 * (kvm_pvm): guest user mode is fast there, but the kernel mode of an
 * unmodified Linux is emulated, incompletely. Such a KVM answers every
 * capability question like a real one, so a guest of a few instructions finds
 * out by doing what each Linux kernel does.
 */
#ifndef HUSK_ARCH_HOST_H
#define HUSK_ARCH_HOST_H

#include "lib/err.h"
#include "lib/text.h"

#include <stdbool.h>

/* What the guest of a few instructions showed. */
enum host_answer {
	HOST_RUNS_LINUX,
	HOST_RUNS_NONE,		/* software KVM; *tried says what was wrong */
};

/*
 * Run that guest on an open /dev/kvm (borrowed). Fails only when no guest
 * can be made at all. `tried` is added to: each thing that was tried, and how
 * it went.
 */
int host_probe(int kvm_fd, enum host_answer *out, struct text *tried,
	       struct err *e);

/* The quick answer from sysfs: true when software KVM is what is loaded. */
bool host_has_software_kvm(void);

/* Which of KVM's modules is loaded; a phrase when none is known. */
const char *host_find_module(void);

/* What to do where there is no /dev/kvm. */
const char *host_explain_no_kvm(void);

/* What to do where no guest runs Linux. */
extern const char host_explain_software[];

/*
 * Is the guest's memory translated by the CPU (nested paging)? Read below
 * `root`; `found` is added to. -1: the host does not tell.
 */
int host_pages_by_itself(const char *root, struct text *found);
extern const char host_explain_paging[];

/* What to do about flaws of the CPU, and about a VM that can't be narrowed. */
extern const char host_explain_flaws[], host_explain_narrow[];

#endif
