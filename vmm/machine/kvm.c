// SPDX-License-Identifier: MIT
/*
 * See kvm.h. What differs between architectures is in arch.h.
 */
#include "machine/kvm.h"

#include "arch/arch.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static int hint_open(struct err *e, int code)
{
	switch (code) {
	case ENOENT:
		return err_hint(e, "this host offers no KVM: enable "
				   "virtualisation, or load %s",
				arch_words.modules);
	case EACCES:
	case EPERM:
		return err_hint(e, "add your user to the group that owns it, "
				   "mostly 'kvm', and log in again");
	case ENODEV:
	case ENXIO:
		return err_hint(e, "the KVM module is not loaded: modprobe %s",
				arch_words.modules);
	default:
		return -code;
	}
}

static int check_capabilities(const struct kvm *k, struct err *e)
{
	const struct arch_cap *c;
	int version = ioctl(k->fd, KVM_GET_API_VERSION, 0);

	if (version < 0)
		return err_sys(e, "ask '/dev/kvm' for its version");
	if (version != KVM_API_VERSION)
		return err_set(e, ENOTSUP,
			       "use '/dev/kvm': its API has version %d, husk "
			       "needs %d",
			       version, KVM_API_VERSION);
	for (c = arch_required; c->name; c++)
		if (ioctl(k->fd, KVM_CHECK_EXTENSION, c->cap) <= 0)
			return err_set(e, ENOTSUP,
				       "use '/dev/kvm': it lacks %s, needed "
				       "for %s (husk check lists all)",
				       c->name, c->why);
	return 0;
}

int kvm_open(struct kvm *k, struct err *e)
{
	int r;

	*k = (struct kvm){ .fd = -1, .vm_fd = -1 };
	k->fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (k->fd < 0) {
		r = err_sys(e, "open '/dev/kvm'");
		return hint_open(e, -r);
	}
	r = check_capabilities(k, e);
	if (r)
		return r;
	k->run_size = ioctl(k->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (k->run_size < (int)sizeof(struct kvm_run))
		return err_sys(e, "ask '/dev/kvm' for the vCPU area's size");
	return 0;
}

static int add_memory(const struct kvm *k, const struct gmem *m, struct err *e)
{
	unsigned i;

	for (i = 0; i < m->nr; i++) {
		struct kvm_userspace_memory_region slot = {
			.slot = i,
			.guest_phys_addr = m->region[i].base,
			.memory_size = m->region[i].len,
			.userspace_addr = (uintptr_t)m->region[i].hva,
		};

		if (ioctl(k->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot))
			return err_sys(
				e, "give %llu MiB of memory to the VM",
				(unsigned long long)(slot.memory_size >> 20));
	}
	return 0;
}

int kvm_create_vm(struct kvm *k, const struct gmem *m, unsigned nr_pins,
		  struct err *e)
{
	int r;

	/* A signal during creation gives EINTR: it is worth another try. */
	do
		k->vm_fd = ioctl(k->fd, KVM_CREATE_VM, 0);
	while (k->vm_fd < 0 && errno == EINTR);
	if (k->vm_fd < 0)
		return err_sys(e, "create a VM");
	/* No reason to fail: the jail says what a host lacks. */
	k->narrowed = !arch_vm_narrow(k->vm_fd);
	r = add_memory(k, m, e);
	return r ? r : arch_vm_init(k->vm_fd, nr_pins, e);
}

void kvm_fini(struct kvm *k)
{
	cleanup_fd(&k->vm_fd);
	cleanup_fd(&k->fd);
}

int kvm_create_vcpu(const struct kvm *k, unsigned index, struct err *e)
{
	int fd = ioctl(k->vm_fd, KVM_CREATE_VCPU, index);

	if (fd < 0)
		return err_sys(e, "create vCPU %u", index);
	return fd;
}

struct kvm_run *kvm_map_run(const struct kvm *k, int vcpu_fd, struct err *e)
{
	void *p = mmap(NULL, (size_t)k->run_size, PROT_READ | PROT_WRITE,
		       MAP_SHARED, vcpu_fd, 0);

	if (p == MAP_FAILED) {
		err_sys(e, "map the vCPU's run area");
		return NULL;
	}
	return p;
}

void kvm_send_msi(const struct kvm *k, uint64_t addr, uint32_t data)
{
	struct kvm_msi msi = {
		.address_lo = (uint32_t)addr,
		.address_hi = (uint32_t)(addr >> 32),
		.data = data,
	};

	/*
	 * Fails for a destination that is no vCPU of this guest: it wrote the
	 * redirection entry, the interrupt is its loss.
	 */
	ioctl(k->vm_fd, KVM_SIGNAL_MSI, &msi);
}
