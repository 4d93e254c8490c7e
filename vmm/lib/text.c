// SPDX-License-Identifier: MIT
/*
 * Bounded text. open_memstream was rejected: it allocates, and these texts
 * are written when memory may be what ran out.
 */
#include "lib/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void text_init(struct text *t, char *buf, size_t size)
{
	t->buf = buf;
	t->size = size;
	t->wanted = 0;
	buf[0] = '\0';
}

size_t text_len(const struct text *t)
{
	return t->wanted < t->size ? t->wanted : t->size - 1;
}

bool text_is_whole(const struct text *t)
{
	return t->wanted < t->size;
}

void text_add(struct text *t, const char *s, size_t n)
{
	size_t used = text_len(t), room = t->size - 1 - used;
	size_t part = n < room ? n : room;

	memcpy(t->buf + used, s, part);
	t->buf[used + part] = '\0';
	t->wanted += n;
}

void text_printf(struct text *t, const char *fmt, ...)
{
	size_t used = text_len(t);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + used, t->size - used, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->wanted += (size_t)n;
}

/* Smallest code point of a sequence by its length: below it is overlong. */
static const uint32_t utf8_min[] = {0, 0, 0x80, 0x800, 0x10000};

size_t text_utf8_len(const char *s, size_t n)
{
	uint32_t c = n ? (uint8_t)s[0] : 0x80;
	size_t len = c < 0x80	? 1
		     : c < 0xc0 ? 0
		     : c < 0xe0 ? 2
		     : c < 0xf0 ? 3
		     : c < 0xf8 ? 4
				: 0;

	if (len < 2)
		return len;
	if (len > n)
		return 0;
	c &= 0x7fu >> len;
	for (size_t i = 1; i < len; i++) {
		if (((uint8_t)s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | ((uint8_t)s[i] & 0x3f);
	}
	if (c < utf8_min[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return len;
}

bool text_is_control(const char *s, size_t len)
{
	uint8_t c = (uint8_t)s[0];

	if (len == 1)
		return c < 0x20 || c == 0x7f;
	return len == 2 && c == 0xc2 && (uint8_t)s[1] < 0xa0;
}

void text_add_clean(struct text *t, const char *s)
{
	size_t left = strlen(s);

	while (left) {
		size_t len = text_utf8_len(s, left);

		if (!len || text_is_control(s, len))
			text_add(t, "?", 1);
		else
			text_add(t, s, len);
		s += len ? len : 1;
		left -= len ? len : 1;
	}
}
