/* LINK: vmm/arch/x86_64/legacy.c */
// SPDX-License-Identifier: MIT
/*
 * The early console and the reset line. The console's last words end up in an
 * error message on somebody's terminal: they are one printable line.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "arch/x86_64/legacy.h"

static struct uart uart;
static char sunk[64];
static size_t nr_sunk;

static void on_bytes(void *opaque, const char *buf, size_t len)
{
	assert_ptr_equal(opaque, sunk);
	assert_true(nr_sunk + len <= sizeof(sunk));
	memcpy(sunk + nr_sunk, buf, len);
	nr_sunk += len;
}

static int set_up(void **state)
{
	(void)state;
	nr_sunk = 0;
	uart_init(&uart, NULL, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	uart_fini(&uart);
	return 0;
}

static void say_bytes(const char *s, size_t len)
{
	while (len--)
		uart_bus_ops.write(&uart, 0, 1, (uint8_t)*s++);
}

static void say(const char *s)
{
	say_bytes(s, strlen(s));
}

static const char *words(void)
{
	static char buf[160];

	memset(buf, 'Z', sizeof(buf));
	uart_last_words(&uart, buf, sizeof(buf));
	return buf;
}

static void always_ready_to_send(void **state)
{
	unsigned off;

	(void)state;
	for (off = 0; off < LEGACY_UART_LEN; off++)
		assert_int_equal(uart_bus_ops.read(&uart, off, 1),
				 off == 5 ? 0x60 : 0);
	/* Configuration goes nowhere. */
	for (off = 1; off < LEGACY_UART_LEN; off++)
		uart_bus_ops.write(&uart, off, 1, 'x');
	assert_string_equal(words(), "");
	assert_int_equal(uart.nr_bytes, 0);
}

static void bytes_reach_the_sink(void **state)
{
	(void)state;
	uart_fini(&uart);
	uart_init(&uart, on_bytes, sunk);
	say_bytes("a\0\xff\n", 4);
	assert_int_equal(nr_sunk, 4);
	assert_memory_equal(sunk, "a\0\xff\n", 4);
}

static void which_line_it_is(void **state)
{
	static const struct {
		const char *said, *word;
	} t[] = {
		{ "", "" },
		{ "\n\n \n", "" },
		{ "one line", "one line" },
		{ "one line\r\n", "one line" },
		{ "first\nsecond\n", "second" },
		{ "first\nsecond\n\n  \r\n", "second" },
		/* the first line of a panic says why, the last does not */
		{ "noise\n[ 0.1] Kernel panic - not syncing: no init\n"
		  "CPU: 0\n---[ end Kernel panic - not syncing ]---\n",
		  "Kernel panic - not syncing: no init" },
		/* init knows better than the kernel, its last word best */
		{ "husk-init: one\nhusk-init: cannot mount root\n"
		  "Kernel panic - not syncing: Attempted to kill init!\n",
		  "husk-init: cannot mount root" },
		{ "<0>husk-init: x\nmore\n", "husk-init: x" },
		{ "husk-init: husk-init: y\n", "husk-init: y" },
		{ "\x1b[31mred\x07\ttab\n", " [31mred  tab" },
		{ "caf\xc3\xa9\n", "caf" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uart_fini(&uart);
		uart_init(&uart, NULL, NULL);
		say(t[i].said);
		assert_string_equal(words(), t[i].word);
	}
}

static void zero_bytes_do_not_cut(void **state)
{
	(void)state;
	say_bytes("a\0b\n", 4);
	assert_string_equal(words(), "a b");
}

static void long_lines_are_cut(void **state)
{
	char buf[8];
	unsigned i;

	(void)state;
	for (i = 0; i < 300; i++)
		say("x");
	assert_int_equal(strlen(words()), 159);
	uart_last_words(&uart, buf, sizeof(buf));
	assert_string_equal(buf, "xxxxxxx");
	uart_last_words(&uart, buf, 1);
	assert_string_equal(buf, "");
}

static void only_the_tail_is_kept(void **state)
{
	unsigned i;

	(void)state;
	say("Kernel panic - forgotten\n");
	for (i = 0; i < LEGACY_TAIL; i++)
		say("\n");
	assert_string_equal(words(), "");
	say("later\n");
	assert_string_equal(words(), "later");
	/* A flood without a line, across the end of the ring many times. */
	for (i = 0; i < 5 * LEGACY_TAIL + 77; i++)
		say("y");
	assert_int_equal(strlen(words()), 159);
	/* A line that begins exactly at the tail's first byte. */
	for (i = 0; i < LEGACY_TAIL; i++)
		say(i == LEGACY_TAIL - 3 ? "\n" : "z");
	assert_string_equal(words(), "zz");
	assert_int_equal(uart.nr_bytes,
			 25 + LEGACY_TAIL + 6 + 6 * LEGACY_TAIL + 77);
}

static unsigned resets;

static void on_reset(void *opaque)
{
	assert_ptr_equal(opaque, &resets);
	resets++;
}

static void only_one_command_resets(void **state)
{
	struct keyboard k = { on_reset, &resets };
	unsigned i;

	(void)state;
	resets = 0;
	for (i = 0; i < 256; i++)
		if (i != 0xfe)
			keyboard_bus_ops.write(&k, 0, 1, i);
	assert_int_equal(resets, 0);
	assert_int_equal(keyboard_bus_ops.read(&k, 0, 1), 0);
	keyboard_bus_ops.write(&k, 0, 1, 0xfe);
	assert_int_equal(resets, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(always_ready_to_send),
		TEST(bytes_reach_the_sink),
		TEST(which_line_it_is),
		TEST(zero_bytes_do_not_cut),
		TEST(long_lines_are_cut),
		TEST(only_the_tail_is_kept),
		TEST(only_one_command_resets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
