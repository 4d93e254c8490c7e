/* LINK: vmm/arch/x86_64/ioapic.c */
// SPDX-License-Identifier: MIT
/*
 * The I/O APIC under any accesses and edges: every message goes to a local
 * APIC, what waits is masked, an edge is sent once.
 */
#include "arch/x86_64/ioapic.h"

#include "feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ioapic apic;
static unsigned nr_sent;

static void on_msi(void *opaque, uint64_t addr, uint32_t data)
{
	REQUIRE(opaque == &apic);
	/* Destination bits 12-19 and the logical flag, nothing else. */
	REQUIRE((addr & ~0xff004ull) == 0xfee00000);
	REQUIRE(!(data & ~0x7ffu));
	nr_sent++;
}

static void step(struct feed *f)
{
	uint8_t op = feed_u8(f);
	unsigned before = nr_sent;
	struct irq_line line;
	bool masked;

	switch (op % 4) {
	case 0:
		ioapic_bus_ops.read(&apic, op & 0x1c, 4);
		break;
	case 1:
		line = ioapic_line(&apic, (op >> 2) % apic.nr_pins);
		masked = apic.s.entry[line.pin] & 0x10000;
		irq_raise(&line);
		REQUIRE(nr_sent == before + !masked);
		REQUIRE(!masked || apic.s.waiting >> line.pin & 1);
		break;
	case 2:
		ioapic_bus_ops.write(&apic, 0, 4, feed_u8(f));
		break;
	default:
		ioapic_bus_ops.write(&apic, op & 0x1c, 4, feed_u32(f));
		REQUIRE(nr_sent <= before + 1);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed f = { data, size };
	unsigned i;

	nr_sent = 0;
	ioapic_init(&apic, 1 + feed_u8(&f) % IOAPIC_MAX_PINS, on_msi, &apic);
	while (f.left) {
		step(&f);
		for (i = 0; i < IOAPIC_MAX_PINS; i++) {
			if (i >= apic.nr_pins)
				REQUIRE(!apic.s.entry[i]);
			if (apic.s.waiting >> i & 1)
				REQUIRE(apic.s.entry[i] & 0x10000);
			REQUIRE(!(apic.s.entry[i] & 0x5000));
		}
		REQUIRE(apic.s.index <= 0xff);
	}
	ioapic_fini(&apic);
	return 0;
}
