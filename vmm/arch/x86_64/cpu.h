/* SPDX-License-Identifier: MIT */
/*
 * What this host's KVM says of its CPU.
 */
#ifndef HUSK_ARCH_X86_64_CPU_H
#define HUSK_ARCH_X86_64_CPU_H

#include "arch/x86_64/cpuid.h"
#include "lib/err.h"

/* Fill *l, whatever it holds, with what KVM supports. */
int cpu_ask_cpuid(int kvm_fd, struct cpuid_list *l, struct err *e);

#endif
