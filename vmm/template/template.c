// SPDX-License-Identifier: MIT
/*
 * Reading a template: the head into memory and apart, the memory into place.
 * The head is parsed from a copy that was read once; the file is mapped only
 * for guest memory, whose content is the guest's own affair.
 */
#include "template/template.h"

#include "lib/cleanup.h"
#include "lib/fdstat.h"
#include "lib/pack.h"
#include "template/format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static int bad(struct err *e, const char *what)
{
	return err_set(e, EINVAL, "%s (make the template again)", what);
}

static int parse_identity(struct template *t, struct template_bytes b,
			  struct err *e)
{
	struct template_identity *id = &t->id;
	struct unpack u;

	unpack_init(&u, b.data, b.len);
	template_unpack_identity(&u, id);
	if (!unpack_is_done(&u))
		return bad(e, "its identity is damaged");
	if (!id->memory || id->memory % GMEM_HUGE || !id->cpus ||
	    id->cpus > ARCH_MAX_CPUS)
		return bad(e, "its machine is none that husk makes");
	return 0;
}

/* Extents are in order, apart, and inside RAM and file. */
static int parse_extents(struct template *t, struct template_bytes b,
			 struct err *e)
{
	uint64_t next_gpa = 0, next_offset = t->head_len;
	unsigned i;

	if (b.len % TEMPLATE_EXTENT_LEN ||
	    b.len / TEMPLATE_EXTENT_LEN > TEMPLATE_MAX_EXTENTS)
		return bad(e, "its memory map is damaged");
	t->extents = b;
	t->nr_extents = (unsigned)(b.len / TEMPLATE_EXTENT_LEN);
	for (i = 0; i < t->nr_extents; i++) {
		struct template_extent x = template_extent(t, i);

		if (!x.len || (x.gpa | x.len | x.offset) % GMEM_PAGE ||
		    x.gpa < next_gpa || x.offset < next_offset ||
		    x.offset > t->file_len ||
		    x.len > t->file_len - x.offset ||
		    x.len > UINT64_MAX - x.gpa)
			return bad(e, "its memory map is damaged");
		next_gpa = x.gpa + x.len;
		next_offset = x.offset + x.len;
	}
	return 0;
}

/* Runs are in order and apart; whether they are RAM is seen when used. */
static int parse_touched(struct template *t, struct template_bytes b,
			 struct err *e)
{
	uint64_t next = 0;
	unsigned i;

	if (t->touched.data || b.len % TEMPLATE_RUN_LEN ||
	    b.len / TEMPLATE_RUN_LEN > TEMPLATE_MAX_RUNS)
		return bad(e, "its list of touched pages is damaged");
	t->touched = b;
	t->nr_runs = (unsigned)(b.len / TEMPLATE_RUN_LEN);
	for (i = 0; i < t->nr_runs; i++) {
		struct template_run run = template_touched(t, i);

		if (!run.count || run.page < next)
			return bad(e, "its list of touched pages is damaged");
		next = (uint64_t)run.page + run.count;
	}
	return 0;
}

static int parse_section(struct template *t, uint32_t type,
			 struct template_bytes b, struct err *e)
{
	switch (type) {
	case TEMPLATE_IDENTITY:
		return parse_identity(t, b, e);
	case TEMPLATE_EXTENTS:
		return parse_extents(t, b, e);
	case TEMPLATE_CONSOLE:
		t->console = b;
		return 0;
	case TEMPLATE_DISK:
		t->disk = b;
		return 0;
	case TEMPLATE_BOARD:
		t->board = b;
		return 0;
	case TEMPLATE_CLOCK:
		t->clock = b;
		return 0;
	case TEMPLATE_VCPU:
		if (t->nr_vcpus == ARCH_MAX_CPUS)
			return bad(e, "it has too many vCPUs");
		t->vcpu[t->nr_vcpus++] = b;
		return 0;
	case TEMPLATE_TOUCHED:
		return parse_touched(t, b, e);
	default:
		return bad(e, "it has a part that this husk does not know");
	}
}

