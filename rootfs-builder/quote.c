// SPDX-License-Identifier: MIT
/*
 * Octal escapes, as ls and tar print them: a shell's $'..' takes them back.
 * vis(3) and iconv were rejected, the one is BSD, the other needs a locale.
 */
#include "quote.h"

#include <stddef.h>
#include <string.h>

unsigned int quote_byte(unsigned char c, char out[4])
{
	if (c >= 0x20 && c != 0x7f && c != '\\') {
		out[0] = (char)c;
		return 1;
	}
	out[0] = '\\';
	out[1] = (char)('0' + (c >> 6));
	out[2] = (char)('0' + ((c >> 3) & 7));
	out[3] = (char)('0' + (c & 7));
	return 4;
}

struct quoted quote_name(const char *name)
{
	static const char cut[] = "...";
	struct quoted q;
	size_t used = 0;

	for (; *name; name++) {
		char esc[4];
		size_t n = quote_byte((unsigned char)*name, esc);

		if (used + n + sizeof(cut) > sizeof(q.s)) {
			memcpy(q.s + used, cut, sizeof(cut));
			return q;
		}
		memcpy(q.s + used, esc, n);
		used += n;
	}
	q.s[used] = '\0';
	return q;
}
