// SPDX-License-Identifier: MIT
/*
 * Rejected: the same as sysctl.* on the kernel's command line, which a job can
 * read, and for which the kernel mounts /proc once more.
 */
#include "sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"

struct setting {
	const char *path; /* below /proc/sys */
	const char *value;
};

static const struct setting settings[] = {
	/*
	 * Memory is the job's limit, not what it reserves: what it does touch
	 * is counted, and more than there is ends as "out of memory".
	 */
	{ "vm/overcommit_memory", "1" },
	/* A job could spend its time on filling the log with tables. */
	{ "vm/oom_dump_tasks", "0" },
	/*
	 * How many there are is the cgroup's business. By memory the first
	 * would be below --pids in a small machine, and the second is 32768.
	 */
	{ "kernel/threads-max", "4194304" },
	{ "kernel/pid_max", "4194304" },
	/* Nobody else is on this machine's network, which is lo. */
	{ "net/ipv4/ip_unprivileged_port_start", "0" },
	{ "net/ipv4/ping_group_range", "0 2147483647" },
};

static int set(int dir, const struct setting *s, struct err *e)
{
	auto_fd fd = openat(dir, s->path, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(s->value);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || write(fd, s->value, len) != (ssize_t)len)
		return err_sys(e, "write '%s' to '/proc/sys/%s'", s->value,
			       s->path);
	return 0;
}

int sysctl_set_up(struct err *e)
{
	auto_fd dir = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 && errno == ENOENT)
		return 0;
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		if (set(dir, &settings[i], e))
			return -e->code;
	return 0;
}
