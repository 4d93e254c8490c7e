/* LINK: vmm/core/bus.c vmm/arch/x86_64/legacy.c vmm/arch/x86_64/ioapic.c */
// SPDX-License-Identifier: MIT
/*
 * Accesses of any address and width to buses with a UART, a reset line and
 * an I/O APIC on them: nothing gets an access that is not wholly inside its
 * window, what nobody takes reads as ones, and the last words of the
 * UART are printable and end in time.
 */
#include "core/bus.h"
#include "arch/x86_64/ioapic.h"
#include "arch/x86_64/legacy.h"

#include "feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define UART   0x3f8u
#define RESET  0x64u
#define IOAPIC 0xfec00000u

static unsigned nr_resets;

static void on_reset(void *opaque)
{
	(void)opaque;
	nr_resets++;
}

static void on_msi(void *opaque, uint64_t addr, uint32_t data)
{
	(void)opaque;
	(void)data;
	REQUIRE((addr & ~0xff004ull) == 0xfee00000);
}

/* Near a window, or anywhere. */
static uint64_t address(struct feed *f)
{
	static const uint64_t at[] = { UART, RESET, IOAPIC, 0 };
	uint8_t how = feed_u8(f);

	return how & 0x80 ? feed_u64(f) : at[how & 3] - 8 + (how >> 2);
}

static void step(struct feed *f, const struct bus *b)
{
	uint8_t op = feed_u8(f);
	uint64_t at = address(f), val = 0;
	/* As KVM cuts accesses, odd ones included. */
	unsigned len = 1 + op % 8, before = nr_resets, tag;

	if (op & 0x80) {
		bus_write(b, at, len, feed_u32(f));
		REQUIRE(nr_resets == before || (at == RESET && len == 1));
		return;
	}
	tag = bus_read(b, at, len, &val);
	REQUIRE(len == 8 || val < 1ull << 8 * len);
	REQUIRE(tag || !(~val << (64 - 8 * len)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed f = { data, size };
	struct keyboard k = { on_reset, NULL };
	struct bus b = { 0 };
	struct ioapic a;
	struct uart u;
	struct err e;
	char words[64];

	ioapic_init(&a, 2, on_msi, &a);
	uart_init(&u, NULL, NULL);
	REQUIRE(!bus_add(&b,
			 &(struct bus_window){ UART, LEGACY_UART_LEN, 1, 1,
					       &uart_bus_ops, &u },
			 &e));
	REQUIRE(!bus_add(&b,
			 &(struct bus_window){ RESET, LEGACY_KBD_LEN, 1, 2,
					       &keyboard_bus_ops, &k },
			 &e));
	REQUIRE(!bus_add(&b,
			 &(struct bus_window){ IOAPIC, IOAPIC_LEN, 4, 3,
					       &ioapic_bus_ops, &a },
			 &e));
	while (f.left)
		step(&f, &b);
	uart_last_words(&u, words, sizeof(words));
	for (const char *s = words; *s; s++)
		REQUIRE(*s >= ' ' && *s <= '~');
	uart_fini(&u);
	ioapic_fini(&a);
	return 0;
}
