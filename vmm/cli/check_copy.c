// SPDX-License-Identifier: MIT
/*
 * See check_copy.h. By the calls that runs make, in their order, for KVM's
 * rules about order are what changes between its versions. The guest has no
 * instruction of its own: memory is zeros, and the end that comes of that shows
 * that the CPU has entered it.
 */
#include "cli/check_copy.h"

#include "arch/arch.h"
#include "lib/cleanup.h"
#include "machine/kvm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define MEMORY	  (2ull << 20)
#define PLACE	  (1ull << 20) /* the page of the guest that touches */
#define NR_PINS	  2u
#define RUNS_MAX  1000 /* that a signal ends */

struct machine {
	struct gmem mem;
	struct kvm kvm;
	int vcpu_fd;
	struct kvm_run *run;
};

static void machine_fini(struct machine *m)
{
	if (m->run)
		munmap(m->run, (size_t)m->kvm.run_size);
	cleanup_fd(&m->vcpu_fd);
	kvm_fini(&m->kvm);
	gmem_fini(&m->mem);
}

static int machine_init(struct machine *m, struct err *e)
{
	int r;

	*m = (struct machine){ .kvm = { .fd = -1, .vm_fd = -1 },
			       .vcpu_fd = -1 };
	r = kvm_open(&m->kvm, e);
	if (!r)
		r = gmem_init(&m->mem, MEMORY, arch_hole_start, arch_hole_end,
			      e);
	if (!r)
		r = kvm_create_vm(&m->kvm, &m->mem, NR_PINS, e);
	if (r)
		return r;
	m->vcpu_fd = kvm_create_vcpu(&m->kvm, 0, e);
	if (m->vcpu_fd < 0)
		return m->vcpu_fd;
	m->run = kvm_map_run(&m->kvm, m->vcpu_fd, e);
	return m->run ? 0 : -e->code;
}

/* To the exit that is expected, and what it left undone. */
static int run_to(struct machine *m, uint32_t reason, const char *what,
		  struct err *e)
{
	int r, i = 0;

	do
		r = ioctl(m->vcpu_fd, KVM_RUN, 0);
	while (r && (errno == EINTR || errno == EAGAIN) && i++ < RUNS_MAX);
	if (r)
		return err_sys(e, "%s: KVM_RUN", what);
	if (m->run->exit_reason != reason)
		return err_set(e, EIO, "%s: KVM_RUN ends for reason %u, not %u",
			       what, m->run->exit_reason, reason);
	m->run->immediate_exit = 1;
	ioctl(m->vcpu_fd, KVM_RUN, 0);
	m->run->immediate_exit = 0;
	return 0;
}

static int save(struct machine *m, void *buf, size_t *len, struct err *e)
{
	const struct arch_entry entry = { .start = PLACE };
	auto_free struct arch_fresh *fresh = NULL;
	int r = machine_init(m, e);

	if (r)
		return r;
	r = arch_vcpu_init(m->kvm.fd, m->vcpu_fd, 0, 1, &entry, e);
	if (r)
		return r;
	fresh = arch_fresh_ask(m->kvm.fd, m->vcpu_fd, e);
	if (!fresh)
		return -e->code;
	arch_vcpu_freeze(m->vcpu_fd);
	return arch_vcpu_save(fresh, m->kvm.vm_fd, m->vcpu_fd, buf, len, e);
}

static int touch(struct machine *m, const void *buf, size_t len, struct err *e)
{
	const struct arch_pages page = { PLACE / GMEM_PAGE, 1 };
	uint8_t *place = gmem_ptr(&m->mem, PLACE, GMEM_PAGE);
	int r = arch_touch_prepare(m->vcpu_fd, buf, len, e);

	if (r || !place)
		return r;
	arch_touch_fill(place, &page, 1);
	r = arch_touch_begin(m->vcpu_fd, PLACE, e);
	if (!r)
		r = run_to(m, arch_touch_exit, "touch a page", e);
	memset(place, 0, GMEM_PAGE);
	return r;
}

static int copy(struct machine *m, const void *buf, size_t len, struct err *e)
{
	int r = machine_init(m, e);

	if (!r)
		r = arch_vcpu_prepare(m->kvm.vm_fd, m->vcpu_fd, 0, buf, len, e);
	if (!r)
		r = touch(m, buf, len, e);
	if (!r)
		r = arch_vcpu_restore(m->kvm.vm_fd, m->vcpu_fd, 0, buf, len, e);
	if (!r)
		r = arch_vcpu_resume(m->vcpu_fd, e);
	if (!r)
		r = run_to(m, arch_zeros_exit, "run a copy", e);
	return r;
}

int check_try_copy(struct err *e)
{
	auto_free void *buf = malloc(ARCH_VCPU_STATE_MAX);
	struct machine from, to;
	size_t len;
	int r;

	if (!buf)
		return err_set(e, ENOMEM, "try a copy: out of memory");
	r = save(&from, buf, &len, e);
	if (!r) {
		r = copy(&to, buf, len, e);
		machine_fini(&to);
	}
	machine_fini(&from);
	return r;
}
