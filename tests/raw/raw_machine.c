// SPDX-License-Identifier: MIT
/*
 * The machine without any device driver: instructions run, ports and windows
 * answer, every way for a guest to end is told, and no guest keeps us from
 * stopping it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <string.h>

#include "arch/x86_64/board.h"
#include "arch/x86_64/layout.h"
#include "stage.h"

static struct machine m;

static void resets_itself(void **state)
{
	(void)state;
	stage_run(&m);
	assert_int_equal(m.nr_ends, 1);
	assert_int_equal(machine_exits(&m, EXIT_KIND_ARCH), 1);
	assert_true(m.vm.vcpu[0].first_run_ns > 0);
}

static void speaks_on_the_early_console(void **state)
{
	static const char text[] = "noise\nhusk-init: hello from ring 0\n";
	char words[64];
	unsigned in, i;

	(void)state;
	in = machine_do(&m, RAW_IN8, 0x3fd, 0);
	for (i = 0; i < sizeof(text) - 1; i++)
		machine_do(&m, RAW_OUT8, 0x3f8, (uint8_t)text[i]);
	stage_run(&m);
	assert_int_equal(machine_answer(&m, in), 0x60);
	arch_board_last_words(m.vm.board, words, sizeof(words));
	assert_string_equal(words, "husk-init: hello from ring 0");
}

static void string_output_in_one_go(void **state)
{
	char words[64];
	unsigned i;

	(void)state;
	for (i = 0; i < 5000; i++)
		memcpy(machine_ptr(&m, RAW_TEXT + i, 1), i % 50 ? "x" : "\n",
		       1);
	machine_do(&m, RAW_OUTS, 0x3f8, 5000);
	/* The same into the reset line: all but one value are ignored. */
	machine_do(&m, RAW_OUTS, 0x64, 5000);
	machine_do(&m, RAW_OUTS, 0x1234, 5000);
	stage_run(&m);
	assert_int_equal(m.vm.board->uart.nr_bytes, 5000);
	arch_board_last_words(m.vm.board, words, sizeof(words));
	assert_int_equal(strlen(words), 49);
}

static void devices_answer_by_their_magic(void **state)
{
	unsigned magic[2], id[2], none, ioapic, narrow;
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		magic[i] = machine_do(&m, RAW_READ32, machine_reg(i, 0), 0);
		id[i] = machine_do(&m, RAW_READ32,
				   machine_reg(i, VIRTIO_MMIO_DEVICE_ID), 0);
	}
	narrow = machine_do(&m, RAW_READ16, machine_reg(0, 0), 7);
	none = machine_do(&m, RAW_READ64, machine_reg(2, 0), 0);
	machine_do(&m, RAW_WRITE32, LAYOUT_IOAPIC, 1);
	ioapic = machine_do(&m, RAW_READ32, LAYOUT_IOAPIC + 0x10, 0);
	stage_run(&m);
	assert_int_equal(machine_answer(&m, magic[0]), 0x74726976);
	assert_int_equal(machine_answer(&m, magic[1]), 0x74726976);
	assert_int_equal(machine_answer(&m, id[RAW_CONSOLE]),
			 VIRTIO_ID_CONSOLE);
	assert_int_equal(machine_answer(&m, id[RAW_DISK]), VIRTIO_ID_BLOCK);
	assert_int_equal(machine_answer(&m, narrow), 0);
	assert_int_equal(machine_answer(&m, none), UINT64_MAX);
	/* As many inputs as there are devices: the highest is 1. */
	assert_int_equal(machine_answer(&m, ioapic), 0x10011);
	assert_int_equal(machine_exits(&m, EXIT_KIND_VIRTIO), 5);
	assert_int_equal(machine_exits(&m, EXIT_KIND_IRQCHIP), 2);
	assert_int_equal(machine_exits(&m, EXIT_KIND_MMIO_OTHER), 1);
}

static void triple_fault(void **state)
{
	(void)state;
	machine_do(&m, RAW_TRIPLE, 0, 0);
	assert_int_equal(machine_run(&m), VCPU_SHUTDOWN);
	assert_int_equal(m.nr_ends, 1);
}

#define HELLO 0x1234

static void do_hello(void)
{
	machine_do(&m, RAW_WRITE16, RAW_DATA, HELLO);
}

