// SPDX-License-Identifier: MIT
/* LINK: vmm/arch/x86_64/boot.c vmm/arch/x86_64/elf.c */
/* LINK: vmm/arch/x86_64/unpack.c vmm/arch/x86_64/needs.c */
/* LINK: vmm/arch/x86_64/file.c vmm/arch/x86_64/fdt.c vmm/core/gmem.c */
/* LIBS: -lz -lfdt */
/*
 * Guest memory at the first instruction, read back as the kernel reads it:
 * from boot_params on, following each address found there.
 */
#include "arch/arch.h"
#include "arch/x86_64/layout.h"
#include "lib/cleanup.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "elf_make.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

/* The made kernel ends at 16 MiB + 64 KiB; with 16 MiB of slack: 34 MiB. */
#define NEEDED (34 * MIB)

static const char initrd[] = "070701 not really an archive";

struct machine {
	struct make_file file;
	struct gmem m;
	struct arch_boot boot;
	struct arch_entry entry;
	struct err e;
};

static void machine_init(struct machine *v, uint64_t size)
{
	memset(v, 0, sizeof(*v));
	make_file(&v->file);
	v->boot = (struct arch_boot){
		.kernel = "/some/vmlinux",
		.kernel_fd = -1,
		.initrd = initrd,
		.initrd_len = sizeof(initrd),
		.cmdline = "panic=-1 quiet",
		.nr_cpus = 2,
		.nr_devices = 2,
	};
	for (unsigned i = 0; i < v->boot.nr_devices; i++)
		v->boot.device[i] =
			(struct arch_device){arch_device_base(i), i};
	for (unsigned i = 0; i < sizeof(v->boot.rng_seed); i++)
		v->boot.rng_seed[i] = (uint8_t)(i + 1);
	assert_int_equal(gmem_init(&v->m, size, arch_hole_start, arch_hole_end,
				   &v->e),
			 0);
}

static int machine_load(struct machine *v)
{
	int r;

	v->boot.kernel_fd = make_fd(&v->file, sizeof(v->file));
	assert_true(v->boot.kernel_fd >= 0);
	r = arch_load(&v->m, &v->boot, &v->entry, &v->e);
	close(v->boot.kernel_fd);
	return r;
}

static struct boot_params *params(struct machine *v)
{
	struct boot_params *p;

	p = gmem_ptr(&v->m, v->entry.arg, sizeof(*p));
	assert_non_null(p);
	return p;
}

static void test_entry(void **state)
{
	static struct machine v;

	(void)state;
	machine_init(&v, 64 * MIB);
	assert_int_equal(machine_load(&v), 0);
	assert_int_equal(v.entry.start, MAKE_ENTRY);
	assert_int_equal(v.entry.kernel_size, MAKE_END - 0x1000000);
	assert_string_equal(v.entry.salt, "husk-1");
	assert_memory_equal(gmem_ptr(&v.m, 0x1000000, 0x2345),
			    v.file.bytes + 0x1000, 0x2345);
	gmem_fini(&v.m);
}

static void test_params(void **state)
{
	static struct machine v;
	struct boot_params *p;

	(void)state;
	machine_init(&v, 64 * MIB);
	assert_int_equal(machine_load(&v), 0);
	p = params(&v);
	assert_int_equal(p->hdr.boot_flag, 0xaa55);
	assert_memory_equal(&p->hdr.header, "HdrS", 4);
	assert_int_not_equal(p->hdr.type_of_loader, 0);
	assert_int_equal(p->sentinel, 0);
	assert_int_equal(p->acpi_rsdp_addr, 0);
	assert_int_equal(p->ext_ramdisk_image, 0);
	assert_int_equal(p->ext_ramdisk_size, 0);
	assert_string_equal(
		(char *)gmem_ptr(&v.m, p->hdr.cmd_line_ptr, 2048),
		"panic=-1 quiet");
	/* The initrd: whole, at a page, at the end of RAM. */
	assert_int_equal(p->hdr.ramdisk_size, sizeof(initrd));
	assert_int_equal(p->hdr.ramdisk_image, 64 * MIB - GMEM_PAGE);
	assert_memory_equal(
		gmem_ptr(&v.m, p->hdr.ramdisk_image, sizeof(initrd)), initrd,
		sizeof(initrd));
	gmem_fini(&v.m);
}

