/* SPDX-License-Identifier: MIT */
/*
 * The I/O APIC (Intel 82093AA) for a machine whose local APICs are in KVM
 * (KVM_CAP_SPLIT_IRQCHIP): a redirection table that turns an edge on an input
 * into a message-signalled interrupt.
 *
 * It has as many inputs as the machine has devices: the guest's kernel visits
 * each one at boot, an exit a register. Edge-triggered only: a level entry is
 * delivered as an edge and its remote IRR never set, so no EOI needs to come
 * back from KVM.
 *
 * Registers are a 32-bit index at offset 0x00 and a window at 0x10.
 * Locking: its own, a leaf lock; pins are raised from any thread.
 */
#ifndef HUSK_ARCH_X86_64_IOAPIC_H
#define HUSK_ARCH_X86_64_IOAPIC_H

#include "core/bus.h"
#include "core/irq.h"
#include "lib/pack.h"

#include <pthread.h>

#define IOAPIC_MAX_PINS 8
#define IOAPIC_LEN	0x20u

struct ioapic_state {
	uint32_t index;		/* IOREGSEL */
	uint32_t id;
	uint64_t entry[IOAPIC_MAX_PINS];
	uint32_t waiting;	/* pins raised while masked */
};

struct ioapic {
	struct ioapic_state s;
	unsigned nr_pins;
	void (*send_msi)(void *opaque, uint64_t addr, uint32_t data);
	void *opaque;
	pthread_mutex_t lock;
};

extern const struct bus_ops ioapic_bus_ops;

void ioapic_init(struct ioapic *a, unsigned nr_pins,
		 void (*send_msi)(void *opaque, uint64_t addr, uint32_t data),
		 void *opaque);
void ioapic_fini(struct ioapic *a);

/* The line to give to the device on `pin`. */
struct irq_line ioapic_line(struct ioapic *a, unsigned pin);

/* State to and from a template, the machine standing still. */
void ioapic_save(const struct ioapic *a, struct pack *p);
int ioapic_load(struct ioapic *a, struct unpack *u);

#endif