static int parse_sections(struct template *t, struct unpack *u, struct err *e)
{
	for (;;) {
		uint32_t type = unpack_u32(u), len = unpack_u32(u);
		struct template_bytes b = { u->buf + u->at, len };
		int r;

		if (u->failed || len > u->len - u->at)
			return bad(e, "its head is damaged");
		if (!type)
			break;
		/* The writer pads, so the next one starts aligned. */
		len = (len + TEMPLATE_ALIGN - 1) / TEMPLATE_ALIGN *
		      TEMPLATE_ALIGN;
		if (len > u->len - u->at)
			return bad(e, "its head is damaged");
		u->at += len;
		r = parse_section(t, type, b, e);
		if (r)
			return r;
	}
	if (!t->console.len || !t->disk.len || !t->board.len ||
	    !t->clock.len || !t->nr_extents || !t->id.cpus ||
	    t->nr_vcpus != t->id.cpus)
		return bad(e, "a part of it is missing");
	return 0;
}

int template_parse(struct template *t, const uint8_t *head, size_t len,
		   uint64_t file_len, struct err *e)
{
	struct template_header h;
	struct unpack u;

	unpack_init(&u, head, len);
	template_unpack_header(&u, &h);
	if (u.failed || memcmp(h.magic, TEMPLATE_MAGIC, sizeof(h.magic)))
		return err_set(e, EINVAL,
			       "it is no template (husk template create makes "
			       "one)");
	if (h.version != TEMPLATE_VERSION)
		return err_set(e, EINVAL,
			       "it has format %u, this husk reads format %u "
			       "(make the template again)",
			       h.version, TEMPLATE_VERSION);
	if (memcmp(h.arch, arch_words.name, sizeof(h.arch)))
		return err_set(e, EINVAL,
			       "it is of architecture '%.8s', this husk is for "
			       "'%s' (make a template on this host)",
			       h.arch, arch_words.name);
	if (h.file_len != file_len)
		return err_set(e, EINVAL,
			       "it is cut short or grown: %llu bytes instead of "
			       "%llu (copy it again)",
			       (unsigned long long)file_len,
			       (unsigned long long)h.file_len);
	if (h.head_len != len || len % GMEM_PAGE ||
	    h.head_crc != template_head_crc(head, len))
		return bad(e, "its head was changed");
	t->head_len = len;
	t->file_len = file_len;
	t->memory_crc = h.memory_crc;
	t->stamp_ns = (int64_t)h.stamp_ns;
	return parse_sections(t, &u, e);
}

struct template_extent template_extent(const struct template *t, unsigned i)
{
	struct template_extent x;
	struct unpack u;

	unpack_init(&u, t->extents.data + (size_t)i * TEMPLATE_EXTENT_LEN,
		    TEMPLATE_EXTENT_LEN);
	x.gpa = unpack_u64(&u);
	x.len = unpack_u64(&u);
	x.offset = unpack_u64(&u);
	return x;
}

struct template_run template_touched(const struct template *t, unsigned i)
{
	struct template_run run;
	struct unpack u;
	uint32_t count;

	unpack_init(&u, t->touched.data + (size_t)i * TEMPLATE_RUN_LEN,
		    TEMPLATE_RUN_LEN);
	run.page = unpack_u32(&u);
	count = unpack_u32(&u);
	run.count = count & ~TEMPLATE_RUN_WRITTEN;
	run.written = count & TEMPLATE_RUN_WRITTEN;
	return run;
}

