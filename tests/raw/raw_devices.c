// SPDX-License-Identifier: MIT
/*
 * Each device once from a real vCPU, honest and hostile: requests are served
 * on the exit that kicks, an interrupt reaches the local APIC, broken rings
 * break their device and nothing else, and a guest whose second vCPU feeds a
 * queue for ever is stopped like any other.
 *
 * Interrupts stay off in the guest: what arrived is read out of its local
 * APIC's request register, so no handler is needed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "arch/x86_64/layout.h"
#include "stage.h"

/* x2APIC registers by MSR number; xAPIC has them in the page. */
#define MSR_APIC_BASE  0x1b
#define APIC_BASE_ON   0xfee00d00 /* on, x2APIC, first CPU */
#define MSR_X2_SPURIOUS 0x80f
#define MSR_X2_IRR_32  0x821	  /* requests 32 to 63 */
#define MSR_X2_ICR     0x830
#define VECTOR	       0x31u

static struct machine m;

static void reads_a_sector(void **state)
{
	unsigned isr, after;
	uint16_t head;
	uint32_t len;

	(void)state;
	stage_do_disk(&m, 8);
	stage_put_request(&m, VIRTIO_BLK_T_IN, 77, 1024);
	machine_do_kick(&m, RAW_DISK, 0);
	isr = machine_do(&m, RAW_READ32,
			 machine_reg(RAW_DISK, VIRTIO_MMIO_INTERRUPT_STATUS),
			 0);
	machine_do(&m, RAW_WRITE32,
		   machine_reg(RAW_DISK, VIRTIO_MMIO_INTERRUPT_ACK), 1);
	after = machine_do(&m, RAW_READ32,
			   machine_reg(RAW_DISK, VIRTIO_MMIO_INTERRUPT_STATUS),
			   7);
	stage_run(&m);
	assert_int_equal(machine_answer(&m, isr), VIRTIO_MMIO_INT_VRING);
	assert_int_equal(machine_answer(&m, after), 0);
	assert_true(mockring_collect(&m.ring[0], &head, &len));
	assert_int_equal(len, 1025);
	assert_int_equal(stage_request_status(&m), 0);
	assert_int_equal(*(uint8_t *)machine_ptr(&m, STAGE_BUF, 1), 77);
	assert_int_equal(*(uint8_t *)machine_ptr(&m, STAGE_BUF + 1023, 1), 78);
	assert_int_equal(machine_exits(&m, EXIT_KIND_NOTIFY), 1);
}

static void never_writes_to_the_image(void **state)
{
	char buf[512];

	(void)state;
	stage_do_disk(&m, 8);
	stage_put_request(&m, VIRTIO_BLK_T_OUT, 3, 512);
	machine_do_kick(&m, RAW_DISK, 0);
	stage_run(&m);
	assert_int_equal(stage_request_status(&m), VIRTIO_BLK_S_IOERR);
	assert_int_equal(pread(m.disk.fd, buf, 512, 3 * 512), 512);
	assert_int_equal(buf[0], 3);
}

/* ---- interrupts ---- */

static void do_apic_on(void)
{
	machine_do(&m, RAW_WRMSR, MSR_APIC_BASE, APIC_BASE_ON);
	machine_do(&m, RAW_WRMSR, MSR_X2_SPURIOUS, 0x1ff);
}

static void do_ioapic(unsigned pin, uint32_t entry)
{
	machine_do(&m, RAW_WRITE32, LAYOUT_IOAPIC, 0x10 + 2 * pin);
	machine_do(&m, RAW_WRITE32, LAYOUT_IOAPIC + 0x10, entry);
}

static void an_interrupt_reaches_the_apic(void **state)
{
	unsigned before, masked, after;

	(void)state;
	do_apic_on();
	stage_do_disk(&m, 8);
	before = machine_do(&m, RAW_RDMSR, MSR_X2_IRR_32, 7);
	stage_put_request(&m, VIRTIO_BLK_T_IN, 0, 512);
	machine_do_kick(&m, RAW_DISK, 0);
	/* The input is masked until now; the edge was kept. */
	masked = machine_do(&m, RAW_RDMSR, MSR_X2_IRR_32, 7);
	do_ioapic(RAW_DISK, VECTOR);
	after = machine_do(&m, RAW_RDMSR, MSR_X2_IRR_32, 7);
	stage_run(&m);
	assert_int_equal(machine_answer(&m, before), 0);
	assert_int_equal(machine_answer(&m, masked), 0);
	assert_int_equal(machine_answer(&m, after), 1u << (VECTOR - 32));
}

