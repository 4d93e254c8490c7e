// SPDX-License-Identifier: MIT
/*
 * Writing a template: memory first, since its extents and checksum are part of
 * the head, then the head, then what copies touch, then the name. A run of
 * guest pages goes on over short stretches of zeros, which become holes in the
 * file: each extent is a mapping of its own in every copy, and mappings are
 * what restoring costs.
 */
#include "template/template.h"

#include "lib/cleanup.h"
#include "template/format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

/* Pages of zeros that a run goes on over: 8 MiB. */
#define GAP_MAX 2048u

struct writer {
	int fd;
	uint64_t created;
	uint8_t *head;
	struct pack pack;
	uint64_t head_room;	/* reserved for the head */
	uint64_t end;		/* of the file so far */
	uint32_t crc;
	unsigned nr_extents;
	uint8_t *extents;
	struct pack extent_pack;
};

static bool is_zero(const uint8_t *page)
{
	static const uint8_t zero[GMEM_PAGE];

	return !memcmp(page, zero, sizeof(zero));
}

static int write_at(int fd, const void *buf, size_t len, uint64_t off)
{
	const uint8_t *p = buf;

	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
		off += (uint64_t)n;
	}
	return 0;
}

/*
 * Where memory at `gpa` goes at the end of the file: when it may hold huge
 * pages, at an offset that lies like the address, as they need.
 */
static uint64_t find_place(const struct writer *w, gpa_t gpa, uint64_t len)
{
	if (len < GMEM_HUGE)
		return w->end;
	return w->end + ((gpa - w->end) & (GMEM_HUGE - 1));
}

/* Write one run of pages; zero pages inside stay holes. */
static int write_run(struct writer *w, const struct gmem_region *r,
		     uint64_t start, uint64_t end)
{
	uint64_t at;

	if (w->nr_extents == TEMPLATE_MAX_EXTENTS)
		return -E2BIG;
	w->end = find_place(w, r->base + start, end - start);
	pack_u64(&w->extent_pack, r->base + start);
	pack_u64(&w->extent_pack, end - start);
	pack_u64(&w->extent_pack, w->end);
	w->nr_extents++;
	for (at = start; at < end; at += GMEM_PAGE) {
		const uint8_t *page = r->hva + at;
		int ret;

		w->crc = (uint32_t)crc32(w->crc, page, GMEM_PAGE);
		if (!is_zero(page)) {
			ret = write_at(w->fd, page, GMEM_PAGE, w->end);
			if (ret)
				return ret;
		}
		w->end += GMEM_PAGE;
	}
	return 0;
}

/* End of the run of pages from `start`: the last that is not zero. */
static uint64_t find_end(const struct gmem_region *r, uint64_t start)
{
	uint64_t end = start + GMEM_PAGE, at;

	for (at = end; at < r->len && at - end <= GAP_MAX * GMEM_PAGE;
	     at += GMEM_PAGE)
		if (!is_zero(r->hva + at))
			end = at + GMEM_PAGE;
	return end;
}

static int write_region(struct writer *w, const struct gmem_region *r,
			void (*progress)(void *, uint64_t, uint64_t),
			void *opaque)
{
	uint64_t at = 0, end, told = 0;
	int ret;

	while (at < r->len) {
		if (progress && at - told >= (16u << 20)) {
			progress(opaque, at, r->len);
			told = at;
		}
		if (is_zero(r->hva + at)) {
			at += GMEM_PAGE;
			continue;
		}
		end = find_end(r, at);
		ret = write_run(w, r, at, end);
		if (ret)
			return ret;
		at = end;
	}
	return 0;
}

static void put_section(struct pack *p, enum template_section type,
			struct template_bytes b)
{
	pack_u32(p, type);
	pack_u32(p, (uint32_t)b.len);
	pack_bytes(p, b.data, b.len);
	while (p->len % TEMPLATE_ALIGN && !p->failed)
		pack_u8(p, 0);
}

static void put_identity(struct pack *p, const struct template_identity *id)
{
	uint8_t buf[2048];
	struct pack own;

	pack_init(&own, buf, sizeof(buf));
	template_pack_identity(&own, id);
	p->failed |= own.failed;
	put_section(p, TEMPLATE_IDENTITY,
		    (struct template_bytes){ buf, own.len });
}

