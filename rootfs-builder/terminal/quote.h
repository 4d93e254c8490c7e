/* SPDX-License-Identifier: MIT */
/*
 * Names for people. A name from an archive or an image may hold any byte but
 * 0: printed raw, a newline would break the one-line promise of an error and
 * an escape sequence would reach the terminal.
 */
#ifndef HUSK_ROOTFS_QUOTE_H
#define HUSK_ROOTFS_QUOTE_H

struct quoted {
	char s[260];
};

/*
 * name as text_add_name has it. What does not fit is cut and ends in "...".
 * Returned by value, so that quote_name(x).s can stand in an argument list.
 */
struct quoted quote_name(const char *name);

#endif
