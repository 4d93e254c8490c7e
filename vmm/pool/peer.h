/* SPDX-License-Identifier: MIT */
/*
 * Who is at the other end of a pool's socket, as the kernel says it: the user
 * who connected, or the one who listens. Whoever listens gets the command and
 * the streams of a run and says how it ended; whoever connects gets a machine.
 */
#ifndef HUSK_POOL_PEER_H
#define HUSK_POOL_PEER_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Trusted are this process's own user, root, and those `also`. False for
 * others, with *uid telling who it is, and for one who is nobody in our user
 * namespace: all of those have the same uid, `*unknown` is true then.
 */
bool pool_peer_is_trusted(int fd, const uid_t *also, unsigned nr, uid_t *uid,
			  bool *unknown);

/*
 * Is `uid` what users have that a namespace does not know? `map` is its
 * uid_map, `overflow` the kernel's number for them, both as text. Pure.
 */
bool pool_peer_is_overflow(uid_t uid, const char *map, const char *overflow);

#endif
