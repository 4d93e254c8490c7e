// SPDX-License-Identifier: MIT
/*
 * See check_settings.h. Each answer comes from one file of the kernel's; one
 * that cannot be read leaves its question open, for what is not known is
 * neither good nor bad.
 *
 * Rejected: a score, which hides what is wrong, and writing any of it, which
 * is the operator's.
 */
#include "cli/check_settings.h"

#include "arch/host.h"
#include "jail/own_core.h"
#include "lib/cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX  65536u
#define PATH_ROOM 512

/* What stands in a file, without its last newline; NULL: cannot be read. */
static char *read_whole(const char *root, const char *path)
{
	auto_free char *buf = malloc(FILE_MAX);
	char name[PATH_ROOM];
	auto_fd fd = -1;
	size_t len = 0;
	ssize_t n = 0;

	snprintf(name, sizeof(name), "%s%s", root, path);
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (!buf || fd < 0)
		return NULL;
	while (len < FILE_MAX - 1 &&
	       (n = read(fd, buf + len, FILE_MAX - 1 - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		return NULL;
	if (len && buf[len - 1] == '\n')
		len--;
	buf[len] = '\0';
	return steal_ptr(&buf);
}

/* The same, which says so where it cannot. */
static char *read_setting(const char *root, const char *path,
			  struct text *found)
{
	char *text = read_whole(root, path);

	if (!text)
		text_printf(found, "%s cannot be read", path);
	return text;
}

/* Good exactly where the file says `value`. */
static enum setting_answer ask_value(const char *root, const char *path,
				     const char *value, struct text *found)
{
	auto_free char *text = read_setting(root, path, found);

	if (!text)
		return SETTING_OPEN;
	text_printf(found, "%s is %s", path, text);
	return strcmp(text, value) ? SETTING_BAD : SETTING_GOOD;
}

static enum setting_answer ask_smt(const char *root, struct text *found)
{
	auto_free char *active =
		read_whole(root, "/sys/devices/system/cpu/smt/active");

	if (!active) {
		text_printf(found, "the kernel does not tell");
		return SETTING_OPEN;
	}
	if (!strcmp(active, "0")) {
		text_printf(found, "no core has two threads in use");
		return SETTING_GOOD;
	}
	text_printf(found, "two threads share a core, %s",
		    own_core_is_in_use()
			    ? "and machines have cores of their own"
			    : "and two jobs may");
	return own_core_is_in_use() ? SETTING_GOOD : SETTING_BAD;
}

static enum setting_answer ask_ksm(const char *root, struct text *found)
{
	enum setting_answer a =
		ask_value(root, "/sys/kernel/mm/ksm/run", "0", found);

	/* A kernel without it has no such file. */
	return a == SETTING_OPEN ? SETTING_GOOD : a;
}

/* /proc/swaps: a heading, then one line each. */
static enum setting_answer ask_swap(const char *root, struct text *found)
{
	auto_free char *swaps = read_whole(root, "/proc/swaps");
	const char *line = swaps;
	unsigned nr = 0, zram = 0;

	if (!swaps) {
		text_printf(found, "/proc/swaps cannot be read");
		return SETTING_OPEN;
	}
	while ((line = strchr(line, '\n'))) {
		line++;
		nr++;
		zram += !strncmp(line, "/dev/zram", 9);
	}
	if (nr == zram) {
		text_printf(found, "no memory goes to a disk");
		return SETTING_GOOD;
	}
	text_printf(found, "memory may go to %u file%s or disk%s", nr - zram,
		    nr - zram > 1 ? "s" : "", nr - zram > 1 ? "s" : "");
	return SETTING_BAD;
}

#define FLAWS "/sys/devices/system/cpu/vulnerabilities"

static int is_file(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* "Vulnerable", "KVM: Vulnerable", "SMT vulnerable". */
static bool is_open_flaw(const char *root, const char *name)
{
	char path[PATH_ROOM];
	auto_free char *says = NULL;

	snprintf(path, sizeof(path), FLAWS "/%.100s", name);
	says = read_whole(root, path);
	return says && strstr(says, "ulnerable");
}

static enum setting_answer ask_flaws(const char *root, struct text *found)
{
	struct dirent **entries;
	char path[PATH_ROOM];
	unsigned bad = 0;
	int i, n;

	snprintf(path, sizeof(path), "%s" FLAWS, root);
	n = scandir(path, &entries, is_file, alphasort);
	if (n < 0) {
		text_printf(found, FLAWS " cannot be read");
		return SETTING_OPEN;
	}
	for (i = 0; i < n; i++) {
		if (is_open_flaw(root, entries[i]->d_name))
			text_printf(found, "%s%s", bad++ ? ", " : "open: ",
				    entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	if (!bad)
		text_printf(found, "none of the CPU's %d known ones is open",
			    n);
	return bad ? SETTING_BAD : SETTING_GOOD;
}

static enum setting_answer ask_cores(const char *root, struct text *found)
{
	const char *path = "/proc/sys/kernel/core_pattern";
	auto_free char *pattern = read_setting(root, path, found);

	if (!pattern)
		return SETTING_OPEN;
	if (pattern[0] == '|') {
		text_printf(found, "a crash starts a program as root: %s",
			    pattern);
		return SETTING_BAD;
	}
	text_printf(found, "a crash starts no program");
	return SETTING_GOOD;
}

/* The options of the last mount at `where`; NULL: none. Cuts `mounts` up. */
static const char *find_mount(char *mounts, const char *where)
{
	const char *found = NULL;
	char *line, *rest;

	for (line = strtok_r(mounts, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		char *word, *at;

		word = strtok_r(line, " ", &at);
		word = word ? strtok_r(NULL, " ", &at) : NULL;
		if (!word || strcmp(word, where))
			continue;
		word = strtok_r(NULL, " ", &at);
		found = word ? strtok_r(NULL, " ", &at) : NULL;
	}
	return found;
}

static bool has_option(const char *options, const char *option)
{
	size_t len = strlen(option);

	for (; *options; options += *options == ',') {
		size_t n = strcspn(options, ",");

		if (n == len && !memcmp(options, option, n))
			return true;
		options += n;
	}
	return false;
}

static enum setting_answer ask_hidepid(const char *root, struct text *found)
{
	auto_free char *mounts = read_whole(root, "/proc/mounts");
	const char *options = mounts ? find_mount(mounts, "/proc") : NULL;

	if (!options) {
		text_printf(found, "/proc/mounts does not tell");
		return SETTING_OPEN;
	}
	if (has_option(options, "hidepid=2") ||
	    has_option(options, "hidepid=invisible") ||
	    has_option(options, "hidepid=4") ||
	    has_option(options, "hidepid=ptraceable")) {
		text_printf(found, "users see their own processes only");
		return SETTING_GOOD;
	}
	text_printf(found, "each user sees the command lines of all");
	return SETTING_BAD;
}

static enum setting_answer ask_device(const char *root, struct text *found)
{
	char path[PATH_ROOM];
	struct stat st;

	snprintf(path, sizeof(path), "%s/dev/kvm", root);
	if (stat(path, &st)) {
		text_printf(found, "/dev/kvm is not there");
		return SETTING_OPEN;
	}
	text_printf(found, "mode %03o, group %u", st.st_mode & 0777u,
		    st.st_gid);
	return st.st_mode & 06 ? SETTING_BAD : SETTING_GOOD;
}

static enum setting_answer ask_dynmods(const char *root, struct text *found)
{
	auto_free char *mounts = read_whole(root, "/proc/mounts");
	const char *options =
		mounts ? find_mount(mounts, "/sys/fs/cgroup") : NULL;

	if (!options) {
		text_printf(found, "there is no cgroup2 at /sys/fs/cgroup");
		return SETTING_OPEN;
	}
	if (has_option(options, "favordynmods")) {
		text_printf(found, "a VM starts and ends without waiting for "
				   "its cgroup");
		return SETTING_GOOD;
	}
	text_printf(found, "each start and end of a VM waits some 10 ms");
	return SETTING_BAD;
}

static enum setting_answer ask_huge(const char *root, struct text *found)
{
	const char *path = "/sys/kernel/mm/transparent_hugepage/enabled";
	auto_free char *modes = read_setting(root, path, found);

	if (!modes)
		return SETTING_OPEN;
	text_printf(found, "%s", modes);
	return strstr(modes, "[never]") ? SETTING_BAD : SETTING_GOOD;
}

static enum setting_answer ask_overcommit(const char *root, struct text *found)
{
	const char *path = "/proc/sys/vm/overcommit_memory";
	auto_free char *mode = read_setting(root, path, found);

	if (!mode)
		return SETTING_OPEN;
	text_printf(found, "%s is %s", path, mode);
	return strcmp(mode, "2") ? SETTING_GOOD : SETTING_BAD;
}

/* Does this cgroup, or one above it, bound its memory? Cuts `path` up. */
static bool is_bounded(const char *root, char *path)
{
	char file[PATH_ROOM], *slash;

	for (;;) {
		auto_free char *max = NULL;

		snprintf(file, sizeof(file), "/sys/fs/cgroup%.400s/memory.max",
			 path);
		max = read_whole(root, file);
		if (max && strcmp(max, "max"))
			return true;
		slash = strrchr(path, '/');
		if (!slash)
			return false;
		*slash = '\0';
	}
}

static enum setting_answer ask_cgroup(const char *root, struct text *found)
{
	auto_free char *groups = read_whole(root, "/proc/self/cgroup");
	char *own = groups ? strstr(groups, "0::/") : NULL;

	if (!own) {
		text_printf(found, "this process is in no cgroup2");
		return SETTING_OPEN;
	}
	own += strlen("0::");
	own[strcspn(own, "\n")] = '\0';
	if (is_bounded(root, own)) {
		text_printf(found, "what is started here has a bound");
		return SETTING_GOOD;
	}
	text_printf(found, "what is started here may take all memory");
	return SETTING_BAD;
}

static enum setting_answer ask_paging(const char *root, struct text *found)
{
	int on = host_pages_by_itself(root, found);

	if (on < 0)
		return SETTING_OPEN;
	return on ? SETTING_GOOD : SETTING_BAD;
}

const struct setting check_paging = {
	"nested_paging",
	host_explain_paging,
	ask_paging,
};

const struct setting check_settings[] = {
	{ "smt",
	  "echo off >/sys/devices/system/cpu/smt/control, or husk run "
	  "--own-core=on (docs/host.md says what each costs)",
	  ask_smt },
	{ "cpu_flaws",
	  host_explain_flaws,
	  ask_flaws },
	{ "ksm",
	  "echo 2 >/sys/kernel/mm/ksm/run: pages that are merged tell one job "
	  "what another has in memory",
	  ask_ksm },
	{ "swap",
	  "swapoff -a, or encrypt it: what a job had in memory stays on the "
	  "disk",
	  ask_swap },
	{ "core_pattern",
	  "sysctl kernel.core_pattern=core: no program of the host's should "
	  "read what a job made of a process",
	  ask_cores },
	{ "hidepid",
	  "mount -o remount,hidepid=invisible /proc: a job's command line "
	  "is everybody's to read",
	  ask_hidepid },
	{ "kvm_group",
	  "chgrp kvm /dev/kvm && chmod 660 /dev/kvm, and only the service's "
	  "user in that group",
	  ask_device },
	{ "memory_bound",
	  "systemd-run --scope -p MemoryMax=4G, or MemoryMax= in the service's "
	  "unit: all machines may use all of their --memory at once",
	  ask_cgroup },
	{ "overcommit",
	  "sysctl vm.overcommit_memory=0: with 2, each machine counts whole, "
	  "copies of a template too",
	  ask_overcommit },
	{ "huge_pages",
	  "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled: a "
	  "guest's "
	  "memory in small pages costs more at each of its faults",
	  ask_huge },
	{ "favordynmods",
	  "mount -o remount,favordynmods /sys/fs/cgroup (Linux 6.0 or newer)",
	  ask_dynmods },
	{ NULL, NULL, NULL },
};
