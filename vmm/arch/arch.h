/* SPDX-License-Identifier: MIT */
/*
 * All that a processor architecture brings; a port is a folder beside x86_64,
 * chosen by the Makefile, that has what this header and host.h (what husk
 * check asks of a host) list, and nothing outside of it:
 *
 *	words and numbers	arch_words, arch_cmdline
 *	what KVM must have	arch_required, arch_for_templates
 *	the address map		arch_hole_*, arch_sparse_*, arch_device_base
 *	a boot			arch_load
 *	a VM			arch_vm_narrow, arch_vm_init
 *	its own devices		arch_board_*
 *	vCPUs			arch_vcpu_init, arch_vcpu_is_idle, exits
 *	their state		arch_vcpu_*, arch_clock_*, for templates
 *	a guest of our own	arch_touch_*
 *	its system calls	arch_policy
 *
 * Everything outside compiles for any architecture that Linux and glibc have
 * (make compile-check). Two more things are in guest-init: how a child begins
 * on a stack of its own, and the counter that host and guest both see.
 */
#ifndef HUSK_ARCH_ARCH_H
#define HUSK_ARCH_ARCH_H

#include "core/bus.h"
#include "core/gmem.h"
#include "core/irq.h"
#include "core/policy.h"
#include "lib/err.h"
#include "lib/pack.h"

#include <stdbool.h>
#include <stddef.h>

struct kvm_run;

/*
 * What it and its things are called; all in place, for a page of pointers
 * would be each process's own.
 */
struct arch_words {
	char name[8];		/* of uname -m, and in a template's header */
	char title[16];		/* the same for people */
	char modules[32];	/* of KVM: "a or b" */
	char extension[16];	/* the CPU's, that KVM needs: "a or b" */
	char not_a_kernel[16];	/* a kernel of Linux that is none of ours */
	char irqchip[12];	/* in the status: exits of EXIT_KIND_IRQCHIP */
	char exit[12];		/* of EXIT_KIND_ARCH */
	char shutdown[32];	/* how a guest ended with KVM_EXIT_SHUTDOWN */
};
extern const struct arch_words arch_words;

/* The machine type of a kernel's ELF header, EM_... */
extern const uint16_t arch_elf_machine;

/* What the kernel's command line says here besides what it says everywhere. */
extern const char arch_cmdline[];

/*
 * What husk cannot do without, and what templates need besides; the last of
 * each list has no name.
 */
struct arch_cap {
	int cap;		/* KVM_CAP_..., of /dev/kvm */
	const char *name;
	const char *why;	/* what husk does with it */
};
extern const struct arch_cap arch_required[], arch_for_templates[];

/* The device windows of the machine; both ends of the interrupt agree. */
#define ARCH_MAX_DEVICES 8
#define ARCH_MAX_CPUS	 8

struct arch_device {
	gpa_t base;	/* virtio-mmio window of ARCH_VIRTIO_LEN bytes */
	unsigned pin;	/* interrupt controller input */
};

/* All that the boot image depends on; no host address, no descriptor. */
struct arch_boot {
	const char *kernel;	/* path, for messages */
	int kernel_fd;		/* borrowed; position is not used */
	const void *initrd;	/* borrowed; copied into guest memory */
	uint64_t initrd_len;
	const char *cmdline;
	unsigned nr_cpus;
	unsigned nr_devices;
	struct arch_device device[ARCH_MAX_DEVICES];
	uint8_t rng_seed[64];	/* for the guest kernel's early random pool */
};

/* What loading found out. */
struct arch_entry {
	gpa_t start;		/* first instruction */
	gpa_t arg;		/* what it is told there; x86: boot_params */
	char salt[64];		/* kernel's BUILD_SALT note, "" when absent */
	uint64_t kernel_size;	/* bytes of RAM that the kernel occupies */
};

/* No RAM from here to there; where virtio device `index` is. */
extern const gpa_t arch_hole_start, arch_hole_end;
gpa_t arch_device_base(unsigned index);

/*
 * The range around the kernel image, of which a boot touches every few pages:
 * small pages there, huge ones elsewhere.
 */
extern const gpa_t arch_sparse_start, arch_sparse_end;
#define ARCH_VIRTIO_LEN 0x1000u

/*
 * Put kernel, initrd, command line, boot parameters, page tables and device
 * tree into guest memory. Fails with one line for whatever is wrong with the
 * kernel file or when memory is too small for it (saying how much it needs).
 */
