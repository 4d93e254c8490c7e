/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic on scattered buffers. Pure; the arrays are the caller's.
 */
#ifndef HUSK_LIB_IOV_H
#define HUSK_LIB_IOV_H

#include <stddef.h>
#include <sys/uio.h>

/*
 * Drop the first `n` bytes: entries before them are skipped, the one they
 * end in is shortened in place. Returns the index of the first entry that is
 * left, `nr` when nothing is.
 */
unsigned iov_skip(struct iovec *iov, unsigned nr, size_t n);

/*
 * Keep the first `n` bytes: the entry they end in is shortened in place.
 * Returns how many entries that are.
 */
unsigned iov_cut(struct iovec *iov, unsigned nr, size_t n);

/* Copy into or out of the buffers; returns the bytes that fitted. */
size_t iov_from_buf(const struct iovec *iov, unsigned nr, const void *buf,
		    size_t len);
size_t iov_to_buf(const struct iovec *iov, unsigned nr, void *buf, size_t len);

#endif
