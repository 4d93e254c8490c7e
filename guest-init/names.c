// SPDX-License-Identifier: MIT
/*
 * Rejected: a daemon that answers, be it as DNS server or as nscd: it would
 * parse what a job sends, take a port that is the job's, and only glibc asks
 * the one, only who reads resolv.conf the other. A resolv.conf of ours: with
 * no network, each server named there is refused at once, and libcs go on to
 * the file.
 */
#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fsmount.h"
#include "lib/cleanup.h"

/* More of the image's files is not looked at. */
#define HOSTS_MAX    65536
#define NSSWITCH_MAX 8192

#define LOCALHOST                                                              \
	"127.0.0.1\tlocalhost\n"                                               \
	"::1\tlocalhost ip6-localhost ip6-loopback\n"

/* Padded, so that a name replaces any other in one write. */
size_t names_write_hosts(char buf[NAMES_HOSTS_ROOM], const char *own)
{
	if (!*own)
		own = "localhost";
	return (size_t)snprintf(buf, NAMES_HOSTS_ROOM,
				LOCALHOST "127.0.0.1\t%-*s\n::1\t%-*s\n",
				JOB_HOSTNAME_MAX, own, JOB_HOSTNAME_MAX, own);
}

static const char *skip_blanks(const char *s, const char *end)
{
	while (s < end && (*s == ' ' || *s == '\t'))
		s++;
	return s;
}

static bool begins_with(const char *s, const char *end, const char *word)
{
	size_t len = strlen(word);

	return (size_t)(end - s) >= len && !memcmp(s, word, len);
}

/* Behind the "hosts:" of a line, or NULL. */
static const char *hosts_value(const char *s, const char *end)
{
	static const char key[] = "hosts:";

	s = skip_blanks(s, end);
	return begins_with(s, end, key) ? s + sizeof(key) - 1 : NULL;
}

static bool has_files_first(const char *s, const char *end)
{
	static const char word[] = "files";

	s = skip_blanks(s, end);
	if (!begins_with(s, end, word))
		return false;
	s += sizeof(word) - 1;
	return s == end || strchr(" \t[#", *s);
}

size_t names_fix_nsswitch(const char *text, size_t len, char *out, size_t size)
{
	static const char files[] = " files ";
	const char *s = text, *end = text + len;
	size_t n = 0;
	bool changed = false;

	while (s < end) {
		const char *nl = memchr(s, '\n', (size_t)(end - s));
		const char *stop = nl ? nl : end;
		const char *value = hosts_value(s, stop);
		size_t head = value ? (size_t)(value - s) : 0;
		size_t all = (size_t)(stop - s) + (nl != NULL);

		if (n + all + sizeof(files) > size)
			return 0;
		memcpy(out + n, s, head);
		n += head;
		if (value && !has_files_first(value, stop)) {
			memcpy(out + n, files, sizeof(files) - 1);
			n += sizeof(files) - 1;
			changed = true;
		}
		memcpy(out + n, s + head, all - head);
		n += all - head;
		s += all;
	}
	return changed ? n : 0;
}

/* The beginning of a file of the image; none if it cannot be read. */
static size_t read_image(const char *path, char *buf, size_t size)
{
	auto_fd fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size);

	return n > 0 ? (size_t)n : 0;
}

/* Only behind an /etc that is a link, where skeleton.c makes nothing. */
static bool has_no_place(const struct err *e)
{
	return e->code == ENOENT || e->code == ENOTDIR ||
	       e->code == ELOOP || e->code == EINVAL;
}

static int cover_hosts(struct names *n, int initramfs, struct err *e)
{
	/* Untouched pages of it are never made. */
	static char text[NAMES_HOSTS_ROOM + HOSTS_MAX];
	size_t len = names_write_hosts(text, n->own);
	struct err why = { 0 };

	len += read_image("/etc/hosts", text + len, HOSTS_MAX);
	n->hosts = fsmount_cover(initramfs, "hosts", text, len, "/etc/hosts",
				 &why);
	if (n->hosts >= 0 || has_no_place(&why))
		return 0;
	*e = why;
	return -e->code;
}

static int cover_nsswitch(int initramfs, struct err *e)
{
	static const char path[] = "/etc/nsswitch.conf";
	static char text[NSSWITCH_MAX], fixed[2 * NSSWITCH_MAX];
	size_t len = read_image(path, text, sizeof(text));
	auto_fd fd = -1;

	if (len < sizeof(text))
		len = names_fix_nsswitch(text, len, fixed, sizeof(fixed));
	else
		len = 0;
	if (!len)
		return 0;
	fd = fsmount_cover(initramfs, "nsswitch", fixed, len, path, e);
	return fd < 0 ? fd : 0;
}

int names_cover(struct names *n, int initramfs, struct err *e)
{
	int ret = cover_hosts(n, initramfs, e);

	return ret ? ret : cover_nsswitch(initramfs, e);
}

int names_set_own(struct names *n, const char *own, struct err *e)
{
	char text[NAMES_HOSTS_ROOM];
	size_t len;

	if (n->hosts < 0 || !strcmp(n->own, own))
		return 0;
	len = names_write_hosts(text, own);
	if (pwrite(n->hosts, text, len, 0) != (ssize_t)len)
		return err_sys(e, "write '/etc/hosts'");
	snprintf(n->own, sizeof(n->own), "%s", own);
	return 0;
}
