/* SPDX-License-Identifier: MIT */
/*
 * Archives for tests, block by block, right or wrong on purpose. Everything
 * is static, so that a test links nothing for it.
 */
#ifndef TEST_TAR_MAKE_H
#define TEST_TAR_MAKE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tarmake {
	size_t n;
	uint8_t b[1 << 17];
};

/* Room for n bytes of zeros at the end. */
static inline uint8_t *tm_more(struct tarmake *t, size_t n)
{
	uint8_t *p = t->b + t->n;

	if (n > sizeof(t->b) - t->n)
		abort();
	memset(p, 0, n);
	t->n += n;
	return p;
}

static inline void tm_octal(uint8_t *field, size_t len, uint64_t v)
{
	char text[32];

	snprintf(text, sizeof(text), "%0*llo", (int)len - 1,
		 (unsigned long long)v);
	memcpy(field, text, len);
}

/* After any change to a header. */
static inline void tm_sum(uint8_t *h)
{
	uint32_t sum = 0;
	size_t i;

	memset(h + 148, ' ', 8);
	for (i = 0; i < 512; i++)
		sum += h[i];
	tm_octal(h + 148, 7, sum);
	h[154] = '\0';
}

/* A ustar header: mode 0644, owner 1:2, time 100. */
static inline uint8_t *tm_head(struct tarmake *t, char type, const char *path,
			       uint64_t size)
{
	uint8_t *h = tm_more(t, 512);
	size_t n = strlen(path);

	memcpy(h, path, n < 100 ? n : 100);
	tm_octal(h + 100, 8, 0644);
	tm_octal(h + 108, 8, 1);
	tm_octal(h + 116, 8, 2);
	tm_octal(h + 124, 12, size);
	tm_octal(h + 136, 12, 100);
	h[156] = (uint8_t)type;
	memcpy(h + 257, "ustar\00000", 8);
	tm_sum(h);
	return h;
}

/* Data with its padding. */
static inline void tm_data(struct tarmake *t, const void *p, size_t n)
{
	uint8_t *to = tm_more(t, (n + 511) & ~(size_t)511);

	if (n)
		memcpy(to, p, n);
}

static inline void tm_file(struct tarmake *t, const char *path,
			   const char *text)
{
	tm_head(t, '0', path, strlen(text));
	tm_data(t, text, strlen(text));
}

/* One record of an extended header appended to buf; the value may hold NUL. */
static inline size_t tm_record(char *buf, const char *key, const void *value,
			       size_t n)
{
	size_t body = strlen(key) + n + 3, len = body + 1;
	char num[16];
	int k;

	while ((size_t)snprintf(num, sizeof(num), "%zu", len) + body != len)
		len++;
	k = snprintf(buf, len, "%zu %s=", len, key);
	memcpy(buf + k, value, n);
	buf[len - 1] = '\n';
	return len;
}

/* An extended header of key, value, key, value, NULL. */
static inline void tm_pax(struct tarmake *t, char type, const char *const *kv)
{
	static char buf[65536];
	size_t n = 0;

	for (; *kv; kv += 2)
		n += tm_record(buf + n, kv[0], kv[1], strlen(kv[1]));
	tm_head(t, type, "pax", n);
	tm_data(t, buf, n);
}

static inline void tm_end(struct tarmake *t)
{
	tm_more(t, 1024);
}

#define TM_PAX(t, type, ...)                                                   \
	tm_pax(t, type, (const char *const[]){__VA_ARGS__, NULL})

#endif
