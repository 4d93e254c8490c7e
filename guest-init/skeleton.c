// SPDX-License-Identifier: MIT
/*
 * No link of the image is followed: before init is in the image's root, an
 * absolute one would lead out of it.
 *
 * An image with nothing missing needs no overlay, which costs some 60 pages
 * and time at each opening of a file. So what is merely good to have is made
 * only beside what must be.
 */
#include "skeleton.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

enum kind {
	NOTHING = 1,
	FOLDER = 2,
	LINK = 4,
	OTHER = 8, /* a file, a node: what a file can be mounted on */
};

struct need {
	const char *path;  /* its folder is an earlier row */
	enum kind make;
	unsigned int over; /* if the image has one of these kinds there */
	const char *to;	   /* of a link, which is no need by itself */
};

static const struct need needs[] = {
	{ "proc", FOLDER, NOTHING | LINK | OTHER, NULL },
	{ "sys", FOLDER, NOTHING | LINK | OTHER, NULL },
	{ "dev", FOLDER, NOTHING | LINK | OTHER, NULL },
	{ "tmp", FOLDER, NOTHING | LINK | OTHER, NULL },
	{ "run", FOLDER, NOTHING | LINK | OTHER, NULL },
	{ "work", FOLDER, NOTHING | LINK | OTHER, NULL },
	{ "etc", FOLDER, NOTHING | OTHER, NULL },
	{ "etc/hosts", OTHER, NOTHING | FOLDER, NULL },
	/* Missing is fine with these; reading a folder is an error to libc. */
	{ "etc/nsswitch.conf", OTHER, FOLDER, NULL },
	{ "etc/resolv.conf", OTHER, FOLDER, NULL },
	{ "var", FOLDER, NOTHING | OTHER, NULL },
	{ "var/tmp", FOLDER, NOTHING | OTHER, NULL },
	{ "var/run", LINK, NOTHING, "/run" },
	{ "var/lock", LINK, NOTHING, "/run/lock" },
};

static enum kind kind_at(int dir, const char *path)
{
	struct stat st;

	if (fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW))
		return NOTHING;
	if (S_ISDIR(st.st_mode))
		return FOLDER;
	return S_ISLNK(st.st_mode) ? LINK : OTHER;
}

static int make_folder(const char *path)
{
	return mkdir(path, 0755) && errno != EEXIST ? -1 : 0;
}

static int make_file(const char *path)
{
	auto_fd fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	return fd < 0 ? -1 : 0;
}

static int make(const char *top, const struct need *n, struct err *e)
{
	const char *slash = strchr(n->path, '/');
	char path[64];
	int ret = make_folder(top);

	if (slash && !ret) {
		snprintf(path, sizeof(path), "%s/%.*s", top,
			 (int)(slash - n->path), n->path);
		ret = make_folder(path);
	}
	snprintf(path, sizeof(path), "%s/%s", top, n->path);
	if (!ret && n->make == FOLDER)
		ret = make_folder(path);
	else if (!ret && n->make == LINK)
		ret = symlink(n->to, path);
	else if (!ret)
		ret = make_file(path);
	return ret ? err_sys(e, "make '%s'", path) : 0;
}

int skeleton_make(int image, const char *top, struct err *e)
{
	enum kind outer = FOLDER;
	int missing = 0;

	for (size_t i = 0; i < sizeof(needs) / sizeof(*needs); i++) {
		const struct need *n = &needs[i];
		bool inner = strchr(n->path, '/');
		enum kind is;

		if ((inner && outer == LINK) || (n->to && !missing))
			continue;
		is = kind_at(image, n->path);
		if (!inner)
			outer = is;
		if (!(is & n->over))
			continue;
		if (make(top, n, e))
			return -e->code;
		missing++;
	}
	return missing;
}
