// SPDX-License-Identifier: MIT
/*
 * A guest of 22 bytes that reads a list of pages: 32-bit code, flat segments,
 * no paging, so that it reaches all RAM below the hole without tables of its
 * own. It writes nothing but its registers.
 */
#include "arch/arch.h"
#include "arch/x86_64/layout.h"

#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

/*
 * Over the list that esi points to, {address, pages} until there are no pages;
 * the port is nobody's. A fast string instruction would not touch one byte of
 * each page.
 */
static const uint8_t code[] = {
	0xad,				/* next: lods eax, the address */
	0x93,				/* xchg eax, ebx */
	0xad,				/* lods eax, the pages */
	0x91,				/* xchg eax, ecx */
	0xe3, 0x0c,			/* jecxz done */
	0x8a, 0x03,			/* touch: mov al, [ebx] */
	0x81, 0xc3, 0x00, 0x10, 0, 0,	/* add ebx, 4096 */
	0xe2, 0xf6,			/* loop touch */
	0xeb, 0xee,			/* jmp next */
	0xe6, LAYOUT_PORT_TOUCH,	/* done: out al */
	0xeb, 0xfc,			/* jmp done */
};

struct entry {
	uint32_t address, pages;
};

#define LIST_OFFSET 32u
#define LIST_MAX    ((GMEM_PAGE - LIST_OFFSET) / sizeof(struct entry) - 1)

/* Bits of CR0 and of RFLAGS. */
#define CR0_PE	     1u
#define CR0_ET	     (1u << 4)
#define RFLAGS_FIXED 2u

const gpa_t arch_touch_end = LAYOUT_HOLE;
const uint32_t arch_touch_exit = KVM_EXIT_IO;

_Static_assert(sizeof(code) <= LIST_OFFSET, "the list lies behind the code");

unsigned arch_touch_fill(uint8_t page[GMEM_PAGE], const struct arch_pages *p,
			 unsigned nr)
{
	struct entry list[LIST_MAX + 1] = { 0 };
	unsigned i, n = nr < LIST_MAX ? nr : LIST_MAX;

	for (i = 0; i < n; i++)
		list[i] = (struct entry){ p[i].first * GMEM_PAGE, p[i].count };
	memcpy(page, code, sizeof(code));
	memcpy(page + LIST_OFFSET, list, (n + 1) * sizeof(list[0]));
	return n;
}

/* All of the first 4 GiB. */
static struct kvm_segment flat(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment){
		.limit = ~0u,
		.selector = selector,
		.type = type,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};
}

/* Whatever it had: a fresh vCPU's, or a template's in 64-bit mode. */
int arch_touch_begin(int vcpu_fd, gpa_t gpa, struct err *e)
{
	struct kvm_regs regs = {
		.rip = gpa,
		.rsi = gpa + LIST_OFFSET,
		.rflags = RFLAGS_FIXED,
	};
	struct kvm_sregs s;

	if (ioctl(vcpu_fd, KVM_GET_SREGS, &s))
		return err_sys(e, "KVM_GET_SREGS");
	s.cr0 = CR0_PE | CR0_ET;
	s.cr3 = s.cr4 = s.efer = 0;
	s.cs = flat(0x08, 0xb); /* code, readable, accessed */
	s.ds = s.es = s.fs = s.gs = s.ss = flat(0x10, 3); /* data, accessed */
	if (ioctl(vcpu_fd, KVM_SET_SREGS, &s))
		return err_sys(e, "KVM_SET_SREGS");
	if (ioctl(vcpu_fd, KVM_SET_REGS, &regs))
		return err_sys(e, "KVM_SET_REGS");
	return 0;
}
