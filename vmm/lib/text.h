/* SPDX-License-Identifier: MIT */
/*
 * Text into a buffer of the caller: appending never overflows, never
 * allocates and never fails. What does not fit is dropped, but counted, as
 * snprintf counts. The buffer holds a NUL-terminated string at all times.
 */
#ifndef HUSK_LIB_TEXT_H
#define HUSK_LIB_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
	char *buf;	/* borrowed */
	size_t size;	/* of buf, at least 1 */
	size_t wanted;	/* bytes so far, as if buf had no end */
};

void text_init(struct text *t, char *buf, size_t size);

/* Append `n` bytes, or what printf makes of the arguments. */
void text_add(struct text *t, const char *s, size_t n);
void text_printf(struct text *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Append a string that somebody else chose (a user, a guest) so that it stays
 * on its line and a terminal obeys nothing in it: control characters and
 * bytes that are not UTF-8 become '?'.
 */
void text_add_clean(struct text *t, const char *s);

/* Bytes in the buffer, without the NUL. */
size_t text_len(const struct text *t);

/* True when nothing had to be dropped. */
bool text_is_whole(const struct text *t);

/*
 * Length of the UTF-8 character at `s`, of which `n` bytes are there: 1 to 4,
 * or 0 when it is cut short, overlong, a surrogate or above U+10FFFF.
 */
size_t text_utf8_len(const char *s, size_t n);

/* True for the UTF-8 encodings of U+0000..001F and U+007F..009F. */
bool text_is_control(const char *s, size_t len);

#endif
