// SPDX-License-Identifier: MIT
/*
 * From a kernel file as people have it to an ELF file: what is it, and if it
 * is gzip'ed, inflate it.
 *
 * gzip alone is unpacked here since a vmlinux.gz is what is worth storing;
 * for the other formats the message names the program that unpacks them. The
 * output is bounded by the length the file itself states in its last four
 * bytes and by UNPACK_MAX, so a crafted file can neither fill the memory nor
 * hold husk up for long.
 */
#include "arch/x86_64/elf.h"
#include "arch/x86_64/file.h"
#include "lib/cleanup.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#define UNPACK_MAX (256u << 20)
#define CHUNK	   (64u << 10)

/* gzip: 10 bytes of header, 2 of an empty block, 8 of checksum and length */
#define GZIP_MIN 20u

/* Files that are mistaken for a vmlinux, by the bytes they start with. */
static const struct {
	unsigned at, len;
	const char *magic;
	const char *what;
	const char *hint;
} known[] = {
	{ 0x202, 4, "HdrS", "is a bzImage, expected an uncompressed vmlinux",
	  "get it with linux/scripts/extract-vmlinux BZIMAGE >vmlinux" },
	{ 0x38, 4, "ARM\x64", "is an arm64 Image, expected an x86-64 vmlinux",
	  NULL },
	{ 0, 6, "\xfd" "7zXZ\0", "is xz'ed, expected a vmlinux or vmlinux.gz",
	  "unpack it with xz -d" },
	{ 0, 4, "\x28\xb5\x2f\xfd",
	  "is zstd'ed, expected a vmlinux or vmlinux.gz",
	  "unpack it with zstd -d" },
	{ 0, 3, "BZh", "is bzip2'ed, expected a vmlinux or vmlinux.gz",
	  "unpack it with bzip2 -d" },
	{ 0, 4, "\x02\x21\x4c\x18",
	  "is lz4'ed, expected a vmlinux or vmlinux.gz",
	  "unpack it with lz4 -d" },
	{ 0, 2, "#!", "is a script, expected a vmlinux", NULL },
};

/* The line for a file that is neither ELF nor gzip. */
static int unknown_file(const uint8_t *head, uint64_t len, struct err *e)
{
	unsigned i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].at + known[i].len > len ||
		    memcmp(head + known[i].at, known[i].magic, known[i].len))
			continue;
		err_set(e, ENOEXEC, "%s", known[i].what);
		return known[i].hint ? err_hint(e, "%s", known[i].hint)
				     : -ENOEXEC;
	}
	return 0;
}

/* Where inflating stands; buffers are in the caller's frame. */
struct unpack {
	int in, out;
	uint64_t size;	  /* of the packed file */
	uint64_t at;	  /* next byte to read of it */
	uint64_t written; /* bytes that came out */
	uint64_t limit;	  /* and may come out */
};

static int write_all(struct unpack *u, const uint8_t *p, uint64_t len,
		     struct err *e)
{
	if (len > u->limit - u->written)
		return err_set(e, ENOEXEC,
			       "gzip data is corrupt: more than the %llu bytes "
			       "its end states",
			       (unsigned long long)u->limit);
	while (len) {
		ssize_t n = write(u->out, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "write the unpacked kernel to memory");
		p += n;
		len -= (uint64_t)n;
		u->written += (uint64_t)n;
	}
	return 0;
}

static int feed(struct unpack *u, z_stream *z, uint8_t *buf, struct err *e)
{
	uint64_t n = u->size - u->at < CHUNK ? u->size - u->at : CHUNK;
	int r;

	if (!n)
		return err_set(e, ENOEXEC,
			       "gzip data is truncated: it ends after %llu "
			       "bytes, %llu of %llu unpacked",
			       (unsigned long long)u->size,
			       (unsigned long long)u->written,
			       (unsigned long long)u->limit);
	r = file_read_at(u->in, buf, n, u->at, e);
	if (r)
		return r;
	u->at += n;
	z->next_in = buf;
	z->avail_in = (uInt)n;
	return 0;
}

