// SPDX-License-Identifier: MIT
/*
 * See ioapic.h. An edge on a masked pin is remembered and sent on unmasking:
 * the real part would lose it, and a virtio device sends no second one until
 * the driver has acknowledged the first.
 */
#include "arch/x86_64/ioapic.h"

#include <assert.h>
#include <errno.h>

#define REG_ID	    0x00u
#define REG_VERSION 0x01u
#define REG_ARB	    0x02u
#define REG_TABLE   0x10u

#define ENTRY_VECTOR	0xffull
#define ENTRY_DELIVERY	(7ull << 8)
#define ENTRY_LOGICAL	(1ull << 11)
#define ENTRY_READ_ONLY (1ull << 12 | 1ull << 14) /* status, remote IRR */
#define ENTRY_MASKED	(1ull << 16)
#define ENTRY_DEST(e)	((uint32_t)((e) >> 56))

#define MSI_BASE 0xfee00000ull

static void deliver(struct ioapic *a, uint64_t entry)
{
	uint64_t addr = MSI_BASE | (uint64_t)ENTRY_DEST(entry) << 12 |
			(entry & ENTRY_LOGICAL ? 1u << 2 : 0);

	a->send_msi(a->opaque, addr,
		    (uint32_t)(entry & (ENTRY_VECTOR | ENTRY_DELIVERY)));
}

static void ioapic_raise(void *opaque, unsigned pin)
{
	struct ioapic *a = opaque;

	pthread_mutex_lock(&a->lock);
	if (a->s.entry[pin] & ENTRY_MASKED)
		a->s.waiting |= 1u << pin;
	else
		deliver(a, a->s.entry[pin]);
	pthread_mutex_unlock(&a->lock);
}

static uint32_t read_window(const struct ioapic *a)
{
	uint32_t i = a->s.index;
	unsigned pin;

	switch (i) {
	case REG_ID:
	case REG_ARB:
		return a->s.id;
	case REG_VERSION:
		return 0x11u | (a->nr_pins - 1) << 16;
	default:
		break;
	}
	pin = (i - REG_TABLE) / 2;
	if (i < REG_TABLE || pin >= a->nr_pins)
		return 0;
	return (uint32_t)(a->s.entry[pin] >> (i & 1 ? 32 : 0));
}

static void write_entry(struct ioapic *a, unsigned pin, bool high, uint32_t v)
{
	uint64_t e = a->s.entry[pin];

	if (high)
		e = (e & 0xffffffffull) | (uint64_t)v << 32;
	else
		e = (e & ~0xffffffffull) | (v & ~ENTRY_READ_ONLY);
	a->s.entry[pin] = e;
	if ((a->s.waiting & 1u << pin) && !(e & ENTRY_MASKED)) {
		a->s.waiting &= ~(1u << pin);
		deliver(a, e);
	}
}

static void write_window(struct ioapic *a, uint32_t v)
{
	uint32_t i = a->s.index;
	unsigned pin = (i - REG_TABLE) / 2;

	if (i == REG_ID)
		a->s.id = v & 0x0f000000u;
	else if (i >= REG_TABLE && pin < a->nr_pins)
		write_entry(a, pin, i & 1, v);
}

static uint64_t ioapic_read(void *dev, uint64_t off, unsigned len)
{
	struct ioapic *a = dev;
	uint32_t v = 0;

	(void)len;
	pthread_mutex_lock(&a->lock);
	if (off == 0x00)
		v = a->s.index;
	else if (off == 0x10)
		v = read_window(a);
	pthread_mutex_unlock(&a->lock);
	return v;
}

static void ioapic_write(void *dev, uint64_t off, unsigned len, uint64_t val)
{
	struct ioapic *a = dev;

	(void)len;
	pthread_mutex_lock(&a->lock);
	if (off == 0x00)
		a->s.index = (uint32_t)val & 0xff;
	else if (off == 0x10)
		write_window(a, (uint32_t)val);
	pthread_mutex_unlock(&a->lock);
}

const struct bus_ops ioapic_bus_ops = {
	.read = ioapic_read,
	.write = ioapic_write,
};

void ioapic_init(struct ioapic *a, unsigned nr_pins,
		 void (*send_msi)(void *opaque, uint64_t addr, uint32_t data),
		 void *opaque)
{
	unsigned i;

	assert(nr_pins && nr_pins <= IOAPIC_MAX_PINS);
	*a = (struct ioapic){ .nr_pins = nr_pins,
			      .send_msi = send_msi,
			      .opaque = opaque };
	for (i = 0; i < nr_pins; i++)
		a->s.entry[i] = ENTRY_MASKED;
	pthread_mutex_init(&a->lock, NULL);
}

void ioapic_fini(struct ioapic *a)
{
	pthread_mutex_destroy(&a->lock);
}

struct irq_line ioapic_line(struct ioapic *a, unsigned pin)
{
	return (struct irq_line){ ioapic_raise, a, pin };
}

void ioapic_save(const struct ioapic *a, struct pack *p)
{
	unsigned i;

	pack_u32(p, a->s.index);
	pack_u32(p, a->s.id);
	pack_u32(p, a->s.waiting);
	for (i = 0; i < a->nr_pins; i++)
		pack_u64(p, a->s.entry[i]);
}

int ioapic_load(struct ioapic *a, struct unpack *u)
{
	unsigned i;

	a->s.index = unpack_u32(u) & 0xff;
	a->s.id = unpack_u32(u);
	a->s.waiting = unpack_u32(u) & ((1u << a->nr_pins) - 1);
	for (i = 0; i < a->nr_pins; i++)
		a->s.entry[i] = unpack_u64(u);
	return u->failed ? -EPROTO : 0;
}
