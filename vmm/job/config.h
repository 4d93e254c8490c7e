/* SPDX-License-Identifier: MIT */
/*
 * What one run is to be: plain data, filled by cli.c from defaults and
 * options, read by everything else, never changed after that.
 *
 * Strings are borrowed from argv and the environment. Sizes are bytes, times
 * nanoseconds, 0 means "no limit" where a limit may be absent.
 */
#ifndef HUSK_CONFIG_H
#define HUSK_CONFIG_H

#include "jail/jail.h"
#include "jail/own_core.h"

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_MEMORY_DEFAULT (256ull << 20)
#define CONFIG_MEMORY_MIN     (48ull << 20)
#define CONFIG_MEMORY_MAX     (1ull << 40)
#define CONFIG_CPUS_MAX	      8
#define CONFIG_PIDS_DEFAULT   512
#define CONFIG_POOL_DEFAULT   4
#define CONFIG_POOL_MAX	      1024
#define CONFIG_JOBS_MAX	      2048
#define CONFIG_ALLOW_MAX      16
#define CONFIG_REQUEST_DEFAULT (10ull * 1000000000) /* ns */
#define CONFIG_CONSOLE_DEFAULT (16ull << 20)
#define CONFIG_TIME_MAX	      (8760ull * 3600 * 1000000000) /* a year, ns */
#define CONFIG_PIDS_MAX	      4194304		/* PID_MAX_LIMIT of Linux */
#define CONFIG_ID_MAX	      (UINT32_MAX - 2)	/* then guest-init, "none" */
#define CONFIG_WORKDIR_MAX    4096		/* with its NUL */
#define CONFIG_HOSTNAME_MAX   64
#define CONFIG_HOSTNAME_CHARS                                                  \
	"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ.-_"

enum timeout_from {
	TIMEOUT_FROM_START,
	TIMEOUT_FROM_STDIN,
};

enum output_action {
	OUTPUT_TRUNCATE,
	OUTPUT_KILL,
};

struct config {
	const char *image;	 /* ext4 file or block device */
	const char *kernel;	 /* vmlinux, may be gzip'ed */
	const char *template;	 /* run: a copy of this; NULL: boot */
	const char *pool;	 /* run: served by this socket; NULL: not */
	const char *listen;	 /* pool: the socket */
	unsigned pool_size;	 /* pool: machines that wait */
	unsigned pool_jobs;	 /* pool: that run jobs; 0: any number */
	uint64_t pool_timeout_ns; /* pool: longest that a job may have */
	uint64_t request_ns;	 /* pool: for a client's request */
	unsigned nr_allow_uid;	 /* pool: who may use it, too */
	uint32_t allow_uid[CONFIG_ALLOW_MAX];
	unsigned nr_pool_uid;	 /* run: 1 when there is one, trusted, too */
	uint32_t pool_uid;
	const char *output;	 /* template create: where to */
	const char *fixed;	 /* option given that no copy can change */
	const char *warm_fixed;	 /* one that a warm process has for good */
	const char *job_option;	 /* one that is about a job */
	bool warm;		 /* template create: argv warms up in it */
	bool image_given;	 /* --image, not the environment's */
	bool jail_given;	 /* --jail */
	bool own_core_given;	 /* --own-core */
	uint64_t memory;	 /* multiple of 2 MiB */
	unsigned cpus;
	uint64_t timeout_ns;
	enum timeout_from timeout_from;
	uint64_t cpu_time_ns;
	uint32_t pids_max;
	uint64_t tmp_size;	 /* 0: half of memory */
	uint64_t output_limit;	 /* per stream; UINT64_MAX: none */
	enum output_action on_output_limit;
	int result_fd;		 /* -1: none */
	const char *result_file; /* NULL: none; excludes result_fd */
	int status_fd;
	const char *status_file;
	const char *console_file;
	uint64_t console_limit;	 /* bytes of it */
	bool timeline;
	enum jail_mode jail;
	enum own_core own_core;
	const char *workdir;
	const char *hostname;
	uint32_t uid, gid;
	unsigned nr_env;
	const char **env;	 /* NAME=VALUE, each name once */
	char **argv;		 /* the job, NULL-terminated; empty: the warm
				  * process of the template */
};

#endif
