// SPDX-License-Identifier: MIT
/*
 * Guests that misuse registers: of the virtio transport, the I/O APIC, the
 * local APIC, and the CPU itself.
 */
#include "arch/x86_64/board.h"
#include "arch/x86_64/layout.h"
#include "stage.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <string.h>

#define STORM	    8000u
#define STRING	    20000u /* bytes of one OUTS */
#define ACKNOWLEDGE VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER	    VIRTIO_CONFIG_S_DRIVER
#define FEATURES_OK VIRTIO_CONFIG_S_FEATURES_OK
#define DRIVER_OK   VIRTIO_CONFIG_S_DRIVER_OK

static unsigned do_get(struct machine *m, unsigned index, uint32_t off)
{
	return machine_do(m, RAW_READ32, machine_reg(index, off), 7);
}

static void do_set(struct machine *m, unsigned index, uint32_t off,
		   uint32_t val)
{
	machine_do(m, RAW_WRITE32, machine_reg(index, off), val);
}

/* ---- the transport ---- */

/* Every offset with every width: a live device does not lose its driver. */
static void odd_sizes_and_unaligned(void **state)
{
	struct machine *m = *state;
	unsigned off, w, status, narrow;

	stage_do_disk(m, 8);
	for (off = 0; off < 0x120; off++)
		for (w = 0; w < 4; w++) {
			/* Aligned words are registers: not here. */
			if (w == 2 && off % 4 == 0)
				continue;
			machine_do(m, RAW_WRITE8 + w, machine_reg(1, off),
				   0x00ff00ff00ff00ff);
			machine_do(m, RAW_READ8 + w, machine_reg(1, off), 0);
		}
	narrow = machine_do(m, RAW_READ16, machine_reg(1, 0), 7);
	stage_put_request(m, VIRTIO_BLK_T_IN, 9, 512);
	machine_do_kick(m, RAW_DISK, 0);
	status = stage_do_status(m, RAW_DISK);
	stage_run(m);
	assert_int_equal(machine_answer(m, narrow), 0);
	stage_check_sound(m, status);
	assert_int_equal(stage_request_status(m), VIRTIO_BLK_S_OK);
}

/* What is read-only or nothing takes any value and keeps its own. */
static void writes_to_what_is_read_only(void **state)
{
	static const uint32_t offs[] = {
		VIRTIO_MMIO_MAGIC_VALUE,      VIRTIO_MMIO_VERSION,
		VIRTIO_MMIO_DEVICE_ID,	      VIRTIO_MMIO_VENDOR_ID,
		VIRTIO_MMIO_DEVICE_FEATURES,  VIRTIO_MMIO_QUEUE_NUM_MAX,
		VIRTIO_MMIO_INTERRUPT_STATUS, VIRTIO_MMIO_CONFIG_GENERATION,
		VIRTIO_MMIO_CONFIG,	      VIRTIO_MMIO_CONFIG + 4,
	};
	unsigned before[2][10], after[2][10], i, k, off;
	struct machine *m = *state;

	for (k = 0; k < 2; k++) {
		for (i = 0; i < 10; i++)
			before[k][i] = do_get(m, k, offs[i]);
		for (i = 0; i < 10; i++)
			do_set(m, k, offs[i], UINT32_MAX);
		/* And all that the table does not have. */
		for (off = 0xc0; off < 0xfc; off += 4)
			do_set(m, k, off, UINT32_MAX);
		for (i = 0; i < 10; i++)
			after[k][i] = do_get(m, k, offs[i]);
	}
	stage_run(m);
	for (k = 0; k < 2; k++)
		for (i = 0; i < 10; i++)
			assert_int_equal(machine_answer(m, before[k][i]),
					 machine_answer(m, after[k][i]));
}