static void edges_go_to_their_vector(void **state)
{
	unsigned irr;

	(void)state;
	do_apic_on();
	do_ioapic(RAW_CONSOLE, VECTOR + 1);
	do_ioapic(RAW_DISK, VECTOR);
	stage_do_disk(&m, 8);
	stage_put_request(&m, VIRTIO_BLK_T_IN, 0, 512);
	machine_do_kick(&m, RAW_DISK, 0);
	irr = machine_do(&m, RAW_RDMSR, MSR_X2_IRR_32, 7);
	stage_run(&m);
	assert_int_equal(machine_answer(&m, irr), 1u << (VECTOR - 32));
}

/* Vectors, modes and destinations of no meaning are the guest's loss. */
static void entries_of_nonsense(void **state)
{
	unsigned i;

	(void)state;
	stage_do_disk(&m, 8);
	stage_put_request(&m, VIRTIO_BLK_T_IN, 0, 512);
	machine_do_kick(&m, RAW_DISK, 0);
	for (i = 0; i < 64; i++) {
		/* Each delivery mode but INIT, which stops the vCPU. */
		uint32_t mode = i % 8 == 5 ? 0 : i % 8;

		machine_do(&m, RAW_WRITE32, LAYOUT_IOAPIC,
			   0x11 + 2 * RAW_DISK);
		machine_do(&m, RAW_WRITE32, LAYOUT_IOAPIC + 0x10,
			   0x10000000u * (i % 16));
		do_ioapic(RAW_DISK, 0x10000);
		machine_do(&m, RAW_WRITE32,
			   machine_reg(RAW_DISK, VIRTIO_MMIO_INTERRUPT_ACK), 1);
		/* The same request again: an edge on the masked pin. */
		machine_do(&m, RAW_WRITE16, m.ring[0].avail + 2, i + 2);
		machine_do(&m, RAW_WRITE32,
			   machine_reg(RAW_DISK, VIRTIO_MMIO_QUEUE_NOTIFY), 0);
		/* NMI, SMI and ExtINT would be taken: no one is there. */
		if (mode == 2 || mode == 4 || mode == 7)
			mode = 3;
		do_ioapic(RAW_DISK, i * 7 | mode << 8 | (i & 1) << 11);
	}
	stage_run(&m);
}

/* ---- the console ---- */

static void writes_to_a_port(void **state)
{
	static const char text[] = "a line of output\n";
	const struct mockbuf out = { STAGE_BUF, sizeof(text) - 1, false };
	const struct mockbuf in = { STAGE_BUF + 0x1000, 64, true };
	struct virtio_console_control c;
	uint16_t head;
	uint32_t len;

	(void)state;
	stage_do_console(&m);
	mockring_add(&m.ring[2], &in, 1);
	memcpy(machine_ptr(&m, STAGE_BUF, sizeof(text)), text, sizeof(text));
	mockring_add(&m.ring[5], &out, 1);
	machine_do_kick(&m, RAW_CONSOLE, 5);
	stage_run(&m);
	assert_int_equal(m.nr_taken, sizeof(text) - 1);
	assert_memory_equal(m.taken, text, sizeof(text) - 1);
	assert_true(console_is_drained(&m.vm.console, 1));
	/* The one buffer for messages has the first of them. */
	assert_true(mockring_collect(&m.ring[2], &head, &len));
	assert_int_equal(len, sizeof(c));
	memcpy(&c, machine_ptr(&m, in.gpa, sizeof(c)), sizeof(c));
	assert_int_equal(c.id, 0);
	assert_int_equal(c.event, VIRTIO_CONSOLE_PORT_ADD);
}

/* ---- hostile rings ---- */

