// SPDX-License-Identifier: MIT
/*
 * See vcpu.h. The thread makes no other system call than KVM_RUN and those
 * of the devices that it enters; the list is in jail/policy.c. Every exit
 * reason that a guest can provoke leads to a device, to nothing, or to the end
 * of this machine.
 */
#include "machine/vcpu.h"

#include "arch/arch.h"
#include "core/loop.h"
#include "devices/virtio/vmmio.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define VCPU_SIGNAL SIGUSR1

static void ignore_signal(int sig)
{
	(void)sig;
}

int vcpu_prepare_signals(struct err *e)
{
	struct sigaction sa = { .sa_handler = ignore_signal };

	if (sigaction(VCPU_SIGNAL, &sa, NULL))
		return err_sys(e, "prepare to stop vCPUs");
	return 0;
}

int vcpu_init(struct vcpu *v, const struct kvm *k, unsigned index,
	      struct err *e)
{
	*v = (struct vcpu){ .index = index, .fd = -1, .vm_fd = k->vm_fd };
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->turn, NULL);
	v->fd = kvm_create_vcpu(k, index, e);
	if (v->fd < 0)
		return v->fd;
	v->run_size = (size_t)k->run_size;
	v->run = kvm_map_run(k, v->fd, e);
	return v->run ? 0 : -e->code;
}

void vcpu_fini(struct vcpu *v)
{
	if (v->run)
		munmap(v->run, v->run_size);
	v->run = NULL;
	cleanup_fd(&v->fd);
}

static void count(struct vcpu *v, enum exit_kind kind)
{
	v->exits[kind]++;
}

static void serve_mmio(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	uint64_t addr = run->mmio.phys_addr, val = 0;
	uint32_t len = run->mmio.len;
	enum exit_kind kind;
	unsigned tag;

	if (len > sizeof(val))
		len = sizeof(val);
	if (run->mmio.is_write) {
		memcpy(&val, run->mmio.data, len);
		tag = bus_write(v->mmio, addr, len, val);
	} else {
		tag = bus_read(v->mmio, addr, len, &val);
		memcpy(run->mmio.data, &val, len);
	}
	kind = tag ? (enum exit_kind)(tag - 1) : EXIT_KIND_MMIO_OTHER;
	if (kind == EXIT_KIND_VIRTIO && run->mmio.is_write &&
	    (addr & 0xfff) == VMMIO_QUEUE_NOTIFY)
		kind = EXIT_KIND_NOTIFY;
	count(v, kind);
}

static void end(struct vcpu *v, enum vcpu_end why, const char *text)
{
	v->ended(v->opaque, why, text);
}

static void end_failed(struct vcpu *v, const char *what, uint64_t detail)
{
	char text[96];

	snprintf(text, sizeof(text), "%s (%#llx)", what,
		 (unsigned long long)detail);
	end(v, VCPU_FAILED, text);
}

/* KVM_RUN's errors speak of the host: no guest provokes one. */
static void end_refused(struct vcpu *v, int error)
{
	char text[96];

	snprintf(text, sizeof(text), "KVM_RUN: %s%s", strerror(error),
		 error == EAGAIN ? " (is there room below ulimit -u and "
				   "pids.max?)" :
		 error == EFAULT ? " (is its memory gone?)" : "");
	end(v, VCPU_REFUSED, text);
}

static bool has_left(const struct vcpu *v)
{
	unsigned i;

	for (i = 0; i < EXIT_KIND_NR; i++)
		if (v->exits[i])
			return true;
	return false;
}

/*
 * What is not the host's for certain may be the guest's doing, but not before
 * it has done anything.
 */
static void end_no_entry(struct vcpu *v)
{
	uint64_t reason = v->run->fail_entry.hardware_entry_failure_reason;
	char text[96];

	if (has_left(v) && !arch_entry_is_hosts(reason)) {
		end_failed(v, "the CPU refused to enter the guest", reason);
		return;
	}
	snprintf(text, sizeof(text), "the CPU refuses to enter it (%#llx)",
		 (unsigned long long)reason);
	end(v, VCPU_REFUSED, text);
}

