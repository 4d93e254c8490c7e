/* SPDX-License-Identifier: MIT */
/* How values are spelled inside extended headers. Pure. */
#ifndef HUSK_ROOTFS_PAX_CODEC_H
#define HUSK_ROOTFS_PAX_CODEC_H

#include <stddef.h>
#include <stdint.h>

/*
 * "[-]SECONDS[.FRACTION]" to the second below and 0..999999999 ns above it;
 * digits beyond the ninth are dropped. -EINVAL when malformed or out of
 * int64.
 */
int pax_parse_time(const char *s, int64_t *sec, uint32_t *ns);

/* %XX to bytes, in place; -EINVAL when malformed or when a %00 is in it. */
int pax_decode_url(char *s);

/*
 * Base 64 to bytes, in place: with or without '=' at the end. Sets *out to
 * the number of bytes; -EINVAL on a character that does not belong.
 */
int pax_decode_base64(char *s, size_t len, size_t *out);

#endif
