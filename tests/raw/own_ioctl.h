/* SPDX-License-Identifier: MIT */
/*
 * libc's ioctl in the hands of a test: each one that husk does goes through
 * on_ioctl, which the test defines, and libc_ioctl does what libc would.
 * Included once in a program.
 */
#ifndef HUSK_TESTS_RAW_OWN_IOCTL_H
#define HUSK_TESTS_RAW_OWN_IOCTL_H

#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int on_ioctl(int fd, unsigned long request, void *arg);

static inline int libc_ioctl(int fd, unsigned long request, void *arg)
{
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	return on_ioctl(fd, request, arg);
}

#endif