/* An exit that not every architecture has. */
static bool serve_own(struct vcpu *v)
{
	switch (arch_serve_exit(v->run, v->ports)) {
	case ARCH_EXIT_SERVED:
		count(v, EXIT_KIND_ARCH);
		return true;
	case ARCH_EXIT_NOTHING:
		count(v, EXIT_KIND_OTHER);
		return true;
	default:
		end_failed(v, "KVM stopped the guest for an unknown reason",
			   v->run->exit_reason);
		return false;
	}
}

/* Act on the exit in kvm_run; false when the vCPU is finished. */
static bool serve_exit(struct vcpu *v)
{
	const struct kvm_run *run = v->run;

	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		serve_mmio(v);
		return true;
	case KVM_EXIT_INTR:
		count(v, EXIT_KIND_SIGNAL);
		return true;
	case KVM_EXIT_SHUTDOWN:
		count(v, EXIT_KIND_OTHER);
		end(v, VCPU_SHUTDOWN, "");
		return false;
	case KVM_EXIT_SYSTEM_EVENT:
		count(v, EXIT_KIND_OTHER);
		end(v, VCPU_RESET, "");
		return false;
	case KVM_EXIT_FAIL_ENTRY:
		end_no_entry(v);
		return false;
	case KVM_EXIT_INTERNAL_ERROR:
		end_failed(v, "KVM could not emulate the guest",
			   run->internal.suberror);
		return false;
	default:
		return serve_own(v);
	}
}

static bool runs(struct vcpu *v)
{
	return atomic_load_explicit(&v->order, memory_order_relaxed) ==
	       VCPU_RUN;
}

/*
 * After a KVM_RUN without an exit: is it worth another? EAGAIN is, for a vCPU
 * that waits for INIT; of vCPU 0 it means, since Linux 6.14, that a thread of
 * KVM's in this process could not be made.
 */
#define AGAIN_MAX 1000u

static bool may_retry(struct vcpu *v, int error)
{
	if (error == EINTR)
		return true;
	return error == EAGAIN && (v->index || v->again++ < AGAIN_MAX);
}

static void run_guest(struct vcpu *v)
{
	if (!v->first_run_ns)
		v->first_run_ns = loop_now();
	while (runs(v)) {
		if (!ioctl(v->fd, KVM_RUN, 0)) {
			bool goes_on = serve_exit(v);

			v->again = 0;
			if (v->served)
				v->served(v->opaque);
			if (!goes_on)
				break;
			continue;
		}
		if (!may_retry(v, errno)) {
			end_refused(v, errno);
			break;
		}
		count(v, EXIT_KIND_SIGNAL);
	}
}

/*
 * To its first exit, however often a signal comes before, and to the end of
 * that instruction. In this thread, for KVM takes its time over another one.
 */
static void step_guest(struct vcpu *v)
{
	int r;

	do
		r = ioctl(v->fd, KVM_RUN, 0);
	while (r && may_retry(v, errno));
	v->stepped = r ? KVM_EXIT_UNKNOWN : v->run->exit_reason;
	v->run->immediate_exit = 1;
	ioctl(v->fd, KVM_RUN, 0);
}

/* Say that we are parked, and wait for another order. */
static enum vcpu_order wait_for_order(struct vcpu *v)
{
	int order, done = atomic_load(&v->order);

	pthread_mutex_lock(&v->lock);
	/* A guest that has ended is parked by itself. */
	if (!v->parked && done != VCPU_QUIT)
		atomic_compare_exchange_strong(&v->order, &done, VCPU_PARK);
	v->parked = true;
	pthread_cond_broadcast(&v->turn);
	while ((order = atomic_load(&v->order)) == VCPU_PARK)
		pthread_cond_wait(&v->turn, &v->lock);
	v->parked = false;
	pthread_mutex_unlock(&v->lock);
	return (enum vcpu_order)order;
}

