// SPDX-License-Identifier: MIT
/*
 * The JOB payload: fixed fields, then exactly 2 + argc + envc strings. One
 * pass checks all of it; what follows walks strings without looking again.
 *
 * The strings are not copied and there is no allocation: PID 1 holds one
 * buffer for the longest payload, and untouched pages of it cost nothing.
 */
#include "job.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int64_t job_frame_len(const struct husk_frame *f)
{
	uint32_t max = 0;

	if (f->magic != HUSK_MAGIC || f->version != HUSK_VERSION)
		return -EPROTO;
	switch (f->type) {
	case HUSK_JOB:
		max = HUSK_JOB_MAX;
		break;
	case HUSK_GO:
		max = JOB_GO_MAX;
		break;
	case HUSK_REST:
		max = sizeof(struct husk_rest);
		break;
	default:
		return -EPROTO;
	}
	return f->len <= max ? (int64_t)f->len : -EPROTO;
}

/* The start of the string behind the one at s, inside s..end; or NULL. */
static const char *skip_string(const char *s, const char *end)
{
	const char *nul = s < end ? memchr(s, 0, (size_t)(end - s)) : NULL;

	return nul ? nul + 1 : NULL;
}

static bool is_env_entry(const char *s)
{
	return *s && *s != '=' && strchr(s, '=');
}

/* All strings are there, nothing follows them, each is of its kind. */
static int parse_strings(const char *s, const char *end, struct job *job)
{
	job->hostname = s;
	s = skip_string(s, end);
	if (!s || s - job->hostname > JOB_HOSTNAME_MAX + 1)
		return -EPROTO;

	job->workdir = s;
	s = skip_string(s, end);
	if (!s || job->workdir[0] != '/')
		return -EPROTO;

	job->args = s;
	for (uint32_t i = 0; i < job->argc; i++) {
		s = skip_string(s, end);
		if (!s)
			return -EPROTO;
	}
	if (!job->args[0])
		return -EPROTO;

	job->envs = s;
	for (uint32_t i = 0; i < job->envc; i++) {
		const char *entry = s;

		s = skip_string(s, end);
		if (!s || !is_env_entry(entry))
			return -EPROTO;
	}
	return s == end ? 0 : -EPROTO;
}

static int check_terms(const struct job_terms *t)
{
	if (!t->pids_max || !t->tmp_size)
		return -EPROTO;
	/* -1 means "leave as it is" to setresuid, which would mean root. */
	if (t->uid >= JOB_UID_RESERVED || t->gid >= JOB_UID_RESERVED)
		return -EPROTO;
	return 0;
}

int job_parse_rest(const void *buf, size_t len, struct job_terms *out)
{
	struct husk_rest h;
	struct job_terms terms;

	if (len != sizeof(h))
		return -EPROTO;
	memcpy(&h, buf, sizeof(h));
	terms = (struct job_terms){ h.uid, h.gid, h.pids_max, h.tmp_size };
	if (h.reserved || check_terms(&terms))
		return -EPROTO;
	*out = terms;
	return 0;
}

int job_parse(const void *buf, size_t len, struct job *out)
{
	const char *strings = (const char *)buf + sizeof(struct husk_job);
	struct husk_job h;
	struct job job = { 0 };

	if (len < sizeof(h) || len > HUSK_JOB_MAX)
		return -EPROTO;
	memcpy(&h, buf, sizeof(h));
	if (h.strings_len != len - sizeof(h))
		return -EPROTO;
	job.terms = (struct job_terms){ h.uid, h.gid, h.pids_max, h.tmp_size };
	if (!h.argc || check_terms(&job.terms))
		return -EPROTO;
	if ((h.flags & ~HUSK_JOB_HOLD) || h.reserved)
		return -EPROTO;

	job.argc = h.argc;
	job.envc = h.envc;
	job.hold = h.flags & HUSK_JOB_HOLD;
	job.cpu_time_ns = h.cpu_time_ns;
	job.realtime_ns = h.realtime_ns;
	job.counter = h.counter;
	job.counter_khz = h.counter_khz;
	if (parse_strings(strings, strings + h.strings_len, &job))
		return -EPROTO;
	*out = job;
	return 0;
}

