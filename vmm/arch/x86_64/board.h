/* SPDX-License-Identifier: MIT */
/*
 * What a PC has besides virtio devices: the I/O APIC, the kernel's early
 * console and the reset line.
 */
#ifndef HUSK_ARCH_X86_64_BOARD_H
#define HUSK_ARCH_X86_64_BOARD_H

#include "arch/arch.h"
#include "arch/x86_64/ioapic.h"
#include "arch/x86_64/legacy.h"

struct arch_board {
	struct ioapic ioapic;
	struct keyboard keyboard;
	unsigned irqchip_tag, exit_tag;
	/* Last, since only its first part is ever touched. */
	struct uart uart;
};

#endif
