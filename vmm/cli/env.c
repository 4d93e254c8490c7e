// SPDX-License-Identifier: MIT
/*
 * The form of files of variables is docker's, since such files are at hand; a
 * shell's was rejected, for who reads it would have to be one. A table by name
 * keeps 100,000 variables from taking 100,000 times as many steps.
 */
#include "cli/env.h"

#include "lib/cleanup.h"

#include <husk/proto.h>

#include <fcntl.h>
#include <string.h>

static size_t name_len(const char *entry)
{
	return strcspn(entry, "=");
}

const char *env_find(char **envp, const char *name)
{
	size_t len = strlen(name);

	for (; envp && *envp; envp++)
		if (!strncmp(*envp, name, len) && (*envp)[len] == '=')
			return *envp;
	return NULL;
}

/* Where the name of `entry` is in the table, or could be: FNV-1a. */
static uint32_t *find_slot(const struct env *v, const char *entry)
{
	size_t len = name_len(entry), i;
	uint32_t hash = 2166136261u;
	unsigned at;

	for (i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)entry[i]) * 16777619u;
	for (at = hash & (v->nr_slots - 1);; at = (at + 1) & (v->nr_slots - 1))
		if (!v->slot[at] ||
		    !strncmp(v->v[v->slot[at] - 1], entry, len + 1))
			return &v->slot[at];
}

/* Room for one more. */
static int grow(struct env *v, struct err *e)
{
	unsigned nr_slots = v->nr_slots ? v->nr_slots * 2 : 64, i;
	const char **entries;

	if ((v->nr + 1) * 2 <= v->nr_slots)
		return 0;
	entries = reallocarray(v->v, nr_slots / 2, sizeof(*entries));
	if (!entries)
		return err_sys(e, "keep the environment");
	v->v = entries;
	free(v->slot);
	v->slot = calloc(nr_slots, sizeof(*v->slot));
	v->nr_slots = v->slot ? nr_slots : 0;
	if (!v->slot)
		return err_sys(e, "keep the environment");
	for (i = 0; i < v->nr; i++)
		*find_slot(v, v->v[i]) = i + 1;
	return 0;
}

int env_set(struct env *v, const char *entry, bool keep, struct err *e)
{
	int r = grow(v, e);
	uint32_t *slot;

	if (r)
		return r;
	slot = find_slot(v, entry);
	if (!*slot) {
		v->v[v->nr] = entry;
		*slot = ++v->nr;
	} else if (!keep) {
		v->v[*slot - 1] = entry;
	}
	return 0;
}

