/* SPDX-License-Identifier: MIT */
/*
 * RFC 1952 as a stream on top of a stream: any number of members one after
 * the other, then nothing or zero bytes (tape padding). Anything else, a
 * wrong check sum or an early end is an error: a build from half an archive
 * must not pass.
 */
#ifndef HUSK_ROOTFS_GUNZIP_H
#define HUSK_ROOTFS_GUNZIP_H

#include "tar/stream.h"

/* Takes over from, also on failure (NULL with err set). */
struct stream *gunzip_open(struct stream *from, struct err *e);

#endif
