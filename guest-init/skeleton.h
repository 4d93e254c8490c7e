/* SPDX-License-Identifier: MIT */
/*
 * What the job's root must have and an image lacks: the folders and files that
 * something is mounted on. They are made in a folder of their own, which is
 * then laid over the image.
 *
 * What has the right kind in the image is left alone. A link in the place of
 * /var or /etc, and all below it, is the image's own business: to lay a folder
 * over it would hide what it leads to.
 */
#ifndef GUEST_INIT_SKELETON_H
#define GUEST_INIT_SKELETON_H

#include "lib/err.h"

/*
 * Make in the folder `top`, which need not exist, what `image`, a directory,
 * lacks. Returns how many things, or -errno with *e set; when it is 0, nothing
 * was made.
 */
int skeleton_make(int image, const char *top, struct err *e);

#endif