static void test_no_initrd(void **state)
{
	static struct machine v;

	(void)state;
	machine_init(&v, 64 * MIB);
	v.boot.initrd = NULL;
	v.boot.initrd_len = 0;
	assert_int_equal(machine_load(&v), 0);
	assert_int_equal(params(&v)->hdr.ramdisk_image, 0);
	assert_int_equal(params(&v)->hdr.ramdisk_size, 0);
	gmem_fini(&v.m);
}

static void check_range(const struct boot_e820_entry *r, gpa_t addr,
			uint64_t end)
{
	assert_int_equal(r->addr, addr);
	assert_int_equal(r->addr + r->size, end);
	assert_int_equal(r->type, 1);
}

static void test_e820(void **state)
{
	static const struct {
		uint64_t size, low_end, high_end;
	} sizes[] = {
		{NEEDED, NEEDED, 0},
		{256 * MIB, 256 * MIB, 0},
		{3 * GIB - 2 * MIB, 3 * GIB - 2 * MIB, 0},
		{3 * GIB, 3 * GIB, 0},
		{3 * GIB + 2 * MIB, 3 * GIB, 4 * GIB + 2 * MIB},
		{16 * GIB, 3 * GIB, 17 * GIB},
	};
	static struct machine v;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct boot_params *p;

		machine_init(&v, sizes[i].size);
		assert_int_equal(machine_load(&v), 0);
		p = params(&v);
		assert_int_equal(p->e820_entries, sizes[i].high_end ? 3 : 2);
		check_range(&p->e820_table[0], 0, 0xa0000);
		check_range(&p->e820_table[1], MIB, sizes[i].low_end);
		if (sizes[i].high_end)
			check_range(&p->e820_table[2], 4 * GIB,
				    sizes[i].high_end);
		gmem_fini(&v.m);
	}
}

/* Walks the list as the kernel does; each type once, all in RAM. */
static void test_setup_data(void **state)
{
	static struct machine v;
	const struct setup_data *seed = NULL, *tree = NULL, *d;
	unsigned nr = 0;
	gpa_t at;

	(void)state;
	machine_init(&v, 64 * MIB);
	assert_int_equal(machine_load(&v), 0);
	for (at = params(&v)->hdr.setup_data; at; at = d->next, nr++) {
		d = gmem_ptr(&v.m, at, sizeof(*d));
		assert_non_null(d);
		assert_non_null(gmem_ptr(&v.m, at, sizeof(*d) + d->len));
		assert_true(at + sizeof(*d) + d->len <= LAYOUT_LOW_END);
		assert_true(nr < 8);
		if (d->type == SETUP_RNG_SEED)
			seed = d;
		else if (d->type == SETUP_DTB)
			tree = d;
	}
	assert_int_equal(nr, 2);
	assert_non_null(seed);
	assert_int_equal(seed->len, sizeof(v.boot.rng_seed));
	assert_memory_equal(seed->data, v.boot.rng_seed, seed->len);
	assert_non_null(tree);
	assert_int_equal((uintptr_t)tree->data % 8, 0);
	assert_int_equal(fdt_check_full(tree->data, tree->len), 0);
	assert_true(fdt_path_offset(tree->data, "/soc/virtio@d0001000") > 0);
	assert_true(fdt_path_offset(tree->data, "/cpus/cpu@1") > 0);
	gmem_fini(&v.m);
}

/* Follow the tables from CR3 for an address below 4 GiB. */
static gpa_t translate(const struct gmem *m, gpa_t va)
{
	gpa_t at = LAYOUT_PML4;
	uint64_t entry = 0;

	for (unsigned level = 39; level >= 21; level -= 9) {
		assert_int_equal(gmem_read(m, at + (va >> level & 511) * 8,
					   &entry, 8),
				 0);
		if ((entry & 3) != 3)
			return ~0ull;
		at = entry & 0xffffffffff000;
	}
	assert_true(entry & 0x80);
	return at | (va & (GMEM_HUGE - 1));
}

