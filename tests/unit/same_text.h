/* SPDX-License-Identifier: MIT */
/*
 * assert_same_text: two long texts are equal, or the test fails with the first
 * place where they are not and a little of both from there on. Rejected:
 * assert_string_equal, which prints both whole and leaves the search to the
 * reader; it stays for what fits a line.
 */
#ifndef HUSK_TESTS_SAME_TEXT_H
#define HUSK_TESTS_SAME_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Where two texts part: an offset, or -1 where they do not. */
static inline long texts_part(const char *got, const char *want)
{
	size_t i = 0;

	while (got[i] && got[i] == want[i])
		i++;
	return got[i] == want[i] ? -1 : (long)i;
}

static inline void assert_same_text(const char *got, const char *want)
{
	long at = texts_part(got, want);
	long from = at > 40 ? at - 40 : 0;

	if (at >= 0)
		fail_msg("differs from byte %ld on:\n got: %.*s\nwant: %.*s",
			 at, 100, got + from, 100, want + from);
}

#endif
