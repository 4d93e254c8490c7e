// SPDX-License-Identifier: MIT
/* What both kinds of source share. */
#include "source/source.h"

#include <fnmatch.h>
#include <limits.h>
#include <string.h>

/*
 * Each folder above the path is tried too: an archive may name a file whose
 * folder it left out, and then tells of it again.
 */
static bool matches(const char *pattern, const char *path)
{
	char part[PATH_MAX];
	const char *end = path;

	while (*end) {
		end += 1 + strcspn(end + 1, "/");
		memcpy(part, path, (size_t)(end - path));
		part[end - path] = '\0';
		if (!fnmatch(pattern, part, FNM_PATHNAME))
			return true;
	}
	return false;
}

bool source_is_excluded(const struct source_env *env, const char *path)
{
	size_t i;

	for (i = 0; i < env->exclude_n; i++)
		if (matches(env->excludes[i], path))
			return true;
	return false;
}
