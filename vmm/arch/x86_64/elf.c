// SPDX-License-Identifier: MIT
/*
 * Reading the headers of a vmlinux, in numbered steps, and placing it.
 *
 * Everything checked is a copy: the file may change while it is read, and a
 * mapping of a file that shrinks raises SIGBUS. Only the segments themselves
 * are mapped, which is what lets all VMs share the kernel's pages in the page
 * cache; a kernel file truncated under a running VM kills that VM, and that
 * is the operator's doing.
 *
 * A segment that the kernel writes to is read: each mapped page of it would be
 * a fault to read, another to write, and a third since KVM forgets it between.
 * Of the others, whole pages are mapped and the ends are read: zeroing the rest
 * of a mapped last page instead would copy that page first, and two segments
 * that meet in one page need no special case this way.
 */
#include "arch/x86_64/elf.h"
#include "arch/x86_64/file.h"
#include "arch/x86_64/layout.h"
#include "lib/cleanup.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

typedef unsigned long long ull;

/* Notes beyond this are not read; the kernel's are under 1 KiB. */
#define NOTES_MAX 16384u
#define LINUX_BUILD_SALT 0x100u /* LINUX_ELFNOTE_BUILD_SALT */

/* Steps 1 to 7: this is an x86-64 ELF executable at all. */
static int check_ident(const Elf64_Ehdr *h, struct err *e)
{
	/* 1: magic */
	if (memcmp(h->e_ident, ELFMAG, SELFMAG))
		return err_set(e, ENOEXEC,
			       "not an ELF file: starts with %02x%02x%02x%02x, "
			       "expected 7f454c46",
			       h->e_ident[0], h->e_ident[1], h->e_ident[2],
			       h->e_ident[3]);
	/* 2: word size */
	if (h->e_ident[EI_CLASS] != ELFCLASS64)
		return err_set(e, ENOEXEC,
			       "ELF class is %u (32-bit is 1), expected 2 "
			       "(64-bit)",
			       h->e_ident[EI_CLASS]);
	/* 3: byte order */
	if (h->e_ident[EI_DATA] != ELFDATA2LSB)
		return err_set(e, ENOEXEC,
			       "ELF byte order is %u (big endian is 2), "
			       "expected 1 (little endian)",
			       h->e_ident[EI_DATA]);
	/* 4: versions */
	if (h->e_ident[EI_VERSION] != EV_CURRENT || h->e_version != EV_CURRENT)
		return err_set(e, ENOEXEC, "ELF version is %u/%u, expected 1/1",
			       h->e_ident[EI_VERSION], h->e_version);
	/* 5: machine */
	if (h->e_machine != EM_X86_64)
		return err_set(e, ENOEXEC,
			       "ELF machine is %u%s, expected 62 (x86-64)",
			       h->e_machine,
			       h->e_machine == EM_AARCH64 ? " (aarch64)"
			       : h->e_machine == EM_386	  ? " (i386)"
			       : h->e_machine == EM_RISCV ? " (riscv)"
							  : "");
	/* 6: linked */
	if (h->e_type != ET_EXEC && h->e_type != ET_DYN)
		return err_set(e, ENOEXEC,
			       "ELF type is %u%s, expected 2 (executable) or 3 "
			       "(position independent)",
			       h->e_type,
			       h->e_type == ET_REL    ? " (object file)"
			       : h->e_type == ET_CORE ? " (core dump)"
						      : "");
	/* 7: sizes of the tables' rows */
	if (h->e_ehsize != sizeof(*h) || h->e_phentsize != sizeof(Elf64_Phdr))
		return err_set(e, ENOEXEC,
			       "ELF header sizes are %u and %u, expected %zu "
			       "and %zu",
			       h->e_ehsize, h->e_phentsize, sizeof(*h),
			       sizeof(Elf64_Phdr));
	return 0;
}

/* Steps 8 and 9: the program headers are in the file; read them. */
static int read_phdrs(int fd, uint64_t size, const Elf64_Ehdr *h,
		      Elf64_Phdr *ph, struct err *e)
{
	uint64_t len = (uint64_t)h->e_phnum * sizeof(*ph);

	/* 8: count */
	if (!h->e_phnum || h->e_phnum > ELF_MAX_PHDRS)
		return err_set(e, ENOEXEC,
			       "ELF has %u program headers, expected 1 to %u",
			       h->e_phnum, ELF_MAX_PHDRS);
	/* 9: place; size >= len keeps the subtraction from wrapping */
	if (len > size || h->e_phoff > size - len)
		return err_set(e, ENOEXEC,
			       "program headers at byte %llu need %llu bytes, "
			       "the file has %llu (truncated?)",
			       (ull)h->e_phoff, (ull)len, (ull)size);
	return file_read_at(fd, ph, len, h->e_phoff, e);
}

static bool segs_overlap(const struct elf_seg *a, const struct elf_seg *b)
{
	return a->paddr < b->paddr + b->memsz && b->paddr < a->paddr + a->memsz;
}