static void test_tables(void **state)
{
	static struct machine v;

	(void)state;
	machine_init(&v, 64 * MIB);
	assert_int_equal(machine_load(&v), 0);
	for (gpa_t va = 0x123; va < GIB; va += 999 * GMEM_PAGE)
		assert_int_equal(translate(&v.m, va), va);
	assert_int_equal(translate(&v.m, GIB - 1), GIB - 1);
	assert_int_equal(translate(&v.m, GIB), ~0ull);
	gmem_fini(&v.m);
	/* A kernel that ends above 2 GiB is mapped whole. */
	machine_init(&v, 3 * GIB);
	v.file.ph[MAKE_SEG_READ].p_paddr = 2 * GIB - 0x1000 + 4;
	assert_int_equal(machine_load(&v), 0);
	assert_int_equal(translate(&v.m, 2 * GIB + 0x900), 2 * GIB + 0x900);
	assert_int_equal(translate(&v.m, 3 * GIB - 1), 3 * GIB - 1);
	assert_int_equal(translate(&v.m, 3 * GIB), ~0ull);
	gmem_fini(&v.m);
}

static void test_gdt(void **state)
{
	static struct machine v;
	uint64_t code, data;

	(void)state;
	machine_init(&v, 64 * MIB);
	assert_int_equal(machine_load(&v), 0);
	gmem_read(&v.m, LAYOUT_GDT + LAYOUT_BOOT_CS, &code, 8);
	gmem_read(&v.m, LAYOUT_GDT + LAYOUT_BOOT_DS, &data, 8);
	/* present, code or data segment, executable and long, or writable */
	assert_int_equal(code >> 40 & 0x9a, 0x9a);
	assert_int_equal(code >> 53 & 3, 1);
	assert_int_equal(data >> 40 & 0x9a, 0x92);
	gmem_fini(&v.m);
}

/* Equal input, equal guest, wherever the host put it. */
static void test_deterministic(void **state)
{
	static struct machine a, b;
	struct gmem spacer;

	(void)state;
	machine_init(&a, 64 * MIB);
	assert_int_equal(gmem_init(&spacer, 2 * MIB, arch_hole_start,
				   arch_hole_end, &a.e),
			 0);
	machine_init(&b, 64 * MIB);
	assert_ptr_not_equal(a.m.map, b.m.map);
	assert_int_equal(machine_load(&a), 0);
	assert_int_equal(machine_load(&b), 0);
	assert_memory_equal(a.m.region[0].hva, b.m.region[0].hva, 64 * MIB);
	assert_memory_equal(&a.entry, &b.entry, sizeof(a.entry));
	gmem_fini(&a.m);
	gmem_fini(&b.m);
	gmem_fini(&spacer);
}

/* Only the pages that are meant to be are written below 1 MiB. */
static void test_low_pages(void **state)
{
	static struct machine v;
	static const uint8_t zero[GMEM_PAGE];

	(void)state;
	machine_init(&v, 64 * MIB);
	assert_int_equal(machine_load(&v), 0);
	for (gpa_t at = 0; at < MIB; at += GMEM_PAGE) {
		bool used = memcmp(gmem_ptr(&v.m, at, GMEM_PAGE), zero,
				   GMEM_PAGE) != 0;
		bool meant = (at >= LAYOUT_PML4 && at <= LAYOUT_PD) ||
			     at == LAYOUT_PARAMS || at == LAYOUT_GDT;

		assert_int_equal(used, meant);
	}
	gmem_fini(&v.m);
}

static void check_refused(struct machine *v, const char *word,
			  const char *word2)
{
	int r = machine_load(v);

	if (r >= 0 || v->e.code != -r)
		fail_msg("accepted, or code %d is not %d", v->e.code, -r);
	if (!strstr(v->e.msg, word) || !strstr(v->e.msg, word2))
		fail_msg("no '%s' and '%s' in '%s'", word, word2, v->e.msg);
	if (strchr(v->e.msg, '\n') || strlen(v->e.msg) > 300)
		fail_msg("not a line: '%s'", v->e.msg);
	gmem_fini(&v->m);
}

