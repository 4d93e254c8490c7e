/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that nobody has named are closed, so that no pipe of somebody
 * else stays open because husk has inherited its end.
 */
#ifndef HUSK_LIB_SWEEP_H
#define HUSK_LIB_SWEEP_H

/*
 * Close every descriptor from `from` on but the `nr` in `keep`, which come in
 * any order; a number below `from`, as -1, keeps nothing.
 */
void sweep_fds(int from, const int *keep, unsigned nr);

#endif
