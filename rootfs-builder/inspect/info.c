// SPDX-License-Identifier: MIT
/* Everything printed comes from the superblock: the same cost for any size. */
#include <e2p/e2p.h>
#include <ext2fs/ext2fs.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "inspect/inspect.h"
#include "inspect/open.h"
#include "lib/show.h"
#include "terminal/quote.h"

static void print_uuid(const uint8_t *u, FILE *to)
{
	size_t i;

	fputs("uuid: ", to);
	for (i = 0; i < 16; i++)
		show(to, "%s%02x",
		     i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
	fputc('\n', to);
}

/* e2p_feature2string answers in a buffer of its own, overwritten each time. */
static void print_features(const struct ext2_super_block *s, FILE *to)
{
	const uint32_t masks[] = {
		[E2P_FEATURE_COMPAT] = s->s_feature_compat,
		[E2P_FEATURE_INCOMPAT] = s->s_feature_incompat,
		[E2P_FEATURE_RO_INCOMPAT] = s->s_feature_ro_compat,
	};
	int kind;

	fputs("features:", to);
	for (kind = 0; kind <= E2P_FEATURE_RO_INCOMPAT; kind++) {
		uint32_t bit;

		for (bit = 1; bit; bit <<= 1)
			if (masks[kind] & bit)
				show(to, " %s", e2p_feature2string(kind, bit));
	}
	fputc('\n', to);
}

static void print_time(uint32_t seconds, FILE *to)
{
	time_t t = seconds;
	char text[32];
	struct tm tm;

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	show_line(to, "made: %s", text);
}

static void print_counts(ext2_filsys fs, FILE *to)
{
	const struct ext2_super_block *s = fs->super;
	uint64_t blocks = ext2fs_blocks_count(fs->super);
	uint64_t unused = ext2fs_free_blocks_count(fs->super);
	uint32_t reserved = EXT2_FIRST_INODE(s) - 1;
	uint32_t in_use = s->s_inodes_count - s->s_free_inodes_count;

	fprintf(to, "size: %" PRIu64 "\n", blocks * fs->blocksize);
	fprintf(to, "used: %" PRIu64 "\n", (blocks - unused) * fs->blocksize);
	fprintf(to, "free: %" PRIu64 "\n", unused * fs->blocksize);
	fprintf(to, "block: %u\n", fs->blocksize);
	/* The root is one of the reserved inodes. */
	fprintf(to, "files: %u\n",
		in_use < reserved ? 0 : in_use - reserved + 1);
	fprintf(to, "free-files: %u\n", s->s_free_inodes_count);
}

int inspect_info(const char *image, FILE *to, struct err *e)
{
	const struct ext2_super_block *s;
	char label[sizeof(s->s_volume_name) + 1] = { 0 };
	ext2_filsys fs;
	int rc = image_open(image, &fs, e);

	if (rc)
		return err_prefix(e, "read '%s': ", quote_name(image).s);
	s = fs->super;
	memcpy(label, s->s_volume_name, sizeof(s->s_volume_name));
	print_counts(fs, to);
	show_line(to, "label: %s", quote_name(label).s);
	print_uuid(s->s_uuid, to);
	print_time(s->s_mkfs_time, to);
	print_features(s, to);
	ext2fs_free(fs);
	return 0;
}
