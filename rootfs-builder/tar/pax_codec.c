// SPDX-License-Identifier: MIT
/* Small decoders apart from pax.c, so that each can be tested by itself. */
#include "tar/pax_codec.h"

#include <errno.h>
#include <stdbool.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int pax_parse_time(const char *s, int64_t *sec, uint32_t *ns)
{
	bool negative = *s == '-';
	int64_t whole = 0;
	uint32_t part = 0, unit = 100000000;
	bool more = false;

	if (negative)
		s++;
	if (!is_digit(*s))
		return -EINVAL;
	for (; is_digit(*s); s++)
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, *s - '0', &whole))
			return -EINVAL;
	if (*s == '.')
		s++;
	for (; is_digit(*s); s++, unit /= 10) {
		part += unit * (uint32_t)(*s - '0');
		more |= !unit && *s != '0';
	}
	if (*s)
		return -EINVAL;
	/* Downwards: what is dropped of a negative number lowers it. */
	if (negative) {
		part += more;
		*sec = -whole - (part != 0);
		*ns = part ? 1000000000 - part : 0;
		return 0;
	}
	*sec = whole;
	*ns = part;
	return 0;
}

static int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int pax_decode_url(char *s)
{
	char *to = s;

	for (; *s; to++) {
		int high, low;

		if (*s != '%') {
			*to = *s++;
			continue;
		}
		high = hex_digit(s[1]);
		low = high < 0 ? -1 : hex_digit(s[2]);
		if (low < 0 || (!high && !low))
			return -EINVAL;
		*to = (char)(high << 4 | low);
		s += 3;
	}
	*to = '\0';
	return 0;
}

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (is_digit(c))
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

int pax_decode_base64(char *s, size_t len, size_t *out)
{
	uint32_t bits = 0, have = 0;
	size_t i, n = 0;

	while (len && s[len - 1] == '=')
		len--;
	for (i = 0; i < len; i++) {
		int d = base64_digit(s[i]);

		if (d < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)d;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		s[n++] = (char)(bits >> have & 0xff);
	}
	if (have == 6)
		return -EINVAL;
	*out = n;
	return 0;
}
