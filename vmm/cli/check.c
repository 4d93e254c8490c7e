// SPDX-License-Identifier: MIT
/*
 * All questions are asked first, then all answers are printed: a host with
 * three faults should not need three attempts. A question that cannot be
 * asked without an earlier one (a capability without /dev/kvm) stays open.
 *
 * What a KVM can do is not believed but tried (arch/host.h).
 */
#include "cli/check.h"

#include "arch/arch.h"
#include "arch/host.h"
#include "cli/check_copy.h"
#include "cli/check_jail.h"
#include "cli/check_report.h"
#include "cli/check_settings.h"
#include "cli/paths.h"
#include "lib/cleanup.h"

#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define DEVICE	       "/dev/kvm"
#define MEMORY_RESERVE (32ull << 20) /* for husk and the page tables */

#define EXT4_MAGIC_AT 1080
#define EXT4_MAGIC    0xef53

static struct question *ask(struct survey *s, const char *name)
{
	struct question *q = &s->question[s->nr];
	struct text t;

	/* The table of capabilities grew beyond us: better seen than lost. */
	if (s->nr == CHECK_QUESTIONS_MAX)
		abort();
	s->nr++;
	*q = (struct question){.answer = ANSWER_OPEN};
	text_init(&t, q->name, sizeof(q->name));
	for (; *name; name++) {
		char c = *name;

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		text_add(&t, &c, 1);
	}
	return q;
}

