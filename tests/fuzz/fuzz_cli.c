// SPDX-License-Identifier: MIT
/* LINK: vmm/cli.c vmm/cli_options.c */
/*
 * The command line from any bytes: words end at NUL, the words after the
 * first "\n" word are the environment. Whatever comes in, a refusal is one
 * whole line, and what is accepted is within the ranges that the rest of husk
 * relies on.
 */
#include "cli.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WORDS 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_config(const struct config *c)
{
	require(c->memory >= CONFIG_MEMORY_MIN);
	require(c->memory <= CONFIG_MEMORY_MAX && !(c->memory % (2u << 20)));
	require(c->cpus >= 1 && c->cpus <= CONFIG_CPUS_MAX);
	require(c->pids_max >= 1);
	require(c->tmp_size <= c->memory);
	require(c->timeout_ns < INT64_MAX && c->cpu_time_ns < INT64_MAX);
	require(c->uid != UINT32_MAX && c->gid != UINT32_MAX);
	require(c->result_fd == -1 || c->result_fd > 2);
	require(c->status_fd == -1 || c->status_fd > 2);
	require(c->result_fd == -1 || c->result_fd != c->status_fd);
	require(c->result_fd == -1 || !c->result_file);
	require(c->status_fd == -1 || !c->status_file);
	require(c->timeout_from == TIMEOUT_FROM_START || c->timeout_ns);
	require(c->on_output_limit == OUTPUT_TRUNCATE ||
		c->output_limit != UINT64_MAX);
	require(c->workdir[0] == '/' && c->hostname[0]);
	require(c->nr_env <= CONFIG_ENV_MAX);
	for (unsigned i = 0; i < c->nr_env; i++)
		require(c->env[i][0] != '=' && strchr(c->env[i], '='));
	require(!c->kernel || c->kernel[0]);
	require(!c->image || c->image[0]);
}

static void check_line(const struct err *e, int r)
{
	require(r == -EINVAL && e->code == EINVAL);
	require(e->msg[0] && strlen(e->msg) < sizeof(e->msg) - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *words[MAX_WORDS + 2] = {NULL}, *text = malloc(size + 1);
	char **envp = NULL;
	struct cli cli;
	struct err e;
	size_t n = 0;
	int r;

	require(text != NULL);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	for (size_t at = 0; at < size && n < MAX_WORDS;
	     at += strlen(text + at) + 1) {
		words[n++] = text + at;
		if (!envp && !strcmp(text + at, "\n")) {
			words[n - 1] = NULL;
			envp = words + n;
		}
	}
	r = cli_parse(&cli, words, envp, &e);
	if (r)
		check_line(&e, r);
	else if (cli.command == CLI_RUN || cli.command == CLI_CHECK)
		check_config(&cli.config);
	if (!r && cli.command == CLI_RUN)
		require(cli.config.argv[0] && cli.config.argv[0][0]);
	free(text);
	return 0;
}
