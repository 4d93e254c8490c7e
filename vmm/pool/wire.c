// SPDX-License-Identifier: MIT
/*
 * See wire.h. Strings of a request stand behind its numbers, one behind
 * the other with their NULs: host name, work folder, the option that a warm
 * process cannot take any more or "", arguments, environment. Those of a
 * reply have a length in front.
 */
#include "pool/wire.h"

#include "lib/pack.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define POOL_MAGIC 0x4c4f4f50u /* "POOL" */

/* Numbers of a request, between head and strings. */
#define REQUEST_FIXED 72u

/* Longest name of an option, for warm_fixed. */
#define OPTION_MAX 16u

enum request_flag {
	FLAG_RESULT_FD = 1,
	FLAG_RESULT_FILE = 2,
	FLAG_CONSOLE = 4,
	FLAG_COUNTS = 8,
	FLAG_FROM_STDIN = 16,
	FLAG_KILL = 32,
	FLAG_ALL = 63,
};

static void pack_head(struct pack *p, enum pool_message type, size_t len)
{
	pack_u32(p, POOL_MAGIC);
	pack_u16(p, POOL_WIRE_VERSION);
	pack_u16(p, (uint16_t)type);
	pack_u32(p, (uint32_t)(len - POOL_HEAD));
}

size_t pool_wire_size(const uint8_t *buf, size_t len, enum pool_message type)
{
	static const uint32_t max[] = {
		[POOL_REQUEST] = POOL_REQUEST_MAX,
		[POOL_SIGNAL] = POOL_SIGNAL_LEN,
		[POOL_REPLY] = POOL_REPLY_MAX,
	};
	struct unpack u;
	uint32_t magic, n;
	uint16_t version, is;

	unpack_init(&u, buf, len);
	magic = unpack_u32(&u);
	version = unpack_u16(&u);
	is = unpack_u16(&u);
	n = unpack_u32(&u);
	if (u.failed || magic != POOL_MAGIC || version != POOL_WIRE_VERSION ||
	    is != type || n > max[type] - POOL_HEAD)
		return 0;
	return POOL_HEAD + n;
}

/* The payload of a whole message. */
static bool open_message(struct unpack *u, const uint8_t *msg, size_t len,
			 enum pool_message type)
{
	if (!len || pool_wire_size(msg, len, type) != len)
		return false;
	unpack_init(u, msg + POOL_HEAD, len - POOL_HEAD);
	return true;
}

/* ---- the request ---- */

static uint32_t request_flags(const struct config *c)
{
	uint32_t flags = 0;

	if (c->result_fd >= 0)
		flags |= FLAG_RESULT_FD;
	if (c->result_file)
		flags |= FLAG_RESULT_FILE;
	if (c->console_file)
		flags |= FLAG_CONSOLE;
	if (c->timeline || c->status_file || c->status_fd >= 0)
		flags |= FLAG_COUNTS;
	if (c->timeout_from == TIMEOUT_FROM_STDIN)
		flags |= FLAG_FROM_STDIN;
	if (c->on_output_limit == OUTPUT_KILL)
		flags |= FLAG_KILL;
	return flags;
}

unsigned pool_request_fds(const struct config *c)
{
	return 3u + (c->result_fd >= 0 || c->result_file) +
	       (c->console_file != NULL);
}

static size_t strings_size(const struct config *c, const char *warm_fixed,
			   uint32_t *argc)
{
	size_t n = strlen(c->hostname) + strlen(c->workdir) +
		   strlen(warm_fixed) + 3;
	unsigned i;

	for (*argc = 0; c->argv[*argc]; ++*argc)
		n += strlen(c->argv[*argc]) + 1;
	for (i = 0; i < c->nr_env; i++)
		n += strlen(c->env[i]) + 1;
	return n;
}

static void pack_string(struct pack *p, const char *s)
{
	pack_bytes(p, s, strlen(s) + 1);
}

long pool_request_pack(const struct config *c, uint64_t t0_ns, uint8_t **out,
		       struct err *e)
{
	const char *warm_fixed = c->warm_fixed ? c->warm_fixed : "";
	uint32_t argc, i;
	size_t len = POOL_HEAD + REQUEST_FIXED +
		     strings_size(c, warm_fixed, &argc);
	struct pack p;

