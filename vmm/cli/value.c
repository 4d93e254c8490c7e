// SPDX-License-Identifier: MIT
/*
 * What stands behind the '=' of an option: brought into a number within the
 * option's bounds, or refused in words that say what it could have been.
 */
#include "cli/cli.h"

#include "lib/parse.h"
#include "lib/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define HOUR_NS (UINT64_C(3600) * 1000000000)

/* "48M", "1T", "4096": in the largest unit that leaves no rest. */
static void put_size(struct text *t, uint64_t v)
{
	static const char units[] = "TGMK";

	for (unsigned i = 0; i < 4; i++) {
		unsigned shift = 40 - 10 * i;

		if (v && !(v & ((1ull << shift) - 1))) {
			text_printf(t, "%" PRIu64 "%c", v >> shift, units[i]);
			return;
		}
	}
	text_printf(t, "%" PRIu64, v);
}

static void put_bound(struct text *t, enum cli_kind kind, uint64_t v)
{
	if (kind == CLI_SIZE)
		put_size(t, v);
	else if (kind == CLI_TIME)
		text_printf(t, "%" PRIu64 "h", v / HOUR_NS);
	else
		text_printf(t, "%" PRIu64, v);
}

static const char *kind_hint(enum cli_kind kind)
{
	switch (kind) {
	case CLI_SIZE:
		return "not a size (write bytes, or 512K, 128M, 2G)";
	case CLI_TIME:
		return "not a time (write seconds, or 200ms, 1.5s, 10m)";
	default:
		return "not a number (write digits only)";
	}
}

static int refuse_value(const struct cli_option *o, const char *text, int why,
			struct err *e)
{
	char buf[80];
	struct text t;

	if (why != -ERANGE)
		return err_set(e, EINVAL, "--%s " CLI_GIVEN ": %s", o->name,
			       text, kind_hint(o->kind));
	text_init(&t, buf, sizeof(buf));
	put_bound(&t, o->kind, o->min);
	text_printf(&t, " to ");
	put_bound(&t, o->kind, o->max);
	return err_set(e, EINVAL, "--%s " CLI_GIVEN ": out of range (%s)",
		       o->name, text, buf);
}

/* "neither auto, on nor off" */
static int refuse_word(const struct cli_option *o, const char *given,
		       struct err *e)
{
	char buf[80];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	text_printf(&t, "neither %s", o->words[0]);
	for (unsigned i = 1; o->words[i]; i++)
		text_printf(&t, "%s%s", o->words[i + 1] ? ", " : " nor ",
			    o->words[i]);
	return err_set(e, EINVAL, "--%s " CLI_GIVEN ": %s", o->name, given,
		       buf);
}

static int read_word(const struct cli_option *o, struct cli_value *v,
		     struct err *e)
{
	for (v->number = 0; o->words[v->number]; v->number++)
		if (!strcmp(v->text, o->words[v->number]))
			return 0;
	return refuse_word(o, v->text, e);
}

int cli_read_value(const struct cli_option *o, struct cli_value *v,
		   struct err *e)
{
	int r = 0;

	if (!v->text[0])
		return err_set(e, EINVAL,
			       "--%s '': empty value (write --%s=%s)", o->name,
			       o->name, o->metavar);
	if (o->kind == CLI_WORD)
		return read_word(o, v, e);
	if (o->kind == CLI_SIZE)
		r = parse_size(v->text, o->min, o->max, &v->number);
	else if (o->kind == CLI_TIME)
		r = parse_duration(v->text, o->min, o->max, &v->number);
	else if (o->kind == CLI_NUMBER)
		r = parse_uint(v->text, o->min, o->max, &v->number);
	return r ? refuse_value(o, v->text, r, e) : 0;
}