/* Steps 10 to 13 for one PT_LOAD. */
static int check_seg(unsigned nr, const Elf64_Phdr *p, uint64_t size,
		     struct err *e)
{
	/* 10: content not longer than its place in memory */
	if (p->p_filesz > p->p_memsz)
		return err_set(e, ENOEXEC,
			       "segment %u has %llu bytes in the file, more "
			       "than its %llu in memory",
			       nr, (ull)p->p_filesz, (ull)p->p_memsz);
	/* 11: content inside the file */
	if (p->p_filesz > size || p->p_offset > size - p->p_filesz)
		return err_set(e, ENOEXEC,
			       "segment %u is %llu bytes from byte %llu on, "
			       "the file has %llu (truncated?)",
			       nr, (ull)p->p_filesz, (ull)p->p_offset,
			       (ull)size);
	/* 12: above what the boot tables and the old PC area take */
	if (p->p_paddr < LAYOUT_HIGH)
		return err_set(e, ENOEXEC,
			       "segment %u lies at physical address 0x%llx, "
			       "expected 0x%x or above (a program, not a "
			       "kernel?)",
			       nr, (ull)p->p_paddr, LAYOUT_HIGH);
	/* 13: below the device hole; rules out wrapping too */
	if (p->p_memsz > LAYOUT_HOLE || p->p_paddr > LAYOUT_HOLE - p->p_memsz)
		return err_set(e, ENOEXEC,
			       "segment %u is 0x%llx bytes at physical address "
			       "0x%llx, expected to end at 0x%llx at most",
			       nr, (ull)p->p_memsz, (ull)p->p_paddr,
			       LAYOUT_HOLE);
	return 0;
}

/* Step 14: a sound segment that meets none of those before it. */
static int add_seg(struct elf_image *img, unsigned nr, const Elf64_Phdr *p,
		   struct err *e)
{
	struct elf_seg s = { p->p_offset, p->p_paddr, p->p_filesz,
			     p->p_memsz, p->p_flags & PF_W };
	unsigned i;

	if (img->nr_segs == ELF_MAX_SEGS)
		return err_set(e, ENOEXEC,
			       "more than %u loadable segments", ELF_MAX_SEGS);
	for (i = 0; i < img->nr_segs; i++)
		if (segs_overlap(&s, &img->seg[i]))
			return err_set(e, ENOEXEC,
				       "segment %u (0x%llx to 0x%llx) overlaps "
				       "the one at 0x%llx to 0x%llx",
				       nr, (ull)s.paddr,
				       (ull)(s.paddr + s.memsz),
				       (ull)img->seg[i].paddr,
				       (ull)(img->seg[i].paddr +
					     img->seg[i].memsz));
	if (!img->nr_segs || s.paddr < img->start)
		img->start = s.paddr;
	if (s.paddr + s.memsz > img->end)
		img->end = s.paddr + s.memsz;
	img->seg[img->nr_segs++] = s;
	return 0;
}

/* Steps 15 and 16: there is something to load, and it can be entered. */
static int check_entry(const struct elf_image *img, struct err *e)
{
	unsigned i;

	if (!img->nr_segs)
		return err_set(e, ENOEXEC, "no loadable segment");
	for (i = 0; i < img->nr_segs; i++)
		if (img->entry >= img->seg[i].paddr &&
		    img->entry - img->seg[i].paddr < img->seg[i].filesz)
			return 0;
	return err_set(e, ENOEXEC,
		       "entry 0x%llx lies in no segment (they span 0x%llx to "
		       "0x%llx)",
		       (ull)img->entry, (ull)img->start, (ull)img->end);
}

static uint32_t round_up(uint32_t n, uint32_t to)
{
	return (n + to - 1) & ~(to - 1);
}

/* Printable text of at most sizeof(img->salt) - 1 bytes, else nothing. */
static void take_salt(struct elf_image *img, const uint8_t *desc, uint32_t len)
{
	uint32_t n = 0;

	while (n < len && desc[n])
		n++;
	if (n >= sizeof(img->salt))
		return;
	for (uint32_t i = 0; i < n; i++)
		if (desc[i] < 0x21 || desc[i] > 0x7e)
			return;
	memcpy(img->salt, desc, n);
}

/* Walk a copy of the notes; a malformed one ends the walk, silently. */
static void scan_notes(struct elf_image *img, const uint8_t *buf, uint32_t len,
		       uint32_t align)
{
	uint32_t at = 0;
	Elf64_Nhdr n;

	while (len - at >= sizeof(n)) {
		uint32_t name, desc;

		memcpy(&n, buf + at, sizeof(n));
		name = at + (uint32_t)sizeof(n);
		if (n.n_namesz > len || n.n_descsz > len)
			return;
		desc = round_up(name + n.n_namesz, align);
		if (desc > len || n.n_descsz > len - desc)
			return;
		if (n.n_type == LINUX_BUILD_SALT && n.n_namesz == 6 &&
		    !memcmp(buf + name, "Linux", 6))
			take_salt(img, buf + desc, n.n_descsz);
		at = round_up(desc + n.n_descsz, align);
		if (at > len)
			return;
	}
}

