// SPDX-License-Identifier: MIT
/*
 * Scattered buffers against a plain one: every split of a text into up to
 * three pieces, every length. Each piece is a heap block of its exact size.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/iov.h"

#define LEN 7u
static const char text[] = "abcdefg";

/* Pieces [0,a) [a,b) [b,LEN); an empty one is a block of no bytes. */
static void split(struct iovec iov[3], size_t a, size_t b)
{
	const size_t len[3] = { a, b - a, LEN - b };
	size_t i, off = 0;

	for (i = 0; i < 3; i++) {
		iov[i].iov_base = malloc(len[i] ? len[i] : 1);
		iov[i].iov_len = len[i];
		assert_non_null(iov[i].iov_base);
		memcpy(iov[i].iov_base, text + off, len[i]);
		off += len[i];
	}
}

static void release(char *piece[3])
{
	size_t i;

	for (i = 0; i < 3; i++)
		free(piece[i]);
}

static void check_split(size_t a, size_t b, size_t n)
{
	struct iovec iov[3], tail[3];
	char *piece[3], buf[LEN + 2];
	size_t i, want = n < LEN ? n : LEN;
	unsigned first;

	split(iov, a, b);
	for (i = 0; i < 3; i++)
		piece[i] = iov[i].iov_base;
	memset(buf, '-', sizeof(buf));
	assert_int_equal(iov_to_buf(iov, 3, buf, n), want);
	assert_memory_equal(buf, text, want);
	assert_int_equal(buf[want], '-');

	/* What is left after n bytes is the text from n on. */
	memcpy(tail, iov, sizeof(tail));
	first = iov_skip(tail, 3, n);
	memset(buf, '-', sizeof(buf));
	assert_int_equal(iov_to_buf(tail + first, 3 - first, buf, sizeof(buf)),
			 LEN - want);
	assert_memory_equal(buf, text + want, LEN - want);
	/* No empty entry in front: a read into it would look like the end. */
	assert_true(first == 3 || tail[first].iov_len);
	assert_true(first != 3 || n >= LEN);

	for (i = 0; i < 3; i++)
		memset(piece[i], '.', iov[i].iov_len);
	assert_int_equal(iov_from_buf(iov, 3, text, want), want);
	memset(buf, '-', sizeof(buf));
	assert_int_equal(iov_to_buf(iov, 3, buf, sizeof(buf)), LEN);
	assert_memory_equal(buf, text, want);
	for (i = want; i < LEN; i++)
		assert_int_equal(buf[i], '.');
	release(piece);
}

static void every_split_and_length(void **state)
{
	size_t a, b, n;

	(void)state;
	for (a = 0; a <= LEN; a++)
		for (b = a; b <= LEN; b++)
			for (n = 0; n <= LEN + 1; n++)
				check_split(a, b, n);
}

static void every_cut(void **state)
{
	size_t a, b, n;

	(void)state;
	for (a = 0; a <= LEN; a++)
		for (b = a; b <= LEN; b++)
			for (n = 0; n <= LEN + 1; n++) {
				size_t want = n < LEN ? n : LEN;
				char *piece[3];
				struct iovec iov[3];
				char buf[LEN];
				unsigned i, nr;

				split(iov, a, b);
				for (i = 0; i < 3; i++)
					piece[i] = iov[i].iov_base;
				nr = iov_cut(iov, 3, n);
				assert_true(nr <= 3);
				assert_int_equal(iov_to_buf(iov, nr, buf, LEN),
						 want);
				assert_memory_equal(buf, text, want);
				release(piece);
			}
}

static void more_than_fits(void **state)
{
	char buf[4];
	struct iovec iov[1] = { { buf, sizeof(buf) } };

	(void)state;
	assert_int_equal(iov_from_buf(iov, 1, text, LEN), 4);
	assert_memory_equal(buf, "abcd", 4);
	assert_int_equal(iov_from_buf(iov, 0, text, LEN), 0);
	assert_int_equal(iov_to_buf(NULL, 0, buf, 4), 0);
	assert_int_equal(iov_skip(NULL, 0, 5), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_split_and_length),
		cmocka_unit_test(every_cut),
		cmocka_unit_test(more_than_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
