// SPDX-License-Identifier: MIT
/* LINK: vmm/cli/cli.c vmm/cli/env.c vmm/cli/options.c vmm/cli/value.c */
/*
 * The command line from any bytes: words end at NUL, the words after the
 * first "\n" word are the environment. Whatever comes in, a refusal is one
 * whole line, and what is accepted is within the ranges that the rest of husk
 * relies on.
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "require.h"

#define MAX_WORDS 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_config(const struct config *c)
{
	REQUIRE(c->memory >= CONFIG_MEMORY_MIN);
	REQUIRE(c->memory <= CONFIG_MEMORY_MAX && !(c->memory % (2u << 20)));
	REQUIRE(c->cpus >= 1 && c->cpus <= CONFIG_CPUS_MAX);
	REQUIRE(c->pids_max >= 1);
	REQUIRE(c->tmp_size <= c->memory);
	REQUIRE(c->timeout_ns < INT64_MAX && c->cpu_time_ns < INT64_MAX);
	REQUIRE(c->uid != UINT32_MAX && c->gid != UINT32_MAX);
	REQUIRE(c->result_fd == -1 || c->result_fd > 2);
	REQUIRE(c->status_fd == -1 || c->status_fd > 2);
	REQUIRE(c->result_fd == -1 || c->result_fd != c->status_fd);
	REQUIRE(c->result_fd == -1 || !c->result_file);
	REQUIRE(c->status_fd == -1 || !c->status_file);
	REQUIRE(c->timeout_from == TIMEOUT_FROM_START || c->timeout_ns);
	REQUIRE(c->on_output_limit == OUTPUT_TRUNCATE ||
		c->output_limit != UINT64_MAX);
	REQUIRE(c->workdir[0] == '/' && c->hostname[0]);
	for (unsigned i = 0; i < c->nr_env; i++)
		REQUIRE(c->env[i][0] != '=' && strchr(c->env[i], '='));
	REQUIRE(!c->kernel || c->kernel[0]);
	REQUIRE(!c->image || c->image[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *words[MAX_WORDS + 2] = {NULL}, *text = malloc(size + 1);
	char **envp = NULL;
	struct cli cli;
	struct err e;
	size_t n = 0;
	int r;

	REQUIRE(text != NULL);
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
	REQUIRE(r == 0 || r == -EINVAL);
	if (r)
		REQUIRE_REFUSED(r, &e);
	else if (cli.command == CLI_RUN || cli.command == CLI_CHECK)
		check_config(&cli.config);
	if (!r && cli.command == CLI_RUN)
		REQUIRE(cli.config.argv[0] && cli.config.argv[0][0]);
	cli_fini(&cli);
	free(text);
	return 0;
}
