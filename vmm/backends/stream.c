// SPDX-License-Identifier: MIT
/*
 * See stream.h. A reader that went away is not an error: the job gets EPIPE,
 * as it would from a pipe. A disk that is full is one, and ends the run: a
 * result with a hole in it must not look like a result.
 */
#include "backends/stream.h"

#include "lib/cleanup.h"
#include "lib/text.h"
#include "lib/fdstat.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int check_direction(const struct stream *s, struct err *e)
{
	int flags = fcntl(s->fd, F_GETFL);
	int mode = flags & O_ACCMODE;

	if (flags < 0) {
		err_sys(e, "use descriptor %d as %s", s->fd, s->name);
		return err_hint(e, "redirect it, for example to /dev/null");
	}
	if (s->input ? mode == O_WRONLY : mode == O_RDONLY)
		return err_set(e, EBADF,
			       "use descriptor %d as %s: open for %s only "
			       "(redirect it, for example to /dev/null)",
			       s->fd, s->name, s->input ? "writing" : "reading");
	return 0;
}

#define FD_FOLDER "/proc/self/fd/"

/* A description of our own on the same pipe or terminal. */
static bool reopen_nonblocking(struct stream *s)
{
	int flags = s->input ? O_RDONLY : O_WRONLY;
	auto_fd fd = -1;
	char path[sizeof(FD_FOLDER) + 10];
	struct text t;

	text_init(&t, path, sizeof(path));
	text_add(&t, FD_FOLDER, strlen(FD_FOLDER));
	text_add_uint(&t, (unsigned)s->fd);
	fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd >= 0 && dup3(fd, s->fd, O_CLOEXEC) >= 0;
}

/*
 * A terminal of another user, for which the above is refused, that is ours
 * nevertheless: /dev/tty is open to all.
 */
static bool reopen_terminal(struct stream *s)
{
	int flags = s->input ? O_RDONLY : O_WRONLY;
	unsigned is = 0, own = 0;
	auto_fd fd = -1;

	if (ioctl(s->fd, TIOCGDEV, &is))
		return false;
	fd = open("/dev/tty", flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd >= 0 && !ioctl(fd, TIOCGDEV, &own) && own == is &&
	       dup3(fd, s->fd, O_CLOEXEC) >= 0;
}

/* What most stdin is; neither end of it ever waits. */
static bool is_null(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

static enum stream_way choose_way(struct stream *s, const struct stat *st)
{
	if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode) || is_null(st))
		return STREAM_FILE;
	if (S_ISSOCK(st->st_mode))
		return STREAM_SOCKET;
	if (s->ours)
		return fcntl(s->fd, F_GETFL) & O_NONBLOCK ? STREAM_OWN :
							    STREAM_SHARED;
	if (reopen_nonblocking(s) || (s->is_terminal && reopen_terminal(s)))
		return STREAM_OWN;
	return STREAM_SHARED;
}

int stream_open(struct stream *s, const char *name, int fd, bool input,
		struct err *e)
{
	struct stat st;
	int r;

	s->name = name;
	s->fd = fd;
	s->input = input;
	if (fd < 0)
		return 0;
	r = check_direction(s, e);
	if (r)
		return r;
	if (fd_stat(fd, &st))
		return err_sys(e, "look at %s", name);
	if (S_ISDIR(st.st_mode))
		return err_set(e, EISDIR, "use descriptor %d as %s: a directory",
			       fd, name);
	s->is_terminal = S_ISCHR(st.st_mode);
	s->way = choose_way(s, &st);
	return 0;
}

void stream_close(struct stream *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static void pass(struct stream *s, uint64_t n)
{
	if (!s->bytes && n && s->event)
		s->event(s->opaque, s, STREAM_FIRST_BYTE);
	s->bytes += n;
}

static bool poll_ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return ppoll(&p, 1, &(struct timespec){ 0 }, NULL) > 0;
}

/* The first `max` bytes of iov as a copy of its head; returns entries. */
static unsigned clip(struct iovec *dst, const struct iovec *src, unsigned nr,
		     size_t max)
{
	unsigned i;

	for (i = 0; i < nr && max; i++) {
		dst[i] = src[i];
		if (dst[i].iov_len > max)
			dst[i].iov_len = max;
		max -= dst[i].iov_len;
	}
	return i;
}

/* At the file's own offset, if it has one. */
static ssize_t transfer(const struct stream *s, const struct iovec *iov,
			unsigned nr, int flags)
{
	return s->input ? preadv2(s->fd, iov, (int)nr, -1, flags) :
			  pwritev2(s->fd, iov, (int)nr, -1, flags);
}

