/* SPDX-License-Identifier: MIT */
/*
 * A JSON reader (RFC 8259) that says yes or no, for what tests and fuzz
 * targets of the status object get to see. No numbers but whole ones: there
 * are none.
 */
#ifndef HUSK_TESTS_JSON_READ_H
#define HUSK_TESTS_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const char *skip_value(const char *p);

static const char *skip_string(const char *p)
{
	if (*p++ != '"')
		return NULL;
	for (; *p != '"'; p++) {
		if ((unsigned char)*p < 0x20)
			return NULL;
		if (*p != '\\')
			continue;
		p++;
		if (*p == 'u') {
			for (int i = 0; i < 4; i++)
				if (!strchr("0123456789abcdef", *++p) || !*p)
					return NULL;
		} else if (!*p || !strchr("\"\\/bfnrt", *p)) {
			return NULL;
		}
	}
	return p + 1;
}

/* Members of an object or an array, after the bracket. */
static const char *skip_members(const char *p, bool object)
{
	char end = object ? '}' : ']';

	if (*p == end)
		return p + 1;
	for (;; p++) {
		if (object) {
			p = skip_string(p);
			if (!p || *p++ != ':')
				return NULL;
		}
		p = skip_value(p);
		if (!p)
			return NULL;
		if (*p == end)
			return p + 1;
		if (*p != ',')
			return NULL;
	}
}

static const char *skip_value(const char *p)
{
	static const char *const words[] = { "null", "true", "false" };
	size_t n;

	if (*p == '{' || *p == '[')
		return skip_members(p + 1, *p == '{');
	if (*p == '"')
		return skip_string(p);
	for (size_t i = 0; i < 3; i++)
		if (!strncmp(p, words[i], strlen(words[i])))
			return p + strlen(words[i]);
	p += *p == '-';
	n = strspn(p, "0123456789");
	return n && (n == 1 || *p != '0') ? p + n : NULL;
}

static bool is_json_line(const char *s)
{
	const char *end = skip_value(s);

	return end && !strcmp(end, "\n");
}

#endif
