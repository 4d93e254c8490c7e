// SPDX-License-Identifier: MIT
/*
 * The model specific registers that a guest may touch: what Linux uses on
 * AMD and Intel, given the CPUID that husk shows (no PMU, no thermal or power
 * management, no nested virtualisation). All others raise #GP, which Linux
 * takes for "not there". KVM checks what is on the list as ever.
 *
 * Host-side KVM_SET_MSRS isn't filtered, and neither are the x2APIC's, which
 * KVM has in a place of their own. The filter has to go in before the memory
 * slots: after them KVM waits for a grace period, 15 ms in the lab.
 *
 * One list for both makers: what the other one has, KVM refuses by itself.
 */
#include "arch/x86_64/msr_filter.h"

#include "arch/arch.h"

#include <errno.h>
#include <sys/ioctl.h>

const struct msr_range msr_allowed[] = {
	{ 0x10, 0x10 },		    /* TSC */
	{ 0x17, 0x17 },		    /* PLATFORM_ID, before microcode */
	{ 0x1b, 0x1b },		    /* APIC_BASE */
	{ 0x3a, 0x3b },		    /* FEATURE_CONTROL, TSC_ADJUST */
	{ 0x48, 0x49 },		    /* SPEC_CTRL, PRED_CMD */
	{ 0x8b, 0x8b },		    /* microcode revision */
	{ 0xce, 0xce },		    /* PLATFORM_INFO */
	{ 0xfe, 0xfe },		    /* MTRRcap */
	{ 0x10a, 0x10b },	    /* ARCH_CAPABILITIES, FLUSH_CMD */
	{ 0x122, 0x123 },	    /* TSX_CTRL, MCU_OPT_CTRL */
	{ 0x140, 0x140 },	    /* MISC_FEATURES: CPUID faults */
	{ 0x174, 0x176 },	    /* SYSENTER */
	{ 0x179, 0x17b },	    /* machine check */
	{ 0x1a0, 0x1a0 },	    /* MISC_ENABLE */
	{ 0x1d9, 0x1d9 },	    /* DEBUGCTL: single steps by block */
	{ 0x200, 0x20f },	    /* MTRR, variable */
	{ 0x250, 0x250 },	    /* MTRR, fixed */
	{ 0x258, 0x259 },	    /* " */
	{ 0x268, 0x26f },	    /* " */
	{ 0x277, 0x277 },	    /* PAT */
	{ 0x2ff, 0x2ff },	    /* MTRR, default type */
	{ 0x400, 0x47f },	    /* machine check banks */
	{ 0x6e0, 0x6e0 },	    /* TSC deadline */
	{ 0xda0, 0xda0 },	    /* XSS */
	{ 0x4b564d00, 0x4b564d01 }, /* kvm-clock */
	{ 0x4b564d04, 0x4b564d04 }, /* end of interrupt without an exit */
	{ 0xc0000080, 0xc0000084 }, /* EFER, SYSCALL */
	{ 0xc0000100, 0xc0000103 }, /* FS, GS, TSC_AUX */
	{ 0xc0010010, 0xc0010010 }, /* SYSCFG */
	{ 0xc0010015, 0xc0010015 }, /* HWCR */
	{ 0xc001001a, 0xc001001a }, /* TOP_MEM */
	{ 0xc001001d, 0xc001001d }, /* TOP_MEM2 */
	{ 0xc001001f, 0xc001001f }, /* NB_CFG */
	{ 0xc0010055, 0xc0010055 }, /* INT_PENDING_MSG: erratum 400 */
	{ 0xc001011f, 0xc001011f }, /* VIRT_SPEC_CTRL */
	{ 0xc0010140, 0xc0010141 }, /* OSVW: errata */
	{ 0xc0011020, 0xc0011023 }, /* LS, IC, DC, BU configuration */
	{ 0xc0011029, 0xc001102a }, /* DE_CFG: LFENCE waits; BU_CFG2 */
	{ 0, 0 },
};

/* Windows of KVM's filter: few, so a list of bits each. Each row is in one. */
static const struct {
	uint32_t base, len;
} windows[] = {
	{ 0, 0x200 },	     { 0x200, 0x100 },	    { 0x400, 0x80 },
	{ 0x6e0, 1 },	     { 0xda0, 1 },	    { 0x4b564d00, 8 },
	{ 0xc0000080, 5 },   { 0xc0000100, 4 },	    { 0xc0010000, 0x180 },
	{ 0xc0011000, 0x40 },
};

#define NR_WINDOWS (sizeof(windows) / sizeof(windows[0]))

/* Both tables rise, so one walk over both; looking each up took 300 us. */
void msr_filter_build(struct msr_filter *f)
{
	const struct msr_range *r = msr_allowed;
	size_t w;
	uint32_t i;

	*f = (struct msr_filter){ .kvm.flags = KVM_MSR_FILTER_DEFAULT_DENY };
	for (w = 0; w < NR_WINDOWS; w++) {
		uint32_t base = windows[w].base, len = windows[w].len;

		for (; r->last && r->first - base < len; r++)
			for (i = r->first - base; i <= r->last - base; i++)
				f->bits[w][i / 64] |= 1ull << i % 64;
		f->kvm.ranges[w] = (struct kvm_msr_filter_range){
			.flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
			.nmsrs = len,
			.base = base,
			.bitmap = (uint8_t *)f->bits[w],
		};
	}
}

int arch_vm_narrow(int vm_fd)
{
	struct msr_filter f;

	msr_filter_build(&f);
	return ioctl(vm_fd, KVM_X86_SET_MSR_FILTER, &f.kvm) ? -errno : 0;
}