int arch_load(const struct gmem *m, const struct arch_boot *b,
	      struct arch_entry *out, struct err *e);

/*
 * Take from a VM that has no memory yet what Linux has no use for: model
 * specific registers beyond a list. -errno where this KVM cannot.
 */
int arch_vm_narrow(int vm_fd);

/*
 * What a VM needs after its memory and before its vCPUs: an interrupt chip for
 * `nr_pins` devices.
 */
int arch_vm_init(int vm_fd, unsigned nr_pins, struct err *e);

/*
 * The devices that machines of this architecture have besides virtio: as far
 * as it is not KVM's, the interrupt controller; what the kernel says before it
 * has drivers, of which the last words are kept; its way to say that it is at
 * an end. They lie in `room`, ARCH_BOARD_MAX zeros with the alignment of a
 * cache line, and are gone with arch_board_fini. Each has a lock of its own,
 * a leaf. Their state may be any bytes: loading refuses what is none.
 */
#define ARCH_BOARD_MAX 4608u
struct arch_board;
struct arch_board_args {
	unsigned nr_pins;
	unsigned irqchip_tag, exit_tag; /* of their windows in the buses */
	void (*send_msi)(void *opaque, uint64_t addr, uint32_t data);
	void (*reset)(void *opaque);	/* from the vCPU's thread */
	void *opaque;			/* of these two */
	/* What the kernel says; or NULL. */
	void (*console)(void *opaque, const char *buf, size_t len);
	void *console_opaque;
};
struct arch_board *arch_board_init(void *room,
				   const struct arch_board_args *a);
void arch_board_fini(struct arch_board *b);

/* The line to give to the device on `pin`. */
struct irq_line arch_board_line(struct arch_board *b, unsigned pin);

/* `ports` is a bus of its own, for addresses that are none of memory's. */
int arch_board_wire(struct arch_board *b, struct bus *mmio, struct bus *ports,
		    struct err *e);
void arch_board_save(const struct arch_board *b, struct pack *p);
int arch_board_load(struct arch_board *b, struct unpack *u);

/*
 * The line of its console that best says why the guest died: NUL-terminated,
 * printable, empty when nothing was written.
 */
void arch_board_last_words(struct arch_board *b, char *buf, size_t size);

/* CPUID, registers, MSRs and local APIC of vCPU `index` for a cold boot. */
int arch_vcpu_init(int kvm_fd, int vcpu_fd, unsigned index, unsigned nr_cpus,
		   const struct arch_entry *entry, struct err *e);

/* Does a stopped vCPU wait for an interrupt? */
bool arch_vcpu_is_idle(int vcpu_fd);

/*
 * Serve an exit that only this architecture has, in the vCPU's thread. What is
 * unknown ends the machine; the exits that all have are not asked for.
 */
enum arch_exit {
	ARCH_EXIT_UNKNOWN,
	ARCH_EXIT_NOTHING,	/* no more was to be done */
	ARCH_EXIT_SERVED,	/* counted as EXIT_KIND_ARCH */
};
enum arch_exit arch_serve_exit(struct kvm_run *run, const struct bus *ports);

/*
 * KVM_EXIT_FAIL_ENTRY with this reason: is it the host's doing for certain? If
 * not, a guest may have brought it about.
 */
bool arch_entry_is_hosts(uint64_t reason);

/*
 * The state of vCPUs and of the guest's clock, for templates.
 *
 * A state is bytes in a versioned format of its own, with neither host
 * addresses nor descriptors in it; the same state gives the same bytes. What
 * comes back may be any bytes: it is checked whole before the first ioctl,
 * and a refusal is one line. Buffers are 8-aligned.
 *
 * Order of a save: stop all vCPUs outside KVM_RUN, with the last exit
 * completed (KVM_RUN once more with immediate_exit set); each vCPU in any
 * order; the clock. Order of a restore: memory and interrupt chip as for a
 * cold boot; create all vCPUs; arch_vcpu_prepare for each; arch_vcpu_restore
 * for 0, then for the others; arch_clock_restore; arch_vcpu_resume for each;
 * KVM_RUN. No vCPU may run the guest before all of this.
 *
 * The guest's TSC and kvm-clock go on from the values saved, however long ago
 * and on whatever boot of a host that was, and all vCPUs have one TSC; a
 * timer that was armed fires when the rest of its time has passed.
 */
#define ARCH_VCPU_STATE_MAX  65536u
#define ARCH_CLOCK_STATE_MAX 64u