static void say(struct question *q, enum answer answer, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void say(struct question *q, enum answer answer, const char *fmt, ...)
{
	va_list ap;

	q->answer = answer;
	va_start(ap, fmt);
	vsnprintf(q->text, sizeof(q->text), fmt, ap);
	va_end(ap);
}

static void hint(struct question *q, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void hint(struct question *q, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(q->hint, sizeof(q->hint), fmt, ap);
	va_end(ap);
}

static void ask_present(struct survey *s)
{
	struct question *q = ask(s, "kvm_present");
	struct stat st;

	if (stat(DEVICE, &st)) {
		say(q, ANSWER_NO, DEVICE " is not there");
		hint(q, "%s", host_explain_no_kvm());
	} else if (!S_ISCHR(st.st_mode)) {
		say(q, ANSWER_NO, DEVICE " is not a device");
		hint(q, "remove it and load %s", arch_words.modules);
	} else {
		say(q, ANSWER_OK, DEVICE " is there");
	}
}

/* Name of a group without NSS, which a static binary has no use of. */
static void find_group(gid_t gid, char *name, size_t size)
{
	auto_file f = fopen("/etc/group", "re");
	auto_free char *line = NULL;
	size_t line_size = 0;

	snprintf(name, size, "%u", gid);
	while (f && getline(&line, &line_size, f) > 0) {
		char *rest, *word = strtok_r(line, ":", &rest);
		char *id = strtok_r(NULL, ":", &rest);

		id = id ? strtok_r(NULL, ":", &rest) : NULL;
		if (word && id && strtoul(id, NULL, 10) == gid) {
			snprintf(name, size, "%s", word);
			return;
		}
	}
}

static void hint_permission(struct question *q)
{
	char group[64];
	struct stat st;

	if (stat(DEVICE, &st))
		return;
	find_group(st.st_gid, group, sizeof(group));
	if ((st.st_mode & 060) == 060 && st.st_gid)
		hint(q, "add your user to group '%s' and log in again", group);
	else
		hint(q, "as root: chgrp kvm " DEVICE " && chmod 660 " DEVICE
			", and add your user to group 'kvm'");
}

/* The open device, or -1. */
static int ask_permitted(struct survey *s)
{
	struct question *q = ask(s, "kvm_permitted");
	int fd;

	if (s->question[0].answer != ANSWER_OK) {
		say(q, ANSWER_OPEN, "no " DEVICE " to open");
		return -1;
	}
	fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		say(q, ANSWER_OK, "it may be opened");
		return fd;
	}
	say(q, ANSWER_NO, "open '" DEVICE "': %s", strerror(errno));
	if (errno == EACCES || errno == EPERM)
		hint_permission(q);
	else
		hint(q, "%s", host_explain_no_kvm());
	return -1;
}

static void ask_api(struct survey *s, int kvm)
{
	struct question *q = ask(s, "kvm_api");
	int version;

	if (kvm < 0) {
		say(q, ANSWER_OPEN, "API version unknown");
		return;
	}
	version = ioctl(kvm, KVM_GET_API_VERSION, 0);
	say(q, version == KVM_API_VERSION ? ANSWER_OK : ANSWER_NO,
	    "API version %d", version);
	hint(q, "husk needs version %d: use Linux 5.10 or newer",
	     KVM_API_VERSION);
}

static void ask_capabilities(struct survey *s, int kvm)
{
	for (const struct arch_cap *c = arch_required; c->name; c++) {
		struct question *q = ask(s, c->name);

		if (kvm < 0)
			say(q, ANSWER_OPEN, "for %s", c->why);
		else if (ioctl(kvm, KVM_CHECK_EXTENSION, c->cap) > 0)
			say(q, ANSWER_OK, "for %s", c->why);
		else
			say(q, ANSWER_NO, "is missing; it is for %s", c->why);
		hint(q, "this KVM is too old or cut down: use Linux 5.10 or "
			"newer");
	}
}

/* One question for all of it: who lacks this can still run jobs. */
static void ask_templates(struct survey *s, int kvm)
{
	struct question *q = ask(s, "templates");
	const struct arch_cap *c;
	struct err e;

	say(q, kvm < 0 ? ANSWER_OPEN : ANSWER_OK,
	    "for templates, copies of them and pools");
	for (c = arch_for_templates; kvm >= 0 && c->name; c++)
		if (ioctl(kvm, KVM_CHECK_EXTENSION, c->cap) <= 0)
			say(q, ANSWER_LESS, "%s is missing; it is for %s",
			    c->name, c->why);
	if (q->answer == ANSWER_OK && check_try_copy(&e))
		say(q, ANSWER_LESS, "a copy of a few instructions: %s", e.msg);
	hint(q, "machines can run here, but not be saved or copied: use Linux "
		"5.10 or newer, without a cut down KVM");
}

static void ask_hardware(struct survey *s, int kvm)
{
	struct question *q = ask(s, "kvm_hardware");
	enum host_answer answer;
	char tried[128];
	struct text t;
	struct err e;

	if (kvm < 0) {
		say(q, ANSWER_OPEN, "no guest can be tried");
		return;
	}
	text_init(&t, tried, sizeof(tried));
	if (host_probe(kvm, &answer, &t, &e)) {
		say(q, ANSWER_NO, "a guest of a few instructions: %s", e.msg);
		hint(q, "this KVM (%s) cannot run a guest at all",
		     host_find_module());
	} else if (answer == HOST_RUNS_LINUX) {
		say(q, ANSWER_OK, "hardware KVM (%s)", host_find_module());
	} else {
		say(q, ANSWER_NO,
		    "software KVM (%s): Linux guests do not run; tried: %s",
		    host_find_module(), tried);
		hint(q, "%s", host_explain_software);
	}
}

/*
 * Opens *path for reading, or without one `name` where husk looks: that is in
 * *found then, and *path. Says no by itself otherwise.
 */
static int open_file(struct question *q, const char **path, char **found,
		     const char *name, const char *option, struct stat *st)
{
	auto_fd fd = -1;
	struct err e;

	if (!*path)
		*path = *found = paths_find(name, option, &e);
	if (!*path) {
		say(q, ANSWER_NO, "there is no '%s' where husk looks", name);
		hint(q, "%.300s", e.msg);
		return -1;
	}
	fd = open(*path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	hint(q, "say where it is with --%s=FILE, or run 'make'", option);
	if (fd < 0 || fstat(fd, st)) {
		say(q, ANSWER_NO, "open '%.200s': %s", *path, strerror(errno));
		return -1;
	}
	if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode))
		return steal_fd(&fd);
	say(q, ANSWER_NO, "'%.200s' is a %s", *path,
	    S_ISDIR(st->st_mode) ? "directory" : "special file");
	return -1;
}

/* What kind of kernel the first bytes promise; NULL for none we boot. */
static const char *kernel_kind(const uint8_t *head, size_t len)
{
	Elf64_Ehdr elf;

	if (len >= 3 && !memcmp(head, "\x1f\x8b\x08", 3))
		return "gzip";
	if (len < sizeof(elf))
		return NULL;
	memcpy(&elf, head, sizeof(elf));
	if (memcmp(elf.e_ident, ELFMAG, SELFMAG) ||
	    elf.e_ident[EI_CLASS] != ELFCLASS64 ||
	    elf.e_machine != arch_elf_machine)
		return NULL;
	return "ELF";
}

static void ask_kernel(struct survey *s, const char *path)
{
	struct question *q = ask(s, "kernel");
	auto_free char *found = NULL;
	uint8_t head[sizeof(Elf64_Ehdr)];
	const char *kind;
	auto_fd fd = -1;
	struct stat st;
	ssize_t n;

	fd = open_file(q, &path, &found, "vmlinux", "kernel", &st);
	if (fd < 0)
		return;
	n = pread(fd, head, sizeof(head), 0);
	kind = kernel_kind(head, n > 0 ? (size_t)n : 0);
	if (kind) {
		say(q, ANSWER_OK, "'%.200s' (%s, %" PRIu64 " KiB)", path, kind,
		    (uint64_t)st.st_size / 1024);
		return;
	}
	say(q, ANSWER_NO, "'%.200s' is not an %s vmlinux", path,
	    arch_words.title);
	hint(q, "give an uncompressed or gzip'ed vmlinux with --kernel=FILE, "
		"not a %s", arch_words.not_a_kernel);
}

