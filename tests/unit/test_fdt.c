// SPDX-License-Identifier: MIT
/* LINK: vmm/arch/x86_64/fdt.c */
/* LIBS: -lfdt */
/*
 * The device tree, read back with libfdt's other half and printed in a form
 * close to its source: what is compared is the whole tree.
 */
#include "arch/x86_64/fdt.h"
#include "arch/x86_64/layout.h"
#include "lib/text.h"

#include <errno.h>
#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CAP 8192

static const char golden[] =
	"/ {\n"
	" #address-cells = 1\n"
	" #size-cells = 1\n"
	" compatible = 'husk,microvm'\n"
	" model = 'husk'\n"
	" cpus {\n"
	"  #address-cells = 1\n"
	"  #size-cells = 0\n"
	"  cpu@0 {\n"
	"   device_type = 'cpu'\n"
	"   compatible = 'intel,ce4100'\n"
	"   reg = 0\n"
	"  }\n"
	"  cpu@1 {\n"
	"   device_type = 'cpu'\n"
	"   compatible = 'intel,ce4100'\n"
	"   reg = 1\n"
	"  }\n"
	" }\n"
	" soc {\n"
	"  compatible = 'isa'\n"
	"  #address-cells = 1\n"
	"  #size-cells = 1\n"
	"  ranges\n"
	"  interrupt-parent = 1\n"
	"  interrupt-controller@fee00000 {\n"
	"   compatible = 'intel,ce4100-lapic'\n"
	"   reg = fee00000 1000\n"
	"   interrupt-controller\n"
	"   #interrupt-cells = 2\n"
	"   intel,virtual-wire-mode\n"
	"  }\n"
	"  interrupt-controller@fec00000 {\n"
	"   compatible = 'intel,ce4100-ioapic'\n"
	"   reg = fec00000 1000\n"
	"   interrupt-controller\n"
	"   #interrupt-cells = 2\n"
	"   phandle = 1\n"
	"  }\n"
	"  virtio@d0000000 {\n"
	"   compatible = 'virtio,mmio'\n"
	"   reg = d0000000 1000\n"
	"   interrupts = 0 3\n"
	"  }\n"
	"  virtio@d0001000 {\n"
	"   compatible = 'virtio,mmio'\n"
	"   reg = d0001000 1000\n"
	"   interrupts = 1 3\n"
	"  }\n"
	" }\n"
	"}\n";

static struct arch_boot machine(unsigned cpus, unsigned devices)
{
	struct arch_boot b = {.nr_cpus = cpus, .nr_devices = devices};

	for (unsigned i = 0; i < devices; i++)
		b.device[i] = (struct arch_device){
			LAYOUT_VIRTIO + (gpa_t)i * ARCH_VIRTIO_LEN, i};
	return b;
}

static bool is_text(const char *p, int len)
{
	for (int i = 0; i < len - 1; i++)
		if (p[i] < 0x20 || p[i] > 0x7e)
			return false;
	return len > 1 && !p[len - 1];
}

static void print_prop(struct text *t, const void *fdt, int at, int depth)
{
	const char *name, *p;
	int len;

	p = fdt_getprop_by_offset(fdt, at, &name, &len);
	assert_non_null(p);
	text_printf(t, "%*s%s", depth, "", name);
	if (is_text(p, len))
		text_printf(t, " = '%s'", p);
	else
		for (int i = 0; i < len; i += 4)
			text_printf(t, "%s%x", i ? " " : " = ",
				    fdt32_ld((const fdt32_t *)(p + i)));
	text_printf(t, "\n");
}

static void print_tree(struct text *t, const void *fdt)
{
	int at = 0, next, depth = 0;
	uint32_t tag;

	while ((tag = fdt_next_tag(fdt, at, &next)) != FDT_END) {
		if (tag == FDT_BEGIN_NODE) {
			const char *name = fdt_get_name(fdt, at, NULL);

			text_printf(t, "%*s%s {\n", depth++, "",
				    *name ? name : "/");
		} else if (tag == FDT_END_NODE) {
			text_printf(t, "%*s}\n", --depth, "");
		} else if (tag == FDT_PROP) {
			print_prop(t, fdt, at, depth);
		}
		at = next;
	}
}

static void test_golden(void **state)
{
	_Alignas(8) uint8_t fdt[CAP];
	struct arch_boot b = machine(2, 2);
	struct err e = {0};
	char out[4096];
	struct text t;
	int len;

	(void)state;
	len = fdt_build(fdt, sizeof(fdt), &b, &e);
	assert_true(len > 0);
	assert_int_equal(fdt_check_full(fdt, (size_t)len), 0);
	text_init(&t, out, sizeof(out));
	print_tree(&t, fdt);
	assert_string_equal(out, golden);
}

/* The same bytes, whatever the buffer held before. */
static void test_deterministic(void **state)
{
	_Alignas(8) uint8_t a[CAP], b[CAP];
	struct arch_boot boot = machine(3, 4);
	struct err e = {0};
	int len;

	(void)state;
	memset(a, 0x00, sizeof(a));
	memset(b, 0xff, sizeof(b));
	len = fdt_build(a, sizeof(a), &boot, &e);
	assert_true(len > 0);
	assert_int_equal(fdt_build(b, sizeof(b), &boot, &e), len);
	assert_memory_equal(a, b, (size_t)len);
}

/* Every machine fits into less than what boot.c has; no room is an error. */
static void test_sizes(void **state)
{
	_Alignas(8) uint8_t fdt[CAP];
	struct err e = {0};

	(void)state;
	for (unsigned cpus = 1; cpus <= ARCH_MAX_CPUS; cpus++) {
		for (unsigned n = 0; n <= ARCH_MAX_DEVICES; n++) {
			struct arch_boot b = machine(cpus, n);
			int len = fdt_build(fdt, sizeof(fdt), &b, &e);

			assert_true(len > 0 && len < 4096);
			assert_int_equal(fdt_check_full(fdt, (size_t)len), 0);
		}
	}
}

static void test_no_room(void **state)
{
	_Alignas(8) uint8_t fdt[CAP];
	struct arch_boot b = machine(1, 2);
	struct err e;
	int len, full;

	(void)state;
	full = fdt_build(fdt, sizeof(fdt), &b, &e);
	for (size_t cap = 0; cap < (size_t)full; cap++) {
		e = (struct err){0};
		memset(fdt, 0x77, sizeof(fdt));
		len = fdt_build(fdt, cap, &b, &e);
		assert_int_equal(len, -ENOSPC);
		assert_non_null(strstr(e.msg, "1 CPUs and 2 devices"));
		assert_int_equal(fdt[cap], 0x77);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_deterministic),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
