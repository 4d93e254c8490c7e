/* SPDX-License-Identifier: MIT */
/*
 * Every address of the x86-64 machine, in one place.
 *
 * What the loader writes lies between 4 KiB and 64 KiB, packed: the kernel
 * keeps the first MiB for itself anyway, and each page written here is a page
 * of host memory in every run. Page 0 stays untouched (a null pointer in the
 * guest finds zeros). The values are the guest's contract with a template:
 * change one and templates made before are no longer of this machine.
 */
#ifndef HUSK_ARCH_X86_64_LAYOUT_H
#define HUSK_ARCH_X86_64_LAYOUT_H

/* Identity map of the low 1 to 4 GiB; entry needs kernel and tables only. */
#define LAYOUT_PML4	0x1000u	/* one table, one entry */
#define LAYOUT_PDPT	0x2000u	/* one table, one entry per GiB */
#define LAYOUT_PD	0x3000u	/* up to four tables of 2 MiB pages */
#define LAYOUT_PD_MAX	4u

/* boot_params, the kernel's "zero page"; its address is in rsi at entry. */
#define LAYOUT_PARAMS	0x7000u

/* The page after it holds what is small. */
#define LAYOUT_GDT	0x8000u	/* 5 descriptors */
#define LAYOUT_RNG	0x8040u	/* setup_data node: 16 + 64 bytes */
#define LAYOUT_CMDLINE	0x8100u	/* up to 2047 bytes and a zero */
#define LAYOUT_DTB	0x8900u	/* setup_data node; the tree 8-aligned */
#define LAYOUT_LOW_END	0x10000u /* end of all of the above */

#define LAYOUT_CMDLINE_MAX 2047u /* COMMAND_LINE_SIZE of x86 is 2048 */

/* RAM of the first region ends here at the latest for the firmware hole. */
#define LAYOUT_BASE_END	0xa0000u  /* VGA and ROM area: not RAM to the guest */
#define LAYOUT_HIGH	0x100000u /* 1 MiB: kernel and everything else */

/* Where the kernel image lies; see arch_sparse_start in arch.h. */
#define LAYOUT_SPARSE	  0x400000u  /* 4 MiB */
#define LAYOUT_SPARSE_END 0x2000000u /* 32 MiB */

/* No RAM from here to 4 GiB; devices live in it. */
#define LAYOUT_HOLE	0xc0000000ull
#define LAYOUT_HOLE_END	0x100000000ull

/* virtio-mmio windows, 4 KiB apart. */
#define LAYOUT_VIRTIO	0xd0000000u

/* Where every PC has its interrupt controllers. */
#define LAYOUT_IOAPIC	0xfec00000u
#define LAYOUT_LAPIC	0xfee00000u
#define LAYOUT_APIC_LEN	0x1000u

/* Port I/O that means something. All other ports read as all ones. */
#define LAYOUT_PORT_CONSOLE 0x3f8u /* write-only early console, 8 registers */
#define LAYOUT_PORT_RESET   0x64u  /* keyboard controller: 0xfe resets */
#define LAYOUT_PORT_TOUCH   0xf4u  /* nobody's: how a guest of ours ends */

/* Segment selectors which the 64-bit boot protocol prescribes. */
#define LAYOUT_BOOT_CS	0x10u
#define LAYOUT_BOOT_DS	0x18u
#define LAYOUT_BOOT_TR	0x20u

#endif