static int inflate_loop(struct unpack *u, z_stream *z, struct err *e)
{
	uint8_t in[CHUNK], out[CHUNK];
	int r, zr = Z_OK;

	while (zr != Z_STREAM_END) {
		if (!z->avail_in) {
			r = feed(u, z, in, e);
			if (r)
				return r;
		}
		z->next_out = out;
		z->avail_out = CHUNK;
		zr = inflate(z, Z_NO_FLUSH);
		if (zr == Z_MEM_ERROR)
			return err_set(e, ENOMEM, "no memory to unpack gzip");
		if (zr != Z_OK && zr != Z_STREAM_END && zr != Z_BUF_ERROR)
			return err_set(e, ENOEXEC,
				       "gzip data is corrupt near byte %llu: "
				       "%s",
				       (unsigned long long)(u->at -
							    z->avail_in),
				       z->msg ? z->msg : "preset dictionary");
		r = write_all(u, out, CHUNK - z->avail_out, e);
		if (r)
			return r;
	}
	if (u->at - z->avail_in != u->size)
		return err_set(e, ENOEXEC,
			       "gzip data ends at byte %llu, the file has "
			       "%llu (garbage at its end?)",
			       (unsigned long long)(u->at - z->avail_in),
			       (unsigned long long)u->size);
	return 0;
}

/* The unpacked length, which gzip keeps modulo 4 GiB in its last bytes. */
static int read_limit(struct unpack *u, struct err *e)
{
	uint8_t b[4];
	int r;

	if (u->size < GZIP_MIN)
		return err_set(e, ENOEXEC,
			       "gzip data is truncated: %llu bytes, at least "
			       "%u expected",
			       (unsigned long long)u->size, GZIP_MIN);
	r = file_read_at(u->in, b, sizeof(b), u->size - sizeof(b), e);
	if (r)
		return r;
	u->limit = (uint64_t)b[0] | (uint64_t)b[1] << 8 |
		   (uint64_t)b[2] << 16 | (uint64_t)b[3] << 24;
	if (u->limit > UNPACK_MAX)
		return err_set(e, EFBIG,
			       "gzip data states %llu unpacked bytes, at most "
			       "%u are accepted (truncated, or garbage at its "
			       "end?)",
			       (unsigned long long)u->limit, UNPACK_MAX);
	return 0;
}

static int unpack_gzip(int fd, uint64_t size, int *unpacked, struct err *e)
{
	struct unpack u = { .in = fd, .size = size };
	z_stream z = { 0 };
	auto_fd out = -1;
	int r;

	r = read_limit(&u, e);
	if (r)
		return r;
	out = memfd_create("husk-kernel", MFD_CLOEXEC);
	if (out < 0)
		return err_sys(e, "make a memory file for the kernel");
	u.out = out;
	/* 15 bits of window; 16 more mean a gzip header and nothing else. */
	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return err_set(e, ENOMEM, "no memory to unpack gzip");
	r = inflate_loop(&u, &z, e);
	inflateEnd(&z);
	if (!r)
		*unpacked = steal_fd(&out);
	return r;
}

int elf_unpack(int fd, int *unpacked, struct err *e)
{
	uint8_t head[1024];
	uint64_t size, len;
	int r;

	*unpacked = -1;
	r = file_size(fd, &size, e);
	if (r)
		return r;
	len = size < sizeof(head) ? size : sizeof(head);
	r = file_read_at(fd, head, len, 0, e);
	if (r)
		return r;
	if (len >= SELFMAG && !memcmp(head, ELFMAG, SELFMAG))
		return 0;
	if (len >= 2 && head[0] == 0x1f && head[1] == 0x8b)
		return unpack_gzip(fd, size, unpacked, e);
	/* Unknown to the table too: elf_read says what the bytes are. */
	return unknown_file(head, len, e);
}
