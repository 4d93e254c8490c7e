/* SPDX-License-Identifier: MIT */
/*
 * Which husk-image this is: the same number and commit as husk's. In an
 * object of its own, the only one that a new commit rebuilds.
 */
#ifndef HUSK_ROOTFS_VERSION_H
#define HUSK_ROOTFS_VERSION_H

extern const char image_version[]; /* "0.1.0" */
extern const char image_commit[];  /* "0123456789ab" or "unknown" */

#endif
