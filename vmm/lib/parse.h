/* SPDX-License-Identifier: MIT */
/*
 * Numbers as people write them. Pure; no locale; the whole string must be
 * used up. Return 0 and set *out, or -EINVAL (not a number), -ERANGE (outside
 * min..max) and leave *out alone.
 */
#ifndef HUSK_LIB_PARSE_H
#define HUSK_LIB_PARSE_H

#include <stdint.h>

/* Decimal digits only. */
int parse_uint(const char *s, uint64_t min, uint64_t max, uint64_t *out);

/* Bytes: digits, then K, M, G or T (powers of 1024; "KiB", "MB"... too). */
int parse_size(const char *s, uint64_t min, uint64_t max, uint64_t *out);

/*
 * Nanoseconds: "1.5s", "200ms", "10us", "2m", "1h"; a bare number is seconds.
 * At most nine decimals count, further ones are dropped.
 */
int parse_duration(const char *s, uint64_t min, uint64_t max, uint64_t *out);

#endif