/*
 * What a vCPU has before it has run, for a state has what differs from that:
 * asked of /dev/kvm, with the CPUID that `vcpu_fd` has by then. The caller
 * frees it. NULL and *e when KVM refuses.
 */
struct arch_fresh;
struct arch_fresh *arch_fresh_ask(int kvm_fd, int vcpu_fd, struct err *e);

/* State of a stopped vCPU; buf has ARCH_VCPU_STATE_MAX bytes, *len is set. */
int arch_vcpu_save(const struct arch_fresh *fresh, int vm_fd, int vcpu_fd,
		   void *buf, size_t *len, struct err *e);

/*
 * Are these states of `nr` vCPUs (1 to ARCH_MAX_CPUS) ones that guests of husk
 * can have, all of one processor, and can this host run them: a CPU of the same
 * maker with every feature that the guest was told of, and register files of
 * the same shape? Asked once for a template; arch_vcpu_restore doesn't ask.
 * Needs no VM.
 */
struct arch_state {
	const void *buf;
	size_t len;
};
int arch_vcpu_check(int kvm_fd, const struct arch_state *vcpu, unsigned nr,
		    struct err *e);

/*
 * Give a fresh vCPU `index` that state: before its first KVM_RUN what says
 * which processor it is, then all else. The first refuses the state of another
 * index and a TSC frequency that this host cannot offer. After a failure the
 * vCPU is of no use.
 */
int arch_vcpu_prepare(int vm_fd, int vcpu_fd, unsigned index, const void *buf,
		      size_t len, struct err *e);
int arch_vcpu_restore(int vm_fd, int vcpu_fd, unsigned index, const void *buf,
		      size_t len, struct err *e);

/*
 * The TSC of a vCPU that was restored and has not run goes on from the value
 * saved once more, and so does its timer: all vCPUs in order, then
 * arch_clock_restore.
 */
int arch_vcpu_rewind(int vcpu_fd, unsigned index, const void *buf, size_t len,
		     struct err *e);

/*
 * ns until the timer of a stopped vCPU fires; 0: it is due, UINT64_MAX: there
 * is none, or no telling.
 */
uint64_t arch_vcpu_timer(int vcpu_fd);

/* The VM's kvm-clock; buf has ARCH_CLOCK_STATE_MAX bytes, *len is set. */
int arch_clock_save(int vm_fd, void *buf, size_t *len, struct err *e);
int arch_clock_restore(int vm_fd, const void *buf, size_t len, struct err *e);

/*
 * Tell the guest that time passed while it did not run, so that its watchdogs
 * stay calm. Nothing happens when it has no kvm-clock.
 */
int arch_vcpu_resume(int vcpu_fd, struct err *e);

/*
 * A guest of our own that reads a byte of each page of a list, for a vCPU
 * between arch_vcpu_prepare and arch_vcpu_restore, and ends with the exit
 * arch_touch_exit.
 * First of all its vCPU gets what KVM refuses to write once it has run, from
 * the state that it will be given. Then fill the page that it runs in, with as
 * many entries as fit (their number comes back, at least one of nr > 0), and
 * have the vCPU begin there. All pages are RAM below arch_touch_end.
 */
struct arch_pages {
	uint32_t first;		/* gpa / GMEM_PAGE */
	uint32_t count;		/* > 0 */
};
extern const gpa_t arch_touch_end;
extern const uint32_t arch_touch_exit;
int arch_touch_prepare(int vcpu_fd, const void *buf, size_t len,
		       struct err *e);
unsigned arch_touch_fill(uint8_t page[GMEM_PAGE], const struct arch_pages *p,
			 unsigned nr);
int arch_touch_begin(int vcpu_fd, gpa_t gpa, struct err *e);

/*
 * Have a vCPU that has not run differ in what a first KVM_RUN freezes, as a
 * Linux guest's does, where its CPU has such a thing: to try what follows.
 */
void arch_vcpu_freeze(int vcpu_fd);

/* The exit of a guest in whose memory there are only zeros. */
extern const uint32_t arch_zeros_exit;

/*
 * The counter that a guest's programs can read, as vCPU `vcpu_fd` would read
 * it now, and its rate in kHz. -ENOTSUP when KVM does not tell.
 */
int arch_vcpu_counter(int vcpu_fd, uint64_t *counter, uint64_t *khz);

/* What of all this a sealed thread asks KVM for, and arch_vm_narrow's name. */
extern const struct policy_arch arch_policy;

#endif
