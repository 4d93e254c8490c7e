// SPDX-License-Identifier: MIT
/*
 * The one state is whether a comma is due: a value sets it, an opening
 * bracket clears it, a closing bracket is the end of a value. So no stack of
 * levels is needed, and no depth is too deep.
 */
#include "lib/json.h"

#include <inttypes.h>
#include <string.h>

void json_init(struct json *j, char *buf, size_t size)
{
	text_init(&j->text, buf, size);
	j->comma = false;
}

static void start_value(struct json *j, const char *key)
{
	if (j->comma)
		text_add(&j->text, ",", 1);
	if (key)
		text_printf(&j->text, "\"%s\":", key);
	j->comma = true;
}

void json_begin(struct json *j, const char *key, char bracket)
{
	start_value(j, key);
	text_add(&j->text, &bracket, 1);
	j->comma = false;
}

void json_end(struct json *j, char bracket)
{
	text_add(&j->text, &bracket, 1);
	j->comma = true;
}

void json_null(struct json *j, const char *key)
{
	start_value(j, key);
	text_add(&j->text, "null", 4);
}

void json_bool(struct json *j, const char *key, bool value)
{
	start_value(j, key);
	text_printf(&j->text, "%s", value ? "true" : "false");
}

void json_uint(struct json *j, const char *key, uint64_t value)
{
	start_value(j, key);
	text_printf(&j->text, "%" PRIu64, value);
}

void json_int(struct json *j, const char *key, int64_t value)
{
	start_value(j, key);
	text_printf(&j->text, "%" PRId64, value);
}

/* One that is not shown as it is, see RFC 8259, section 7. */
static void put_escaped(struct text *t, uint32_t c)
{
	if (c > 0xffff) {
		text_printf(t, "\\u%04x", 0xd800 + ((c - 0x10000) >> 10));
		c = 0xdc00 + (c & 0x3ff);
	}
	text_printf(t, "\\u%04x", c);
}

/* Writes the character at `s`, `len` bytes (0: not UTF-8), as JSON has it. */
static void put_char(struct text *t, const char *s, size_t len)
{
	static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
	const char *p;

	if (!len) {
		text_printf(t, "\\ufffd");
		return;
	}
	p = len == 1 && *s ? strchr(plain, *s) : NULL;
	if (p)
		text_printf(t, "\\%c", letter[p - plain]);
	else if (text_is_unsafe(s, len))
		put_escaped(t, text_utf8_code(s, len));
	else
		text_add(t, s, len);
}

void json_string(struct json *j, const char *key, const char *value, size_t max)
{
	size_t left, used = 0, cut = 0, pos = 0;
	char one[16];
	struct text t;

	if (!value) {
		json_null(j, key);
		return;
	}
	start_value(j, key);
	text_add(&j->text, "\"", 1);
	/* How far it fits, and how far with the three dots behind. */
	for (left = strlen(value); left && used <= max;) {
		size_t len = text_utf8_len(value + pos, left);
		size_t step = len ? len : 1;

		if (used + 3 <= max)
			cut = pos;
		text_init(&t, one, sizeof(one));
		put_char(&t, value + pos, len);
		used += t.wanted;
		pos += step;
		left -= step;
	}
	if (used <= max)
		cut = pos;
	for (size_t at = 0; at < cut;) {
		size_t len = text_utf8_len(value + at, cut - at);

		put_char(&j->text, value + at, len);
		at += len ? len : 1;
	}
	text_printf(&j->text, "%s\"", used <= max ? "" : "...");
}