/*
 * What fits when poll says that something does: a pipe has a page then. A
 * terminal has 256 bytes or more, and a byte, a tab, may become eight.
 */
#define TERMINAL_PART 32u

static ssize_t transfer_shared(struct stream *s, const struct iovec *iov,
			       unsigned nr)
{
	struct iovec part[VIRTQ_MAX_SIZE];
	ssize_t n;

	if (!s->asks) {
		n = transfer(s, iov, nr, RWF_NOWAIT);
		if (n >= 0 || errno != EOPNOTSUPP)
			return n;
		s->asks = true;
	}
	if (!poll_ready(s->fd, s->input ? POLLIN : POLLOUT)) {
		errno = EAGAIN;
		return -1;
	}
	if (s->input)
		return transfer(s, iov, nr, 0);
	nr = clip(part, iov, nr, s->is_terminal ? TERMINAL_PART : PIPE_BUF);
	return transfer(s, part, nr, 0);
}

static ssize_t write_some(struct stream *s, const struct iovec *iov,
			  unsigned nr, size_t len)
{
	struct iovec part[VIRTQ_MAX_SIZE];
	struct msghdr msg = { .msg_iov = part };

	nr = clip(part, iov, nr, len);
	if (s->way == STREAM_SHARED)
		return transfer_shared(s, part, nr);
	if (s->way != STREAM_SOCKET)
		return transfer(s, part, nr, 0);
	msg.msg_iovlen = nr;
	return sendmsg(s->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Bytes written, 0 when the reader is behind, -EPIPE when it is gone. */
static ssize_t deliver(struct stream *s, const struct iovec *iov, unsigned nr,
		       size_t len)
{
	ssize_t n;

	if (s->fd < 0)
		return (ssize_t)len;
	n = write_some(s, iov, nr, len);
	if (n >= 0) {
		s->delivered += (uint64_t)n;
		return n;
	}
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	if (errno != EPIPE && errno != ECONNRESET && !s->error) {
		s->error = errno;
		s->event(s->opaque, s, STREAM_FAILED);
	}
	return -EPIPE;
}

static ssize_t output_take(void *be, const struct iovec *iov, unsigned nr,
			   size_t len)
{
	struct stream *s = be;
	uint64_t room = s->limit - s->bytes;
	ssize_t n = 0;

	if (s->held)
		return 0;
	if (s->truncated)
		return (ssize_t)len;
	if (room) {
		n = deliver(s, iov, nr, len < room ? len : (size_t)room);
		if (n < 0)
			return n;
		pass(s, (uint64_t)n);
	}
	if (len <= room || (uint64_t)n < room)
		return n;
	/* Everything the limit allows is out: the rest is drained. */
	s->truncated = true;
	s->event(s->opaque, s, STREAM_OVER_LIMIT);
	return (ssize_t)len;
}

static void output_closed(void *be)
{
	struct stream *s = be;

	if (!s->keep_open)
		stream_close(s);
}

static ssize_t read_some(struct stream *s, const struct iovec *iov,
			 unsigned nr)
{
	struct iovec part[VIRTQ_MAX_SIZE];
	struct msghdr msg = { .msg_iov = part };

	if (s->way == STREAM_SHARED)
		return transfer_shared(s, iov, nr);
	if (s->way != STREAM_SOCKET)
		return transfer(s, iov, nr, 0);
	msg.msg_iovlen = clip(part, iov, nr, SIZE_MAX);
	return recvmsg(s->fd, &msg, MSG_DONTWAIT);
}

static ssize_t input_give(void *be, const struct iovec *iov, unsigned nr)
{
	struct stream *s = be;
	ssize_t n;

	if (s->held)
		return -EAGAIN;
	if (s->fd < 0)
		return 0;
	n = read_some(s, iov, nr);
	if (n > 0) {
		pass(s, (uint64_t)n);
		s->delivered += (uint64_t)n;
		return n;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	/* A terminal that hung up or a read error: there is no more input. */
	return 0;
}

static ssize_t input_take(void *be, const struct iovec *iov, unsigned nr,
			  size_t len)
{
	const struct stream *s = be;

	/* A guest that writes to its stdin port talks to nobody. */
	(void)iov;
	(void)nr;
	return s->held ? 0 : (ssize_t)len;
}

static void input_closed(void *be)
{
	struct stream *s = be;

	/* Whoever writes to us sees what it would see of the job: EPIPE. */
	stream_close(s);
}

const struct port_ops stream_input_ops = {
	.take = input_take,
	.give = input_give,
	.closed = input_closed,
};

const struct port_ops stream_output_ops = {
	.take = output_take,
	.closed = output_closed,
};