	if (len > POOL_REQUEST_MAX)
		return err_set(e, E2BIG,
			       "pass the command on: arguments and environment "
			       "are too long (send the data on stdin)");
	*out = malloc(len);
	if (!*out)
		return err_sys(e, "get memory for the request");
	pack_init(&p, *out, len);
	pack_head(&p, POOL_REQUEST, len);
	pack_u64(&p, t0_ns);
	pack_u64(&p, c->timeout_ns);
	pack_u64(&p, c->cpu_time_ns);
	pack_u64(&p, c->tmp_size);
	pack_u64(&p, c->output_limit);
	pack_u64(&p, c->console_limit);
	pack_u32(&p, c->pids_max);
	pack_u32(&p, c->uid);
	pack_u32(&p, c->gid);
	pack_u32(&p, request_flags(c));
	pack_u32(&p, argc);
	pack_u32(&p, c->nr_env);
	pack_string(&p, c->hostname);
	pack_string(&p, c->workdir);
	pack_string(&p, warm_fixed);
	for (i = 0; i < argc; i++)
		pack_string(&p, c->argv[i]);
	for (i = 0; i < c->nr_env; i++)
		pack_string(&p, c->env[i]);
	return (long)p.len;
}

/* The next string, or NULL; its NUL lies inside the message. */
static const char *unpack_string(struct unpack *u)
{
	const char *s = (const char *)u->buf + u->at;
	const char *end = u->failed ? NULL : memchr(s, '\0', u->len - u->at);

	if (!end) {
		u->failed = true;
		return NULL;
	}
	u->at += (size_t)(end - s) + 1;
	return s;
}

static void apply_flags(struct config *c, uint32_t flags)
{
	c->result_fd = flags & FLAG_RESULT_FD ? 3 : -1;
	c->result_file = flags & FLAG_RESULT_FILE ? "result" : NULL;
	c->console_file = flags & FLAG_CONSOLE ? "console" : NULL;
	c->timeline = flags & FLAG_COUNTS;
	c->timeout_from = flags & FLAG_FROM_STDIN ? TIMEOUT_FROM_STDIN :
						    TIMEOUT_FROM_START;
	c->on_output_limit = flags & FLAG_KILL ? OUTPUT_KILL : OUTPUT_TRUNCATE;
}

static bool numbers_are_good(const struct config *c, uint32_t flags)
{
	return c->timeout_ns <= CONFIG_TIME_MAX &&
	       c->cpu_time_ns <= CONFIG_TIME_MAX &&
	       c->tmp_size <= CONFIG_MEMORY_MAX &&
	       (!c->tmp_size || c->tmp_size >= 4096) && c->pids_max &&
	       c->pids_max <= CONFIG_PIDS_MAX && c->uid <= CONFIG_ID_MAX &&
	       c->gid <= CONFIG_ID_MAX && !(flags & ~(uint32_t)FLAG_ALL) &&
	       (flags & (FLAG_RESULT_FD | FLAG_RESULT_FILE)) !=
		       (FLAG_RESULT_FD | FLAG_RESULT_FILE);
}

static bool is_name(const char *s, const char *chars, size_t min, size_t max)
{
	size_t n = strlen(s);

	return n >= min && n <= max && strspn(s, chars) == n;
}

static bool parse_names(struct unpack *u, struct config *c)
{
	c->hostname = unpack_string(u);
	c->workdir = unpack_string(u);
	c->warm_fixed = unpack_string(u);
	if (u->failed ||
	    !is_name(c->hostname, CONFIG_HOSTNAME_CHARS, 1,
		     CONFIG_HOSTNAME_MAX) ||
	    c->workdir[0] != '/' || strlen(c->workdir) >= CONFIG_WORKDIR_MAX ||
	    !is_name(c->warm_fixed, CONFIG_HOSTNAME_CHARS, 0, OPTION_MAX))
		return false;
	if (!c->warm_fixed[0])
		c->warm_fixed = NULL;
	return true;
}

static bool parse_env(struct unpack *u, struct config *c)
{
	unsigned i;

	for (i = 0; i < c->nr_env; i++) {
		c->env[i] = unpack_string(u);
		if (u->failed || c->env[i][0] == '=' ||
		    !strchr(c->env[i], '='))
			return false;
	}
	return true;
}

