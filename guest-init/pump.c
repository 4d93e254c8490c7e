// SPDX-License-Identifier: MIT
/*
 * read() and write() through a buffer, one chunk a round.
 *
 * Rejected: splice(). port_fops_splice_write in the kernel's
 * drivers/char/virtio_console.c (6.12) first takes the pages out of the pipe
 * and then calls __send_to_port; when virtqueue_add_outbuf fails there (as
 * many descriptors are needed as there are pages, and a queue that is merely
 * not full counts as writable), it answers 0, splice_write frees the pages
 * and returns that 0: the bytes are gone and the caller takes it for the end
 * of the pipe. A write() needs one descriptor, waits for it, and leaves the
 * bytes with us whenever it fails.
 *
 * Rejected: epoll. There are nine descriptors at most, and registering them
 * costs more than all the polls of a short job.
 */
#include "pump.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#define CHUNK_MIN 512u

void pump_open(struct pump *p, enum pump_dir dir, int src, int dst,
	       uint8_t *buf)
{
	p->dir = dir;
	p->src = src;
	p->dst = dst;
	p->last_call = false;
	p->off = 0;
	p->len = 0;
	p->chunk = PUMP_CHUNK;
	p->buf = buf;
}

static bool has_bytes(const struct pump *p)
{
	return p->off < p->len;
}

bool pump_done(const struct pump *p)
{
	return p->dst < 0 || (p->src < 0 && !has_bytes(p));
}

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Nobody takes the bytes: drop what is held and tell the other side. */
static void abandon(struct pump *p)
{
	p->off = 0;
	p->len = 0;
	shut(&p->src);
	shut(&p->dst);
}

/*
 * The source has ended. A port that the host closed is left as it is: to
 * close it as well would only cost the host an exit. The number is given up.
 */
static void end_source(struct pump *p)
{
	if (p->dir == PUMP_FROM_JOB)
		shut(&p->src);
	p->src = -1;
}

/*
 * A 0 from a port is sure only the second time. The driver looks for data,
 * finds none, and then looks whether the host is there: bytes and goodbye
 * may both arrive between the two looks. Once it has seen the goodbye, all
 * the bytes are in its queue.
 */
static ssize_t read_source(struct pump *p)
{
	ssize_t n = read(p->src, p->buf, PUMP_CHUNK);

	if (n == 0 && p->dir == PUMP_TO_JOB)
		n = read(p->src, p->buf, PUMP_CHUNK);
	return n;
}

static void fill(struct pump *p)
{
	ssize_t n = read_source(p);

	if (n > 0) {
		p->off = 0;
		p->len = (uint32_t)n;
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR) && !p->last_call)
		return;
	end_source(p);
}

/* Wait a moment where poll() would not: the kernel is short of memory. */
static void rest(void)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	nanosleep(&moment, NULL);
}

static void flush(struct pump *p)
{
	while (has_bytes(p)) {
		uint32_t n = p->len - p->off;
		ssize_t done;

		if (n > p->chunk)
			n = p->chunk;
		done = write(p->dst, p->buf + p->off, n);
		if (done > 0) {
			p->off += (uint32_t)done;
			continue;
		}
		if (done < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		/* The port's 0: its queue refused, the bytes are still ours. */
		if (done == 0 || errno == ENOMEM) {
			if (p->chunk > CHUNK_MIN)
				p->chunk /= 2;
			else
				rest();
			return;
		}
		abandon(p);
		return;
	}
	p->chunk = PUMP_CHUNK;
}

void pump_want(const struct pump *p, struct pollfd pfd[2])
{
	bool full = has_bytes(p);

	/*
	 * A source with nothing to ask for is left out altogether: its
	 * POLLHUP cannot be masked and would keep poll() from sleeping.
	 */
	pfd[0] = (struct pollfd){ .fd = full ? -1 : p->src, .events = POLLIN };
	pfd[1] = (struct pollfd){ .fd = p->dst, .events = full ? POLLOUT : 0 };
}

void pump_step(struct pump *p, const struct pollfd pfd[2])
{
	/* The reader is gone: POLLHUP of a port, POLLERR of a pipe. */
	if (pfd[1].revents & (POLLHUP | POLLERR | POLLNVAL)) {
		abandon(p);
		return;
	}
	if (pfd[1].revents & POLLOUT)
		flush(p);
	if (pfd[0].revents && !has_bytes(p) && p->src >= 0) {
		fill(p);
		flush(p);
	}
	while (p->last_call && !has_bytes(p) && p->src >= 0) {
		fill(p);
		flush(p);
	}
	if (p->src < 0 && !has_bytes(p) && !p->last_call)
		shut(&p->dst);
}

void pump_last_call(struct pump *p)
{
	if (p->dir == PUMP_TO_JOB) {
		p->off = 0;
		p->len = 0;
		p->src = -1;
		shut(&p->dst);
		return;
	}
	p->last_call = true;
}
