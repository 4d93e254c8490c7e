// SPDX-License-Identifier: MIT
/*
 * The guest's memory at its first instruction: kernel, initrd, and what the
 * 64-bit boot protocol wants (Linux Documentation/arch/x86/boot.rst, zero-
 * page.rst). Rejected: PVH (the kernel would run its 32-bit start-up and
 * leave it again), bzImage (a decompressor nobody needs inside a VM).
 *
 * Every byte goes through gmem with a length; nothing depends on where the
 * host mapped it, so the same arch_boot gives the same guest memory.
 */
#include "arch/arch.h"
#include "arch/x86_64/elf.h"
#include "arch/x86_64/fdt.h"
#include "arch/x86_64/layout.h"
#include "lib/cleanup.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

typedef unsigned long long ull;

const gpa_t arch_hole_start = LAYOUT_HOLE;
const gpa_t arch_sparse_start = LAYOUT_SPARSE;
const gpa_t arch_sparse_end = LAYOUT_SPARSE_END;
const gpa_t arch_hole_end = LAYOUT_HOLE_END;

/*
 * RAM beyond kernel and initrd with which Linux reaches user space: page
 * structs, the unpacked initrd, per-CPU areas, a few processes.
 */
#define BOOT_SLACK (16ull << 20)

#define E820_RAM 1u

/* Page table bits: present, writable, 2 MiB page. */
#define PTE_TABLE 0x3u
#define PTE_LARGE 0x83u

gpa_t arch_device_base(unsigned index)
{
	return LAYOUT_VIRTIO + (gpa_t)index * ARCH_VIRTIO_LEN;
}

static uint64_t page_up(uint64_t n)
{
	return (n + GMEM_PAGE - 1) & ~(uint64_t)(GMEM_PAGE - 1);
}

/* Text of an err is for people: sizes in MiB, rounded up. */
static ull mib_up(uint64_t n)
{
	return (n + (1u << 20) - 1) >> 20;
}

/* Write to the low tables' area; it not being RAM means memory < 64 KiB. */
static int put(const struct gmem *m, gpa_t at, const void *p, uint64_t len,
	       struct err *e)
{
	if (gmem_write(m, at, p, len))
		return err_set(e, ENOMEM,
			       "write %llu bytes at 0x%llx: not in RAM",
			       (ull)len, (ull)at);
	return 0;
}

/* What lies where once everything fits. */
struct placed {
	gpa_t kernel_end;
	gpa_t initrd; /* 0: none */
};

/* The initrd lies at the end of the first region. */
static int fit(const struct gmem *m, const struct arch_boot *b,
	       const struct elf_image *img, struct placed *at, struct err *e)
{
	uint64_t low = m->nr ? m->region[0].len : 0;
	uint64_t need, initrd;

	if (b->initrd_len > UINT32_MAX)
		return err_set(e, EFBIG,
			       "initrd has %llu bytes, expected less than 4 GiB",
			       (ull)b->initrd_len);
	initrd = page_up(b->initrd_len);
	need = img->end + initrd + BOOT_SLACK;
	need = (need + GMEM_HUGE - 1) & ~(uint64_t)(GMEM_HUGE - 1);
	if (need > LAYOUT_HOLE)
		return err_set(e, EFBIG,
			       "kernel (ends at %llu MiB) and initrd (%llu MiB) "
			       "do not fit below 3 GiB",
			       mib_up(img->end), mib_up(initrd));
	if (low < need) {
		err_set(e, ENOMEM,
			"%llu MiB of memory are too small, at least %llu MiB "
			"are needed",
			mib_up(low), mib_up(need));
		return err_hint(e, "--memory %lluM", mib_up(need));
	}
	at->kernel_end = img->end;
	at->initrd = b->initrd_len ? low - initrd : 0;
	return 0;
}

static int put_kernel(const struct gmem *m, const struct arch_boot *b,
		      struct arch_entry *out, struct placed *at, struct err *e)
{
	struct elf_image img;
	auto_fd unpacked = -1;
	int fd, r;

