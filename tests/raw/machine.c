// SPDX-License-Identifier: MIT
/*
 * See machine.h. The kernel file is made anew for each machine in memory; the
 * texts in it are those which arch/x86_64/needs.c looks for.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine.h"

#include "arch/arch.h"

#include <elf.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Far beyond what anything here takes: a hang, not a speed limit. */
#define HANG_S 120

#define DISK_SECTORS 2048u
#define PDPT	     0x2000u
#define PTE_TABLE    3u
#define PTE_LARGE    0x83u

extern const char guest_ap_start[], guest_ap_end[];

static const char texts[] =
	"Linux version \0intel,ce4100-ioapic\0kvm-clock\0virtio,mmio\0"
	"virtio-ports\0virtio_blk\0Initramfs unpacking failed\0EXT4-fs (\0"
	"devtmpfs: initialized";

/* ---- what it is made of ---- */

static int make_kernel(void)
{
	size_t code = (size_t)(guest_end - guest_start);
	struct {
		Elf64_Ehdr h;
		Elf64_Phdr p;
	} f = {
		.h = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64,
				     ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_entry = RAW_KERNEL,
			.e_phoff = sizeof(Elf64_Ehdr),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 1,
		},
		.p = {
			.p_type = PT_LOAD,
			.p_offset = sizeof(f),
			.p_paddr = RAW_KERNEL,
			.p_filesz = code + sizeof(texts),
			.p_memsz = code + sizeof(texts),
		},
	};
	int fd = memfd_create("kernel", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, &f, sizeof(f)), sizeof(f));
	assert_int_equal(write(fd, guest_start, code), code);
	assert_int_equal(write(fd, texts, sizeof(texts)), sizeof(texts));
	return fd;
}

/* Sector n is filled with the byte n. */
static int make_disk(void)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	char buf[BLK_SECTOR];
	unsigned i;

	assert_true(fd >= 0);
	for (i = 0; i < DISK_SECTORS; i++) {
		memset(buf, (int)(i & 0xff), sizeof(buf));
		assert_int_equal(write(fd, buf, sizeof(buf)), sizeof(buf));
	}
	return fd;
}

static void on_changed(void *opaque)
{
	(void)opaque;
}

static void on_end(void *opaque, enum vcpu_end end, const char *text)
{
	struct machine *m = opaque;

	pthread_mutex_lock(&m->lock);
	m->nr_ends++;
	if (!m->has_ended) {
		m->end = end;
		snprintf(m->text, sizeof(m->text), "%s", text);
	}
	m->has_ended = true;
	pthread_cond_signal(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

static ssize_t port_take(void *be, const struct iovec *iov, unsigned nr,
			 size_t len)
{
	struct machine *m = be;
	unsigned i;

	(void)len;
	for (i = 0; i < nr; i++) {
		size_t n = iov[i].iov_len;

		if (n > sizeof(m->taken) - m->nr_taken)
			n = sizeof(m->taken) - m->nr_taken;
		memcpy(m->taken + m->nr_taken, iov[i].iov_base, n);
		m->nr_taken += n;
	}
	return (ssize_t)len;
}

static ssize_t port_give(void *be, const struct iovec *iov, unsigned nr)
{
	(void)be;
	(void)iov;
	(void)nr;
	return -EAGAIN;
}

static const struct port_ops port_ops = { port_take, port_give, NULL };

/* The loader maps what the kernel needs; the devices' GiB comes on top. */
static void map_devices(struct machine *m)
{
	uint64_t *pd = machine_ptr(m, RAW_PD, GMEM_PAGE);
	uint64_t *pdpt = machine_ptr(m, PDPT, GMEM_PAGE);
	unsigned i;

	for (i = 0; i < 512; i++)
		pd[i] = (3ull << 30) + ((uint64_t)i << 21) + PTE_LARGE;
	pdpt[3] = RAW_PD | PTE_TABLE;
}

void machine_init(struct machine *m, unsigned cpus)
{
	static const char *const names[HUSK_NR_PORTS] = HUSK_PORT_NAMES;
	struct vm_args args = {
		.memory = RAW_MEMORY,
		.cpus = cpus,
		.exits = m->exits,
		.disk = &m->disk,
		.changed = on_changed,
		.ended = on_end,
		.opaque = m,
	};
	int fd = make_kernel();
	struct err e = { 0 };
	char path[32];
	unsigned i;

	memset(m, 0, sizeof(*m));
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->changed, NULL);
	m->next_ring = RAW_RINGS;
	m->disk = (struct disk){ .fd = make_disk(),
				 .size = DISK_SECTORS * BLK_SECTOR };
	for (i = 0; i < HUSK_NR_PORTS; i++)
		args.port[i] = (struct console_port_config){
			names[i], &port_ops, m, 8, 8
		};
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	args.kernel = path;
	if (vm_init(&m->vm, &args, &e))
		fail_msg("%s", e.msg);
	close(fd);
	map_devices(m);
	memcpy(machine_ptr(m, RAW_AP, 64), guest_ap_start,
	       (size_t)(guest_ap_end - guest_ap_start));
}

void machine_fini(struct machine *m)
{
	vm_fini(&m->vm);
	vm_fini(&m->vm);
	disk_close(&m->disk);
	pthread_cond_destroy(&m->changed);
	pthread_mutex_destroy(&m->lock);
}

int machine_set_up(void **state)
{
	machine_init(*state, 1);
	return 0;
}

int machine_tear_down(void **state)
{
	machine_fini(*state);
	return 0;
}

void *machine_ptr(struct machine *m, gpa_t gpa, uint64_t len)
{
	void *p = gmem_ptr(&m->vm.mem, gpa, len);

	assert_non_null(p);
	return p;
}

uint64_t machine_exits(struct machine *m, enum exit_kind kind)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < CONFIG_CPUS_MAX; i++)
		sum += m->exits[i][kind];
	return sum;
}

