// SPDX-License-Identifier: MIT
/*
 * Rejected: getpwuid, which holds lines of any length in memory of PID 1 and
 * asks a daemon for whom it does not find.
 */
#include "user.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define UID_NOBODY 65534u

/* Users that are further behind in their file have a number. */
#define PASSWD_MAX 65536

/* Does the line NAME:PASSWORD:UID:... end here have that number? */
static bool has_uid(const char *s, const char *end, const char *uid)
{
	size_t len = strlen(uid);

	for (int i = 0; i < 2; i++) {
		s = memchr(s, ':', (size_t)(end - s));
		if (!s)
			return false;
		s++;
	}
	return (size_t)(end - s) > len && !memcmp(s, uid, len) && s[len] == ':';
}

void user_find(const char *text, size_t len, uint32_t uid,
	       char name[USER_NAME_MAX + 1])
{
	const char *end = text + len;

	snprintf(name, USER_NAME_MAX + 1, "%u", uid);
	while (text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		const char *stop = nl ? nl : end;
		const char *colon = memchr(text, ':', (size_t)(stop - text));
		size_t n = colon ? (size_t)(colon - text) : 0;

		if (n && n <= USER_NAME_MAX && has_uid(text, stop, name)) {
			memcpy(name, text, n);
			name[n] = '\0';
			return;
		}
		text = nl ? nl + 1 : end;
	}
}

void user_name(uint32_t uid, char name[USER_NAME_MAX + 1])
{
	/* Untouched pages of it are never made. */
	static char text[PASSWD_MAX];
	auto_fd fd = -1;
	ssize_t n;

	if (uid == 0 || uid == UID_NOBODY) {
		snprintf(name, USER_NAME_MAX + 1, uid ? "nobody" : "root");
		return;
	}
	fd = open("/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	user_find(text, n > 0 ? (size_t)n : 0, uid, name);
}