static void broken_rings_break_their_device(void **state)
{
	unsigned disk, console, again;

	(void)state;
	/* A chain that is a loop, kicked many times. */
	stage_do_disk(&m, 8);
	mockring_set_desc(&m.ring[0], 0, STAGE_BUF, 16, VRING_DESC_F_NEXT, 0);
	mockring_offer(&m.ring[0], 0);
	machine_do_kick(&m, RAW_DISK, 0);
	machine_do_kick(&m, RAW_DISK, 0);
	disk = machine_do(&m, RAW_READ32,
			  machine_reg(RAW_DISK, VIRTIO_MMIO_STATUS), 0);
	console = machine_do(&m, RAW_READ32,
			     machine_reg(RAW_CONSOLE, VIRTIO_MMIO_STATUS), 7);
	/* Reset, and it is as new. */
	stage_do_disk(&m, 8);
	stage_put_request(&m, VIRTIO_BLK_T_IN, 9, 512);
	machine_do_kick(&m, RAW_DISK, 0);
	again = machine_do(&m, RAW_READ32,
			   machine_reg(RAW_DISK, VIRTIO_MMIO_STATUS), 0);
	stage_run(&m);
	assert_true(machine_answer(&m, disk) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(machine_answer(&m, console), 0);
	assert_false(machine_answer(&m, again) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(*(uint8_t *)machine_ptr(&m, STAGE_BUF, 1), 9);
}

static void descriptors_out_of_ram(void **state)
{
	static const gpa_t bad[] = {
		RAW_MEMORY, RAW_MEMORY - 1, 0xd0000000, 0xfee00000,
		0x100000000, UINT64_MAX, UINT64_MAX - 511,
	};
	unsigned status[7];
	size_t i;

	(void)state;
	for (i = 0; i < 7; i++) {
		stage_do_disk(&m, 8);
		mockring_set_desc(&m.ring[0], 0, STAGE_HEADER, 16,
				  VRING_DESC_F_NEXT, 1);
		mockring_set_desc(&m.ring[0], 1, bad[i], 512,
				  VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 2);
		mockring_set_desc(&m.ring[0], 2, STAGE_STATUS, 1,
				  VRING_DESC_F_WRITE, 0);
		mockring_offer(&m.ring[0], 0);
		machine_do_kick(&m, RAW_DISK, 0);
		status[i] = machine_do(
			&m, RAW_READ32,
			machine_reg(RAW_DISK, VIRTIO_MMIO_STATUS), 0);
	}
	stage_run(&m);
	for (i = 0; i < 7; i++)
		assert_true(machine_answer(&m, status[i]) &
			    VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* Rings whose bytes are noise, device by device, kick by kick. */
static void noise_in_the_rings(void **state)
{
	static const uint16_t queues[] = { 8, 8, 8, 8, 8, 8 };
	uint32_t seed = 4711;
	unsigned round, i;
	gpa_t at;

	(void)state;
	for (round = 0; round < 20; round++) {
		unsigned index = round % 2;
		gpa_t from = m.next_ring;

		machine_do_driver(&m, index, queues,
				  index == RAW_CONSOLE ? 6 : 1);
		for (at = from; at < m.next_ring; at++)
			*(uint8_t *)machine_ptr(&m, at, 1) =
				(uint8_t)(stage_noise(&seed) >> 16 &
					  (round & 4 ? 7 : 255));
		for (i = 0; i < 8; i++)
			machine_do_kick(&m, index, i);
	}
	stage_run(&m);
}

/* ---- two vCPUs ---- */

static void do_second_cpu(void)
{
	do_apic_on();
	/* INIT, then start-up at page 9, to APIC 1. */
	machine_do(&m, RAW_WRMSR, MSR_X2_ICR, 1ull << 32 | 0x4500);
	machine_do(&m, RAW_WRMSR, MSR_X2_ICR,
		   1ull << 32 | 0x4600 | RAW_AP >> 12);
}

/*
 * The disk's rings lie where the second vCPU tops them up: there is always
 * one request more. Each kick still ends, and so does the machine.
 */
static void a_queue_that_never_runs_dry(void **state)
{
	struct mockring *r = &m.ring[0];
	unsigned again;

	(void)state;
	machine_fini(&m);
	machine_init(&m, 2);
	m.low_rings = true;
	stage_do_disk(&m, 8);
	/*
	 * Every slot of the available ring is zero: one request, again. A
	 * long one, so that it is topped up before it is served.
	 */
	stage_put_request(&m, VIRTIO_BLK_T_IN, 0, 1u << 18);
	do_second_cpu();
	machine_do(&m, RAW_WRITE16, STAGE_FLAG, 0x1234);
	again = m.nr_commands;
	machine_do_kick(&m, RAW_DISK, 0);
	machine_do(&m, RAW_JUMP, RAW_LIST + again * sizeof(struct command), 0);
	machine_start(&m);
	machine_wait16(&m, STAGE_FLAG, 0x1234);
	/* More have come back than any one kick may serve. */
	while (mockring_used_idx(r) < 3 * VIRTQ_MAX_SIZE)
		sched_yield();
	vm_stop(&m.vm);
	assert_false(m.has_ended);
	assert_false(m.vm.blk.vdev.s.status & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_true(machine_exits(&m, EXIT_KIND_NOTIFY) > 1);
}

int main(void)
{
#define TEST(f) MACHINE_TEST(f, &m)
	const struct CMUnitTest tests[] = {
		TEST(reads_a_sector),
		TEST(never_writes_to_the_image),
		TEST(an_interrupt_reaches_the_apic),
		TEST(edges_go_to_their_vector),
		TEST(entries_of_nonsense),
		TEST(writes_to_a_port),
		TEST(broken_rings_break_their_device),
		TEST(descriptors_out_of_ram),
		TEST(noise_in_the_rings),
		TEST(a_queue_that_never_runs_dry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
