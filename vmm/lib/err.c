// SPDX-License-Identifier: MIT
/*
 * The message of an error, built in place. Formatting never fails and never
 * allocates: an error path must work when memory is what ran out.
 */
#include "lib/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void append(struct err *e, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

static void append(struct err *e, const char *fmt, va_list ap)
{
	size_t used = strlen(e->msg);

	vsnprintf(e->msg + used, sizeof(e->msg) - used, fmt, ap);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	e->code = code;
	e->msg[0] = '\0';
	va_start(ap, fmt);
	append(e, fmt, ap);
	va_end(ap);
	return -code;
}

int err_sys(struct err *e, const char *fmt, ...)
{
	int code = errno ? errno : EIO;
	size_t used;
	va_list ap;

	e->code = code;
	e->msg[0] = '\0';
	va_start(ap, fmt);
	append(e, fmt, ap);
	va_end(ap);
	used = strlen(e->msg);
	snprintf(e->msg + used, sizeof(e->msg) - used, ": %s", strerror(code));
	return -code;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
	char old[sizeof(e->msg)];
	size_t used;
	va_list ap;

	memcpy(old, e->msg, sizeof(old));
	e->msg[0] = '\0';
	va_start(ap, fmt);
	append(e, fmt, ap);
	va_end(ap);
	used = strlen(e->msg);
	snprintf(e->msg + used, sizeof(e->msg) - used, "%s", old);
	return -e->code;
}

int err_hint(struct err *e, const char *fmt, ...)
{
	char hint[sizeof(e->msg)];
	size_t used = strlen(e->msg);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(hint, sizeof(hint), fmt, ap);
	va_end(ap);
	snprintf(e->msg + used, sizeof(e->msg) - used, " (%s)", hint);
	return -e->code;
}
