// SPDX-License-Identifier: MIT
/*
 * The device tree of the machine. What the kernel looks at (6.12):
 * - /cpus/cpu@N: reg is the APIC id; device_type makes it count.
 * - compatible "intel,ce4100-lapic" with intel,virtual-wire-mode: there is no
 *   PIC and no IMCR to leave.
 * - compatible "intel,ce4100-ioapic": two cells a line, <pin 3> is an edge
 *   that rises, which is what a message-signalled pulse is.
 * - a bus of compatible "isa" (not of that *name*, which would switch the
 *   address translation to I/O ports) whose children become platform devices.
 * Memory, command line, initrd and seed are not read from the tree on x86;
 * boot_params and setup_data carry them, so they are not repeated here.
 */
#include "arch/x86_64/fdt.h"
#include "arch/x86_64/layout.h"

#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#define PHANDLE_IOAPIC 1u
#define EDGE_RISING    3u

/*
 * The first libfdt error sticks and the calls after it do nothing, so that a
 * tree reads as a tree.
 */
struct tree {
	void *buf;
	int r;
};

static void node(struct tree *t, const char *name)
{
	if (!t->r)
		t->r = fdt_begin_node(t->buf, name);
}

static void node_at(struct tree *t, const char *name, unsigned long long at)
{
	char full[64];

	snprintf(full, sizeof(full), "%s@%llx", name, at);
	node(t, full);
}

static void node_end(struct tree *t)
{
	if (!t->r)
		t->r = fdt_end_node(t->buf);
}

static void prop_flag(struct tree *t, const char *name)
{
	if (!t->r)
		t->r = fdt_property(t->buf, name, NULL, 0);
}

static void prop_text(struct tree *t, const char *name, const char *text)
{
	if (!t->r)
		t->r = fdt_property(t->buf, name, text, (int)strlen(text) + 1);
}

static void prop_cell(struct tree *t, const char *name, uint32_t v)
{
	if (!t->r)
		t->r = fdt_property_u32(t->buf, name, v);
}

static void prop_pair(struct tree *t, const char *name, uint32_t a, uint32_t b)
{
	fdt32_t cell[2] = { cpu_to_fdt32(a), cpu_to_fdt32(b) };

	if (!t->r)
		t->r = fdt_property(t->buf, name, cell, sizeof(cell));
}

static void add_cpus(struct tree *t, unsigned nr_cpus)
{
	node(t, "cpus");
	prop_cell(t, "#address-cells", 1);
	prop_cell(t, "#size-cells", 0);
	for (unsigned i = 0; i < nr_cpus; i++) {
		node_at(t, "cpu", i);
		prop_text(t, "device_type", "cpu");
		prop_text(t, "compatible", "intel,ce4100");
		prop_cell(t, "reg", i);
		node_end(t);
	}
	node_end(t);
}

static void add_lapic(struct tree *t)
{
	node_at(t, "interrupt-controller", LAYOUT_LAPIC);
	prop_text(t, "compatible", "intel,ce4100-lapic");
	prop_pair(t, "reg", LAYOUT_LAPIC, LAYOUT_APIC_LEN);
	prop_flag(t, "interrupt-controller");
	prop_cell(t, "#interrupt-cells", 2);
	prop_flag(t, "intel,virtual-wire-mode");
	node_end(t);
}

static void add_ioapic(struct tree *t)
{
	node_at(t, "interrupt-controller", LAYOUT_IOAPIC);
	prop_text(t, "compatible", "intel,ce4100-ioapic");
	prop_pair(t, "reg", LAYOUT_IOAPIC, LAYOUT_APIC_LEN);
	prop_flag(t, "interrupt-controller");
	prop_cell(t, "#interrupt-cells", 2);
	prop_cell(t, "phandle", PHANDLE_IOAPIC);
	node_end(t);
}

static void add_device(struct tree *t, const struct arch_device *d)
{
	node_at(t, "virtio", d->base);
	prop_text(t, "compatible", "virtio,mmio");
	prop_pair(t, "reg", (uint32_t)d->base, ARCH_VIRTIO_LEN);
	prop_pair(t, "interrupts", d->pin, EDGE_RISING);
	node_end(t);
}

static void add_bus(struct tree *t, const struct arch_boot *b)
{
	node(t, "soc");
	prop_text(t, "compatible", "isa");
	prop_cell(t, "#address-cells", 1);
	prop_cell(t, "#size-cells", 1);
	prop_flag(t, "ranges");
	prop_cell(t, "interrupt-parent", PHANDLE_IOAPIC);
	add_lapic(t);
	add_ioapic(t);
	for (unsigned i = 0; i < b->nr_devices; i++)
		add_device(t, &b->device[i]);
	node_end(t);
}

int fdt_build(void *buf, size_t cap, const struct arch_boot *b, struct err *e)
{
	struct tree t = { .buf = buf };

	t.r = fdt_create(buf, (int)cap);
	if (!t.r)
		t.r = fdt_finish_reservemap(buf);
	node(&t, "");
	prop_cell(&t, "#address-cells", 1);
	prop_cell(&t, "#size-cells", 1);
	prop_text(&t, "compatible", "husk,microvm");
	prop_text(&t, "model", "husk");
	add_cpus(&t, b->nr_cpus);
	add_bus(&t, b);
	node_end(&t);
	if (!t.r)
		t.r = fdt_finish(buf);
	if (t.r)
		return err_set(e, ENOSPC,
			       "build the device tree of %u CPUs and %u "
			       "devices in %zu bytes: %s",
			       b->nr_cpus, b->nr_devices, cap,
			       fdt_strerror(t.r));
	return (int)fdt_totalsize(buf);
}