static int read_all(int fd, void *buf, size_t len, off_t off)
{
	uint8_t *p = buf;

	while (len) {
		ssize_t n = pread(fd, p, len, off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
		off += n;
	}
	return 0;
}

/* The head's length stands at a fixed place in the first bytes. */
static int read_head(struct template *t, uint64_t file_len, struct err *e)
{
	uint8_t first[TEMPLATE_HEADER_LEN];
	struct template_header h;
	struct unpack u;

	if (file_len < sizeof(first) ||
	    read_all(t->fd, first, sizeof(first), 0))
		return err_set(e, EINVAL,
			       "it is no template (husk template create makes "
			       "one)");
	unpack_init(&u, first, sizeof(first));
	template_unpack_header(&u, &h);
	t->head_len = h.head_len;
	if (h.head_len < sizeof(first) || h.head_len > TEMPLATE_HEAD_MAX ||
	    h.head_len > file_len)
		t->head_len = sizeof(first);
	t->head = malloc(t->head_len);
	if (!t->head)
		return err_sys(e, "get memory for its head");
	if (read_all(t->fd, t->head, t->head_len, 0))
		return err_sys(e, "read it");
	return 0;
}

static int read_file(struct template *t, const char *path, bool verify,
		     struct err *e)
{
	struct stat st;
	int r;

	if (t->fd < 0 || fd_stat(t->fd, &st))
		return err_sys(e, "open template '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "open template '%s': not a file",
			       path);
	r = read_head(t, (uint64_t)st.st_size, e);
	if (!r)
		r = template_parse(t, t->head, t->head_len,
				   (uint64_t)st.st_size, e);
	if (!r && verify && t->stamp_ns != template_stamp(&st))
		r = template_verify(t, e);
	return r ? err_prefix(e, "use template '%s': ", path) : 0;
}

int template_open(struct template *t, const char *path, struct err *e)
{
	int r;

	*t = (struct template){
		.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK),
	};
	r = read_file(t, path, true, e);
	if (r)
		template_close(t);
	return r;
}

int template_adopt(struct template *t, int fd, const char *path, struct err *e)
{
	int r;

	*t = (struct template){ .fd = fd };
	r = read_file(t, path, false, e);
	if (r)
		template_close(t);
	return r;
}

void template_close(struct template *t)
{
	cleanup_fd(&t->fd);
	free(t->head);
	t->head = NULL;
}

int template_verify(const struct template *t, struct err *e)
{
	auto_free uint8_t *buf = malloc(TEMPLATE_CHUNK);
	uint32_t crc = 0;
	unsigned i;

	if (!buf)
		return err_sys(e, "get memory to check it");
	for (i = 0; i < t->nr_extents; i++) {
		struct template_extent x = template_extent(t, i);
		uint64_t done = 0;

		while (done < x.len) {
			uint64_t n = x.len - done;

			if (n > TEMPLATE_CHUNK)
				n = TEMPLATE_CHUNK;
			if (read_all(t->fd, buf, (size_t)n,
				     (off_t)(x.offset + done)))
				return err_sys(e, "read it");
			crc = (uint32_t)crc32(crc, buf, (uInt)n);
			done += n;
		}
	}
	if (crc != t->memory_crc)
		return bad(e, "its memory was changed");
	return 0;
}

int template_map(const struct template *t, const struct gmem *m, struct err *e)
{
	unsigned i;

	for (i = 0; i < t->nr_extents; i++) {
		struct template_extent x = template_extent(t, i);
		void *hva = gmem_ptr(m, x.gpa, x.len);

		if (!hva)
			return bad(e, "its memory lies outside the machine");
		if (mmap(hva, x.len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, t->fd,
			 (off_t)x.offset) == MAP_FAILED)
			return err_sys(e, "map the template's memory");
	}
	return 0;
}

void template_prefault(const struct template *t, const struct gmem *m,
		       uint64_t pages)
{
	unsigned i;

	for (i = 0; i < t->nr_runs; i++) {
		struct template_run run = template_touched(t, i);
		uint64_t n = run.count < pages ? run.count : pages;
		void *hva = gmem_ptr(m, (uint64_t)run.page * GMEM_PAGE,
				     n * GMEM_PAGE);

		if (!run.written)
			continue;
		/* Before Linux 5.14 there is no such call: then it faults. */
		if (!hva || madvise(hva, n * GMEM_PAGE, MADV_POPULATE_WRITE))
			return;
		pages -= n;
	}
}