/* Stop it once it has said hello. */
static void run_and_stop(void)
{
	machine_start(&m);
	machine_wait16(&m, RAW_DATA, HELLO);
	vm_stop(&m.vm);
	assert_false(m.has_ended);
}

/* Interrupts are off: nothing but the kick gets it out. */
static void a_spinning_guest_is_stopped(void **state)
{
	(void)state;
	do_hello();
	machine_do(&m, RAW_SPIN, 0, 0);
	run_and_stop();
	vm_stop(&m.vm);
	assert_false(m.has_ended);
	assert_true(machine_exits(&m, EXIT_KIND_SIGNAL) <= 1);
}

static void a_sleeping_guest_is_stopped(void **state)
{
	(void)state;
	do_hello();
	machine_do(&m, RAW_HALT, 0, 0);
	run_and_stop();
}

/* One that keeps the devices busy: every exit is on the way back in. */
static void a_busy_guest_is_stopped(void **state)
{
	(void)state;
	do_hello();
	machine_do(&m, RAW_READ32, machine_reg(0, 0), 0);
	machine_do(&m, RAW_OUT8, 0x3f8, 'x');
	machine_do(&m, RAW_JUMP, RAW_LIST + sizeof(struct command), 0);
	run_and_stop();
}

static void stopped_before_it_runs(void **state)
{
	(void)state;
	machine_do(&m, RAW_SPIN, 0, 0);
	machine_start(&m);
	vm_stop(&m.vm);
	assert_false(m.has_ended);
}

static void never_started(void **state)
{
	(void)state;
	vm_stop(&m.vm);
	assert_int_equal(machine_exits(&m, EXIT_KIND_ARCH), 0);
}

static uint32_t seed;

static uint32_t noise(void)
{
	return stage_noise(&seed);
}

/* Any width, aligned or not, over all windows and the space between. */
static void a_storm_of_accesses(void **state)
{
	static const uint64_t bases[] = { 0xd0000000, 0xd0001000, 0xd0002000,
					  0xfec00000 };
	uint64_t sum = 0;
	unsigned i, kind;

	(void)state;
	seed = 1;
	for (i = 0; i < 6000; i++) {
		uint64_t base = bases[noise() % 4];
		uint64_t at = base + noise() % (noise() % 2 ? 0x120 : 0x1100);
		unsigned op = RAW_WRITE8 + noise() % 8;

		/* 4 KiB pages: an access over the end is two. */
		machine_do(&m, op, at, (uint64_t)noise() << 20 | noise());
	}
	stage_run(&m);
	for (kind = 0; kind < EXIT_KIND_NR; kind++)
		sum += machine_exits(&m, kind);
	/* As many exits as accesses, and the few which lie over two pages. */
	assert_true(sum >= 6001 && sum < 6000 * 2);
}

static void a_storm_of_ports(void **state)
{
	unsigned i;

	(void)state;
	seed = 2;
	for (i = 0; i < 6000; i++) {
		unsigned op = RAW_OUT8 + noise() % 6;
		uint16_t port = (uint16_t)noise();

		if (noise() % 2)
			port = (uint16_t)(0x3f0 + noise() % 32);
		/* The reset line is for the end of the list. */
		if (port <= 0x64 && port > 0x60)
			port = 0x80;
		machine_do(&m, op, port, noise());
	}
	stage_run(&m);
	assert_int_equal(machine_exits(&m, EXIT_KIND_ARCH), 6001);
	assert_int_equal(m.nr_ends, 1);
}

static void resets_many_times(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 100; i++)
		machine_do(&m, RAW_OUT8, 0x64, 0xfe);
	machine_do(&m, RAW_TRIPLE, 0, 0);
	assert_int_equal(machine_run(&m), VCPU_RESET);
}

int main(void)
{
#define TEST(f) MACHINE_TEST(f, &m)
	const struct CMUnitTest tests[] = {
		TEST(resets_itself),
		TEST(speaks_on_the_early_console),
		TEST(string_output_in_one_go),
		TEST(devices_answer_by_their_magic),
		TEST(triple_fault),
		TEST(a_spinning_guest_is_stopped),
		TEST(a_sleeping_guest_is_stopped),
		TEST(a_busy_guest_is_stopped),
		TEST(stopped_before_it_runs),
		TEST(never_started),
		TEST(a_storm_of_accesses),
		TEST(a_storm_of_ports),
		TEST(resets_many_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
