// SPDX-License-Identifier: MIT
/*
 * See legacy.h. The UART is always ready to send (LSR 0x60) and never
 * receives; its configuration registers take writes and forget them.
 */
#include "arch/x86_64/legacy.h"

#include <string.h>

#define UART_THR 0u
#define UART_LSR 5u
#define LSR_IDLE 0x60u

#define KBD_RESET 0xfeu

static uint64_t uart_read(void *dev, uint64_t off, unsigned len)
{
	(void)dev;
	(void)len;
	return off == UART_LSR ? LSR_IDLE : 0;
}

static void uart_write(void *dev, uint64_t off, unsigned len, uint64_t val)
{
	struct uart *u = dev;
	char c = (char)val;

	(void)len;
	if (off != UART_THR)
		return;
	pthread_mutex_lock(&u->lock);
	u->tail[u->nr_bytes++ % LEGACY_TAIL] = c;
	if (u->sink)
		u->sink(u->opaque, &c, 1);
	pthread_mutex_unlock(&u->lock);
}

const struct bus_ops uart_bus_ops = {
	.read = uart_read,
	.write = uart_write,
};

void uart_init(struct uart *u,
	       void (*sink)(void *opaque, const char *buf, size_t len),
	       void *opaque)
{
	/* The tail grows from its start: no need to touch it now. */
	u->nr_bytes = 0;
	u->sink = sink;
	u->opaque = opaque;
	pthread_mutex_init(&u->lock, NULL);
}

void uart_fini(struct uart *u)
{
	pthread_mutex_destroy(&u->lock);
}

/* The tail in order, NUL-terminated, control characters but \n as spaces. */
static void copy_tail(struct uart *u, char *buf)
{
	uint64_t i = u->nr_bytes > LEGACY_TAIL ? u->nr_bytes - LEGACY_TAIL : 0;
	size_t n = 0;

	for (; i < u->nr_bytes; i++) {
		char c = u->tail[i % LEGACY_TAIL];

		if (c == '\r')
			continue;
		buf[n++] = (c >= ' ' && c <= '~') || c == '\n' ? c : ' ';
	}
	while (n && (buf[n - 1] == '\n' || buf[n - 1] == ' '))
		n--;
	buf[n] = '\0';
}

/* The last occurrence of `word` in `text`, or NULL. */
static const char *find_last(const char *text, const char *word)
{
	const char *hit = NULL, *p = text;

	while ((p = strstr(p, word)))
		hit = p++;
	return hit;
}

void uart_last_words(struct uart *u, char *buf, size_t size)
{
	char text[LEGACY_TAIL + 1];
	const char *p;
	size_t n;

	pthread_mutex_lock(&u->lock);
	copy_tail(u, text);
	pthread_mutex_unlock(&u->lock);
	p = find_last(text, "husk-init: ");
	if (!p)
		p = strstr(text, "Kernel panic");
	if (!p)
		p = find_last(text, "\n");
	if (!p)
		p = text;
	p += *p == '\n';
	n = strcspn(p, "\n");
	if (n >= size)
		n = size - 1;
	memcpy(buf, p, n);
	buf[n] = '\0';
}

static uint64_t keyboard_read(void *dev, uint64_t off, unsigned len)
{
	(void)dev;
	(void)off;
	(void)len;
	/* Input buffer empty: the kernel may send its command at once. */
	return 0;
}

static void keyboard_write(void *dev, uint64_t off, unsigned len, uint64_t val)
{
	struct keyboard *k = dev;

	(void)off;
	(void)len;
	if (val == KBD_RESET)
		k->reset(k->opaque);
}

const struct bus_ops keyboard_bus_ops = {
	.read = keyboard_read,
	.write = keyboard_write,
};
