/* LINK: guest-init/job.c */
// SPDX-License-Identifier: MIT
/*
 * Any bytes as a JOB or REST payload. What is taken must be what the protocol
 * says: the strings tile the payload from end to end, and walking them, as
 * init does, stays inside.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../guest-init/job.h"

#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_search(const char *path, const char *name)
{
	char buf[64];

	while (job_path_next(&path, name, buf, sizeof(buf)))
		REQUIRE(strlen(buf) < sizeof(buf));
}

static void check_terms(const struct job_terms *t)
{
	REQUIRE(t->pids_max && t->tmp_size);
	REQUIRE(t->uid < JOB_UID_RESERVED && t->gid < JOB_UID_RESERVED);
}

static void check_job(const struct job *job, const char *payload, size_t len)
{
	size_t slots = (size_t)job->argc + 1 + job->envc + JOB_NR_DEFAULTS + 1;
	const char **argv = calloc(slots, sizeof(*argv));
	const char **envp = argv + job->argc + 1;
	const char *s = payload + sizeof(struct husk_job);

	REQUIRE(argv);
	REQUIRE(job->argc);
	check_terms(&job->terms);
	REQUIRE(job->hostname == s);
	REQUIRE(strlen(job->hostname) <= JOB_HOSTNAME_MAX);
	s += strlen(s) + 1;
	REQUIRE(job->workdir == s && *s == '/');
	s += strlen(s) + 1;
	job_argv(job, argv);
	job_envp(job, envp);
	REQUIRE(argv[0][0] && !argv[job->argc]);
	for (uint32_t i = 0; i < job->argc; i++) {
		REQUIRE(argv[i] == s);
		s += strlen(s) + 1;
	}
	for (uint32_t i = 0; i < job->envc; i++) {
		REQUIRE(envp[i] == s && strchr(s, '='));
		s += strlen(s) + 1;
	}
	REQUIRE(s == payload + len);
	REQUIRE(job_getenv(envp, "PATH") && job_getenv(envp, "HOME"));
	check_search(job_getenv(envp, "PATH"), argv[0]);
	free(argv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct husk_frame f;
	struct job_terms terms;
	struct job job;

	if (size >= sizeof(f)) {
		memcpy(&f, data, sizeof(f));
		REQUIRE(job_frame_len(&f) <= HUSK_JOB_MAX);
	}
	if (job_parse(data, size, &job) == 0)
		check_job(&job, (const char *)data, size);
	if (job_parse_rest(data, size, &terms) == 0)
		check_terms(&terms);
	return 0;
}
