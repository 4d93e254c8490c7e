/* SPDX-License-Identifier: MIT */
/*
 * The job's environment as it is put together: NAME=VALUE strings, each name
 * once, however many. Nothing is allocated before there is one.
 */
#ifndef HUSK_ENV_H
#define HUSK_ENV_H

#include "job/config.h"
#include "lib/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Files of variables in one command line. */
#define ENV_FILES_MAX 16

/* Longest such file: comments and names that are given again count, too. */
#define ENV_FILE_SIZE_MAX (4u << 20)

struct env {
	const char **v;	   /* owned; the strings are borrowed */
	unsigned nr;
	uint32_t *slot;	   /* owned; index by name: 0 or a place + 1 */
	unsigned nr_slots; /* a power of two, at least twice nr; or 0 */
	char *text[ENV_FILES_MAX]; /* owned; what was read */
	unsigned nr_texts;
};

/* The entry NAME=VALUE of an environment for NAME, or NULL. */
const char *env_find(char **envp, const char *name);

/*
 * Add NAME=VALUE, which must outlive *v; in the place of an entry of the same
 * name, or with `keep` only when there is none.
 */
int env_set(struct env *v, const char *entry, bool keep, struct err *e);

/*
 * Add the variables of a file, but for names that are there already: one in a
 * line; what begins with '#' is a comment; NAME alone takes the value of
 * `envp`, if it has one; nothing is quoted. Of a name given twice the later
 * counts. The error names file and line, never a value.
 */
int env_read(struct env *v, const char *path, char **envp, struct err *e);

void env_fini(struct env *v);

/* Arguments and environment: are they as few as Linux and the protocol take? */
int env_check_size(const struct config *c, struct err *e);

#endif
