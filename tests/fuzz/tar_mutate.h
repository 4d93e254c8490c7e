/* SPDX-License-Identifier: MIT */
/*
 * A fuzzer does not guess check sums: after each mutation, what looks like a
 * header gets a right one, mostly. Included by the targets that read tars;
 * without libFuzzer nothing of it is called.
 */
#ifndef FUZZ_TAR_MUTATE_H
#define FUZZ_TAR_MUTATE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max)
	__attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed);

static void fix_sum(uint8_t *h)
{
	unsigned int sum = 0;
	char text[8];
	size_t i;

	memset(h + 148, ' ', 8);
	for (i = 0; i < 512; i++)
		sum += h[i];
	snprintf(text, sizeof(text), "%06o", sum & 0777777);
	memcpy(h + 148, text, 7);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed)
{
	size_t at, n = LLVMFuzzerMutate(data, size, max);

	if (seed % 16 == 0)
		return n;
	for (at = 0; at + 512 <= n; at += 512)
		if (!memcmp(data + at + 257, "ustar", 5))
			fix_sum(data + at);
	return n;
}

#endif
