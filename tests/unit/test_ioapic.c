/* LINK: vmm/arch/x86_64/ioapic.c */
// SPDX-License-Identifier: MIT
/*
 * The I/O APIC: what its registers hold, and which message an edge becomes.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "arch/x86_64/ioapic.h"

#define PINS   3u
#define MASKED 0x10000u

static struct ioapic apic;
static unsigned nr_sent;
static uint64_t sent_addr;
static uint32_t sent_data;

static void on_msi(void *opaque, uint64_t addr, uint32_t data)
{
	assert_ptr_equal(opaque, &apic);
	nr_sent++;
	sent_addr = addr;
	sent_data = data;
}

static int set_up(void **state)
{
	(void)state;
	nr_sent = 0;
	ioapic_init(&apic, PINS, on_msi, &apic);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ioapic_fini(&apic);
	return 0;
}

static uint32_t get(uint32_t reg)
{
	ioapic_bus_ops.write(&apic, 0, 4, reg);
	return (uint32_t)ioapic_bus_ops.read(&apic, 0x10, 4);
}

static void put(uint32_t reg, uint32_t val)
{
	ioapic_bus_ops.write(&apic, 0, 4, reg);
	ioapic_bus_ops.write(&apic, 0x10, 4, val);
}

static void raise_pin(unsigned pin)
{
	struct irq_line line = ioapic_line(&apic, pin);

	irq_raise(&line);
}

static void power_on_state(void **state)
{
	unsigned i;

	(void)state;
	assert_int_equal(get(0), 0);
	/* Version 0x11, highest entry 2. */
	assert_int_equal(get(1), 0x20011);
	assert_int_equal(get(2), 0);
	for (i = 0; i < PINS; i++) {
		assert_int_equal(get(0x10 + 2 * i), MASKED);
		assert_int_equal(get(0x11 + 2 * i), 0);
	}
	/* The index register reads back. */
	assert_int_equal(ioapic_bus_ops.read(&apic, 0, 4), 0x15);
}

static void registers_that_do_not_exist(void **state)
{
	uint32_t reg;

	(void)state;
	for (reg = 3; reg < 0x200; reg++) {
		/* The index has eight bits; a write of 0x110 selects 0x10. */
		uint32_t low = reg & 0xff;
		bool exists = low <= 2 || low - 0x10 < 2 * PINS;

		if (exists)
			continue;
		put(reg, 0xffffffff);
		assert_int_equal(get(reg), 0);
	}
	/* Nothing else moved, and other offsets are no registers. */
	assert_int_equal(get(0x10), MASKED);
	ioapic_bus_ops.write(&apic, 4, 4, 0xffffffff);
	ioapic_bus_ops.write(&apic, 0x14, 4, 0xffffffff);
	assert_int_equal(ioapic_bus_ops.read(&apic, 4, 4), 0);
	assert_int_equal(ioapic_bus_ops.read(&apic, 0x1c, 4), 0);
	assert_int_equal(get(0x10), MASKED);
	assert_int_equal(nr_sent, 0);
}

static void identity_is_four_bits(void **state)
{
	(void)state;
	put(0, 0xffffffff);
	assert_int_equal(get(0), 0x0f000000);
	assert_int_equal(get(2), 0x0f000000);
	put(1, 0xffffffff);
	put(2, 0);
	assert_int_equal(get(1), 0x20011);
	assert_int_equal(get(2), 0x0f000000);
}

static void an_entry_becomes_a_message(void **state)
{
	static const struct {
		uint32_t low, high;
		uint64_t addr;
		uint32_t data;
	} t[] = {
		{ 0x31, 0, 0xfee00000, 0x31 },
		{ 0x31, 0x05000000, 0xfee05000, 0x31 },
		{ 0xff, 0xff000000, 0xfeeff000, 0xff },
		/* logical destination, lowest priority */
		{ 0x931, 0x03000000, 0xfee03004, 0x131 },
		{ 0x731, 0, 0xfee00000, 0x731 },
		/* polarity and trigger are not for the message */
		{ 0xa031, 0, 0xfee00000, 0x31 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		put(0x13, t[i].high);
		put(0x12, t[i].low);
		assert_int_equal(get(0x12), t[i].low);
		assert_int_equal(get(0x13), t[i].high);
		raise_pin(1);
		assert_int_equal(nr_sent, i + 1);
		if (sent_addr != t[i].addr || sent_data != t[i].data)
			fail_msg("row %zu: %#llx %#x", i,
				 (unsigned long long)sent_addr, sent_data);
	}
}

static void read_only_bits(void **state)
{
	(void)state;
	put(0x10, 0xffffffff);
	assert_int_equal(get(0x10), 0xffffffff & ~(1u << 12 | 1u << 14));
	put(0x11, 0xffffffff);
	assert_int_equal(get(0x11), 0xffffffff);
}

static void a_masked_edge_is_kept(void **state)
{
	(void)state;
	raise_pin(2);
	raise_pin(2);
	assert_int_equal(nr_sent, 0);
	/* Writes that leave the mask do not let it out. */
	put(0x15, 0x01000000);
	put(0x14, MASKED | 0x40);
	put(0x10, 0x41);
	assert_int_equal(nr_sent, 0);
	put(0x14, 0x40);
	assert_int_equal(nr_sent, 1);
	assert_int_equal(sent_addr, 0xfee01000);
	assert_int_equal(sent_data, 0x40);
	/* Once: it is not kept any more. */
	put(0x14, MASKED | 0x40);
	put(0x14, 0x40);
	assert_int_equal(nr_sent, 1);
	raise_pin(2);
	assert_int_equal(nr_sent, 2);
}

static void pins_are_apart(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < PINS; i++)
		put(0x10 + 2 * i, 0x50 + i);
	for (i = 0; i < PINS; i++) {
		raise_pin(i);
		assert_int_equal(sent_data, 0x50 + i);
	}
	put(0x12, MASKED);
	raise_pin(1);
	assert_int_equal(nr_sent, PINS);
	raise_pin(0);
	assert_int_equal(nr_sent, PINS + 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(power_on_state),
		TEST(registers_that_do_not_exist),
		TEST(identity_is_four_bits),
		TEST(an_entry_becomes_a_message),
		TEST(read_only_bits),
		TEST(a_masked_edge_is_kept),
		TEST(pins_are_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
