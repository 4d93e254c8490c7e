// SPDX-License-Identifier: MIT
/*
 * Exits that only x86 has: port I/O, and the few that a split interrupt chip
 * leaves.
 */
#include "arch/arch.h"

#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

/* Of the string instructions one access after the other. */
static void serve_ports(struct kvm_run *run, const struct bus *ports)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	uint32_t i;

	for (i = 0; i < run->io.count; i++, data += run->io.size) {
		uint64_t val = 0;

		if (run->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(&val, data, run->io.size);
			bus_write(ports, run->io.port, run->io.size, val);
		} else {
			bus_read(ports, run->io.port, run->io.size, &val);
			memcpy(data, &val, run->io.size);
		}
	}
}

/* It fetches zeros as instructions until a fault finds no handler. */
const uint32_t arch_zeros_exit = KVM_EXIT_SHUTDOWN;

enum arch_exit arch_serve_exit(struct kvm_run *run, const struct bus *ports)
{
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		serve_ports(run, ports);
		return ARCH_EXIT_SERVED;
	case KVM_EXIT_HLT:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
	case KVM_EXIT_IOAPIC_EOI:
		return ARCH_EXIT_NOTHING;
	default:
		return ARCH_EXIT_UNKNOWN;
	}
}

/*
 * Intel's numbers without bit 31 are errors of the instruction: the control
 * and host fields that KVM made are wrong.
 */
bool arch_entry_is_hosts(uint64_t reason)
{
	return !(reason >> 31 & 1);
}

bool arch_vcpu_is_idle(int vcpu_fd)
{
	struct kvm_mp_state mp;

	return !ioctl(vcpu_fd, KVM_GET_MP_STATE, &mp) &&
	       mp.mp_state != KVM_MP_STATE_RUNNABLE;
}
