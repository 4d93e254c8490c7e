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

void text_add_uint(struct text *t, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + v % 10);
	while (v /= 10);
	text_add(t, digits + at, sizeof(digits) - at);
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

uint32_t text_utf8_code(const char *s, size_t len)
{
	uint32_t c = (uint8_t)s[0];

	if (len > 1)
		c &= 0x7fu >> len;
	for (size_t i = 1; i < len; i++)
		c = c << 6 | ((uint8_t)s[i] & 0x3f);
	return c;
}

static const struct {
	uint32_t first, last;
} unsafe[] = {
	{0, 0x1f},	   {0x7f, 0x9f},     {0xad, 0xad},
	{0x61c, 0x61c},	   {0x180e, 0x180e}, {0x200b, 0x200b},
	{0x200e, 0x200f},  {0x2028, 0x202e}, {0x2060, 0x206f},
	{0xfeff, 0xfeff},  {0xfff9, 0xfffb}, {0xfffe, 0xffff},
	{0xe0000, 0xe0fff},
};

bool text_is_unsafe(const char *s, size_t len)
{
	uint32_t c = text_utf8_code(s, len);

	for (size_t i = 0; i < sizeof(unsafe) / sizeof(unsafe[0]); i++)
		if (c >= unsafe[i].first && c <= unsafe[i].last)
			return true;
	return false;
}

size_t text_safe_len(const char *s, size_t n, bool is_name)
{
	size_t safe = 0;

	while (safe < n) {
		size_t len = text_utf8_len(s + safe, n - safe);

		if (!len || text_is_unsafe(s + safe, len) ||
		    (is_name && s[safe] == '\\'))
			break;
		safe += len;
	}
	return safe;
}

void text_escape(char out[4], char c)
{
	uint8_t u = (uint8_t)c;

	out[0] = '\\';
	out[1] = (char)('0' + (u >> 6));
	out[2] = (char)('0' + (u >> 3 & 7));
	out[3] = (char)('0' + (u & 7));
}

/* `n` bytes that mean something only together. */
static void add_whole(struct text *t, const char *s, size_t n)
{
	size_t room = t->size - 1 - text_len(t);

	text_add(t, n <= room ? s : "....", n);
}

static void add_foreign(struct text *t, const char *s, bool is_name)
{
	size_t left = strlen(s);

	while (left) {
		size_t safe = text_safe_len(s, left, is_name), step;
		char esc[4];

		for (size_t at = 0; at < safe; at += step) {
			step = text_utf8_len(s + at, safe - at);
			add_whole(t, s + at, step);
		}
		s += safe;
		left -= safe;
		if (!left)
			break;
		text_escape(esc, *s++);
		left--;
		add_whole(t, esc, sizeof(esc));
	}
}

void text_add_clean(struct text *t, const char *s)
{
	add_foreign(t, s, false);
}

void text_add_name(struct text *t, const char *s)
{
	add_foreign(t, s, true);
}