static void queues_that_do_not_exist(void **state)
{
	static const uint32_t queues[] = { 1,	       12,	   20,
					   0x7fffffff, 0x80000000, UINT32_MAX };
	struct machine *m = *state;
	unsigned max[6], ready[6], status, i;

	stage_do_disk(m, 8);
	for (i = 0; i < 6; i++) {
		do_set(m, RAW_DISK, VIRTIO_MMIO_QUEUE_SEL, queues[i]);
		max[i] = do_get(m, RAW_DISK, VIRTIO_MMIO_QUEUE_NUM_MAX);
		do_set(m, RAW_DISK, VIRTIO_MMIO_QUEUE_NUM, 8);
		do_set(m, RAW_DISK, VIRTIO_MMIO_QUEUE_DESC_LOW, UINT32_MAX);
		do_set(m, RAW_DISK, VIRTIO_MMIO_QUEUE_READY, 1);
		ready[i] = do_get(m, RAW_DISK, VIRTIO_MMIO_QUEUE_READY);
		machine_do_kick(m, RAW_DISK, queues[i]);
	}
	status = stage_do_status(m, RAW_DISK);
	stage_run(m);
	stage_check_sound(m, status);
	for (i = 0; i < 6; i++) {
		assert_int_equal(machine_answer(m, max[i]), 0);
		assert_int_equal(machine_answer(m, ready[i]), 0);
	}
}

