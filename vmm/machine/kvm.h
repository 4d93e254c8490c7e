/* SPDX-License-Identifier: MIT */
/*
 * /dev/kvm and one VM on it: open, check what it can, memory slots, vCPUs.
 * Each call says what failed and what to do about it.
 *
 * Order matters: memory slots come before
 * anything that registers on an in-kernel bus, else each slot waits for a
 * grace period of milliseconds.
 */
#ifndef HUSK_KVM_H
#define HUSK_KVM_H

#include "core/gmem.h"
#include "lib/err.h"

#include <linux/kvm.h>
#include <stdbool.h>

struct kvm {
	int fd;			/* /dev/kvm, owned; -1: closed */
	int vm_fd;		/* owned; -1: none */
	int run_size;		/* bytes of struct kvm_run to map */
	bool narrowed;		/* see arch_vm_narrow */
};

/* Open /dev/kvm and check version and capabilities. */
int kvm_open(struct kvm *k, struct err *e);

/* Create the VM with guest memory in its slots and an interrupt chip. */
int kvm_create_vm(struct kvm *k, const struct gmem *m, unsigned nr_pins,
		  struct err *e);
void kvm_fini(struct kvm *k);

/* New vCPU: descriptor (>= 0), owned by the caller. */
int kvm_create_vcpu(const struct kvm *k, unsigned index, struct err *e);

/* Map its struct kvm_run; the caller unmaps run_size bytes. */
struct kvm_run *kvm_map_run(const struct kvm *k, int vcpu_fd, struct err *e);

/* Send a message-signalled interrupt; any thread. */
void kvm_send_msi(const struct kvm *k, uint64_t addr, uint32_t data);

#endif
