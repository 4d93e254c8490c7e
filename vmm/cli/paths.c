// SPDX-License-Identifier: MIT
/*
 * The folders, in order. /proc/self/exe tells where the binary is; argv[0]
 * was rejected, because whoever starts husk chooses it.
 */
#include "cli/paths.h"

#include "lib/cleanup.h"
#include "lib/text.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define NR_FOLDERS 3

struct folders {
	char path[NR_FOLDERS][PATH_MAX];
	unsigned nr;
};

static void add_folder(struct folders *f, const char *base, size_t base_len,
		       const char *below)
{
	struct text t;

	text_init(&t, f->path[f->nr], PATH_MAX);
	text_add(&t, base, base_len);
	text_printf(&t, "%s", below);
	if (text_is_whole(&t))
		f->nr++;
}

static void list_folders(struct folders *f)
{
	char exe[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	f->nr = 0;
	if (len > 0) {
		const char *slash;

		exe[len] = '\0';
		slash = strrchr(exe, '/');
		if (slash) {
			size_t dir_len = (size_t)(slash - exe);

			add_folder(f, exe, dir_len, "");
			add_folder(f, exe, dir_len, "/../share/husk");
		}
	}
	add_folder(f, HUSK_PREFIX, strlen(HUSK_PREFIX), "/share/husk");
}

static bool is_readable_file(const char *path)
{
	struct stat st;

	return !stat(path, &st) && !S_ISDIR(st.st_mode) && !access(path, R_OK);
}

static int refuse(const struct folders *f, const char *name, const char *option,
		  struct err *e)
{
	char where[300];
	struct text t;

	text_init(&t, where, sizeof(where));
	for (unsigned i = 0; i < f->nr; i++)
		text_printf(&t, "%s'%.80s'", i ? ", " : "", f->path[i]);
	err_set(e, ENOENT, "find '%s': not in %s", name, where);
	return err_hint(e, "run 'make', or say where it is with --%s=FILE",
			option);
}

int paths_refuse(const char *name, const char *option, struct err *e)
{
	auto_free struct folders *f = malloc(sizeof(*f));

	if (!f)
		return err_set(e, ENOMEM, "find '%s': out of memory", name);
	list_folders(f);
	return refuse(f, name, option, e);
}

char *paths_find(const char *name, const char *option, struct err *e)
{
	auto_free struct folders *f = malloc(sizeof(*f));
	char *path;

	if (!f) {
		err_set(e, ENOMEM, "find '%s': out of memory", name);
		return NULL;
	}
	list_folders(f);
	for (unsigned i = 0; i < f->nr; i++) {
		if (asprintf(&path, "%s/%s", f->path[i], name) < 0) {
			err_set(e, ENOMEM, "find '%s': out of memory", name);
			return NULL;
		}
		if (is_readable_file(path))
			return path;
		free(path);
	}
	refuse(f, name, option, e);
	return NULL;
}
