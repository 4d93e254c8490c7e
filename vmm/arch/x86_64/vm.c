// SPDX-License-Identifier: MIT
/*
 * What an x86 VM needs of KVM, and is given. No PIC, no PIT and no in-kernel
 * I/O APIC is ever created: what is not there cannot be attacked.
 */
#include "arch/arch.h"

#include <linux/kvm.h>
#include <sys/ioctl.h>

/* Intel keeps a task state segment there for real mode; unused elsewhere. */
#define TSS_ADDR 0xfffbd000ul

const struct arch_cap arch_required[] = {
	{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY", "guest memory" },
	{ KVM_CAP_SPLIT_IRQCHIP, "KVM_CAP_SPLIT_IRQCHIP",
	  "local APICs without PIC and PIT" },
	{ KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI", "device interrupts" },
	{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT", "stopping a vCPU" },
	{ KVM_CAP_TSC_DEADLINE_TIMER, "KVM_CAP_TSC_DEADLINE_TIMER",
	  "the guest's timer" },
	{ KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID", "the guest's CPU features" },
	{ KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR", "Intel real mode" },
	{ 0, NULL, NULL },
};

const struct arch_cap arch_for_templates[] = {
	{ KVM_CAP_XSAVE, "KVM_CAP_XSAVE", "floating point and vectors" },
	{ KVM_CAP_XCRS, "KVM_CAP_XCRS", "which of them are on" },
	{ KVM_CAP_DEBUGREGS, "KVM_CAP_DEBUGREGS", "debug registers" },
	{ KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS", "pending interrupts" },
	{ KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE", "which vCPUs wait" },
	{ KVM_CAP_GET_TSC_KHZ, "KVM_CAP_GET_TSC_KHZ", "the guest's clock" },
	{ KVM_CAP_ADJUST_CLOCK, "KVM_CAP_ADJUST_CLOCK", "the guest's clock" },
	{ 0, NULL, NULL },
};

int arch_vm_init(int vm_fd, unsigned nr_pins, struct err *e)
{
	struct kvm_enable_cap split = {
		.cap = KVM_CAP_SPLIT_IRQCHIP,
		.args = { nr_pins },
	};

	if (ioctl(vm_fd, KVM_SET_TSS_ADDR, TSS_ADDR))
		return err_sys(e, "set the VM's TSS address");
	if (ioctl(vm_fd, KVM_ENABLE_CAP, &split))
		return err_sys(e, "create the VM's interrupt chip");
	return 0;
}
