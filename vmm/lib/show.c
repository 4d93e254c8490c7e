// SPDX-License-Identifier: MIT
/*
 * A line is made in memory, since a sequence that is harmless in parts may not
 * be in whole. Without memory for it there is a line that says so.
 */
#include "lib/show.h"

#include "lib/cleanup.h"
#include "lib/text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

static void put(FILE *to, const char *s, size_t n, bool is_name)
{
	while (n) {
		size_t safe = text_safe_len(s, n, is_name);
		char esc[4];

		fwrite(s, 1, safe, to);
		s += safe;
		n -= safe;
		if (!n)
			break;
		text_escape(esc, *s++);
		n--;
		fwrite(esc, 1, sizeof(esc), to);
	}
}

static void put_format(FILE *to, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

static void put_format(FILE *to, const char *fmt, va_list ap)
{
	auto_free char *line = NULL;

	if (vasprintf(&line, fmt, ap) < 0)
		line = NULL;
	if (line)
		put(to, line, strlen(line), false);
	else
		fputs("(out of memory)", to);
}

void show(FILE *to, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_format(to, fmt, ap);
	va_end(ap);
}

void show_line(FILE *to, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_format(to, fmt, ap);
	va_end(ap);
	fputc('\n', to);
}

void show_name(FILE *to, const char *s, size_t n)
{
	put(to, s, n, true);
}

void show_raw(FILE *to, const char *s)
{
	fputs(s, to);
}