int job_parse_go(const void *buf, size_t len, char *name, struct job *job)
{
	struct husk_go g;

	if (len < sizeof(g) || len > JOB_GO_MAX)
		return -EPROTO;
	memcpy(&g, buf, sizeof(g));
	if (g.hostname_len != len - sizeof(g) || !g.pids_max ||
	    memchr((const char *)buf + sizeof(g), 0, g.hostname_len))
		return -EPROTO;
	memcpy(name, (const char *)buf + sizeof(g), g.hostname_len);
	name[g.hostname_len] = '\0';
	job->hostname = name;
	job->terms.pids_max = g.pids_max;
	job->cpu_time_ns = g.cpu_time_ns;
	job->realtime_ns = g.realtime_ns;
	job->counter = g.counter;
	job->counter_khz = g.counter_khz;
	return 0;
}

uint64_t job_realtime(const struct job *job, uint64_t counter)
{
	uint64_t khz = job->counter_khz, n;

	if (!khz || counter < job->counter)
		return job->realtime_ns;
	n = counter - job->counter;
	/* In two parts: the product of all of it would overflow. */
	return job->realtime_ns + n / khz * 1000000u +
	       n % khz * 1000000u / khz;
}

void job_argv(const struct job *job, const char **argv)
{
	const char *s = job->args;

	for (uint32_t i = 0; i < job->argc; i++) {
		*argv++ = s;
		s += strlen(s) + 1;
	}
	*argv = NULL;
}

/* If entry is NAME=VALUE of this name, its VALUE. */
static const char *env_value(const char *entry, const char *name, size_t len)
{
	if (strncmp(entry, name, len) || entry[len] != '=')
		return NULL;
	return entry + len + 1;
}

void job_set_user(struct job *job, const char *name)
{
	snprintf(job->user, sizeof(job->user), "USER=%s", name);
	snprintf(job->logname, sizeof(job->logname), "LOGNAME=%s", name);
}

void job_envp(const struct job *job, const char **envp)
{
	const char *defaults[JOB_NR_DEFAULTS] = {
		"PATH=" HUSK_DEFAULT_PATH,
		"HOME=" HUSK_WORKDIR,
		"LANG=C.UTF-8",
		job->user,
		job->logname,
	};
	const char *s = job->envs;

	for (uint32_t i = 0; i < job->envc; i++) {
		for (int d = 0; d < JOB_NR_DEFAULTS; d++) {
			const char *def = defaults[d];

			if (env_value(s, def, strcspn(def, "=")))
				defaults[d] = "";
		}
		*envp++ = s;
		s += strlen(s) + 1;
	}
	for (int d = 0; d < JOB_NR_DEFAULTS; d++)
		if (*defaults[d])
			*envp++ = defaults[d];
	*envp = NULL;
}

const char *job_getenv(const char *const *envp, const char *name)
{
	size_t len = strlen(name);

	for (; *envp; envp++) {
		const char *value = env_value(*envp, name, len);

		if (value)
			return value;
	}
	return NULL;
}

bool job_path_next(const char **path, const char *name, char *buf, size_t size)
{
	size_t name_len = strlen(name);

	while (*path) {
		const char *dir = *path;
		size_t len = strcspn(dir, ":");
		size_t slash = len > 0;

		*path = dir[len] ? dir + len + 1 : NULL;
		if (len + slash + name_len + 1 > size)
			continue;
		memcpy(buf, dir, len);
		if (slash)
			buf[len] = '/';
		memcpy(buf + len + slash, name, name_len + 1);
		return true;
	}
	return false;
}
