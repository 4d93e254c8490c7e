// SPDX-License-Identifier: MIT
/*
 * A cpio archive has one fixed header per entry, all fields eight hexadecimal
 * digits, names and data padded to four bytes. Made at each launch because
 * that is a copy of some ten kilobytes; rejected: an archive made at build
 * time, one more tool and format for nothing.
 */
#include "machine/initramfs.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char husk_init_start[], husk_init_end[];

#define HEADER_LEN 110u
#define MODE_FILE  0100755u

static const struct {
	const char *name;
	unsigned mode;
} entries[] = {
	{ "init", MODE_FILE },
	{ "TRAILER!!!", 0 },
};

#define NR_ENTRIES (sizeof(entries) / sizeof(entries[0]))

static size_t pad4(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

static size_t entry_size(const char *name, size_t data_len)
{
	return pad4(HEADER_LEN + strlen(name) + 1) + pad4(data_len);
}

static char *put_entry(char *p, unsigned ino, const char *name, unsigned mode,
		       const char *data, size_t len)
{
	size_t name_len = strlen(name) + 1;
	char header[HEADER_LEN + 1];

	snprintf(header, sizeof(header),
		 "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		 ino, mode, 0u, 0u, 1u, 0u, (unsigned)len, 0u, 0u, 0u, 0u,
		 (unsigned)name_len, 0u);
	memcpy(p, header, HEADER_LEN);
	memcpy(p + HEADER_LEN, name, name_len);
	if (len)
		memcpy(p + pad4(HEADER_LEN + name_len), data, len);
	return p + entry_size(name, len);
}

int initramfs_build(struct initramfs *i, struct err *e)
{
	size_t init_len = (size_t)(husk_init_end - husk_init_start);
	size_t total = 0;
	unsigned n;
	char *p;

	for (n = 0; n < NR_ENTRIES; n++)
		total +=
			entry_size(entries[n].name,
				   entries[n].mode == MODE_FILE ? init_len : 0);
	/* Zeroed: padding must not carry this process's memory. */
	i->data = calloc(1, total);
	if (!i->data)
		return err_sys(e, "prepare the guest's init");
	i->len = total;
	p = i->data;
	for (n = 0; n < NR_ENTRIES; n++) {
		size_t len = entries[n].mode == MODE_FILE ? init_len : 0;

		p = put_entry(p, n + 1, entries[n].name, entries[n].mode,
			      husk_init_start, len);
	}
	return 0;
}

void initramfs_fini(struct initramfs *i)
{
	free(i->data);
	*i = (struct initramfs){ 0 };
}
