/* SPDX-License-Identifier: MIT */
/*
 * Which husk this is. Apart in its own object, so that a new commit rebuilds
 * these few bytes and nothing else.
 */
#ifndef HUSK_VERSION_H
#define HUSK_VERSION_H

extern const char version_number[]; /* "0.1.0" */
extern const char version_commit[]; /* "0123456789ab" or "unknown" */

#endif
