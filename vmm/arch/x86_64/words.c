// SPDX-License-Identifier: MIT
/*
 * What x86-64 and its things are called.
 */
#include "arch/arch.h"

#include <elf.h>

const struct arch_words arch_words = {
	.name = "x86_64",
	.title = "x86-64",
	.modules = "kvm_intel or kvm_amd",
	.extension = "VT-x or SVM",
	.not_a_kernel = "bzImage",
	.irqchip = "ioapic",
	.exit = "pio",
	.shutdown = "triple fault without a verdict",
};

const uint16_t arch_elf_machine = EM_X86_64;

const char arch_cmdline[] = "reboot=k tsc=reliable noreplace-smp "
			    "earlyprintk=serial,0x3f8,keep";
