/* SPDX-License-Identifier: MIT */
/*
 * The machine as a flattened device tree, for Linux arch/x86/kernel/
 * devicetree.c: the only description the guest gets of its CPUs, interrupt
 * controllers and virtio-mmio devices.
 */
#ifndef HUSK_ARCH_X86_64_FDT_H
#define HUSK_ARCH_X86_64_FDT_H

#include "arch/arch.h"

#include <stddef.h>

/*
 * Write the tree for `b` (nr_cpus, nr_devices, device[]) to `buf` of `cap`
 * bytes, 8-aligned. Returns its length; the same input gives the same bytes.
 * Fails with one line when `cap` is too small.
 */
int fdt_build(void *buf, size_t cap, const struct arch_boot *b, struct err *e);

#endif