/* Step 17: a note segment lies inside the file; only its start is read. */
static int read_notes(int fd, struct elf_image *img, const Elf64_Phdr *p,
		      uint64_t size, struct err *e)
{
	uint64_t len = p->p_filesz < NOTES_MAX ? p->p_filesz : NOTES_MAX;
	uint8_t buf[NOTES_MAX];
	int r;

	if (p->p_filesz > size || p->p_offset > size - p->p_filesz)
		return err_set(e, ENOEXEC,
			       "notes of %llu bytes from byte %llu on, the "
			       "file has %llu (truncated?)",
			       (ull)p->p_filesz, (ull)p->p_offset, (ull)size);
	r = file_read_at(fd, buf, len, p->p_offset, e);
	if (r)
		return r;
	scan_notes(img, buf, (uint32_t)len, p->p_align == 8 ? 8 : 4);
	return 0;
}

int elf_read(int fd, struct elf_image *img, struct err *e)
{
	Elf64_Phdr ph[ELF_MAX_PHDRS];
	uint64_t size;
	Elf64_Ehdr h;
	unsigned i;
	int r;

	*img = (struct elf_image){ 0 };
	r = file_size(fd, &size, e);
	if (r)
		return r;
	if (size < sizeof(h))
		return err_set(e, ENOEXEC,
			       "file has %llu bytes, an ELF header has %zu",
			       (ull)size, sizeof(h));
	r = file_read_at(fd, &h, sizeof(h), 0, e);
	if (!r)
		r = check_ident(&h, e);
	if (!r)
		r = read_phdrs(fd, size, &h, ph, e);
	img->entry = h.e_entry;
	for (i = 0; !r && i < h.e_phnum; i++) {
		if (ph[i].p_type == PT_NOTE && ph[i].p_filesz)
			r = read_notes(fd, img, &ph[i], size, e);
		if (r || ph[i].p_type != PT_LOAD || !ph[i].p_memsz)
			continue;
		r = check_seg(i, &ph[i], size, e);
		if (!r)
			r = add_seg(img, i, &ph[i], e);
	}
	return r ? r : check_entry(img, e);
}

/* Map [paddr, paddr + len) from the file; -ENODEV if that can't be mapped. */
static int map_pages(int fd, const struct gmem *m, gpa_t paddr, uint64_t len,
		     uint64_t off, struct err *e)
{
	void *hva = gmem_ptr(m, paddr, len);

	if (!hva)
		return err_set(e, ENOMEM, "0x%llx to 0x%llx is not in RAM",
			       (ull)paddr, (ull)(paddr + len));
	if (mmap(hva, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd,
		 (off_t)off) != MAP_FAILED)
		return 0;
	if (errno == ENODEV || errno == EACCES)
		return -ENODEV;
	return err_sys(e, "map %llu bytes from byte %llu", (ull)len, (ull)off);
}

static int read_bytes(int fd, const struct gmem *m, gpa_t paddr, uint64_t len,
		      uint64_t off, struct err *e)
{
	void *hva;

	if (!len)
		return 0;
	hva = gmem_ptr(m, paddr, len);
	if (!hva)
		return err_set(e, ENOMEM, "0x%llx to 0x%llx is not in RAM",
			       (ull)paddr, (ull)(paddr + len));
	return file_read_at(fd, hva, len, off, e);
}

/* Bytes before the first and after the last whole page are read. */
static int place_seg(int fd, const struct elf_seg *s, const struct gmem *m,
		     struct err *e)
{
	uint64_t head = -s->paddr & (GMEM_PAGE - 1);
	uint64_t mid;
	int r;

	if (!gmem_ptr(m, s->paddr, s->memsz))
		return err_set(e, ENOMEM,
			       "segment at 0x%llx to 0x%llx is not in RAM",
			       (ull)s->paddr, (ull)(s->paddr + s->memsz));
	if (s->writable || (s->off ^ s->paddr) & (GMEM_PAGE - 1) ||
	    s->filesz < head + GMEM_PAGE)
		return read_bytes(fd, m, s->paddr, s->filesz, s->off, e);
	mid = (s->filesz - head) & ~(uint64_t)(GMEM_PAGE - 1);
	r = map_pages(fd, m, s->paddr + head, mid, s->off + head, e);
	if (r == -ENODEV)
		return read_bytes(fd, m, s->paddr, s->filesz, s->off, e);
	if (!r)
		r = read_bytes(fd, m, s->paddr, head, s->off, e);
	if (!r)
		r = read_bytes(fd, m, s->paddr + head + mid,
			       s->filesz - head - mid, s->off + head + mid, e);
	return r;
}

int elf_place(int fd, const struct elf_image *img, const struct gmem *m,
	      struct err *e)
{
	unsigned i;
	int r = 0;

	for (i = 0; !r && i < img->nr_segs; i++)
		r = place_seg(fd, &img->seg[i], m, e);
	return r;
}