static bool parse_argv(struct unpack *u, char **argv, uint32_t argc)
{
	uint32_t i;

	for (i = 0; i < argc; i++)
		argv[i] = (char *)(uintptr_t)unpack_string(u);
	argv[argc] = NULL;
	return !u->failed && (!argc || argv[0][0]);
}

int pool_request_parse(struct pool_request *r, const uint8_t *msg, size_t len)
{
	struct config *c = &r->config;
	uint32_t flags, argc;
	struct unpack u;

	*r = (struct pool_request){ .config.status_fd = -1 };
	if (!open_message(&u, msg, len, POOL_REQUEST))
		return -EPROTO;
	r->t0_ns = unpack_u64(&u);
	c->timeout_ns = unpack_u64(&u);
	c->cpu_time_ns = unpack_u64(&u);
	c->tmp_size = unpack_u64(&u);
	c->output_limit = unpack_u64(&u);
	c->console_limit = unpack_u64(&u);
	c->pids_max = unpack_u32(&u);
	c->uid = unpack_u32(&u);
	c->gid = unpack_u32(&u);
	flags = unpack_u32(&u);
	argc = unpack_u32(&u);
	c->nr_env = unpack_u32(&u);
	if (u.failed || !numbers_are_good(c, flags) ||
	    argc > u.len - u.at || c->nr_env > u.len - u.at - argc)
		return -EPROTO;
	apply_flags(c, flags);
	/* Each string has at least its NUL, so both are bounded by len. */
	r->argv = malloc((argc + 1) * sizeof(r->argv[0]));
	r->env = malloc((c->nr_env + 1) * sizeof(r->env[0]));
	c->argv = r->argv;
	c->env = r->env;
	if (!r->argv || !r->env) {
		pool_request_fini(r);
		return -ENOMEM;
	}
	if (parse_names(&u, c) && parse_argv(&u, r->argv, argc) &&
	    parse_env(&u, c) && unpack_is_done(&u))
		return 0;
	pool_request_fini(r);
	return -EPROTO;
}

void pool_request_fini(struct pool_request *r)
{
	free(r->argv);
	free(r->env);
	r->argv = NULL;
	r->env = NULL;
	r->config.argv = NULL;
	r->config.env = NULL;
}

/* ---- signals ---- */

void pool_signal_pack(uint8_t out[POOL_SIGNAL_LEN], int signal)
{
	struct pack p;

	pack_init(&p, out, POOL_SIGNAL_LEN);
	pack_head(&p, POOL_SIGNAL, POOL_SIGNAL_LEN);
	pack_u32(&p, (uint32_t)signal);
}

int pool_signal_parse(const uint8_t *msg, size_t len)
{
	struct unpack u;
	uint32_t n;

	if (!open_message(&u, msg, len, POOL_SIGNAL))
		return 0;
	n = unpack_u32(&u);
	if (!unpack_is_done(&u) || (n != SIGINT && n != SIGTERM && n != SIGHUP))
		return 0;
	return (int)n;
}

/* ---- the reply ---- */

/* As much of it as fits a buffer of `size` at the other end. */
static void pack_text(struct pack *p, const char *s, size_t size)
{
	size_t n = s ? strnlen(s, size - 1) : 0;

	pack_u16(p, (uint16_t)n);
	pack_bytes(p, s ? s : "", n);
}

static void unpack_text(struct unpack *u, char *to, size_t size)
{
	uint16_t n = unpack_u16(u);

	if (n >= size) {
		u->failed = true;
		n = 0;
	}
	unpack_bytes(u, to, n);
	to[n] = '\0';
	/* A NUL inside would make two readings of it. */
	if (strlen(to) != n)
		u->failed = true;
}

