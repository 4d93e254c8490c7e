/* SPDX-License-Identifier: MIT */
/*
 * A template: a machine at rest, in one file, of which copies are made.
 *
 *	+-----------------+ 0
 *	| head            | fixed header, then sections {type, length, bytes}
 *	+-----------------+ head_len, a multiple of 4 KiB
 *	| memory          | runs of guest pages, in the order of the extents;
 *	|                 | pages of zeros between two runs are holes; runs
 *	|                 | of 2 MiB lie in it as in the guest, modulo 2 MiB
 *	+-----------------+ file_len
 *
 * The head has a checksum that is looked at whenever the file is opened. The
 * memory has one, too, that would take time to check; instead the head holds
 * the file's own modification time. When it still is that one, the memory is
 * taken to be as it was written; otherwise it is read through and compared.
 *
 * A template is only good on a machine of the architecture that its header
 * names, with the CPU features it was made with, and with the image it was
 * made from; the features are the architecture's to check, the image is the
 * caller's.
 *
 * Everything in the file is taken for what a stranger wrote: template_parse
 * checks that every length and range lies where it must, device and vCPU
 * state is checked by those who load it.
 */
#ifndef HUSK_TEMPLATE_H
#define HUSK_TEMPLATE_H

#include "arch/arch.h"
#include "core/gmem.h"
#include "lib/err.h"
#include "lib/outfile.h"
#include "template/identity.h"

#include <stddef.h>

#define TEMPLATE_VERSION     6u
#define TEMPLATE_HEAD_MAX    (4u << 20)
#define TEMPLATE_MAX_EXTENTS 65536u
#define TEMPLATE_DEVICE_MAX  4096u
#define TEMPLATE_MAX_RUNS    4096u

enum template_section {
	TEMPLATE_IDENTITY = 1,
	TEMPLATE_EXTENTS,
	TEMPLATE_CONSOLE,
	TEMPLATE_DISK,
	TEMPLATE_BOARD,
	TEMPLATE_CLOCK,
	TEMPLATE_VCPU, /* one section for each, in order */
	TEMPLATE_TOUCHED, /* may be missing */
};

struct template_extent {
	gpa_t gpa;
	uint64_t len;		/* both multiples of 4 KiB, len > 0 */
	uint64_t offset;	/* in the file, a multiple of 4 KiB */
};

/* Guest pages that a copy touches before long. */
struct template_run {
	uint32_t page;		/* gpa / GMEM_PAGE */
	uint32_t count;		/* > 0, < 2^31 */
	bool written;		/* or only read */
};

struct template_bytes {
	const uint8_t *data;	/* points into the head */
	size_t len;
};

struct template {
	int fd;			/* owned; -1: none */
	uint8_t *head;		/* owned */
	size_t head_len;
	uint64_t file_len;
	uint32_t memory_crc;
	int64_t stamp_ns;	/* modification time as written */
	struct template_identity id;
	unsigned nr_extents, nr_vcpus, nr_runs;
	struct template_bytes extents, console, disk, board, clock, touched;
	struct template_bytes vcpu[ARCH_MAX_CPUS];
};

/* The machine's state for writing; borrowed. */
struct template_source {
	struct template_identity id;
	const struct gmem *mem;
	struct template_bytes console, disk, board, clock;
	struct template_bytes vcpu[ARCH_MAX_CPUS];
};

/* A template on its way: beside `path` until it is complete. */
struct template_file {
	struct outfile out;	/* owned; out.fd is what is written */
	uint64_t created;	/* seconds; to be its modification time */
	char path[4096];
};

/*
 * Open one, readable by all and writable by none; a folder stands for a file
 * in it. Then write it: `progress` (may be NULL) hears of bytes done and
 * bytes in all. Then, perhaps in another process than the one that wrote and
 * with more rights, put it in its place or throw it away.
 */
int template_begin(struct template_file *f, const char *path, struct err *e);
int template_finish(struct template_file *f, bool keep, struct err *e);
int template_write(const struct template_file *f,
		   const struct template_source *s,
		   void (*progress)(void *opaque, uint64_t done, uint64_t all),
		   void *opaque, struct err *e);

/*
 * Add to a file that was written, and of which `t` is the template, what its
 * copies touch: `nr` runs (at most TEMPLATE_MAX_RUNS) in order and apart, in
 * place of those that it lists.
 */
int template_add_touched(const struct template_file *f,
			 const struct template *t,
			 const struct template_run *runs, unsigned nr,
			 struct err *e);

/* Open and check the head; the memory too when its stamp does not hold. */
int template_open(struct template *t, const char *path, struct err *e);
void template_close(struct template *t);

/*
 * The same of a descriptor that somebody has, and owns, who opened it so: its
 * memory is not looked at again. `path` is for messages.
 */
int template_adopt(struct template *t, int fd, const char *path,
		   struct err *e);

/* Check a head of `len` bytes for a file of `file_len`; fills all but fd. */
int template_parse(struct template *t, const uint8_t *head, size_t len,
		   uint64_t file_len, struct err *e);

/* Extent `i` < nr_extents; template_parse has checked it. */
struct template_extent template_extent(const struct template *t, unsigned i);

/* Run `i` < nr_runs; in order and apart, not known to be RAM. */
struct template_run template_touched(const struct template *t, unsigned i);

/*
 * Have the host keep in huge pages what copies read of the file's memory and
 * do not write to: one fault of a copy then maps 2 MiB. A host that cannot,
 * or a file system, does nothing; no byte changes. Once it is complete.
 */
void template_gather(const struct template *t);

/* Read the memory through and compare its checksum. */
int template_verify(const struct template *t, struct err *e);

/*
 * Map the memory into `m`, which has the template's size: private, so that
 * what a copy writes is its own.
 */
int template_map(const struct template *t, const struct gmem *m,
		 struct err *e);

/*
 * Make the copy's own what it will write to, if the template knows that, but
 * at most so many pages: each for itself would cost three faults in the guest.
 * Any time before the machine runs; until then the copy does not need the
 * memory.
 */
void template_prefault(const struct template *t, const struct gmem *m,
		       uint64_t pages);

#endif
