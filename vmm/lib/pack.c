// SPDX-License-Identifier: MIT
/*
 * See pack.h. Values go through memcpy: buffers are not aligned, and every
 * machine that husk runs on is little-endian.
 */
#include "lib/pack.h"

#include <string.h>

void pack_init(struct pack *p, void *buf, size_t size)
{
	*p = (struct pack){ .buf = buf, .size = size };
}

void pack_bytes(struct pack *p, const void *src, size_t len)
{
	if (p->failed || len > p->size - p->len) {
		p->failed = true;
		return;
	}
	memcpy(p->buf + p->len, src, len);
	p->len += len;
}

void pack_u8(struct pack *p, uint8_t v)
{
	pack_bytes(p, &v, sizeof(v));
}

void pack_u16(struct pack *p, uint16_t v)
{
	pack_bytes(p, &v, sizeof(v));
}

void pack_u32(struct pack *p, uint32_t v)
{
	pack_bytes(p, &v, sizeof(v));
}

void pack_u64(struct pack *p, uint64_t v)
{
	pack_bytes(p, &v, sizeof(v));
}

void pack_bool(struct pack *p, bool v)
{
	pack_u8(p, v);
}

void unpack_init(struct unpack *u, const void *buf, size_t len)
{
	*u = (struct unpack){ .buf = buf, .len = len };
}

void unpack_bytes(struct unpack *u, void *dst, size_t len)
{
	if (u->failed || len > u->len - u->at) {
		u->failed = true;
		memset(dst, 0, len);
		return;
	}
	memcpy(dst, u->buf + u->at, len);
	u->at += len;
}

uint8_t unpack_u8(struct unpack *u)
{
	uint8_t v;

	unpack_bytes(u, &v, sizeof(v));
	return v;
}

uint16_t unpack_u16(struct unpack *u)
{
	uint16_t v;

	unpack_bytes(u, &v, sizeof(v));
	return v;
}

uint32_t unpack_u32(struct unpack *u)
{
	uint32_t v;

	unpack_bytes(u, &v, sizeof(v));
	return v;
}

uint64_t unpack_u64(struct unpack *u)
{
	uint64_t v;

	unpack_bytes(u, &v, sizeof(v));
	return v;
}

bool unpack_bool(struct unpack *u)
{
	uint8_t v = unpack_u8(u);

	if (v > 1)
		u->failed = true;
	return v == 1;
}

bool unpack_is_done(const struct unpack *u)
{
	return !u->failed && u->at == u->len;
}
