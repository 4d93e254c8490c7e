/* SPDX-License-Identifier: MIT */
/*
 * localhost and the machine's own name resolve, whatever the image says.
 *
 * A file of init's covers /etc/hosts. It has both names, each with 127.0.0.1
 * and ::1, and behind them what the image's file has; it can be read only, and
 * init writes the name anew when the machine gets another. Where the image's
 * nsswitch.conf would have others asked first, or never have that file looked
 * at, one with "files" in front covers it, too.
 */
#ifndef GUEST_INIT_NAMES_H
#define GUEST_INIT_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "job.h"
#include "lib/err.h"

struct names {
	int hosts; /* descriptor of the file, owned; -1: no place for it */
	char own[JOB_HOSTNAME_MAX + 1]; /* the name that it has */
};

/*
 * Cover the files of the root directory, which is the job's by now; initramfs
 * is a descriptor of the one before. Returns 0, or -errno with *e set.
 */
int names_cover(struct names *n, int initramfs, struct err *e);

/* The machine is called `own` now. Returns 0, or -errno with *e set. */
int names_set_own(struct names *n, const char *own, struct err *e);

/*
 * Put the beginning of a hosts file to buf: the lines of localhost and of
 * `own`. The length is always the same. Returns it.
 */
#define NAMES_HOSTS_ROOM 256
size_t names_write_hosts(char buf[NAMES_HOSTS_ROOM], const char *own);

/*
 * Copy the text of an nsswitch.conf to out, with "files" first for hosts.
 * Returns the length, or 0: it is so already, or does not fit into size bytes.
 */
size_t names_fix_nsswitch(const char *text, size_t len, char *out,
			  size_t size);

#endif