/* A driver that skips steps or takes them back gets no live device. */
static void status_bits_in_wrong_order(void **state)
{
	static const uint32_t all =
		ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
	struct machine *m = *state;
	unsigned first, refused, unknown, back, i, early[6];

	first = do_get(m, RAW_DISK, VIRTIO_MMIO_STATUS);
	do_set(m, RAW_DISK, VIRTIO_MMIO_STATUS, all);
	refused = stage_do_status(m, RAW_DISK);
	machine_do_kick(m, RAW_DISK, 0);
	/* Features that nobody offered. */
	do_set(m, RAW_DISK, VIRTIO_MMIO_STATUS, 0);
	for (i = 0; i < 3; i++) {
		do_set(m, RAW_DISK, VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		do_set(m, RAW_DISK, VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
	}
	do_set(m, RAW_DISK, VIRTIO_MMIO_STATUS, all);
	unknown = stage_do_status(m, RAW_DISK);
	/* Bits are only added, except by reset. */
	stage_do_disk(m, 8);
	for (i = 1; i < 256; i++)
		do_set(m, RAW_DISK, VIRTIO_MMIO_STATUS,
		       (i & ~0xc0u) | ACKNOWLEDGE);
	do_set(m, RAW_DISK, VIRTIO_MMIO_STATUS, ACKNOWLEDGE);
	back = stage_do_status(m, RAW_DISK);
	/* Queues before and after their time. */
	do_set(m, RAW_CONSOLE, VIRTIO_MMIO_STATUS, 0);
	for (i = 0; i < 6; i++) {
		do_set(m, RAW_CONSOLE, VIRTIO_MMIO_QUEUE_SEL, i);
		do_set(m, RAW_CONSOLE, VIRTIO_MMIO_QUEUE_READY, 1);
		early[i] = do_get(m, RAW_CONSOLE, VIRTIO_MMIO_QUEUE_READY);
		machine_do_kick(m, RAW_CONSOLE, i);
	}
	stage_run(m);
	assert_int_equal(machine_answer(m, first), 0);
	assert_false(machine_answer(m, refused) & (FEATURES_OK | DRIVER_OK));
	assert_false(machine_answer(m, unknown) & (FEATURES_OK | DRIVER_OK));
	stage_check_sound(m, back);
	for (i = 0; i < 6; i++)
		assert_int_equal(machine_answer(m, early[i]), 0);
}

/* A live queue's registers are not the driver's any more. */
static void a_live_queue_moved(void **state)
{
	struct machine *m = *state;
	unsigned status;

	stage_do_disk(m, 8);
	do_set(m, RAW_DISK, VIRTIO_MMIO_QUEUE_SEL, 0);
	do_set(m, RAW_DISK, VIRTIO_MMIO_QUEUE_NUM, 128);
	do_set(m, RAW_DISK, VIRTIO_MMIO_QUEUE_DESC_HIGH, UINT32_MAX);
	do_set(m, RAW_DISK, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, UINT32_MAX);
	do_set(m, RAW_DISK, VIRTIO_MMIO_QUEUE_USED_HIGH, UINT32_MAX);
	do_set(m, RAW_DISK, VIRTIO_MMIO_QUEUE_READY, 0);
	stage_put_request(m, VIRTIO_BLK_T_IN, 9, 512);
	machine_do_kick(m, RAW_DISK, 0);
	status = stage_do_status(m, RAW_DISK);
	stage_run(m);
	stage_check_sound(m, status);
	assert_int_equal(stage_request_status(m), VIRTIO_BLK_S_OK);
}

static void a_storm_of_resets_and_kicks(void **state)
{
	struct machine *m = *state;
	unsigned i;

	stage_do_disk(m, 8);
	stage_do_console(m);
	for (i = 0; i < STORM; i++)
		do_set(m, i & 1,
		       i % 3 ? VIRTIO_MMIO_QUEUE_NOTIFY : VIRTIO_MMIO_STATUS,
		       i % 3 ? i % 13 : i / 3 % 16);
	stage_run(m);
	assert_true(machine_exits(m, EXIT_KIND_VIRTIO) +
			    machine_exits(m, EXIT_KIND_NOTIFY) >
		    STORM);
}

/* ---- the I/O APIC ---- */

static void do_ioapic(struct machine *m, uint32_t reg, uint32_t val)
{
	machine_do(m, RAW_WRITE32, LAYOUT_IOAPIC, reg);
	machine_do(m, RAW_WRITE32, LAYOUT_IOAPIC + 0x10, val);
}

static void every_register_and_none(void **state)
{
	struct machine *m = *state;
	unsigned version, i, w, entry;

	for (i = 0; i < 256; i++)
		do_ioapic(m, i, UINT32_MAX);
	for (i = 0; i < 0x40; i++)
		for (w = 0; w < 4; w++) {
			machine_do(m, RAW_WRITE8 + w, LAYOUT_IOAPIC + i,
				   0xffffffff00000110);
			machine_do(m, RAW_READ8 + w, LAYOUT_IOAPIC + i, 0);
		}
	machine_do(m, RAW_WRITE32, LAYOUT_IOAPIC, 1);
	version = machine_do(m, RAW_READ32, LAYOUT_IOAPIC + 0x10, 0);
	machine_do(m, RAW_WRITE32, LAYOUT_IOAPIC, 0x14);
	entry = machine_do(m, RAW_READ32, LAYOUT_IOAPIC + 0x10, 7);
	stage_run(m);
	assert_int_equal(machine_answer(m, version), 0x10011);
	assert_int_equal(machine_answer(m, entry), 0);
}

/* One request, an edge for each of its completions, while its pin flips. */
static void a_storm_of_interrupts(void **state)
{
	struct machine *m = *state;
	unsigned i, status;

	stage_do_disk(m, 8);
	stage_put_request(m, VIRTIO_BLK_T_IN, 0, 512);
	for (i = 0; i < STORM / 8; i++) {
		do_ioapic(m, 0x10 + 2 * RAW_DISK,
			  0x31 | (i & 1 ? 0x10000 : 0) | (i & 2 ? 0x8000 : 0));
		machine_do(m, RAW_WRITE16, m->ring[0].avail + 2, i + 1);
		machine_do_kick(m, RAW_DISK, 0);
		do_set(m, RAW_DISK, VIRTIO_MMIO_INTERRUPT_ACK, UINT32_MAX);
	}
	status = stage_do_status(m, RAW_DISK);
	stage_run(m);
	stage_check_sound(m, status);
	assert_int_equal(mockring_used_idx(&m->ring[0]), STORM / 8);
}

/* However such a guest ends, or if it stands still: it can be stopped. */
static void run_anyhow(struct machine *m)
{
	unsigned i;

	machine_do_reset(m);
	machine_start(m);
	for (i = 0; i < 50 && !machine_has_ended(m); i++)
		machine_nap();
	vm_stop(&m->vm);
	assert_true(m->nr_ends <= m->vm.nr_vcpus);
}

/* Each delivery mode, of any vector, to anybody, SMI, NMI and INIT included. */
static void delivery_modes_of_no_use(void **state)
{
	struct machine *m = *state;
	unsigned mode, dest;

	for (mode = 0; mode < 8; mode++)
		for (dest = 0; dest < 4; dest += 3) {
			machine_fini(m);
			machine_init(m, 1);
			stage_do_disk(m, 8);
			stage_put_request(m, VIRTIO_BLK_T_IN, 0, 512);
			machine_do_kick(m, RAW_DISK, 0);
			do_ioapic(m, 0x11 + 2 * RAW_DISK,
				  dest & 1 ? 0xff000000 : 0);
			do_ioapic(m, 0x10 + 2 * RAW_DISK,
				  mode << 8 | (dest & 2 ? 0x800 : 0) | mode);
			run_anyhow(m);
		}
}

/* ---- the local APIC, its registers by MSR ---- */

#define MSR_APIC_BASE 0x1b
#define X2APIC_ON     0xfee00d00
#define MSR_X2_SPIV   0x80f
#define MSR_X2_ICR    0x830
#define MSR_X2_LVTT   0x832
#define MSR_X2_COUNT  0x838
#define MSR_X2_DIVIDE 0x83e

static void do_apic_on(struct machine *m)
{
	machine_do(m, RAW_WRMSR, MSR_APIC_BASE, X2APIC_ON);
	machine_do(m, RAW_WRMSR, MSR_X2_SPIV, 0x1ff);
}

static void a_storm_of_messages(void **state)
{
	struct machine *m = *state;
	unsigned i;

	do_apic_on(m);
	/* Fixed ones to itself, all and others, in each vector that is one. */
	for (i = 0; i < STORM / 4; i++)
		machine_do(m, RAW_WRMSR, MSR_X2_ICR,
			   (1 + i % 3) << 18 | (16 + i % 240));
	stage_run(m);
}

static void a_timer_without_end(void **state)
{
	struct machine *m = *state;
	unsigned i;

	do_apic_on(m);
	machine_do(m, RAW_WRMSR, MSR_X2_DIVIDE, 0xb);
	machine_do(m, RAW_WRMSR, MSR_X2_LVTT, 0x20031);
	machine_do(m, RAW_WRMSR, MSR_X2_COUNT, 1);
	for (i = 0; i < STORM / 4; i++)
		machine_do(m, RAW_IN8, 0x80, 0);
	stage_run(m);
}

/* Reserved registers and bits: the guest faults, and has no handler. */
static void registers_of_the_local_apic(void **state)
{
	struct machine *m = *state;
	static const struct {
		uint32_t msr;
		uint64_t val;
	} rows[] = {
		{ 0x800, 1 },
		{ 0x80f, UINT64_MAX },
		{ 0x830, UINT64_MAX },
		{ 0x83f, UINT64_MAX },
		{ 0x8ff, 1 },
		{ 0x80b, 1 },
		{ MSR_APIC_BASE, UINT64_MAX },
		{ MSR_APIC_BASE, 0xd0000d00 },
		{ MSR_APIC_BASE, 0xfee00400 },
		{ MSR_X2_ICR, 0xc4500 },
		{ 0xc0000080, UINT64_MAX },
		{ 0x277, UINT64_MAX },
		{ 0x10, 0 },
		{ 0x6e0, 1 },
		{ 0x12345678, 0 },
	};
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		machine_fini(m);
		machine_init(m, 1);
		do_apic_on(m);
		machine_do(m, RAW_WRMSR, rows[i].msr, rows[i].val);
		run_anyhow(m);
	}
}

/* ---- the CPU ---- */

static void hlt_for_ever(void **state)
{
	struct machine *m = *state;

	machine_do(m, RAW_WRITE16, STAGE_FLAG, 0x77);
	machine_do(m, RAW_HALT, 0, 0);
	machine_start(m);
	machine_wait16(m, STAGE_FLAG, 0x77);
	vm_stop(&m->vm);
	assert_false(m->has_ended);
}

static void triple_fault(void **state)
{
	struct machine *m = *state;

	machine_do(m, RAW_TRIPLE, 0, 0);
	assert_int_equal(machine_run(m), VCPU_SHUTDOWN);
	assert_int_equal(m->nr_ends, 1);
}

/* Two of them fault at once: one end is told, the first. */
static void both_triple_fault(void **state)
{
	struct machine *m = *state;

	stage_do_2(m, 0, RAW_WRITE16, STAGE_FLAG, 0x1234);
	stage_do_2(m, 1, RAW_TRIPLE, 0, 0);
	machine_do(m, RAW_TRIPLE, 0, 0);
	stage_start_2(m);
	assert_int_equal(machine_run(m), VCPU_SHUTDOWN);
	assert_true(m->nr_ends <= 2);
}

static void a_flood_of_the_early_console(void **state)
{
	char words[64];
	struct machine *m = *state;
	unsigned i;

	memset(machine_ptr(m, RAW_TEXT, STRING), 'x', STRING);
	for (i = 0; i < 3; i++)
		machine_do(m, RAW_OUTS, 0x3f8, STRING);
	stage_run(m);
	assert_int_equal(m->vm.board->uart.nr_bytes, 3 * STRING);
	arch_board_last_words(m->vm.board, words, sizeof(words));
	assert_int_equal(strlen(words), sizeof(words) - 1);
}

static void a_storm_of_windows_and_ports(void **state)
{
	static const uint64_t at[] = { 0xd0000000, 0xd0001000, 0xd0002000,
				       0xfec00000, 0xfee01000, 0xffffe000 };
	struct machine *m = *state;
	uint32_t seed = 7;
	unsigned i;

	for (i = 0; i < STORM; i++) {
		uint32_t n = stage_noise(&seed);

		if (n & 1)
			machine_do(m, RAW_WRITE8 + n / 2 % 8,
				   at[n / 16 % 6] + n / 128 % 0x1000 % 0xff8,
				   stage_noise(&seed));
		else
			machine_do(m, RAW_OUT8 + n / 2 % 6,
				   (n / 16 & 0xfff8) + 0x68, n);
	}
	stage_run(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE("virtio 4.2.2.2:", odd_sizes_and_unaligned),
		CASE("virtio 4.2.2:", writes_to_what_is_read_only),
		CASE("virtio 4.2.2.2:", queues_that_do_not_exist),
		CASE("virtio 2.1.1, 3.1.1:", status_bits_in_wrong_order),
		CASE("virtio 4.2.2.2:", a_live_queue_moved),
		CASE("virtio 2.1, 2.4:", a_storm_of_resets_and_kicks),
		CASE("ioapic 3.1, 3.2:", every_register_and_none),
		CASE("ioapic 3.2.4:", a_storm_of_interrupts),
		CASE("ioapic 3.2.4:", delivery_modes_of_no_use),
		CASE("sdm 3A 11.6.1:", a_storm_of_messages),
		CASE("sdm 3A 11.5.4:", a_timer_without_end),
		CASE("sdm 3A 11.12.1:", registers_of_the_local_apic),
		CASE("sdm 2A HLT:", hlt_for_ever),
		CASE("sdm 3A 6.15:", triple_fault),
		CASE_2("sdm 3A 6.15:", both_triple_fault),
		CASE("sdm 1 19.3:", a_flood_of_the_early_console),
		CASE("sdm 1 19.3:", a_storm_of_windows_and_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