static void put_sections(struct writer *w, const struct template_source *s)
{
	struct pack *p = &w->pack;
	unsigned i;

	put_identity(p, &s->id);
	put_section(p, TEMPLATE_EXTENTS,
		    (struct template_bytes){ w->extents, w->extent_pack.len });
	put_section(p, TEMPLATE_CONSOLE, s->console);
	put_section(p, TEMPLATE_DISK, s->disk);
	put_section(p, TEMPLATE_BOARD, s->board);
	put_section(p, TEMPLATE_CLOCK, s->clock);
	for (i = 0; i < s->id.cpus; i++)
		put_section(p, TEMPLATE_VCPU, s->vcpu[i]);
	pack_u32(p, 0);
	pack_u32(p, 0);
}

/* Each copy reads the head and sums it up: no longer than need be. */
static uint64_t whole_pages(uint64_t len)
{
	return (len + GMEM_PAGE - 1) / GMEM_PAGE * GMEM_PAGE;
}

/* Length and checksum of a head that is complete and zero behind `used`. */
static void seal_head(uint8_t *head, uint64_t used, struct template_header *h)
{
	struct pack p;

	h->head_len = (uint32_t)whole_pages(used);
	pack_init(&p, head, TEMPLATE_HEADER_LEN);
	template_pack_header(&p, h);
	h->head_crc = template_head_crc(head, h->head_len);
	pack_init(&p, head, TEMPLATE_HEADER_LEN);
	template_pack_header(&p, h);
}

/* The head goes in last, with the stamp that the file will have. */
static int write_head(struct writer *w, const struct template_source *s)
{
	struct template_header h = {
		.version = TEMPLATE_VERSION,
		.memory_crc = w->crc,
		.file_len = w->end,
		.stamp_ns = w->created * 1000000000u,
	};
	int r;

	memcpy(h.magic, TEMPLATE_MAGIC, sizeof(h.magic));
	memcpy(h.arch, arch_words.name, sizeof(h.arch));
	pack_init(&w->pack, w->head, w->head_room);
	template_pack_header(&w->pack, &h);
	put_sections(w, s);
	if (w->pack.failed)
		return -E2BIG;
	seal_head(w->head, w->pack.len, &h);
	r = write_at(w->fd, w->head, h.head_len, 0);
	if (!r && ftruncate(w->fd, (off_t)w->end))
		r = -errno;
	return r;
}

/* Room for the head: what its parts need at most, in whole pages. */
static uint64_t head_room(const struct template_source *s)
{
	uint64_t n = TEMPLATE_HEADER_LEN + 4096 +
		     TEMPLATE_MAX_RUNS * TEMPLATE_RUN_LEN + s->console.len +
		     s->disk.len + s->board.len + s->clock.len +
		     (uint64_t)TEMPLATE_MAX_EXTENTS * TEMPLATE_EXTENT_LEN / 16;
	unsigned i;

	for (i = 0; i < s->id.cpus; i++)
		n += 16 + s->vcpu[i].len;
	return whole_pages(n);
}

static int write_parts(struct writer *w, const struct template_source *s,
		       void (*progress)(void *, uint64_t, uint64_t),
		       void *opaque)
{
	unsigned i;
	int r = 0;

	w->head_room = head_room(s);
	w->end = w->head_room;
	w->head = calloc(1, w->head_room);
	w->extents = calloc(TEMPLATE_MAX_EXTENTS, TEMPLATE_EXTENT_LEN);
	if (!w->head || !w->extents)
		return -ENOMEM;
	pack_init(&w->extent_pack, w->extents,
		  TEMPLATE_MAX_EXTENTS * TEMPLATE_EXTENT_LEN);
	for (i = 0; !r && i < s->mem->nr; i++)
		r = write_region(w, &s->mem->region[i], progress, opaque);
	return r ? r : write_head(w, s);
}

