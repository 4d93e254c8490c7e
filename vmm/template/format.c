// SPDX-License-Identifier: MIT
/*
 * One function a struct and direction, in the order of the fields: the file's
 * layout is what stands here.
 */
#include "template/format.h"

#include <zlib.h>

#define CRC_OFFSET 16u

void template_pack_header(struct pack *p, const struct template_header *h)
{
	pack_bytes(p, h->magic, sizeof(h->magic));
	pack_u32(p, h->version);
	pack_u32(p, h->head_len);
	pack_u32(p, h->head_crc);
	pack_u32(p, h->memory_crc);
	pack_u64(p, h->file_len);
	pack_u64(p, h->stamp_ns);
	pack_bytes(p, h->arch, sizeof(h->arch));
}

void template_unpack_header(struct unpack *u, struct template_header *h)
{
	unpack_bytes(u, h->magic, sizeof(h->magic));
	h->version = unpack_u32(u);
	h->head_len = unpack_u32(u);
	h->head_crc = unpack_u32(u);
	h->memory_crc = unpack_u32(u);
	h->file_len = unpack_u64(u);
	h->stamp_ns = unpack_u64(u);
	unpack_bytes(u, h->arch, sizeof(h->arch));
}

void template_pack_identity(struct pack *p, const struct template_identity *i)
{
	pack_u64(p, i->memory);
	pack_u32(p, i->cpus);
	pack_bool(p, i->warm);
	pack_u64(p, i->created);
	pack_u64(p, i->kernel_size);
	pack_u64(p, i->image_size);
	pack_u64(p, (uint64_t)i->kernel_mtime);
	pack_bytes(p, i->image_uuid, sizeof(i->image_uuid));
	pack_u32(p, i->image_crc);
	pack_bytes(p, i->kernel, sizeof(i->kernel));
	pack_bytes(p, i->image, sizeof(i->image));
	pack_bytes(p, i->kernel_salt, sizeof(i->kernel_salt));
	pack_bytes(p, i->husk_version, sizeof(i->husk_version));
	pack_bytes(p, i->husk_commit, sizeof(i->husk_commit));
	pack_bytes(p, i->command, sizeof(i->command));
}

static void unpack_string(struct unpack *u, char *s, size_t size)
{
	unpack_bytes(u, s, size);
	s[size - 1] = '\0';
}

void template_unpack_identity(struct unpack *u, struct template_identity *i)
{
	i->memory = unpack_u64(u);
	i->cpus = unpack_u32(u);
	i->warm = unpack_bool(u);
	i->created = unpack_u64(u);
	i->kernel_size = unpack_u64(u);
	i->image_size = unpack_u64(u);
	i->kernel_mtime = (int64_t)unpack_u64(u);
	unpack_bytes(u, i->image_uuid, sizeof(i->image_uuid));
	i->image_crc = unpack_u32(u);
	unpack_string(u, i->kernel, sizeof(i->kernel));
	unpack_string(u, i->image, sizeof(i->image));
	unpack_string(u, i->kernel_salt, sizeof(i->kernel_salt));
	unpack_string(u, i->husk_version, sizeof(i->husk_version));
	unpack_string(u, i->husk_commit, sizeof(i->husk_commit));
	unpack_string(u, i->command, sizeof(i->command));
}

uint32_t template_head_crc(const uint8_t *head, size_t len)
{
	static const uint8_t zero[4];
	uLong crc = crc32(0, head, CRC_OFFSET);

	crc = crc32(crc, zero, sizeof(zero));
	return (uint32_t)crc32(crc, head + CRC_OFFSET + sizeof(zero),
			       (uInt)(len - CRC_OFFSET - sizeof(zero)));
}

int64_t template_stamp(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}
