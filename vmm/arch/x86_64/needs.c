// SPDX-License-Identifier: MIT
/*
 * Does a kernel that husk did not build have what husk needs built in?
 *
 * A kernel does not carry its configuration in a form to rely on (IKCONFIG is
 * an option), and one without a driver would just hang or panic somewhere in
 * a boot that nobody sees. But each driver leaves texts behind that nothing
 * else does: names it registers, messages it prints. They are looked for in
 * the loaded segments only, so debug information about a module's headers
 * doesn't count. Texts checked against Linux 6.1 and 6.12. Rejected: symbol
 * names, since kallsyms are compressed and vmlinux files are stripped.
 */
#include "arch/x86_64/elf.h"
#include "arch/x86_64/file.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK	   (256u << 10)
#define TEXT_MAX   64u /* longer than any text below */
#define KERNEL	   0   /* index of the text every Linux has */

static const struct {
	const char *text;
	const char *option;
} need[] = {
	{ "Linux version ", "Linux" },
	{ "intel,ce4100-ioapic", "OF" },
	{ "kvm-clock", "KVM_GUEST" },
	{ "virtio,mmio", "VIRTIO_MMIO" },
	{ "virtio-ports", "VIRTIO_CONSOLE" },
	{ "virtio_blk", "VIRTIO_BLK" },
	{ "Initramfs unpacking failed", "BLK_DEV_INITRD" },
	{ "EXT4-fs (", "EXT4_FS" },
	{ "devtmpfs: initialized", "DEVTMPFS" },
};
#define NR_NEEDS (sizeof(need) / sizeof(need[0]))

static void scan_chunk(const uint8_t *buf, uint64_t len, bool *found)
{
	for (unsigned i = 0; i < NR_NEEDS; i++)
		if (!found[i])
			found[i] = memmem(buf, len, need[i].text,
					  strlen(need[i].text)) != NULL;
}

/* Chunks overlap by TEXT_MAX so that no text falls between two. */
static int scan_seg(int fd, const struct elf_seg *s, uint8_t *buf, bool *found,
		    struct err *e)
{
	uint64_t at = 0, n;
	int r;

	while (at < s->filesz) {
		n = s->filesz - at < CHUNK ? s->filesz - at : CHUNK;
		r = file_read_at(fd, buf, n, s->off + at, e);
		if (r)
			return r;
		scan_chunk(buf, n, found);
		if (n < CHUNK)
			break;
		at += n - TEXT_MAX;
	}
	return 0;
}

static int name_missing(const bool *found, struct err *e)
{
	char list[256] = "";
	size_t len = 0;

	if (!found[KERNEL])
		return err_set(e, ENOEXEC,
			       "is not a Linux kernel: the text '%s' is not in "
			       "it",
			       need[KERNEL].text);
	for (unsigned i = 0; i < NR_NEEDS; i++)
		if (!found[i] && len < sizeof(list))
			len += (size_t)snprintf(list + len, sizeof(list) - len,
						"%sCONFIG_%s", len ? ", " : "",
						need[i].option);
	if (!len)
		return 0;
	err_set(e, ENOEXEC, "kernel lacks %s", list);
	return err_hint(e, "built in, not as modules; 'make vmlinux' builds "
			   "a kernel that has all");
}

int elf_check_needs(int fd, const struct elf_image *img, struct err *e)
{
	auto_free uint8_t *buf = malloc(CHUNK);
	bool found[NR_NEEDS] = { false };
	int r = 0;

	if (!buf)
		return err_set(e, ENOMEM, "no memory to scan the kernel");
	for (unsigned i = 0; !r && i < img->nr_segs; i++)
		r = scan_seg(fd, &img->seg[i], buf, found, e);
	return r ? r : name_missing(found, e);
}
