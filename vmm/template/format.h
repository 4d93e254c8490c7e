/* SPDX-License-Identifier: MIT */
/*
 * Bytes of a template's head, shared by its reader (template.c) and its
 * writer (write.c). Nobody else includes this.
 */
#ifndef HUSK_TEMPLATE_FORMAT_H
#define HUSK_TEMPLATE_FORMAT_H

#include "lib/pack.h"
#include "template/identity.h"

#include <sys/stat.h>

#define TEMPLATE_MAGIC	    "HUSKTMPL"
#define TEMPLATE_HEADER_LEN 48u
#define TEMPLATE_ALIGN	    8u /* of each section's bytes in the head */
#define TEMPLATE_EXTENT_LEN 24u
#define TEMPLATE_RUN_LEN    8u
#define TEMPLATE_RUN_WRITTEN (1u << 31) /* in the count of a run */
#define TEMPLATE_CHUNK	    (256u << 10)

struct template_header {
	char magic[8];
	uint32_t version;
	uint32_t head_len;
	uint32_t head_crc;	/* of the head with this field zero */
	uint32_t memory_crc;	/* of the extents' bytes in order */
	uint64_t file_len;
	uint64_t stamp_ns;
	char arch[8];		/* whose machine it is: arch_words.name */
};

void template_pack_header(struct pack *p, const struct template_header *h);
void template_unpack_header(struct unpack *u, struct template_header *h);
void template_pack_identity(struct pack *p, const struct template_identity *i);
void template_unpack_identity(struct unpack *u, struct template_identity *i);

/* CRC-32 of a head, its own field taken as zero; len >= the header's. */
uint32_t template_head_crc(const uint8_t *head, size_t len);

/* Modification time in nanoseconds since 1970. */
int64_t template_stamp(const struct stat *st);

#endif
