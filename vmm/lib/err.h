/* SPDX-License-Identifier: MIT */
/*
 * Errors that travel up to main, one line each.
 *
 * A function that can fail for reasons of the host or the user takes a
 * `struct err *` as its last argument and returns 0 (or something >= 0) or a
 * negative errno. On success the err is untouched. On failure it is set once,
 * where the fact is known, in the form "operation 'object': reason (hint)";
 * callers may add context in front with err_prefix. Only main prints it.
 *
 * The caller owns the struct; nothing is allocated. A text that does not fit
 * is cut. What a guest does wrong is never an err: it stays in the device.
 */
#ifndef HUSK_LIB_ERR_H
#define HUSK_LIB_ERR_H

struct err {
	int code;	/* errno, > 0 once set */
	char msg[508];
};

/* Set message and code (> 0); returns -code. */
int err_set(struct err *e, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As err_set with code = errno, and ": strerror" after the message. */
int err_sys(struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Put context in front of what is there; returns -e->code. */
int err_prefix(struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Put " (hint)" behind what is there; returns -e->code. */
int err_hint(struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
