// SPDX-License-Identifier: MIT
/*
 * A port is looked for in sysfs, not in /dev: its node is made before the
 * driver has listed it (an open then fails with ENXIO), while the attribute
 * `name` is the last thing that a new port gets. The names are the host's;
 * the numbers in "vport1p4" depend on what other virtio devices there are.
 *
 * Most times all ports are there at once. If not, each one's completion is
 * announced by a uevent; no other event says so, and nothing is polled.
 */
#include "ports.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define CLASS_DIR     "class/virtio-ports"
#define KERNEL_EVENTS 1 /* the netlink group of the kernel's own uevents */
#define PATIENCE_MS   5000

static const char *const port_names[HUSK_NR_PORTS] = HUSK_PORT_NAMES;

struct dirent64 {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

/* The port whose name is in the file `name` of directory dev; or -1. */
static int read_port_name(int class_dir, const char *dev)
{
	char path[64];
	char name[32];
	ssize_t n;
	size_t len = strlen(dev);
	auto_fd fd = -1;

	if (len + sizeof("/name") > sizeof(path))
		return -1;
	memcpy(path, dev, len);
	memcpy(path + len, "/name", sizeof("/name"));
	fd = openat(class_dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, name, sizeof(name) - 1);
	if (n < 1)
		return -1;
	name[n - (name[n - 1] == '\n')] = '\0';
	for (int i = 0; i < HUSK_NR_PORTS; i++)
		if (!strcmp(name, port_names[i]))
			return i;
	return -1;
}

static int open_port(struct ports *p, int class_dir, int devtmpfs,
		     const char *dev, struct err *e)
{
	int i = read_port_name(class_dir, dev);
	int flags = O_RDWR | O_CLOEXEC;

	if (i < 0 || p->fd[i] >= 0)
		return 0;
	if (i != HUSK_PORT_CONTROL)
		flags |= O_NONBLOCK;
	p->fd[i] = openat(devtmpfs, dev, flags);
	if (p->fd[i] < 0)
		return err_sys(e, "open the console port '%s'", port_names[i]);
	return 0;
}

/* Open what is there. Returns how many are missing, or -errno. */
static int scan(struct ports *p, int sysfs, int devtmpfs, struct err *e)
{
	_Alignas(struct dirent64) char buf[1024];
	auto_fd dir = openat(sysfs, CLASS_DIR,
			     O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int missing = 0;
	long n;

	if (dir < 0)
		return err_set(e, ENODEV, "the kernel has no virtio-console "
					  "(CONFIG_VIRTIO_CONSOLE)");
	while ((n = syscall(SYS_getdents64, dir, buf, sizeof(buf))) > 0) {
		const struct dirent64 *d;

		for (long at = 0; at < n; at += d->reclen) {
			d = (const struct dirent64 *)(buf + at);
			if (d->name[0] != '.' &&
			    open_port(p, dir, devtmpfs, d->name, e))
				return -e->code;
		}
	}
	if (n < 0)
		return err_sys(e, "list the console ports");
	for (int i = 0; i < HUSK_NR_PORTS; i++)
		missing += p->fd[i] < 0;
	return missing;
}

static int listen_to_kernel(struct err *e)
{
	const struct sockaddr_nl addr = {
		.nl_family = AF_NETLINK,
		.nl_groups = KERNEL_EVENTS,
	};
	auto_fd fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC,
			    NETLINK_KOBJECT_UEVENT);

	if (fd < 0)
		return err_sys(e, "listen to the kernel's device events");
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)))
		return err_sys(e, "listen to the kernel's device events");
	return steal_fd(&fd);
}

static int report_missing(const struct ports *p, struct err *e)
{
	for (int i = 0; i < HUSK_NR_PORTS; i++)
		if (p->fd[i] < 0)
			return err_set(e, ENODEV,
				       "the machine has no console port '%s'",
				       port_names[i]);
	return 0;
}

int ports_open(struct ports *p, int sysfs, int devtmpfs, struct err *e)
{
	auto_fd events = -1;
	int missing;

	for (int i = 0; i < HUSK_NR_PORTS; i++)
		p->fd[i] = -1;
	missing = scan(p, sysfs, devtmpfs, e);
	if (missing <= 0)
		return missing;

	/* Listen first, then look again: no event falls in between. */
	events = listen_to_kernel(e);
	if (events < 0)
		return events;
	while ((missing = scan(p, sysfs, devtmpfs, e)) > 0) {
		struct pollfd pfd = { .fd = events, .events = POLLIN };
		char event[16]; /* what it says does not matter */

		if (poll(&pfd, 1, PATIENCE_MS) == 0)
			return report_missing(p, e);
		/* ENOBUFS: events were lost; looking again makes up for it. */
		if (recv(events, event, sizeof(event), 0) < 0 &&
		    errno != ENOBUFS && errno != EINTR)
			return err_sys(e, "wait for the console ports");
	}
	return missing;
}
