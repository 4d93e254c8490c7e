// SPDX-License-Identifier: MIT
/*
 * See socket.h. A path is replaced only after a connection to it was
 * refused, which is how the kernel says that its listener is dead. ppoll,
 * since jailed machines have no poll.
 */
#include "pool/socket.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* A socket, and in *sa the address that it is for. */
static int make_socket(struct sockaddr_un *sa, const char *path, struct err *e)
{
	size_t len = strlen(path);
	int fd;

	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (len >= sizeof(sa->sun_path))
		return err_set(e, ENAMETOOLONG,
			       "use socket '%s': the path has %zu bytes, at "
			       "most %zu fit (give a shorter one)",
			       path, len, sizeof(sa->sun_path) - 1);
	memcpy(sa->sun_path, path, len);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	return fd < 0 ? err_sys(e, "make a socket") : fd;
}

static int bind_path(int fd, const struct sockaddr_un *sa, bool all)
{
	mode_t old = umask(all ? 0111 : 0177);
	int r = bind(fd, (const struct sockaddr *)sa, sizeof(*sa));

	umask(old);
	return r;
}

/* Is there somebody who listens? A file that is no socket counts, too. */
static bool is_live(const struct sockaddr_un *sa)
{
	auto_fd fd = socket(AF_UNIX,
			    SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (lstat(sa->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return true;
	return fd < 0 ||
	       !connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) ||
	       errno != ECONNREFUSED;
}

int pool_socket_listen(const char *path, bool all, struct err *e)
{
	struct sockaddr_un sa;
	auto_fd fd = make_socket(&sa, path, e);

	if (fd < 0)
		return fd;
	if (bind_path(fd, &sa, all)) {
		if (errno != EADDRINUSE)
			return err_sys(e, "listen at '%s'", path);
		if (is_live(&sa))
			return err_set(e, EADDRINUSE,
				       "listen at '%s': there is a pool or "
				       "another file already (end it, or give "
				       "another path)",
				       path);
		if (unlink(path) || bind_path(fd, &sa, all))
			return err_sys(e, "listen at '%s'", path);
	}
	if (listen(fd, SOMAXCONN))
		return err_sys(e, "listen at '%s'", path);
	return steal_fd(&fd);
}

int pool_socket_connect(const char *path, struct err *e)
{
	struct sockaddr_un sa;
	auto_fd fd = make_socket(&sa, path, e);

	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa))) {
		err_sys(e, "use pool '%s'", path);
		return err_hint(e, "husk pool --listen starts one");
	}
	return steal_fd(&fd);
}

/* One packet; -EAGAIN when there is no room for it. */
static int send_packet(int fd, const void *buf, size_t len, const int *fds,
		       unsigned nr_fds)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(POOL_SOCKET_FDS * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)buf, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nr_fds) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(nr_fds * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(nr_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, nr_fds * sizeof(int));
	}
	if (sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

static int wait_for_room(int fd, int stop_fd)
{
	struct pollfd p[] = { { .fd = fd, .events = POLLOUT },
			      { .fd = stop_fd, .events = POLLIN } };

	while (ppoll(p, 2, NULL, NULL) < 0)
		if (errno != EINTR)
			return -errno;
	return p[1].revents ? -EINTR : 0;
}

int pool_socket_send(int fd, const void *buf, size_t len, size_t packet,
		     const int *fds, unsigned nr_fds, int stop_fd)
{
	const char *p = buf;

	while (len) {
		size_t n = len < packet ? len : packet;
		int r = send_packet(fd, p, n, fds, nr_fds);

		if (r == -EAGAIN) {
			r = wait_for_room(fd, stop_fd);
			if (r)
				return r;
			continue;
		}
		if (r == -EINTR)
			continue;
		if (r)
			return r;
		p += n;
		len -= n;
		nr_fds = 0;
	}
	return 0;
}

/* Descriptors of a received packet; how many. */
static unsigned take_fds(struct msghdr *msg, int *fds)
{
	struct cmsghdr *head = CMSG_FIRSTHDR(msg);
	size_t len;

	if (!head || head->cmsg_level != SOL_SOCKET ||
	    head->cmsg_type != SCM_RIGHTS)
		return 0;
	len = head->cmsg_len - CMSG_LEN(0);
	memcpy(fds, CMSG_DATA(head), len);
	return (unsigned)(len / sizeof(int));
}

ssize_t pool_socket_receive(int fd, void *buf, size_t size, int *fds,
			    unsigned max)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(POOL_SOCKET_FDS * sizeof(int))];
	} control;
	struct iovec iov = { buf, size };
	/* CMSG_LEN, not CMSG_SPACE: the padding has room for one more. */
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_LEN(POOL_SOCKET_FDS * sizeof(int)),
	};
	int got[POOL_SOCKET_FDS];
	unsigned i, nr;
	ssize_t n;

	for (i = 0; i < max; i++)
		fds[i] = -1;
	n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	nr = take_fds(&msg, got);
	if (nr <= max && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		if (nr)
			memcpy(fds, got, nr * sizeof(int));
		return n;
	}
	for (i = 0; i < nr; i++)
		close(got[i]);
	return -EPROTO;
}

bool pool_socket_is_unread(int fd)
{
	int n = 0;

	return !ioctl(fd, SIOCOUTQ, &n) && n > 0;
}
