/* SPDX-License-Identifier: MIT */
/*
 * An interrupt as a value: what to call, on what, with which input. A device
 * holds one and knows nothing of the interrupt controller behind it. Raising
 * is an edge, may come from any thread, and cannot fail towards the device.
 */
#ifndef HUSK_CORE_IRQ_H
#define HUSK_CORE_IRQ_H

struct irq_line {
	void (*raise)(void *opaque, unsigned pin);
	void *opaque;
	unsigned pin;
};

static inline void irq_raise(const struct irq_line *irq)
{
	irq->raise(irq->opaque, irq->pin);
}

#endif