/* Too little says how much; that much is enough, to the byte. */
static void test_memory(void **state)
{
	static struct machine v;

	(void)state;
	for (uint64_t size = 2 * MIB; size < NEEDED; size += 2 * MIB) {
		machine_init(&v, size);
		check_refused(&v, "at least 34 MiB", "(--memory 34M)");
	}
	machine_init(&v, NEEDED);
	assert_int_equal(machine_load(&v), 0);
	gmem_fini(&v.m);
	/* Memory above 4 GiB is no help to what must lie below. */
	machine_init(&v, 4 * GIB);
	v.file.ph[MAKE_SEG_READ].p_paddr = 3 * GIB - 0x2000 + 4;
	check_refused(&v, "do not fit below 3 GiB", "/some/vmlinux");
	machine_init(&v, 64 * MIB);
	v.boot.initrd_len = 3 * GIB;
	check_refused(&v, "do not fit below 3 GiB", "3072 MiB");
	machine_init(&v, 64 * MIB);
	v.boot.initrd_len = 4 * GIB;
	check_refused(&v, "initrd has 4294967296 bytes", "4 GiB");
}

static void test_cmdline(void **state)
{
	static struct machine v;
	static char line[LAYOUT_CMDLINE_MAX + 2];

	(void)state;
	memset(line, 'a', LAYOUT_CMDLINE_MAX);
	machine_init(&v, 64 * MIB);
	v.boot.cmdline = line;
	assert_int_equal(machine_load(&v), 0);
	assert_string_equal(
		(char *)gmem_ptr(&v.m, params(&v)->hdr.cmd_line_ptr, 2048),
		line);
	gmem_fini(&v.m);
	line[LAYOUT_CMDLINE_MAX] = 'a';
	machine_init(&v, 64 * MIB);
	v.boot.cmdline = line;
	check_refused(&v, "command line has 2048 bytes", "at most 2047");
}

static void test_limits(void **state)
{
	static struct machine v;

	(void)state;
	machine_init(&v, 64 * MIB);
	v.boot.nr_cpus = 0;
	check_refused(&v, "0 CPUs", "1 to 8");
	machine_init(&v, 64 * MIB);
	v.boot.nr_cpus = 9;
	check_refused(&v, "9 CPUs", "1 to 8");
	machine_init(&v, 64 * MIB);
	v.boot.nr_devices = 9;
	check_refused(&v, "9 devices", "at most 8");
}

/* Wrong kernels: the path and the reason; unknown ones are looked into. */
static void test_kernels(void **state)
{
	static struct machine v;

	(void)state;
	machine_init(&v, 64 * MIB);
	v.file.bytes[0] = 0;
	check_refused(&v, "load kernel '/some/vmlinux': ", "not an ELF file");
	machine_init(&v, 64 * MIB);
	v.file.h.e_machine = EM_AARCH64;
	check_refused(&v, "load kernel '/some/vmlinux': ", "aarch64");
	machine_init(&v, 64 * MIB);
	v.file.ph[MAKE_NOTE].p_type = PT_NULL;
	check_refused(&v, "load kernel '/some/vmlinux': ",
		      "not a Linux kernel");
	machine_init(&v, 64 * MIB);
	v.file.ph[MAKE_NOTE].p_type = PT_NULL;
	memcpy(v.file.bytes + MAKE_TEXT_OFF, "Linux version ", 14);
	check_refused(&v, "load kernel '/some/vmlinux': ",
		      "CONFIG_VIRTIO_MMIO, CONFIG_VIRTIO_CONSOLE");
}

static void test_map(void **state)
{
	(void)state;
	assert_int_equal(arch_hole_start, 0xc0000000);
	assert_int_equal(arch_hole_end, 0x100000000);
	for (unsigned i = 0; i < ARCH_MAX_DEVICES; i++) {
		gpa_t base = arch_device_base(i);

		assert_int_equal(base, 0xd0000000 + i * ARCH_VIRTIO_LEN);
		assert_true(base >= arch_hole_start);
		assert_true(base + ARCH_VIRTIO_LEN <= LAYOUT_IOAPIC);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entry),
		cmocka_unit_test(test_params),
		cmocka_unit_test(test_no_initrd),
		cmocka_unit_test(test_e820),
		cmocka_unit_test(test_setup_data),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_gdt),
		cmocka_unit_test(test_deterministic),
		cmocka_unit_test(test_low_pages),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_cmdline),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_kernels),
		cmocka_unit_test(test_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
