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
#include <stdint.h>
#include <stdint.h>

struct text {
	char *buf;	/* borrowed */
	size_t size;	/* of buf, at least 1 */
	size_t wanted;	/* bytes so far, as if buf had no end */
};

void text_init(struct text *t, char *buf, size_t size);

/*
 * Append `n` bytes, a number in decimal, or what printf makes of the
 * arguments. On the way of each run only the first two: printf is large, and
 * each page of it that is touched a fault.
 */
void text_add(struct text *t, const char *s, size_t n);
void text_add_uint(struct text *t, uint64_t v);
void text_printf(struct text *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Append text that somebody else chose (a user, an archive, a guest), so that
 * it stays on its line and a terminal obeys nothing in it: each byte of a
 * character that is no visible one (text_is_unsafe) or no UTF-8 becomes \ooo,
 * in octal. Names get their backslashes so, too, and can be read back;
 * cleaning what is clean changes nothing, so a line may quote names. What does
 * not fit ends in dots.
 */
void text_add_clean(struct text *t, const char *s);
void text_add_name(struct text *t, const char *s);

/* Bytes in the buffer, without the NUL. */
size_t text_len(const struct text *t);

/* True when nothing had to be dropped. */
bool text_is_whole(const struct text *t);

/*
 * Length of the UTF-8 character at `s`, of which `n` bytes are there: 1 to 4,
 * or 0 when it is cut short, overlong, a surrogate or above U+10FFFF.
 */
size_t text_utf8_len(const char *s, size_t n);

/*
 * True for a character, one that text_utf8_len accepts, that moves, hides or
 * reorders others: controls (C0, DEL, C1), separators of lines, marks of
 * direction, zero width but for the two joiners that scripts need, tags.
 */
bool text_is_unsafe(const char *s, size_t len);

/* Its code point. */
uint32_t text_utf8_code(const char *s, size_t len);

/*
 * The longest piece at `s` of `n` > 0 bytes that may be shown as it is; with 0
 * the first byte may not, and text_escape writes its four characters, no NUL.
 */
size_t text_safe_len(const char *s, size_t n, bool is_name);
void text_escape(char out[4], char c);

#endif