/*
 * The kick, and a terminal's no: all other signals are the loop's. A device
 * that is entered from here reads and writes the job's streams here, and to a
 * thread that blocks them a terminal in the background says EIO, or nothing,
 * instead of stopping husk. Set as a whole, since the C library starts threads
 * with all blocked and does not look whether its own call to undo that has
 * worked.
 */
static int take_kicks(struct err *e)
{
	sigset_t others;
	int r;

	sigfillset(&others);
	sigdelset(&others, VCPU_SIGNAL);
	sigdelset(&others, SIGTTIN);
	sigdelset(&others, SIGTTOU);
	r = pthread_sigmask(SIG_SETMASK, &others, NULL);
	return r ? err_set(e, r, "let a vCPU be stopped: %s", strerror(r)) : 0;
}

static void seal(struct vcpu *v)
{
	v->tid = gettid();
	v->sealed.code = 0;
	if (!take_kicks(&v->sealed) && v->jail)
		jail_seal(v->jail, JAIL_VCPU, v->vm_fd, v->fd, &v->sealed);
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *v = arg;
	enum vcpu_order order;

	seal(v);
	while ((order = wait_for_order(v)) != VCPU_QUIT) {
		if (order == VCPU_STEP)
			step_guest(v);
		else
			run_guest(v);
	}
	return NULL;
}

int vcpu_start(struct vcpu *v, struct err *e)
{
	pthread_attr_t attr;
	int r;

	atomic_store(&v->order, VCPU_PARK);
	v->parked = false;
	v->pid = getpid();
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 << 10);
	r = pthread_create(&v->thread, &attr, vcpu_thread, v);
	pthread_attr_destroy(&attr);
	if (r)
		err_set(e, r, "start vCPU %u: %s", v->index, strerror(r));
	if (r == EAGAIN)
		err_hint(e, "the host's limit of processes: RLIMIT_NPROC, see "
			    "ulimit -u, or pids.max of its cgroup");
	if (r)
		return -r;
	v->has_thread = true;
	return 0;
}

int vcpu_wait_parked(struct vcpu *v, struct err *e)
{
	if (!v->has_thread)
		return 0;
	pthread_mutex_lock(&v->lock);
	while (!v->parked)
		pthread_cond_wait(&v->turn, &v->lock);
	pthread_mutex_unlock(&v->lock);
	if (v->sealed.code)
		*e = v->sealed;
	return -v->sealed.code;
}

static void give_order(struct vcpu *v, enum vcpu_order order)
{
	pthread_mutex_lock(&v->lock);
	atomic_store(&v->order, order);
	pthread_cond_broadcast(&v->turn);
	pthread_mutex_unlock(&v->lock);
}

void vcpu_go(struct vcpu *v)
{
	v->run->immediate_exit = 0;
	give_order(v, VCPU_RUN);
}

uint32_t vcpu_step(struct vcpu *v)
{
	pthread_mutex_lock(&v->lock);
	v->run->immediate_exit = 0;
	v->parked = false;
	atomic_store(&v->order, VCPU_STEP);
	pthread_cond_broadcast(&v->turn);
	while (!v->parked)
		pthread_cond_wait(&v->turn, &v->lock);
	pthread_mutex_unlock(&v->lock);
	return v->stepped;
}

int vcpu_settle(struct vcpu *v, struct err *e)
{
	v->run->immediate_exit = 1;
	if (!ioctl(v->fd, KVM_RUN, 0) || (errno != EINTR && errno != EAGAIN))
		return err_sys(e, "settle vCPU %u", v->index);
	return 0;
}

void vcpu_kick(struct vcpu *v, enum vcpu_order order)
{
	if (!v->has_thread)
		return;
	/* KVM clears nothing here: set before the signal, seen by KVM_RUN. */
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	give_order(v, order);
	/* pthread_kill would change the signal mask, too. */
	if (v->tid)
		syscall(SYS_tgkill, v->pid, v->tid, VCPU_SIGNAL);
}

void vcpu_join(struct vcpu *v)
{
	if (v->has_thread)
		pthread_join(v->thread, NULL);
	v->has_thread = false;
}