	r = elf_unpack(b->kernel_fd, &unpacked, e);
	if (r)
		return r;
	fd = unpacked >= 0 ? unpacked : b->kernel_fd;
	r = elf_read(fd, &img, e);
	if (!r && strcmp(img.salt, ELF_HUSK_SALT))
		r = elf_check_needs(fd, &img, e);
	if (!r)
		r = fit(m, b, &img, at, e);
	if (!r)
		r = elf_place(fd, &img, m, e);
	if (r)
		return r;
	out->start = img.entry;
	out->kernel_size = img.end - img.start;
	memcpy(out->salt, img.salt, sizeof(out->salt));
	return 0;
}

/* One 1 GiB map per table, enough to cover the kernel. */
static int put_tables(const struct gmem *m, gpa_t kernel_end, struct err *e)
{
	unsigned nr = (unsigned)((kernel_end + (1u << 30) - 1) >> 30);
	uint64_t pml4e = LAYOUT_PDPT | PTE_TABLE;
	uint64_t pdpte[LAYOUT_PD_MAX] = { 0 };
	uint64_t pd[512];
	int r = 0;

	/* img->end <= LAYOUT_HOLE makes this at most 3. */
	if (nr > LAYOUT_PD_MAX)
		nr = LAYOUT_PD_MAX;
	for (unsigned g = 0; !r && g < nr; g++) {
		pdpte[g] = (LAYOUT_PD + g * GMEM_PAGE) | PTE_TABLE;
		for (unsigned i = 0; i < 512; i++)
			pd[i] = ((uint64_t)g << 30) | ((uint64_t)i << 21) |
				PTE_LARGE;
		r = put(m, LAYOUT_PD + g * GMEM_PAGE, pd, sizeof(pd), e);
	}
	if (!r)
		r = put(m, LAYOUT_PDPT, pdpte, sizeof(pdpte), e);
	if (!r)
		r = put(m, LAYOUT_PML4, &pml4e, sizeof(pml4e), e);
	return r;
}

/*
 * The selectors of the protocol, 0x10 code and 0x18 data, and a task state
 * segment, which Intel wants to see in TR although no task is ever switched.
 */
static int put_gdt(const struct gmem *m, struct err *e)
{
	static const uint64_t gdt[] = {
		0, 0,
		0x00af9b000000ffff, /* 64-bit code, read, accessed */
		0x00cf93000000ffff, /* data, write, accessed */
		0x008f8b000000ffff, /* busy 64-bit TSS */
	};

	return put(m, LAYOUT_GDT, gdt, sizeof(gdt), e);
}

static int put_node(const struct gmem *m, gpa_t at, gpa_t next, uint32_t type,
		    const void *data, uint32_t len, struct err *e)
{
	struct setup_data head = { .next = next, .type = type, .len = len };
	int r;

	r = put(m, at, &head, sizeof(head), e);
	return r ? r : put(m, at + sizeof(head), data, len, e);
}

/* The list: seed, then tree. */
static int put_setup_data(const struct gmem *m, const struct arch_boot *b,
			  struct err *e)
{
	_Alignas(8) uint8_t tree[8192];
	int len, r;

	_Static_assert(LAYOUT_DTB + sizeof(struct setup_data) + sizeof(tree) <=
			       LAYOUT_LOW_END,
		       "device tree fits");
	_Static_assert(LAYOUT_RNG + sizeof(struct setup_data) +
				       sizeof(b->rng_seed) <=
			       LAYOUT_CMDLINE,
		       "seed fits");
	/* On the stack first: libfdt clears all of the buffer it gets. */
	len = fdt_build(tree, sizeof(tree), b, e);
	if (len < 0)
		return len;
	r = put_node(m, LAYOUT_RNG, LAYOUT_DTB, SETUP_RNG_SEED, b->rng_seed,
		     sizeof(b->rng_seed), e);
	if (r)
		return r;
	return put_node(m, LAYOUT_DTB, 0, SETUP_DTB, tree, (uint32_t)len, e);
}

