/* SPDX-License-Identifier: MIT */
/*
 * The machine: guest memory, buses, devices, vCPUs, wired together. The only
 * module that names every device, but those of the architecture (arch.h). It
 * knows nothing of verdicts: it runs what it was given and says when it stopped
 * by itself.
 *
 * Life: vm_init, (vm_park), vm_start, (vm_pause, vm_stop), vm_fini, which
 * accepts any half-built machine and is idempotent.
 */
#ifndef HUSK_VM_H
#define HUSK_VM_H

#include "arch/arch.h"
#include "backends/disk.h"
#include "core/bus.h"
#include "core/gmem.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/console.h"
#include "husk/proto.h"
#include "machine/kvm.h"
#include "machine/vcpu.h"
#include "template/template.h"

/* What it is made of; all borrowed and outliving the machine. */
struct vm_args {
	uint64_t memory;
	unsigned cpus;
	exit_counts *exits;		/* borrowed, `cpus` of them */
	const char *kernel;		/* path of a vmlinux */
	struct disk *disk;		/* open */
	const struct template *template; /* NULL: boot the kernel */
	bool touch;			/* its pages, in vm_park */
	bool verbose_console;		/* the whole kernel log, not its end */
	struct console_port_config port[HUSK_NR_PORTS];
	/* A port may have work; from within it, with its device locked. */
	void (*changed)(void *opaque);
	/* A vCPU's thread: an exit was served, nothing is locked; or NULL. */
	void (*served)(void *opaque);
	/* A vCPU's thread, once per vCPU: the guest cannot go on. */
	void (*ended)(void *opaque, enum vcpu_end end, const char *text);
	void (*console_out)(void *opaque, const char *buf, size_t len);
	void *opaque;
};

struct vm {
	struct gmem mem;
	struct kvm kvm;
	struct bus mmio, ports;
	struct arch_board *board;	/* in board_room */
	struct console console;
	struct blk blk;
	bool has_devices;
	unsigned nr_vcpus;
	struct arch_entry entry;
	uint64_t kernel_size;		/* bytes of the kernel file */
	int64_t kernel_mtime;
	bool restored;			/* from a template */
	const struct template *waiting;	/* whose state comes in vm_park */
	struct err untouched;		/* why not; code 0: nothing was amiss */
	struct arch_fresh *fresh;	/* owned; what vm_save compares with */
	void (*ended)(void *opaque, enum vcpu_end end, const char *text);
	void *opaque;
	/* Last, since only their first parts are ever touched. */
	struct vcpu vcpu[ARCH_MAX_CPUS];
	_Alignas(64) unsigned char board_room[ARCH_BOARD_MAX];
};

/* *vm is zeros. */
int vm_init(struct vm *vm, const struct vm_args *args, struct err *e);

/*
 * Make the vCPUs' threads, which seal themselves in `jail` (NULL: none) and
 * wait. Nothing happens when they are there.
 */
int vm_park(struct vm *vm, const struct jail *jail, struct err *e);

/*
 * A restored guest that has waited to run does not notice: its time goes on
 * from the template's. Otherwise all its timers would be late, and the first
 * that it does.
 */
int vm_rewind(struct vm *vm, const struct template *t, struct err *e);

/* Let the guest run; the threads are made when they aren't there. */
int vm_start(struct vm *vm, struct err *e);

/* Take every vCPU out of the guest; vm_start lets it go on. */
int vm_pause(struct vm *vm, struct err *e);

/* The same, and end the threads. */
void vm_stop(struct vm *vm);
void vm_fini(struct vm *vm);

/* The bytes of a machine's state, beside its memory. */
struct vm_state {
	uint8_t console[TEMPLATE_DEVICE_MAX];
	uint8_t disk[TEMPLATE_DEVICE_MAX];
	uint8_t board[TEMPLATE_DEVICE_MAX];
	uint8_t clock[ARCH_CLOCK_STATE_MAX];
	uint8_t vcpu[ARCH_MAX_CPUS][ARCH_VCPU_STATE_MAX];
};

/* Before it runs, and while /dev/kvm is open: ask for what vm_save needs. */
int vm_prepare_save(struct vm *vm, struct err *e);

/* Do all vCPUs of a stopped machine wait for an interrupt? */
bool vm_is_idle(const struct vm *vm);

/* And the ns until the first of their timers fires, as arch_vcpu_timer. */
uint64_t vm_timer(const struct vm *vm);

/*
 * Collect the state of a stopped machine into *buf and point *s at it. The
 * machine may be started again after.
 */
int vm_save(struct vm *vm, struct vm_state *buf, struct template_source *s,
	    struct err *e);

/*
 * The cycle counter of a machine that does not run, as the guest would read
 * it now, and its rate; both 0 when that is not known.
 */
void vm_read_counter(const struct vm *vm, uint64_t *counter, uint64_t *khz);

#endif
