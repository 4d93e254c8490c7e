// SPDX-License-Identifier: MIT
/*
 * See peer.h. The kernel translates a uid into the user namespace of who
 * asks. One without a translation becomes the overflow uid, mostly 65534: it
 * stands for any number of users, so it is trusted only where every uid has a
 * translation and it means the one user who has it.
 */
#include "pool/peer.h"

#include "lib/cleanup.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define OVERFLOW_UID "65534" /* the kernel's default */
#define ALL_UIDS     UINT32_MAX	/* (uid_t)-1 is none */

bool pool_peer_is_overflow(uid_t uid, const char *map, const char *overflow)
{
	unsigned long long first, parent, count;
	char *end;

	if (strtoull(overflow, &end, 10) != uid || end == overflow)
		return false;
	/* One line for all of them, as the first namespace has it. */
	first = strtoull(map, &end, 10);
	parent = strtoull(end, &end, 10);
	count = strtoull(end, &end, 10);
	return first || parent || count < ALL_UIDS;
}

/* As text, or `none`. */
static void read_text(const char *path, char *buf, size_t size,
		      const char *none)
{
	auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (n > 0)
		buf[n] = '\0';
	else
		snprintf(buf, size, "%s", none);
}

/* Root is never one of them. */
static bool is_unknown(uid_t uid)
{
	char overflow[16], map[64];

	if (!uid)
		return false;
	read_text("/proc/sys/kernel/overflowuid", overflow, sizeof(overflow),
		  OVERFLOW_UID);
	if (!pool_peer_is_overflow(uid, "", overflow))
		return false;
	read_text("/proc/self/uid_map", map, sizeof(map), "");
	return pool_peer_is_overflow(uid, map, overflow);
}

static bool is_listed(uid_t uid, const uid_t *also, unsigned nr)
{
	unsigned i;

	for (i = 0; i < nr; i++)
		if (also[i] == uid)
			return true;
	return !uid || uid == geteuid();
}

bool pool_peer_is_trusted(int fd, const uid_t *also, unsigned nr, uid_t *uid,
			  bool *unknown)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);
	bool asked = !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);

	*uid = peer.uid;
	*unknown = asked && is_unknown(peer.uid);
	return asked && !*unknown && is_listed(peer.uid, also, nr);
}
