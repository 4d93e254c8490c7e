// SPDX-License-Identifier: MIT
/*
 * The time-stamp counter as the guest sees it. Asking KVM for the register
 * applies the guest's offset and scale, which no arithmetic here could know.
 */
#include "arch/arch.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#define MSR_TSC 0x10u

int arch_vcpu_counter(int vcpu_fd, uint64_t *counter, uint64_t *khz)
{
	struct {
		uint32_t nmsrs, pad; /* a kvm_msrs, which has no end */
		struct kvm_msr_entry entry[1];
	} m;
	int rate = ioctl(vcpu_fd, KVM_GET_TSC_KHZ, 0);

	memset(&m, 0, sizeof(m));
	m.nmsrs = 1;
	m.entry[0].index = MSR_TSC;
	if (rate <= 0 || ioctl(vcpu_fd, KVM_GET_MSRS, &m) != 1)
		return -ENOTSUP;
	*counter = m.entry[0].data;
	*khz = (uint64_t)rate;
	return 0;
}
