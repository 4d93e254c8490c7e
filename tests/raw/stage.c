// SPDX-License-Identifier: MIT
/*
 * See stage.h. The peak is VmHWM, set back before each case by way of
 * clear_refs; a machine that is gone has given its memory back, so what the
 * process had then is what it has without guests.
 */
#include "stage.h"

#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_mmio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define HAS_RUN 0x1234u

static uint64_t base;

/* Bytes that /proc/self/status tells under this name. */
static uint64_t memory(const char *name)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/self/status", "re");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			sscanf(line + strlen(name), ": %llu", &kib);
	fclose(f);
	assert_true(kib > 0);
	return kib << 10;
}

static void forget_peak(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "5", 1), 1);
	close(fd);
}

static int open_with(void **state, unsigned cpus)
{
	struct machine *m = malloc(sizeof(*m));

	assert_non_null(m);
	forget_peak();
	base = memory("VmRSS");
	machine_init(m, cpus);
	*state = m;
	return 0;
}

int stage_open(void **state)
{
	return open_with(state, 1);
}

/* Nothing begins before the second vCPU has been through its list once. */
int stage_open_2(void **state)
{
	open_with(state, 2);
	machine_do(*state, RAW_WAIT16, STAGE_FLAG, HAS_RUN);
	return 0;
}

/* The next job: a sector comes, a line goes out. */
static void check_next(struct machine *m)
{
	static const char line[] = "next\n";
	const struct mockbuf out = { STAGE_BUF + 512, sizeof(line) - 1, false };
	unsigned disk, console;

	machine_init(m, 1);
	stage_do_disk(m, 8);
	stage_put_request(m, VIRTIO_BLK_T_IN, 77, 512);
	machine_do_kick(m, RAW_DISK, 0);
	disk = stage_do_status(m, RAW_DISK);
	stage_do_console(m);
	memcpy(machine_ptr(m, out.gpa, out.len), line, out.len);
	mockring_add(&m->ring[5], &out, 1);
	machine_do_kick(m, RAW_CONSOLE, 5);
	console = stage_do_status(m, RAW_CONSOLE);
	stage_run(m);
	stage_check_sound(m, disk);
	stage_check_sound(m, console);
	assert_int_equal(stage_request_status(m), VIRTIO_BLK_S_OK);
	assert_int_equal(m->nr_taken, out.len);
	assert_memory_equal(m->taken, line, out.len);
	machine_fini(m);
}

int stage_close(void **state)
{
	struct machine *m = *state;
	uint64_t peak = memory("VmHWM");

	machine_fini(m);
	if (peak > base + STAGE_PEAK)
		fail_msg("peak of %llu KiB, %llu before",
			 (unsigned long long)peak >> 10,
			 (unsigned long long)base >> 10);
	check_next(m);
	free(m);
	return 0;
}

/* ---- pieces ---- */

unsigned stage_do_status(struct machine *m, unsigned index)
{
	return machine_do(m, RAW_READ32, machine_reg(index, VIRTIO_MMIO_STATUS),
			  0);
}

void stage_run(struct machine *m)
{
	machine_do_reset(m);
	assert_int_equal(machine_run(m), VCPU_RESET);
}

void stage_check_broken(struct machine *m, unsigned answer)
{
	assert_true(machine_answer(m, answer) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

void stage_check_sound(struct machine *m, unsigned answer)
{
	assert_int_equal(machine_answer(m, answer) &
				 (VIRTIO_CONFIG_S_NEEDS_RESET |
				  VIRTIO_CONFIG_S_DRIVER_OK),
			 VIRTIO_CONFIG_S_DRIVER_OK);
}

void stage_put_request(struct machine *m, uint32_t type, uint64_t sector,
		       uint32_t len)
{
	const struct virtio_blk_outhdr h = { .type = type, .sector = sector };
	const struct mockbuf b[] = {
		{ STAGE_HEADER, sizeof(h), false },
		{ STAGE_BUF, len, true },
		{ STAGE_STATUS, 1, true },
	};

	memcpy(machine_ptr(m, STAGE_HEADER, sizeof(h)), &h, sizeof(h));
	*(uint8_t *)machine_ptr(m, STAGE_STATUS, 1) = 0xee;
	mockring_add(&m->ring[0], b, 3);
}

uint8_t stage_request_status(struct machine *m)
{
	return *(uint8_t *)machine_ptr(m, STAGE_STATUS, 1);
}

void stage_do_disk(struct machine *m, uint16_t size)
{
	machine_do_driver(m, RAW_DISK, &size, 1);
}

static void do_message(struct machine *m, uint32_t id, uint16_t event,
		       unsigned slot)
{
	const struct virtio_console_control c = { id, event, 1 };
	const struct mockbuf b = { STAGE_MSG + 16 * slot, sizeof(c), false };

	memcpy(machine_ptr(m, b.gpa, sizeof(c)), &c, sizeof(c));
	mockring_add(&m->ring[3], &b, 1);
	machine_do_kick(m, RAW_CONSOLE, 3);
}

void stage_do_console(struct machine *m)
{
	static const uint16_t queues[] = { 8, 8, 8, 8, 8, 8 };

	machine_do_driver(m, RAW_CONSOLE, queues, 6);
	do_message(m, 0, VIRTIO_CONSOLE_DEVICE_READY, 0);
	do_message(m, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	do_message(m, 1, VIRTIO_CONSOLE_PORT_OPEN, 2);
}

uint32_t stage_noise(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* ---- the second vCPU ---- */

void stage_do_2(struct machine *m, unsigned i, uint64_t op, uint64_t at,
		uint64_t val)
{
	const struct command c = { op, at, val };
	gpa_t gpa = STAGE_LIST_2 + i * sizeof(c);

	memcpy(machine_ptr(m, gpa, sizeof(c)), &c, sizeof(c));
}

void stage_loop_2(struct machine *m, unsigned i)
{
	stage_do_2(m, i, RAW_WRITE16, STAGE_FLAG, HAS_RUN);
	stage_do_2(m, i + 1, RAW_JUMP, STAGE_LIST_2, 0);
}

/* In the mode of the first, at the interpreter, with the other list. */
void stage_start_2(struct machine *m)
{
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_RUNNABLE };
	int from = m->vm.vcpu[0].fd, to = m->vm.vcpu[1].fd;
	struct kvm_sregs s, own;
	struct kvm_regs r;

	assert_int_equal(ioctl(from, KVM_GET_SREGS, &s), 0);
	assert_int_equal(ioctl(to, KVM_GET_SREGS, &own), 0);
	assert_int_equal(ioctl(from, KVM_GET_REGS, &r), 0);
	s.apic_base = own.apic_base;
	r.rip = RAW_KERNEL + (uint64_t)(guest_next - guest_start);
	r.rsi = STAGE_LIST_2;
	assert_int_equal(ioctl(to, KVM_SET_SREGS, &s), 0);
	assert_int_equal(ioctl(to, KVM_SET_REGS, &r), 0);
	assert_int_equal(ioctl(to, KVM_SET_MP_STATE, &mp), 0);
}
