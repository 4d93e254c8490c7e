/* SPDX-License-Identifier: MIT */
/*
 * What a processor architecture brings: the machine's address map, the kernel
 * in guest memory, a description of the devices that the kernel finds, and
 * vCPUs ready for their first instruction or for the next one of a template.
 * One folder each, chosen by the Makefile; x86_64 is there.
 *
 * Nothing here runs while a vCPU runs.
 */
#ifndef HUSK_ARCH_ARCH_H
#define HUSK_ARCH_ARCH_H

#include "core/gmem.h"
#include "lib/err.h"

#include <stdbool.h>
#include <stddef.h>

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
	gpa_t rip;		/* first instruction */
	gpa_t arg;		/* x86: boot_params */
	char salt[64];		/* kernel's BUILD_SALT note, "" when absent */
	uint64_t kernel_size;	/* bytes of RAM that the kernel occupies */
};

/* Where RAM may lie and where devices are. */
extern const gpa_t arch_hole_start, arch_hole_end, arch_ioapic_base;
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

/* CPUID, registers, MSRs and local APIC of vCPU `index` for a cold boot. */
int arch_vcpu_init(int kvm_fd, int vcpu_fd, unsigned index, unsigned nr_cpus,
		   const struct arch_entry *entry, struct err *e);

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
 * between arch_vcpu_prepare and arch_vcpu_restore, and ends with KVM_EXIT_IO.
 * First of all its vCPU gets what KVM refuses to write once it has run, from
 * the state that it will be given. Then fill the page that it runs in, with as
 * many entries as fit (their number comes back, at least one of nr > 0), and
 * have the vCPU begin there. All pages are RAM below arch_hole_start.
 */
struct arch_pages {
	uint32_t first;		/* gpa / GMEM_PAGE */
	uint32_t count;		/* > 0 */
};
#define ARCH_TOUCH_PORT 0xf4u
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

/*
 * The counter that a guest's programs can read, as vCPU `vcpu_fd` would read
 * it now, and its rate in kHz. -ENOTSUP when KVM does not tell.
 */
int arch_vcpu_counter(int vcpu_fd, uint64_t *counter, uint64_t *khz);

#endif
