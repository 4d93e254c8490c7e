/* SPDX-License-Identifier: MIT */
/*
 * What a processor architecture brings: the machine's address map, the kernel
 * in guest memory, a description of the devices that the kernel finds, and
 * vCPUs ready for their first instruction. One folder each, chosen by the
 * Makefile; x86_64 is there.
 *
 * Nothing here runs after the first KVM_RUN.
 */
#ifndef HUSK_ARCH_ARCH_H
#define HUSK_ARCH_ARCH_H

#include "core/gmem.h"
#include "lib/err.h"

#include <stdbool.h>

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

/* CPUID, registers, MSRs and local APIC of vCPU `index` for a cold boot. */
int arch_vcpu_init(int kvm_fd, int vcpu_fd, unsigned index, unsigned nr_cpus,
		   const struct arch_entry *entry, struct err *e);

#endif
