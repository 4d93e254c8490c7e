// SPDX-License-Identifier: MIT
/*
 * Wiring. The order of vm_init is the order that KVM wants (memory slots
 * first, see kvm.h) and vm_fini is its reverse.
 */
#include "machine/vm.h"

#include "devices/virtio/vmmio.h"
#include "lib/cleanup.h"
#include "machine/initramfs.h"
#include "machine/touch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

/* Device index = interrupt input. */
enum { DEVICE_CONSOLE, DEVICE_DISK, NR_DEVICES };

/*
 * Why each word is in kernel-config/README.md, with what it saves. The log
 * level comes first: the early console starts by printing what is there. Left
 * out of what is recommended there is rodata=off: a kernel that cannot write
 * its own text is worth 5 ms of boot.
 */
#define CMDLINE                                                                \
	"%s panic=-1 rcupdate.rcu_expedited=1 percpu_alloc=page "              \
	"slab_max_order=0 initcall_blacklist=slab_late_init,slab_sysfs_init,"  \
	"param_sysfs_builtin_init dhash_entries=4096 ihash_entries=2048 "      \
	"swiotlb=noforce %s"
#define LOG_QUIET   "quiet loglevel=1"
#define LOG_VERBOSE "loglevel=7"

static void send_msi(void *opaque, uint64_t addr, uint32_t data)
{
	const struct vm *vm = opaque;

	kvm_send_msi(&vm->kvm, addr, data);
}

static void reset(void *opaque)
{
	struct vm *vm = opaque;

	vm->ended(vm->opaque, VCPU_RESET, "");
}

static int open_kernel(struct vm *vm, const char *path, struct err *e)
{
	auto_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return err_sys(e, "open kernel '%s'", path);
	if (fstat(fd, &st))
		return err_sys(e, "look at kernel '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(
			e, EINVAL, "open kernel '%s': %s, not a file", path,
			S_ISDIR(st.st_mode) ? "a directory" : "a special file");
	vm->kernel_size = (uint64_t)st.st_size;
	vm->kernel_mtime = st.st_mtime;
	return steal_fd(&fd);
}

/*
 * Huge pages where a boot uses memory in runs (page structs, tables), small
 * ones around the kernel image and at the top, where the initrd lies: there
 * it touches every few pages, and a huge page would be zeroed for little. In a
 * copy both are the template's file.
 */
static void choose_pages(const struct gmem *m)
{
	gpa_t top = m->region[0].len;

	gmem_use_small(m, arch_sparse_start, arch_sparse_end);
	gmem_use_small(m, top - GMEM_HUGE, top);
}

static int load(struct vm *vm, const struct vm_args *args, struct err *e)
{
	char cmdline[512];
	struct arch_boot boot = {
		.kernel = args->kernel,
		.cmdline = cmdline,
		.nr_cpus = args->cpus,
		.nr_devices = NR_DEVICES,
	};
	auto_fd fd = open_kernel(vm, args->kernel, e);
	struct initramfs initramfs;
	unsigned i;
	int r;

	if (fd < 0)
		return fd;
	snprintf(cmdline, sizeof(cmdline), CMDLINE,
		 args->verbose_console ? LOG_VERBOSE : LOG_QUIET, arch_cmdline);
	choose_pages(&vm->mem);
	if (getrandom(boot.rng_seed, sizeof(boot.rng_seed), 0) !=
	    sizeof(boot.rng_seed))
		return err_sys(e, "get random bytes for the guest");
	for (i = 0; i < NR_DEVICES; i++)
		boot.device[i] = (struct arch_device){ arch_device_base(i), i };
	r = initramfs_build(&initramfs, e);
	if (r)
		return r;
	boot.kernel_fd = fd;
	boot.initrd = initramfs.data;
	boot.initrd_len = initramfs.len;
	r = arch_load(&vm->mem, &boot, &vm->entry, e);
	initramfs_fini(&initramfs);
	explicit_bzero(boot.rng_seed, sizeof(boot.rng_seed));
	return r;
}

