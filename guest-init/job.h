/* SPDX-License-Identifier: MIT */
/*
 * What the host asks for: the payload of a JOB frame, checked once and then
 * only read. Everything here is pure and compiled for the host too, where
 * unit tests and a fuzzer hold it to these promises.
 *
 * A struct job that job_parse filled points into the payload and lives as
 * long as that does. Every string in it is NUL-terminated inside the payload.
 */
#ifndef GUEST_INIT_JOB_H
#define GUEST_INIT_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <husk/proto.h>

#include "user.h"

/*
 * The uid under which init waits while a job of uid 0 runs, so that no job
 * is ever "the same user" as PID 1. No job may ask for it.
 */
#define JOB_UID_RESERVED 0xfffffffeu

/* What a job is confined to: all of it can be set up before its command. */
struct job_terms {
	uint32_t uid;
	uint32_t gid;
	uint32_t pids_max;     /* at least 1 */
	uint64_t tmp_size;     /* bytes, at least 1 */
};

struct job {
	struct job_terms terms;
	uint32_t argc;	       /* at least 1 */
	uint32_t envc;
	bool hold;	       /* wait for GO when it is warm */
	uint64_t cpu_time_ns;  /* 0: no limit */
	uint64_t realtime_ns;
	uint64_t counter;      /* the CPU's at realtime_ns */
	uint64_t counter_khz;  /* 0: not known */
	const char *hostname;  /* at most JOB_HOSTNAME_MAX bytes, may be "" */
	const char *workdir;   /* absolute */
	const char *args;      /* argc strings, one behind the other */
	const char *envs;      /* envc strings, each NAME=VALUE */
	/* The same of its user, once job_set_user has been called. */
	char user[sizeof("USER=") + USER_NAME_MAX];
	char logname[sizeof("LOGNAME=") + USER_NAME_MAX];
};

#define JOB_HOSTNAME_MAX HUSK_HOSTNAME_MAX

/* Longest GO. */
#define JOB_GO_MAX (sizeof(struct husk_go) + JOB_HOSTNAME_MAX)

/* Variables that a job has unless its own environment names them. */
#define JOB_NR_DEFAULTS 5

/*
 * Check the header of a frame from the host: a JOB, REST or GO. Returns the
 * number of payload bytes, or -EPROTO.
 */
int64_t job_frame_len(const struct husk_frame *f);

/* Check a payload of len bytes and fill *out, or -EPROTO. */
int job_parse(const void *buf, size_t len, struct job *out);

/* Check the payload of a REST and fill *out, or -EPROTO. */
int job_parse_rest(const void *buf, size_t len, struct job_terms *out);

/*
 * Check the payload of a GO and put what it says into *job, or -EPROTO. The
 * host name is copied to `name`, which has JOB_HOSTNAME_MAX + 1 bytes.
 */
int job_parse_go(const void *buf, size_t len, char *name, struct job *job);

/* The time of day when the CPU's counter is at `counter`, in ns. */
uint64_t job_realtime(const struct job *job, uint64_t counter);

/* What the job's user is called, for the environment. */
void job_set_user(struct job *job, const char *name);

/* Fill argv with argc pointers and a NULL. */
void job_argv(const struct job *job, const char **argv);

/*
 * Fill envp with the job's entries as they stand, then the defaults it does
 * not name, then a NULL: at most envc + JOB_NR_DEFAULTS + 1 pointers.
 */
void job_envp(const struct job *job, const char **envp);

/* The value of a variable that the job will see, or NULL. */
const char *job_getenv(const char *const *envp, const char *name);

/*
 * Walk a PATH: write the next candidate for the command `name` to buf and
 * move *path behind it; an empty element is the current directory. Returns
 * false when the list is used up. A candidate that does not fit is left out.
 */
bool job_path_next(const char **path, const char *name, char *buf, size_t size);

#endif