static void pack_outcome(struct pack *p, const struct outcome *o)
{
	unsigned i;

	pack_u32(p, (uint32_t)o->verdict);
	pack_u32(p, (uint32_t)o->code);
	pack_bool(p, o->guest_said);
	pack_text(p, o->reason, sizeof(o->reason));
	for (i = 0; i < CLOCK_NR; i++)
		pack_u64(p, o->clock[i]);
	pack_u64(p, o->wall_ns);
	pack_u64(p, o->cpu_user_ns);
	pack_u64(p, o->cpu_sys_ns);
	pack_u64(p, o->mem_peak);
	pack_u32(p, o->pids_peak);
	for (i = 0; i < EXIT_KIND_NR; i++)
		pack_u64(p, o->exits[i]);
	pack_u64(p, o->guest_pages);
	pack_u64(p, o->private_bytes);
	for (i = 0; i < STREAM_NR; i++) {
		pack_u64(p, o->stream[i].bytes);
		pack_u64(p, o->stream[i].delivered);
		pack_bool(p, o->stream[i].truncated);
	}
}

static void unpack_outcome(struct unpack *u, struct outcome *o)
{
	uint32_t verdict = unpack_u32(u), code = unpack_u32(u);
	unsigned i;

	/* The largest code is an errno. */
	if (verdict == VERDICT_NONE || verdict > VERDICT_ERROR || code > 4095)
		u->failed = true;
	else {
		o->verdict = (enum verdict)verdict;
		o->code = (int)code;
	}
	o->guest_said = unpack_bool(u);
	unpack_text(u, o->reason, sizeof(o->reason));
	for (i = 0; i < CLOCK_NR; i++)
		o->clock[i] = unpack_u64(u);
	o->wall_ns = unpack_u64(u);
	o->cpu_user_ns = unpack_u64(u);
	o->cpu_sys_ns = unpack_u64(u);
	o->mem_peak = unpack_u64(u);
	o->pids_peak = unpack_u32(u);
	for (i = 0; i < EXIT_KIND_NR; i++)
		o->exits[i] = unpack_u64(u);
	o->guest_pages = unpack_u64(u);
	o->private_bytes = unpack_u64(u);
	for (i = 0; i < STREAM_NR; i++) {
		o->stream[i].bytes = unpack_u64(u);
		o->stream[i].delivered = unpack_u64(u);
		o->stream[i].truncated = unpack_bool(u);
	}
}

size_t pool_reply_pack(uint8_t *out, const struct config *c,
		       const struct outcome *o, const struct identity *id)
{
	struct pack head, p;

	pack_init(&p, out, POOL_REPLY_MAX);
	pack_head(&p, POOL_REPLY, POOL_HEAD);
	pack_outcome(&p, o);
	pack_u64(&p, c->memory);
	pack_u32(&p, c->cpus);
	pack_text(&p, id->kernel, sizeof(((struct pool_reply *)0)->kernel));
	pack_text(&p, id->image, sizeof(((struct pool_reply *)0)->image));
	pack_u64(&p, id->kernel_size);
	pack_u64(&p, id->image_size);
	pack_u64(&p, (uint64_t)id->kernel_mtime);
	pack_u64(&p, (uint64_t)id->image_mtime);
	pack_text(&p, id->kernel_salt, sizeof(id->kernel_salt));
	pack_text(&p, id->image_uuid, sizeof(id->image_uuid));
	pack_init(&head, out, POOL_HEAD);
	pack_head(&head, POOL_REPLY, p.len);
	return p.len;
}

int pool_reply_parse(struct pool_reply *r, const uint8_t *msg, size_t len)
{
	struct identity *id = &r->id;
	struct unpack u;

	memset(r, 0, sizeof(*r));
	if (!open_message(&u, msg, len, POOL_REPLY))
		return -EPROTO;
	unpack_outcome(&u, &r->outcome);
	r->memory = unpack_u64(&u);
	r->cpus = unpack_u32(&u);
	unpack_text(&u, r->kernel, sizeof(r->kernel));
	unpack_text(&u, r->image, sizeof(r->image));
	id->kernel = r->kernel;
	id->image = r->image;
	id->kernel_size = unpack_u64(&u);
	id->image_size = unpack_u64(&u);
	id->kernel_mtime = (int64_t)unpack_u64(&u);
	id->image_mtime = (int64_t)unpack_u64(&u);
	unpack_text(&u, id->kernel_salt, sizeof(id->kernel_salt));
	unpack_text(&u, id->image_uuid, sizeof(id->image_uuid));
	return unpack_is_done(&u) ? 0 : -EPROTO;
}