/* All of a file, FIFO or descriptor, with a NUL behind it; its length. */
static long read_all(const char *path, char **text, struct err *e)
{
	auto_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t have = 0, size = 0;

	if (fd < 0)
		return err_sys(e, "open --env-file '%s'", path);
	for (;;) {
		ssize_t n;

		if (size - have < 2) {
			char *more = realloc(*text, size = size * 2 + 4096);

			if (!more)
				return err_sys(e, "read --env-file '%s'", path);
			*text = more;
		}
		n = read(fd, *text + have, size - have - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read --env-file '%s'", path);
		have += (size_t)n;
		if (have > ENV_FILE_SIZE_MAX)
			return err_set(e, EFBIG,
				       "read --env-file '%s': longer than %u "
				       "MiB",
				       path, ENV_FILE_SIZE_MAX >> 20);
		(*text)[have] = '\0';
		if (!n)
			return (long)have;
	}
}

static int refuse_line(const char *path, unsigned line, const char *why,
		       struct err *e)
{
	return err_set(e, EINVAL, "read --env-file '%s': line %u: %s", path,
		       line, why);
}

/* The entry of a line, which ends in NUL; NULL when it has none. */
static int read_line(const char *path, unsigned line, char *s, char **envp,
		     const char **entry, struct err *e)
{
	size_t len = strlen(s), name;

	*entry = NULL;
	if (len && s[len - 1] == '\r')
		s[len - 1] = '\0';
	s += strspn(s, " \t\v\f");
	name = name_len(s);
	if (!*s || *s == '#')
		return 0;
	if (!name)
		return refuse_line(path, line, "no name before '='", e);
	if (strcspn(s, " \t\v\f") < name)
		return refuse_line(path, line, "a blank in the name", e);
	*entry = s[name] ? s : env_find(envp, s);
	return 0;
}

static int read_lines(const char *path, char *text, char **envp,
		      const char **entry, unsigned *nr, struct err *e)
{
	unsigned line;
	int r = 0;

	/* A mark that some editors begin a file with. */
	if (!strncmp(text, "\xef\xbb\xbf", 3))
		text += 3;
	for (line = 1; !r && text; line++) {
		char *s = strsep(&text, "\n");

		r = read_line(path, line, s, envp, &entry[*nr], e);
		if (entry[*nr])
			++*nr;
	}
	return r;
}

static unsigned count_lines(const char *s)
{
	unsigned n = 1;

	while ((s = strchr(s, '\n'))) {
		s++;
		n++;
	}
	return n;
}

int env_read(struct env *v, const char *path, char **envp, struct err *e)
{
	auto_free const char **entry = NULL;
	char **text = &v->text[v->nr_texts];
	unsigned nr = 0;
	long len;
	int r;

	if (v->nr_texts == ENV_FILES_MAX)
		return err_set(e, EINVAL, "more than %d --env-file",
			       ENV_FILES_MAX);
	v->nr_texts++;
	len = read_all(path, text, e);
	if (len < 0)
		return (int)len;
	if (strlen(*text) != (size_t)len)
		return err_set(e, EINVAL,
			       "read --env-file '%s': it has a NUL byte", path);
	entry = calloc(count_lines(*text) + 1, sizeof(*entry));
	if (!entry)
		return err_sys(e, "read --env-file '%s'", path);
	r = read_lines(path, *text, envp, entry, &nr, e);
	while (!r && nr)
		r = env_set(v, entry[--nr], true, e);
	return r;
}

void env_fini(struct env *v)
{
	unsigned i;

	for (i = 0; i < v->nr_texts; i++)
		free(v->text[i]);
	free(v->v);
	free(v->slot);
	*v = (struct env){ 0 };
}

/* What execve of Linux takes with a stack of 8 MiB, less what init adds. */
#define EXEC_MAX   ((2u << 20) - (64u << 10))
#define STRING_MAX (128u << 10)

struct sum {
	size_t bytes, strings, longest;
};

static void add_string(struct sum *s, const char *string)
{
	size_t n = strlen(string) + 1;

	s->bytes += n;
	s->strings++;
	if (n > s->longest)
		s->longest = n;
}

int env_check_size(const struct config *c, struct err *e)
{
	struct sum s = { 0 };
	char **arg;
	unsigned i;

	for (arg = c->argv; *arg; arg++)
		add_string(&s, *arg);
	for (i = 0; i < c->nr_env; i++)
		add_string(&s, c->env[i]);
	if (s.longest > STRING_MAX)
		return err_set(e, E2BIG,
			       "an argument or variable of the job has %zu "
			       "bytes, Linux takes %u at most (send it on "
			       "stdin)",
			       s.longest - 1, STRING_MAX - 1);
	if (s.bytes > HUSK_STRINGS_MAX)
		return err_set(e, E2BIG,
			       "arguments and environment of the job are %zu "
			       "bytes, at most %u fit (send the rest on stdin)",
			       s.bytes, HUSK_STRINGS_MAX);
	if (s.bytes + s.strings * 8 > EXEC_MAX)
		return err_set(e, E2BIG,
			       "arguments and environment of the job are %zu "
			       "strings, too many for Linux (send the rest on "
			       "stdin)",
			       s.strings);
	return 0;
}
