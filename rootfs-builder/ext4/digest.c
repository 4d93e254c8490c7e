// SPDX-License-Identifier: MIT
/* state = SHA-512(state | piece), with a state of zeros first. */
#include "ext4/digest.h"

#include <ext2fs/ext2fs.h>
#include <string.h>

static void add_piece(struct digest *d)
{
	uint8_t out[DIGEST_STATE];

	ext2fs_sha512(d->buf, DIGEST_STATE + d->fill, out);
	memcpy(d->buf, out, DIGEST_STATE);
	d->fill = 0;
}

void digest_add(struct digest *d, const void *p, size_t n)
{
	const uint8_t *from = p;

	while (n) {
		size_t room = DIGEST_PIECE - d->fill;
		size_t k = n < room ? n : room;

		memcpy(d->buf + DIGEST_STATE + d->fill, from, k);
		d->fill += k;
		from += k;
		n -= k;
		if (d->fill == DIGEST_PIECE)
			add_piece(d);
	}
}

void digest_add_u64(struct digest *d, uint64_t v)
{
	uint8_t b[8];
	unsigned int i;

	for (i = 0; i < 8; i++)
		b[i] = (uint8_t)(v >> (8 * i));
	digest_add(d, b, sizeof(b));
}

void digest_add_text(struct digest *d, const char *s)
{
	size_t n = strlen(s);

	digest_add_u64(d, n);
	digest_add(d, s, n);
}

void digest_uuid(struct digest *d, uint8_t uuid[16])
{
	add_piece(d);
	memcpy(uuid, d->buf, 16);
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x80);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}
