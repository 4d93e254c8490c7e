// SPDX-License-Identifier: MIT
/*
 * See board.h: the models of ioapic.c and legacy.c at the places where each
 * PC has them.
 */
#include "arch/x86_64/board.h"

#include "arch/x86_64/layout.h"

_Static_assert(sizeof(struct arch_board) <= ARCH_BOARD_MAX, "it has room");

struct arch_board *arch_board_init(void *room, const struct arch_board_args *a)
{
	struct arch_board *b = room;

	ioapic_init(&b->ioapic, a->nr_pins, a->send_msi, a->opaque);
	uart_init(&b->uart, a->console, a->console_opaque);
	b->keyboard = (struct keyboard){ a->reset, a->opaque };
	b->irqchip_tag = a->irqchip_tag;
	b->exit_tag = a->exit_tag;
	return b;
}

void arch_board_fini(struct arch_board *b)
{
	uart_fini(&b->uart);
	ioapic_fini(&b->ioapic);
}

struct irq_line arch_board_line(struct arch_board *b, unsigned pin)
{
	return ioapic_line(&b->ioapic, pin);
}

int arch_board_wire(struct arch_board *b, struct bus *mmio, struct bus *ports,
		    struct err *e)
{
	const struct bus_window chip = { LAYOUT_IOAPIC, IOAPIC_LEN, 4,
					 b->irqchip_tag, &ioapic_bus_ops,
					 &b->ioapic };
	const struct bus_window console = { LAYOUT_PORT_CONSOLE,
					    LEGACY_UART_LEN, 1, b->exit_tag,
					    &uart_bus_ops, &b->uart };
	const struct bus_window reset = { LAYOUT_PORT_RESET, LEGACY_KBD_LEN, 1,
					  b->exit_tag, &keyboard_bus_ops,
					  &b->keyboard };
	int r = bus_add(mmio, &chip, e);

	if (!r)
		r = bus_add(ports, &console, e);
	return r ? r : bus_add(ports, &reset, e);
}

void arch_board_save(const struct arch_board *b, struct pack *p)
{
	ioapic_save(&b->ioapic, p);
}

int arch_board_load(struct arch_board *b, struct unpack *u)
{
	return ioapic_load(&b->ioapic, u);
}

void arch_board_last_words(struct arch_board *b, char *buf, size_t size)
{
	uart_last_words(&b->uart, buf, size);
}