static void init_devices(struct vm *vm, const struct vm_args *args)
{
	const struct arch_board_args board = {
		.nr_pins = NR_DEVICES,
		.irqchip_tag = vcpu_tag(EXIT_KIND_IRQCHIP),
		.exit_tag = vcpu_tag(EXIT_KIND_ARCH),
		.send_msi = send_msi,
		.reset = reset,
		.opaque = vm,
		.console = args->console_out,
		.console_opaque = args->opaque,
	};
	struct irq_line line;

	vm->board = arch_board_init(vm->board_room, &board);
	line = arch_board_line(vm->board, DEVICE_CONSOLE);
	console_init(&vm->console, &vm->mem, &line, args->port, HUSK_NR_PORTS,
		     args->changed, args->opaque);
	line = arch_board_line(vm->board, DEVICE_DISK);
	blk_init(&vm->blk, &vm->mem, &line, &disk_file_ops, args->disk,
		 args->disk->size / BLK_SECTOR);
	vm->has_devices = true;
}

static int wire_buses(struct vm *vm, struct err *e)
{
	const struct bus_window mmio[] = {
		{ arch_device_base(DEVICE_CONSOLE), ARCH_VIRTIO_LEN,
		  BUS_WIDTH_ANY, vcpu_tag(EXIT_KIND_VIRTIO), &vmmio_bus_ops,
		  &vm->console.vdev },
		{ arch_device_base(DEVICE_DISK), ARCH_VIRTIO_LEN, BUS_WIDTH_ANY,
		  vcpu_tag(EXIT_KIND_VIRTIO), &vmmio_bus_ops, &vm->blk.vdev },
	};
	unsigned i;
	int r = 0;

	for (i = 0; !r && i < sizeof(mmio) / sizeof(mmio[0]); i++)
		r = bus_add(&vm->mmio, &mmio[i], e);
	return r ? r : arch_board_wire(vm->board, &vm->mmio, &vm->ports, e);
}

/* Which processor vCPU `i` is; for a boot, its first registers, too. */
static int init_registers(struct vm *vm, const struct vm_args *args,
			  unsigned i, struct err *e)
{
	const struct template *t = args->template;
	int fd = vm->vcpu[i].fd;

	if (!t)
		return arch_vcpu_init(vm->kvm.fd, fd, i, args->cpus,
				      &vm->entry, e);
	return arch_vcpu_prepare(vm->kvm.vm_fd, fd, i, t->vcpu[i].data,
				 t->vcpu[i].len, e);
}

static int restore_clock(struct vm *vm, const struct template *t,
			 struct err *e)
{
	return arch_clock_restore(vm->kvm.vm_fd, t->clock.data, t->clock.len,
				  e);
}

/* From here on no KVM_RUN but the guest's. */
static int restore_vcpus(struct vm *vm, const struct template *t,
			 struct err *e)
{
	unsigned i;
	int r = 0;

	for (i = 0; !r && i < vm->nr_vcpus; i++)
		r = arch_vcpu_restore(vm->kvm.vm_fd, vm->vcpu[i].fd, i,
				      t->vcpu[i].data, t->vcpu[i].len, e);
	return r ? r : restore_clock(vm, t, e);
}

static int init_vcpus(struct vm *vm, const struct vm_args *args, struct err *e)
{
	unsigned i;
	int r;

	for (i = 0; i < args->cpus; i++) {
		struct vcpu *v = &vm->vcpu[i];

		vm->nr_vcpus = i + 1;
		r = vcpu_init(v, &vm->kvm, i, e);
		if (!r)
			r = init_registers(vm, args, i, e);
		if (r)
			return r;
		v->exits = args->exits[i];
		v->mmio = &vm->mmio;
		v->ports = &vm->ports;
		v->ended = args->ended;
		v->served = args->served;
		v->opaque = args->opaque;
	}
	return 0;
}

static int load_devices(struct vm *vm, const struct template *t,
			struct err *e)
{
	struct unpack console, disk, board;

	unpack_init(&console, t->console.data, t->console.len);
	unpack_init(&disk, t->disk.data, t->disk.len);
	unpack_init(&board, t->board.data, t->board.len);
	if (console_load(&vm->console, &console) ||
	    vdev_load(&vm->blk.vdev, &disk) ||
	    arch_board_load(vm->board, &board) || !unpack_is_done(&console) ||
	    !unpack_is_done(&disk) || !unpack_is_done(&board))
		return err_set(e, EINVAL,
			       "use the template: the state of its devices is "
			       "damaged (make it again)");
	return 0;
}

