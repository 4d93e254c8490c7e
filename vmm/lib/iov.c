// SPDX-License-Identifier: MIT
/*
 * See iov.h. Two copies instead of one with a direction flag: the types say
 * which side is written.
 */
#include "lib/iov.h"

#include <string.h>

unsigned iov_skip(struct iovec *iov, unsigned nr, size_t n)
{
	unsigned i;

	for (i = 0; i < nr && n >= iov[i].iov_len; i++)
		n -= iov[i].iov_len;
	if (i < nr) {
		iov[i].iov_base = (char *)iov[i].iov_base + n;
		iov[i].iov_len -= n;
	}
	return i;
}

unsigned iov_cut(struct iovec *iov, unsigned nr, size_t n)
{
	unsigned i;

	for (i = 0; i < nr && n; i++) {
		if (iov[i].iov_len > n)
			iov[i].iov_len = n;
		n -= iov[i].iov_len;
	}
	return i;
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t iov_from_buf(const struct iovec *iov, unsigned nr, const void *buf,
		    size_t len)
{
	size_t done = 0;
	unsigned i;

	for (i = 0; i < nr && done < len; i++) {
		size_t n = min_size(iov[i].iov_len, len - done);

		memcpy(iov[i].iov_base, (const char *)buf + done, n);
		done += n;
	}
	return done;
}

size_t iov_to_buf(const struct iovec *iov, unsigned nr, void *buf, size_t len)
{
	size_t done = 0;
	unsigned i;

	for (i = 0; i < nr && done < len; i++) {
		size_t n = min_size(iov[i].iov_len, len - done);

		memcpy((char *)buf + done, iov[i].iov_base, n);
		done += n;
	}
	return done;
}
