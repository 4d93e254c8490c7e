// SPDX-License-Identifier: MIT
/*
 * Each frame is one write, so that it is one buffer and one interrupt of the
 * host.
 */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define MEM_MAJOR	1
#define KMSG_MINOR	11
#define HOST_ANSWERS_MS 1000

static int send_frame(const struct report *r, enum husk_frame_type type,
		      const void *a, size_t a_len, const void *b, size_t b_len,
		      struct err *e)
{
	uint8_t buf[sizeof(struct husk_frame) + HUSK_REPORT_MAX];
	struct husk_frame f = {
		.magic = HUSK_MAGIC,
		.version = HUSK_VERSION,
		.type = (uint16_t)type,
		.len = (uint32_t)(a_len + b_len),
	};
	size_t len = sizeof(f) + a_len + b_len;
	ssize_t n;

	if (len > sizeof(buf))
		return err_set(e, EMSGSIZE, "send frame %d: too long", type);
	memcpy(buf, &f, sizeof(f));
	if (a_len)
		memcpy(buf + sizeof(f), a, a_len);
	if (b_len)
		memcpy(buf + sizeof(f) + a_len, b, b_len);
	n = write(r->control, buf, len);
	if (n < 0)
		return err_sys(e, "send frame %d", type);
	if ((size_t)n != len)
		return err_set(e, EIO, "send frame %d: cut short", type);
	return 0;
}

int report_ready(const struct report *r, struct err *e)
{
	struct husk_ready ready;
	struct timespec now;
	struct sysinfo si;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (sysinfo(&si))
		return err_sys(e, "ask for the memory size");
	ready = (struct husk_ready){
		.uptime_ns = (uint64_t)now.tv_sec * 1000000000u +
			     (uint64_t)now.tv_nsec,
		.mem_total = (uint64_t)si.totalram * si.mem_unit,
		.mem_free = (uint64_t)si.freeram * si.mem_unit,
	};
	return send_frame(r, HUSK_READY, &ready, sizeof(ready), NULL, 0, e);
}

int report_started(const struct report *r, struct err *e)
{
	return send_frame(r, HUSK_STARTED, NULL, 0, NULL, 0, e);
}

int report_resting(const struct report *r, struct err *e)
{
	return send_frame(r, HUSK_RESTING, NULL, 0, NULL, 0, e);
}

int report_end(const struct report *r, struct husk_end *end,
	       const char *reason, struct err *e)
{
	size_t len = strnlen(reason, HUSK_REASON_MAX);

	end->reason_len = (uint32_t)len;
	return send_frame(r, HUSK_END, end, sizeof(*end), reason, len, e);
}

/* Without devtmpfs the root is still the initramfs, where a node can be. */
static int open_kmsg(const struct report *r)
{
	if (r->devtmpfs >= 0)
		return openat(r->devtmpfs, "kmsg", O_WRONLY | O_CLOEXEC);
	if (mknod("/kmsg", S_IFCHR | 0600, makedev(MEM_MAJOR, KMSG_MINOR)) &&
	    errno != EEXIST)
		return -1;
	return open("/kmsg", O_WRONLY | O_CLOEXEC);
}

void report_emergency(const struct report *r, const char *text)
{
	auto_fd fd = open_kmsg(r);

	if (fd >= 0)
		dprintf(fd, "<0>husk-init: %s\n", text);
}

/* A port that the host has not opened would block a write for ever. */
static bool host_listens(const struct report *r)
{
	struct pollfd p = { .fd = r->control, .events = POLLOUT };

	return r->control >= 0 && poll(&p, 1, HOST_ANSWERS_MS) == 1 &&
	       (p.revents & POLLOUT);
}

_Noreturn void report_failure(const struct report *r, const struct err *e)
{
	struct husk_end end = {
		.kind = HUSK_END_ERROR,
		.code = (uint32_t)e->code,
	};
	struct err ignored = { 0 };

	report_emergency(r, e->msg);
	if (!host_listens(r) || report_end(r, &end, e->msg, &ignored))
		report_reset();
	report_power_off(r);
}

_Noreturn void report_reset(void)
{
	for (;;) {
		reboot(RB_AUTOBOOT);
		pause();
	}
}

_Noreturn void report_power_off(const struct report *r)
{
	struct pollfd p = { .fd = r->control };

	/*
	 * The kernel's way down resets the virtio devices (6.12), and with
	 * them goes what a slow reader has not let the host take yet. Only
	 * the host knows when that is done; it then stops the machine, or
	 * hangs up. To wait for it costs nothing. There is nothing to sync:
	 * no file system here can be written to but tmpfs.
	 */
	while (poll(&p, 1, -1) < 0)
		; /* no event was asked for: what comes is the hang-up */
	report_reset();
}
