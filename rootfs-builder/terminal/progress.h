/* SPDX-License-Identifier: MIT */
/*
 * What a build is doing, for a person: on a terminal one line that is drawn
 * over (bytes, percent and time left where the total is known), otherwise
 * one plain line when a step is done. Written to one FILE, normally stderr.
 *
 * Pointers to a struct progress may be NULL everywhere: silence.
 */
#ifndef HUSK_ROOTFS_PROGRESS_H
#define HUSK_ROOTFS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct progress {
	FILE *to;
	bool terminal;
	bool drawn;	  /* an unfinished line is on the terminal */
	const char *what; /* the step; static text */
	uint64_t total;	  /* bytes, 0: unknown */
	uint64_t done;
	int64_t began; /* ns, monotonic */
	int64_t next_draw;
};

void progress_init(struct progress *p, FILE *to);

/* Begin a step of so many bytes (0: unknown). */
void progress_begin(struct progress *p, const char *what, uint64_t total);

/* done bytes so far, in this step; cheap, may be called for each buffer. */
void progress_set(struct progress *p, uint64_t done);

/* The step is done: its line stays (terminal) or is written (else). */
void progress_end(struct progress *p);

/* Remove an unfinished line, so that an error has its own. */
void progress_clear(struct progress *p);

/* "12.3 MiB" into buf (of 16 bytes at least); returns buf. */
const char *progress_bytes(uint64_t n, char *buf);

#endif