static int check_vcpus(const struct vm *vm, const struct template *t,
		       struct err *e)
{
	struct arch_state state[ARCH_MAX_CPUS];
	unsigned i;

	for (i = 0; i < t->nr_vcpus; i++)
		state[i] = (struct arch_state){ t->vcpu[i].data,
						t->vcpu[i].len };
	return arch_vcpu_check(vm->kvm.fd, state, t->nr_vcpus, e);
}

/* Guest memory: what a boot starts from, or what the template holds. */
static int fill_memory(struct vm *vm, const struct vm_args *args,
		       struct err *e)
{
	int r;

	if (!args->template)
		return load(vm, args, e);
	r = check_vcpus(vm, args->template, e);
	if (r)
		return r;
	vm->restored = true;
	return template_map(args->template, &vm->mem, e);
}

int vm_rewind(struct vm *vm, const struct template *t, struct err *e)
{
	unsigned i;
	int r = 0;

	for (i = 0; !r && i < vm->nr_vcpus; i++)
		r = arch_vcpu_rewind(vm->vcpu[i].fd, i, t->vcpu[i].data,
				     t->vcpu[i].len, e);
	return r ? r : restore_clock(vm, t, e);
}

int vm_init(struct vm *vm, const struct vm_args *args, struct err *e)
{
	int r;

	vm->kvm.fd = vm->kvm.vm_fd = -1;
	vm->ended = args->ended;
	vm->opaque = args->opaque;
	r = kvm_open(&vm->kvm, e);
	if (!r)
		r = gmem_init(&vm->mem, args->memory, arch_hole_start,
			      arch_hole_end, e);
	if (!r)
		r = fill_memory(vm, args, e);
	if (!r)
		r = kvm_create_vm(&vm->kvm, &vm->mem, NR_DEVICES, e);
	if (r)
		return r;
	init_devices(vm, args);
	r = wire_buses(vm, e);
	if (!r && args->template)
		r = load_devices(vm, args->template, e);
	if (!r)
		r = init_vcpus(vm, args, e);
	if (!r && args->touch)
		vm->waiting = args->template;
	else if (!r && args->template)
		r = restore_vcpus(vm, args->template, e);
	return r;
}

/*
 * What a waiting machine has of its own is at most 1 MiB: so many pages of its
 * guest, and what husk has. Warm processes are larger than init.
 */
#define OWN_PAGES      208u
#define OWN_PAGES_WARM 1024u

/* While nobody waits for this machine; then the vCPUs get their state. */
static int touch(struct vm *vm, struct err *e)
{
	const struct template *t = vm->waiting;
	struct vcpu *v = &vm->vcpu[0];

	vm->waiting = NULL;
	template_prefault(t, &vm->mem,
			  t->id.warm ? OWN_PAGES_WARM : OWN_PAGES);
	vm->untouched.code = 0;
	if (arch_touch_prepare(v->fd, t->vcpu[0].data, t->vcpu[0].len,
			       &vm->untouched) ||
	    touch_pages(v, &vm->mem, t, &vm->untouched))
		err_prefix(&vm->untouched, "touch pages of a waiting machine, "
			   "whose jobs start slower without: ");
	return restore_vcpus(vm, t, e);
}

int vm_park(struct vm *vm, const struct jail *jail, struct err *e)
{
	unsigned i;
	int r;

	if (vm->nr_vcpus && vm->vcpu[0].has_thread)
		return 0;
	r = vcpu_prepare_signals(e);
	for (i = 0; !r && i < vm->nr_vcpus; i++) {
		vm->vcpu[i].jail = jail;
		r = vcpu_start(&vm->vcpu[i], e);
	}
	for (i = 0; !r && i < vm->nr_vcpus; i++)
		r = vcpu_wait_parked(&vm->vcpu[i], e);
	if (!r && vm->waiting)
		r = touch(vm, e);
	for (i = 0; !r && vm->restored && i < vm->nr_vcpus; i++)
		r = arch_vcpu_resume(vm->vcpu[i].fd, e);
	return r;
}

int vm_start(struct vm *vm, struct err *e)
{
	int r = vm_park(vm, NULL, e);
	unsigned i;

	for (i = 0; !r && i < vm->nr_vcpus; i++)
		vcpu_go(&vm->vcpu[i]);
	return r;
}

