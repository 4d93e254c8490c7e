/* SPDX-License-Identifier: MIT */
/*
 * Reading a kernel file by position: no shared offset, no short reads, and a
 * line for each way it can fail.
 */
#ifndef HUSK_ARCH_X86_64_FILE_H
#define HUSK_ARCH_X86_64_FILE_H

#include "lib/err.h"

#include <stdint.h>

/* Size of a regular file; fails for anything else and says what it is. */
int file_size(int fd, uint64_t *size, struct err *e);

/* Exactly `len` bytes from `off` on; the file ending before is an error. */
int file_read_at(int fd, void *buf, uint64_t len, uint64_t off, struct err *e);

#endif
