/* SPDX-License-Identifier: MIT */
/*
 * The two things of a PC that a kernel without its drivers still touches: the
 * transmit half of a UART at 0x3f8 (the early console: last words of a panic)
 * and the keyboard controller's reset line at 0x64.
 *
 * The console keeps the last LEGACY_TAIL bytes for the error message and
 * hands every byte to an optional sink. It never blocks the guest and never
 * grows. Locking: its own, a leaf lock.
 */
#ifndef HUSK_ARCH_X86_64_LEGACY_H
#define HUSK_ARCH_X86_64_LEGACY_H

#include "core/bus.h"

#include <pthread.h>
#include <stddef.h>

#define LEGACY_UART_LEN 8u
#define LEGACY_KBD_LEN	1u
#define LEGACY_TAIL	4096u

struct uart {
	uint64_t nr_bytes;		/* ever written */
	void (*sink)(void *opaque, const char *buf, size_t len);
	void *opaque;
	pthread_mutex_t lock;
	char tail[LEGACY_TAIL];		/* a ring */
};

struct keyboard {
	void (*reset)(void *opaque);	/* from the vCPU's thread */
	void *opaque;
};

extern const struct bus_ops uart_bus_ops;
extern const struct bus_ops keyboard_bus_ops;

void uart_init(struct uart *u,
	       void (*sink)(void *opaque, const char *buf, size_t len),
	       void *opaque);
void uart_fini(struct uart *u);

/*
 * The line of the console that best says why the guest died: the last one of
 * guest-init, else the first line of a panic, else the last line. Writes a
 * NUL-terminated, printable string; empty when nothing was written.
 */
void uart_last_words(struct uart *u, char *buf, size_t size);

#endif