static int find_file(struct template_file *f, const char *path, struct err *e)
{
	int n = snprintf(f->path, sizeof(f->path), "%s", path);
	int r = outfile_find(&f->out, path, e);

	/* A folder stands for a file in it: a name need not be thought of. */
	if (r == -EISDIR) {
		outfile_fini(&f->out);
		n = snprintf(f->path, sizeof(f->path), "%s/template.husk",
			     path);
		r = outfile_find(&f->out, f->path, e);
	}
	return n < (int)sizeof(f->path) ? r :
		err_set(e, ENAMETOOLONG, "%s", strerror(ENAMETOOLONG));
}

int template_begin(struct template_file *f, const char *path, struct err *e)
{
	int r;

	f->created = (uint64_t)time(NULL);
	r = find_file(f, path, e);
	if (!r)
		r = outfile_create(&f->out, 0444, e);
	if (!r)
		return 0;
	outfile_fini(&f->out);
	return err_prefix(e, "write template '%s': ", path);
}

int template_write(const struct template_file *f,
		   const struct template_source *s,
		   void (*progress)(void *opaque, uint64_t done, uint64_t all),
		   void *opaque, struct err *e)
{
	struct writer w = { .fd = f->out.fd, .created = f->created };
	int r = write_parts(&w, s, progress, opaque);

	free(w.head);
	free(w.extents);
	if (!r)
		return 0;
	return err_set(e, -r, "write template '%s': %s", f->path,
		       strerror(-r));
}

/*
 * Where a list of touched pages goes in a sound head: it is the last section,
 * in place of the one that is there, or of the two zeros that end them.
 */
static size_t find_list(const uint8_t *head, size_t len)
{
	struct unpack u;

	unpack_init(&u, head, len);
	u.at = TEMPLATE_HEADER_LEN;
	for (;;) {
		size_t at = u.at;
		uint32_t type = unpack_u32(&u);
		uint64_t bytes = unpack_u32(&u);

		if (!type || type == TEMPLATE_TOUCHED || u.failed)
			return at;
		u.at += (bytes + TEMPLATE_ALIGN - 1) / TEMPLATE_ALIGN *
			TEMPLATE_ALIGN;
	}
}

/* The head of *t and the runs behind its sections, in `room` of zeros. */
static int append_runs(const struct template *t, uint8_t *head, uint64_t room,
		       struct template_header *h,
		       const struct template_run *runs, unsigned nr)
{
	size_t at = find_list(t->head, t->head_len);
	struct unpack u;
	struct pack p;
	unsigned i;

	pack_init(&p, head, room);
	pack_bytes(&p, t->head, at);
	pack_u32(&p, TEMPLATE_TOUCHED);
	pack_u32(&p, nr * TEMPLATE_RUN_LEN);
	for (i = 0; i < nr; i++) {
		pack_u32(&p, runs[i].page);
		pack_u32(&p, runs[i].written ?
				     runs[i].count | TEMPLATE_RUN_WRITTEN :
				     runs[i].count);
	}
	pack_u32(&p, 0);
	pack_u32(&p, 0);
	if (p.failed)
		return -E2BIG;
	unpack_init(&u, t->head, t->head_len);
	template_unpack_header(&u, h);
	seal_head(head, p.len, h);
	return 0;
}

int template_add_touched(const struct template_file *f,
			 const struct template *t,
			 const struct template_run *runs, unsigned nr,
			 struct err *e)
{
	uint64_t room = template_extent(t, 0).offset;
	auto_free uint8_t *head = calloc(1, room);
	struct template_header h;
	int r = head ? append_runs(t, head, room, &h, runs, nr) : -ENOMEM;

	if (!r)
		r = write_at(f->out.fd, head, h.head_len, 0);
	return r ? err_set(e, -r, "write template '%s': %s", f->path,
			   strerror(-r)) : 0;
}

int template_finish(struct template_file *f, bool keep, struct err *e)
{
	struct timespec stamp = { .tv_sec = (time_t)f->created };
	int r = 0;

	if (keep && futimens(f->out.fd, (struct timespec[]){ stamp, stamp }))
		r = err_set(e, errno, "%s", strerror(errno));
	if (keep && !r)
		r = outfile_commit(&f->out, e);
	outfile_fini(&f->out);
	return r ? err_prefix(e, "write template '%s': ", f->path) : 0;
}