/* ---- the list ---- */

static struct command *command(struct machine *m, unsigned i)
{
	return machine_ptr(m, RAW_LIST + i * sizeof(struct command),
			   sizeof(struct command));
}

unsigned machine_do(struct machine *m, uint64_t op, uint64_t at, uint64_t val)
{
	assert_true(m->nr_commands < 80000);
	*command(m, m->nr_commands) = (struct command){ op, at, val };
	return m->nr_commands++;
}

uint64_t machine_answer(struct machine *m, unsigned i)
{
	return command(m, i)->val;
}

void machine_do_reset(struct machine *m)
{
	machine_do(m, RAW_OUT8, 0x64, 0xfe);
	machine_do(m, RAW_HALT, 0, 0);
}

uint64_t machine_reg(unsigned index, uint32_t off)
{
	return arch_device_base(index) + off;
}

static void do_reg(struct machine *m, unsigned index, uint32_t off,
		   uint32_t val)
{
	machine_do(m, RAW_WRITE32, machine_reg(index, off), val);
}

static void do_queue(struct machine *m, unsigned index, unsigned q,
		     uint16_t size)
{
	struct mockring *r = &m->ring[q];

	m->next_ring = mockring_init(r, &m->vm.mem, m->next_ring, size);
	if (m->low_rings) {
		r->avail = RAW_LOW_AVAIL;
		r->used = RAW_LOW_USED;
	}
	do_reg(m, index, VIRTIO_MMIO_QUEUE_SEL, q);
	do_reg(m, index, VIRTIO_MMIO_QUEUE_NUM, size);
	do_reg(m, index, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)r->desc);
	do_reg(m, index, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)r->avail);
	do_reg(m, index, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)r->used);
	do_reg(m, index, VIRTIO_MMIO_QUEUE_READY, 1);
}

void machine_do_driver(struct machine *m, unsigned index,
		       const uint16_t *sizes, unsigned nr)
{
	const uint32_t ok = VIRTIO_CONFIG_S_ACKNOWLEDGE |
			    VIRTIO_CONFIG_S_DRIVER |
			    VIRTIO_CONFIG_S_FEATURES_OK;
	unsigned i;

	do_reg(m, index, VIRTIO_MMIO_STATUS, 0);
	do_reg(m, index, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	/* VERSION_1 and, of the console, MULTIPORT. */
	do_reg(m, index, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	do_reg(m, index, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	do_reg(m, index, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	do_reg(m, index, VIRTIO_MMIO_DRIVER_FEATURES,
	       index == RAW_CONSOLE ? 2 : 0);
	do_reg(m, index, VIRTIO_MMIO_STATUS, ok);
	for (i = 0; i < nr; i++)
		if (sizes[i])
			do_queue(m, index, i, sizes[i]);
	do_reg(m, index, VIRTIO_MMIO_STATUS, ok | VIRTIO_CONFIG_S_DRIVER_OK);
}

void machine_do_kick(struct machine *m, unsigned index, unsigned queue)
{
	do_reg(m, index, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

/* ---- running ---- */

void machine_start(struct machine *m)
{
	struct err e = { 0 };

	if (vm_start(&m->vm, &e))
		fail_msg("%s", e.msg);
}

enum vcpu_end machine_run(struct machine *m)
{
	struct timespec limit;
	int r = 0;

	machine_start(m);
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += HANG_S;
	pthread_mutex_lock(&m->lock);
	while (!m->has_ended && !r)
		r = pthread_cond_timedwait(&m->changed, &m->lock, &limit);
	pthread_mutex_unlock(&m->lock);
	vm_stop(&m->vm);
	if (r)
		fail_msg("the guest did not end");
	return m->end;
}

bool machine_has_ended(struct machine *m)
{
	bool has;

	pthread_mutex_lock(&m->lock);
	has = m->has_ended;
	pthread_mutex_unlock(&m->lock);
	return has;
}

void machine_nap(void)
{
	const struct timespec tick = { 0, 1000000 };

	nanosleep(&tick, NULL);
}

void machine_wait16(struct machine *m, gpa_t at, uint16_t val)
{
	uint16_t *p = machine_ptr(m, at, sizeof(*p));
	unsigned i;

	for (i = 0; __atomic_load_n(p, __ATOMIC_ACQUIRE) != val; i++) {
		if (i == HANG_S * 1000)
			fail_msg("the guest did not come that far");
		machine_nap();
	}
}