int vm_pause(struct vm *vm, struct err *e)
{
	unsigned i;
	int r = 0;

	for (i = 0; i < vm->nr_vcpus; i++)
		vcpu_kick(&vm->vcpu[i], VCPU_PARK);
	for (i = 0; i < vm->nr_vcpus; i++)
		r = vcpu_wait_parked(&vm->vcpu[i], e);
	return r;
}

void vm_stop(struct vm *vm)
{
	unsigned i;

	if (vm->has_devices)
		vdev_leave(&vm->blk.vdev);
	for (i = 0; i < vm->nr_vcpus; i++)
		vcpu_kick(&vm->vcpu[i], VCPU_QUIT);
	for (i = 0; i < vm->nr_vcpus; i++)
		vcpu_join(&vm->vcpu[i]);
}

void vm_fini(struct vm *vm)
{
	unsigned i;

	vm_stop(vm);
	for (i = 0; i < vm->nr_vcpus; i++)
		vcpu_fini(&vm->vcpu[i]);
	vm->nr_vcpus = 0;
	if (vm->has_devices) {
		blk_fini(&vm->blk);
		console_fini(&vm->console);
		arch_board_fini(vm->board);
	}
	vm->has_devices = false;
	free(vm->fresh);
	vm->fresh = NULL;
	kvm_fini(&vm->kvm);
	gmem_fini(&vm->mem);
}

bool vm_is_idle(const struct vm *vm)
{
	unsigned i;

	for (i = 0; i < vm->nr_vcpus; i++)
		if (!arch_vcpu_is_idle(vm->vcpu[i].fd))
			return false;
	return true;
}

uint64_t vm_timer(const struct vm *vm)
{
	uint64_t least = UINT64_MAX, ns;
	unsigned i;

	for (i = 0; i < vm->nr_vcpus; i++) {
		ns = arch_vcpu_timer(vm->vcpu[i].fd);
		if (ns < least)
			least = ns;
	}
	return least;
}

/* Finish what was packed: its bytes, or none when they did not fit. */
static struct template_bytes packed(const struct pack *p, struct err *e)
{
	if (p->failed)
		err_set(e, E2BIG, "save the machine: too much state");
	return (struct template_bytes){ p->buf, p->failed ? 0 : p->len };
}

static int save_devices(const struct vm *vm, struct vm_state *buf,
			struct template_source *s, struct err *e)
{
	struct pack p;

	e->code = 0;
	pack_init(&p, buf->console, sizeof(buf->console));
	console_save(&vm->console, &p);
	s->console = packed(&p, e);
	pack_init(&p, buf->disk, sizeof(buf->disk));
	vdev_save(&vm->blk.vdev, &p);
	s->disk = packed(&p, e);
	pack_init(&p, buf->board, sizeof(buf->board));
	arch_board_save(vm->board, &p);
	s->board = packed(&p, e);
	return -e->code;
}

int vm_prepare_save(struct vm *vm, struct err *e)
{
	vm->fresh = arch_fresh_ask(vm->kvm.fd, vm->vcpu[0].fd, e);
	return vm->fresh ? 0 : -e->code;
}

int vm_save(struct vm *vm, struct vm_state *buf, struct template_source *s,
	    struct err *e)
{
	unsigned i;
	int r = save_devices(vm, buf, s, e);

	s->mem = &vm->mem;
	for (i = 0; !r && i < vm->nr_vcpus; i++) {
		s->vcpu[i].data = buf->vcpu[i];
		r = vcpu_settle(&vm->vcpu[i], e);
		if (!r)
			r = arch_vcpu_save(vm->fresh, vm->kvm.vm_fd,
					   vm->vcpu[i].fd, buf->vcpu[i],
					   &s->vcpu[i].len, e);
	}
	s->clock.data = buf->clock;
	if (!r)
		r = arch_clock_save(vm->kvm.vm_fd, buf->clock, &s->clock.len,
				    e);
	return r;
}

void vm_read_counter(const struct vm *vm, uint64_t *counter, uint64_t *khz)
{
	if (arch_vcpu_counter(vm->vcpu[0].fd, counter, khz))
		*counter = *khz = 0;
}
