/* SPDX-License-Identifier: MIT */
/*
 * Where kernel and image are when nobody says: beside the binary (the build
 * folder of a checkout), ../share/husk of the binary, PREFIX/share/husk.
 */
#ifndef HUSK_PATHS_H
#define HUSK_PATHS_H

#include "lib/err.h"

/*
 * First readable `name` ("vmlinux", "base.ext4") of the folders above, as a
 * malloc'ed path that the caller owns, or NULL with a line in *e that lists
 * where it looked and how to say it. `option` ("kernel", "image") is the
 * option that says it.
 */
char *paths_find(const char *name, const char *option, struct err *e);

/* That line alone, for who found nothing and goes on a little; -ENOENT. */
int paths_refuse(const char *name, const char *option, struct err *e);

#endif