static void add_e820(struct boot_params *p, gpa_t addr, uint64_t size)
{
	p->e820_table[p->e820_entries++] =
		(struct boot_e820_entry){ addr, size, E820_RAM };
}

static void fill_e820(struct boot_params *p, const struct gmem *m)
{
	add_e820(p, 0, LAYOUT_BASE_END);
	add_e820(p, LAYOUT_HIGH, m->region[0].len - LAYOUT_HIGH);
	for (unsigned i = 1; i < m->nr; i++)
		add_e820(p, m->region[i].base, m->region[i].len);
}

static int put_params(const struct gmem *m, const struct arch_boot *b,
		      gpa_t initrd, struct err *e)
{
	struct boot_params p = { 0 };

	_Static_assert(sizeof(p) == GMEM_PAGE, "boot_params is one page");
	p.hdr.boot_flag = 0xaa55;
	p.hdr.header = 0x53726448; /* "HdrS" */
	p.hdr.version = 0x020f;
	p.hdr.type_of_loader = 0xff; /* unregistered; 0 would hide the initrd */
	p.hdr.loadflags = LOADED_HIGH;
	p.hdr.cmd_line_ptr = LAYOUT_CMDLINE;
	p.hdr.cmdline_size = LAYOUT_CMDLINE_MAX;
	p.hdr.kernel_alignment = GMEM_HUGE;
	p.hdr.ramdisk_image = (uint32_t)initrd; /* below 3 GiB */
	p.hdr.ramdisk_size = (uint32_t)b->initrd_len;
	p.hdr.setup_data = LAYOUT_RNG;
	fill_e820(&p, m);
	return put(m, LAYOUT_PARAMS, &p, sizeof(p), e);
}

static int put_cmdline(const struct gmem *m, const char *cmdline,
		       struct err *e)
{
	size_t len = strlen(cmdline);

	_Static_assert(LAYOUT_CMDLINE + LAYOUT_CMDLINE_MAX + 1 <= LAYOUT_DTB,
		       "command line fits");
	if (len > LAYOUT_CMDLINE_MAX)
		return err_set(e, E2BIG,
			       "command line has %zu bytes, at most %u fit",
			       len, LAYOUT_CMDLINE_MAX);
	return put(m, LAYOUT_CMDLINE, cmdline, len + 1, e);
}

/* The few numbers that come from husk's own options, not from files. */
static int check_boot(const struct arch_boot *b, struct err *e)
{
	if (!b->nr_cpus || b->nr_cpus > ARCH_MAX_CPUS)
		return err_set(e, EINVAL, "%u CPUs, expected 1 to %u",
			       b->nr_cpus, ARCH_MAX_CPUS);
	if (b->nr_devices > ARCH_MAX_DEVICES)
		return err_set(e, EINVAL, "%u devices, expected at most %u",
			       b->nr_devices, ARCH_MAX_DEVICES);
	return 0;
}

int arch_load(const struct gmem *m, const struct arch_boot *b,
	      struct arch_entry *out, struct err *e)
{
	struct placed at = { 0 };
	int r;

	*out = (struct arch_entry){ .arg = LAYOUT_PARAMS };
	r = check_boot(b, e);
	if (!r)
		r = put_kernel(m, b, out, &at, e);
	if (r)
		return err_prefix(e, "load kernel '%s': ", b->kernel);
	if (at.initrd)
		r = put(m, at.initrd, b->initrd, b->initrd_len, e);
	if (!r)
		r = put_tables(m, at.kernel_end, e);
	if (!r)
		r = put_gdt(m, e);
	if (!r)
		r = put_setup_data(m, b, e);
	if (!r)
		r = put_params(m, b, at.initrd, e);
	if (!r)
		r = put_cmdline(m, b->cmdline, e);
	return r ? err_prefix(e, "prepare guest memory: ") : 0;
}
