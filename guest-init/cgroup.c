// SPDX-License-Identifier: MIT
/*
 * A file that cannot be read counts as 0 when the job is over: a report with
 * a hole is better than none. A limit that cannot be set is an error.
 */
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "lib/cleanup.h"

/*
 * Memory that the job never gets, so that an allocation which does not count
 * as the job's still succeeds while the job is at its limit. The fixed part
 * holds the bytes on their way to the host (the driver copies each write of
 * up to 32 KiB: three ports with 64 descriptors may hold 6 MiB) and init
 * itself. The share holds the kernel's watermarks, below which it starts to
 * kill by its own choice: about 1.2 % at 256 MiB, less above.
 */
#define RESERVE_BYTES (6ull << 20)
#define RESERVE_SHARE 48

/* With less than this no program gets anywhere. */
#define JOB_BYTES_MIN (4ull << 20)

/*
 * Page cache that a job at its limit must still have. Without swap the kernel
 * gives nothing up but the pages of files, to the last one, and so takes the
 * text away from under running programs, reads it again, and may do that for
 * ever: each page that it gets back counts as progress, which puts off the
 * OOM kill. Hot text is a few MiB and does not grow with the machine.
 */
#define TEXT_SHARE     32
#define TEXT_BYTES_MAX (16ull << 20)

#define KERNEL_PIDS_MAX 4194304u

static int write_file(int dir, const char *name, const char *value,
		      struct err *e)
{
	auto_fd fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(value);

	if (fd < 0 || write(fd, value, len) != (ssize_t)len)
		return err_sys(e, "write '%s' to the cgroup's '%s'", value,
			       name);
	return 0;
}

/* The text of an open file, from its beginning. */
static bool read_text(int fd, char *buf, size_t size)
{
	ssize_t n = pread(fd, buf, size - 1, 0);

	buf[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static bool read_file(int dir, const char *name, char *buf, size_t size)
{
	auto_fd fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	return read_text(fd, buf, size);
}

static bool read_number(const char *s, uint64_t *out)
{
	uint64_t v = 0;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return false;
	*out = v;
	return true;
}

bool cgroup_field(const char *text, const char *key, uint64_t *out)
{
	size_t len = strlen(key);

	while (*text) {
		if (!strncmp(text, key, len) && text[len] == ' ')
			return read_number(text + len + 1, out);
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return false;
}

int cgroup_make(struct cgroup *cg, int cgroup2, struct err *e)
{
	static const char controllers[] = "+cpu +memory +pids";

	*cg = (struct cgroup){ -1, -1, -1, -1, -1 };
	/*
	 * cpu sets no limit: with it the job is one among two, however many
	 * processes it has, and init runs when it is woken.
	 */
	if (write_file(cgroup2, "cgroup.subtree_control", controllers, e)) {
		if (e->code != EINVAL && e->code != ENOENT)
			return -e->code;
		return err_set(e, ENODEV,
			       "the kernel has no cgroup controllers cpu, "
			       "memory and pids (CONFIG_FAIR_GROUP_SCHED, "
			       "CONFIG_MEMCG, CONFIG_CGROUP_PIDS)");
	}
	if (mkdirat(cgroup2, "job", 0755))
		return err_sys(e, "make the job's cgroup");
	cg->dir = openat(cgroup2, "job", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return cg->dir < 0 ? err_sys(e, "open the job's cgroup") : 0;
}

static int open_file(const struct cgroup *cg, const char *name)
{
	return openat(cg->dir, name, O_RDONLY | O_CLOEXEC);
}

int cgroup_watch(struct cgroup *cg, struct err *e)
{
	char text[512];

	cg->events = open_file(cg, "memory.events");
	/* To poll, the kernel compares with what was read last. */
	if (cg->events < 0 || pread(cg->events, text, sizeof(text), 0) < 0)
		return err_sys(e, "watch the job's memory");
	cg->cpu_stat = open_file(cg, "cpu.stat");
	cg->memory_peak = open_file(cg, "memory.peak");
	cg->pids_peak = open_file(cg, "pids.peak");
	return 0;
}

/* What the job may have, or 0. */
static uint64_t memory_for_job(void)
{
	struct sysinfo si;
	uint64_t free, reserve;

	if (sysinfo(&si))
		return 0;
	free = (uint64_t)si.freeram * si.mem_unit;
	reserve = RESERVE_BYTES +
		  (uint64_t)si.totalram * si.mem_unit / RESERVE_SHARE;
	return free > reserve + JOB_BYTES_MIN ? free - reserve : 0;
}

int cgroup_limit_pids(const struct cgroup *cg, uint32_t pids_max,
		      struct err *e)
{
	char value[24];

	/* The kernel refuses a number that it could never reach. */
	if (pids_max > KERNEL_PIDS_MAX)
		return 0;
	snprintf(value, sizeof(value), "%u", pids_max);
	return write_file(cg->dir, "pids.max", value, e);
}

int cgroup_limit_memory(const struct cgroup *cg, struct err *e)
{
	uint64_t memory = memory_for_job();
	char value[24];

	if (!memory)
		return err_set(e, ENOMEM, "the machine has too little memory "
					  "for a job (--memory)");
	snprintf(value, sizeof(value), "%llu", (unsigned long long)memory);
	if (write_file(cg->dir, "memory.max", value, e))
		return -e->code;
	return write_file(cg->dir, "memory.oom.group", "1", e);
}

void cgroup_kill(const struct cgroup *cg)
{
	struct err ignored = { 0 };

	write_file(cg->dir, "cgroup.kill", "1", &ignored);
}

bool cgroup_was_oom(const struct cgroup *cg)
{
	char text[512];
	uint64_t kills = 0;

	return read_text(cg->events, text, sizeof(text)) &&
	       cgroup_field(text, "oom_kill", &kills) && kills > 0;
}

bool cgroup_is_starved(const struct cgroup *cg)
{
	uint64_t limit, least, file, shmem = 0;
	char text[4096];

	if (!read_text(cg->events, text, sizeof(text)) ||
	    !read_file(cg->dir, "memory.max", text, sizeof(text)) ||
	    !read_number(text, &limit) ||
	    !read_file(cg->dir, "memory.stat", text, sizeof(text)) ||
	    !cgroup_field(text, "file", &file))
		return false;
	/* What is in a tmpfs counts as `file`, but cannot be given up. */
	cgroup_field(text, "shmem", &shmem);
	least = limit / TEXT_SHARE;
	if (least > TEXT_BYTES_MAX)
		least = TEXT_BYTES_MAX;
	return file < shmem || file - shmem < least;
}

void cgroup_read_cpu(const struct cgroup *cg, struct cgroup_cpu *out)
{
	uint64_t all = 0, user = 0, sys = 0;
	char text[512];

	if (read_text(cg->cpu_stat, text, sizeof(text))) {
		cgroup_field(text, "usage_usec", &all);
		cgroup_field(text, "user_usec", &user);
		cgroup_field(text, "system_usec", &sys);
	}
	*out = (struct cgroup_cpu){ all * 1000, user * 1000, sys * 1000 };
}

void cgroup_read_usage(const struct cgroup *cg, struct cgroup_usage *out)
{
	uint64_t peak = 0;
	char text[32];

	*out = (struct cgroup_usage){ 0 };
	cgroup_read_cpu(cg, &out->cpu);
	if (read_text(cg->memory_peak, text, sizeof(text)))
		read_number(text, &out->mem_peak);
	if (read_text(cg->pids_peak, text, sizeof(text)) &&
	    read_number(text, &peak) && peak <= UINT32_MAX)
		out->pids_peak = (uint32_t)peak;
}
