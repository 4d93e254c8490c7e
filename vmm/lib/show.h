/* SPDX-License-Identifier: MIT */
/*
 * Text for people, on a terminal or in a file that one will look at. Nothing
 * else prints a string that is not a literal (tests/lint/print.sh): what a
 * user, an archive, an image, a template or a guest chose is cleaned on its
 * way out, see lib/text.h, whoever forgets where it came from.
 *
 * Errors of writing stay in the FILE, as with stdio.
 */
#ifndef HUSK_LIB_SHOW_H
#define HUSK_LIB_SHOW_H

#include <stdio.h>

/*
 * What printf makes of it, cleaned as a whole: it has no newline, and
 * show_line adds the only one.
 */
void show(FILE *to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void show_line(FILE *to, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* `n` bytes of a name, in the form that can be read back. */
void show_name(FILE *to, const char *s, size_t n);

/* What is clean by its making: JSON, our own colours, the text of --help. */
void show_raw(FILE *to, const char *s);

#endif