static void ask_image(struct survey *s, const char *path)
{
	struct question *q = ask(s, "image");
	auto_free char *found = NULL;
	auto_fd fd = -1;
	uint8_t m[2];
	struct stat st;

	fd = open_file(q, &path, &found, "base.ext4", "image", &st);
	if (fd < 0)
		return;
	if (pread(fd, m, sizeof(m), EXT4_MAGIC_AT) == sizeof(m) &&
	    (m[0] | m[1] << 8) == EXT4_MAGIC) {
		say(q, ANSWER_OK, "'%.200s' (ext4, %" PRIu64 " KiB)", path,
		    (uint64_t)st.st_size / 1024);
		return;
	}
	say(q, ANSWER_NO, "'%.200s' has no ext4 file system", path);
	hint(q, "make one with 'husk-image build', or run 'make'");
}

/* MemAvailable of /proc/meminfo in bytes; 0 when unknown. */
static uint64_t read_available(void)
{
	auto_file f = fopen("/proc/meminfo", "re");
	auto_free char *line = NULL;
	uint64_t kib = 0;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0)
		if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
			return kib * 1024;
	return 0;
}

static void ask_memory(struct survey *s, uint64_t memory)
{
	struct question *q = ask(s, "memory");
	uint64_t have = read_available(), need = memory + MEMORY_RESERVE;

	if (!have) {
		say(q, ANSWER_OPEN, "/proc/meminfo does not tell");
		return;
	}
	say(q, have >= need ? ANSWER_OK : ANSWER_NO,
	    "%" PRIu64 " MiB are free, a job of the default size takes up to "
	    "%" PRIu64 " MiB",
	    have >> 20, need >> 20);
	hint(q, "end other programs, or run jobs with a smaller --memory=SIZE");
}

static void ask_layer(struct survey *s, const struct jail *j,
		      enum jail_layer l)
{
	char name[40];
	struct question *q;

	snprintf(name, sizeof(name), "jail_%s", jail_layer_name(j, l));
	q = ask(s, name);
	say(q, j->given >> l & 1 ? ANSWER_OK : ANSWER_LESS, "%s%s",
	    jail_layer_what(j, l),
	    l == JAIL_ROOT && j->landlock ? " (by Landlock)" : "");
	hint(q, "%s", check_jail_hint(l));
}

/* husk's own jail: what is missing makes runs less safe, not impossible. */
static void ask_jail(struct survey *s, int kvm)
{
	struct jail j = {0};
	struct err e;

	if (check_try_jail(&j, &e)) {
		struct question *q = ask(s, "jail");

		say(q, ANSWER_LESS, "%s", e.msg);
		hint(q, "husk run --jail=off runs without; look in the "
			"kernel's log for why");
		return;
	}
	if (kvm >= 0 && check_try_narrow(kvm))
		j.given |= 1u << JAIL_NARROW;
	for (unsigned l = 0; l < JAIL_NR; l++)
		if (l != JAIL_NARROW || kvm >= 0)
			ask_layer(s, &j, (enum jail_layer)l);
}

static void ask_setting(struct survey *s, const struct setting *w)
{
	static const enum answer answers[] = {
		[SETTING_OPEN] = ANSWER_OPEN,
		[SETTING_BAD] = ANSWER_LESS,
		[SETTING_GOOD] = ANSWER_OK,
	};
	struct question *q = ask(s, w->name);
	char found[CHECK_TEXT_MAX];
	struct text t;

	text_init(&t, found, sizeof(found));
	say(q, answers[w->ask("", &t)], "%s", found);
	hint(q, "%s", w->hint);
}

/* How the host is set up: nothing of it keeps a job from running. */
static void ask_settings(struct survey *s)
{
	s->strict = true;
	for (const struct setting *w = check_settings; w->name; w++)
		ask_setting(s, w);
}

int check_host(FILE *out, const struct config *c, unsigned how)
{
	struct survey s = {0};
	auto_fd kvm = -1;

	ask_present(&s);
	kvm = ask_permitted(&s);
	ask_api(&s, kvm);
	ask_hardware(&s, kvm);
	ask_setting(&s, &check_paging);
	ask_capabilities(&s, kvm);
	ask_kernel(&s, c->kernel);
	ask_image(&s, c->image);
	ask_memory(&s, c->memory);
	ask_templates(&s, kvm);
	ask_jail(&s, kvm);
	if (how & CHECK_STRICT)
		ask_settings(&s);
	check_report(out, &s, how);
	return check_is_sound(&s) ? 0 : 1;
}
