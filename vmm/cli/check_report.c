// SPDX-License-Identifier: MIT
/*
 * See check_report.h. A path, or what a file of the host's says, is somebody
 * else's text: it is cleaned before it meets a terminal.
 */
#include "cli/check_report.h"

#include "arch/arch.h"
#include "jail/policy.h"
#include "lib/json.h"
#include "lib/show.h"

#define CHECK_FORMAT 1

bool check_is_sound(const struct survey *s)
{
	for (unsigned i = 0; i < s->nr; i++)
		if (s->question[i].answer == ANSWER_NO ||
		    (s->strict && s->question[i].answer == ANSWER_LESS))
			return false;
	return true;
}

static bool is_fit(const struct survey *s)
{
	for (unsigned i = 0; i < s->nr; i++)
		if (s->question[i].answer == ANSWER_NO)
			return false;
	return true;
}

static bool is_no(const struct question *q)
{
	return q->answer == ANSWER_NO || q->answer == ANSWER_LESS;
}

static const struct {
	const char *word, *colour;
} answer_looks[] = {
	[ANSWER_OPEN] = { "-", "\033[33m" },
	[ANSWER_NO] = { "no", "\033[31m" },
	[ANSWER_LESS] = { "no", "\033[33m" },
	[ANSWER_OK] = { "ok", "\033[32m" },
};

static void print_human(FILE *out, const struct survey *s, bool colour)
{
	for (unsigned i = 0; i < s->nr; i++) {
		const struct question *q = &s->question[i];

		show_raw(out, colour ? answer_looks[q->answer].colour : "");
		show(out, "%-3s", answer_looks[q->answer].word);
		show_raw(out, colour ? "\033[0m" : "");
		show_line(out, "%-27s %s", q->name, q->text);
		if (is_no(q) && q->hint[0])
			show_line(out, "       -> %s", q->hint);
	}
	show_line(out, "this host is %sfit to run jobs",
		  is_fit(s) ? "" : "not ");
	if (s->strict && is_fit(s))
		show_line(out, "%s",
			check_is_sound(s)
				? "it is set up for strangers' jobs"
				: "it is not set up for strangers' jobs "
				  "(see docs/host.md)");
}

/* Each call that a sealed thread may make, with the reason of its first row. */
static void put_system_calls(struct json *j)
{
	const struct policy_row *r, *q;
	unsigned i, k;

	json_begin(j, "system_calls", '[');
	for (i = 0; (r = policy_row(&arch_policy, i)); i++) {
		unsigned threads = 0;

		for (k = 0; policy_row(&arch_policy, k)->nr != r->nr; k++)
			;
		if (k < i)
			continue;
		for (; (q = policy_row(&arch_policy, k)); k++)
			threads |= q->nr == r->nr ? q->threads : 0;
		json_begin(j, NULL, '{');
		json_string(j, "name", r->name, CHECK_TEXT_MAX);
		json_bool(j, "loop", threads >> JAIL_LOOP & 1);
		json_bool(j, "vcpu", threads >> JAIL_VCPU & 1);
		json_bool(j, "maker", threads >> JAIL_MAKER & 1);
		json_bool(j, "waiter", threads >> JAIL_WAITER & 1);
		json_string(j, "why", r->why, CHECK_TEXT_MAX);
		json_end(j, '}');
	}
	json_end(j, ']');
}

static void print_json(FILE *out, const struct survey *s)
{
	char buf[CHECK_QUESTIONS_MAX * 4 * CHECK_TEXT_MAX];
	struct json j;

	json_init(&j, buf, sizeof(buf));
	json_begin(&j, NULL, '{');
	json_uint(&j, "husk_check", CHECK_FORMAT);
	json_bool(&j, "fit", is_fit(s));
	if (s->strict)
		json_bool(&j, "strict", check_is_sound(s));
	json_begin(&j, "questions", '[');
	for (unsigned i = 0; i < s->nr; i++) {
		const struct question *q = &s->question[i];

		json_begin(&j, NULL, '{');
		json_string(&j, "name", q->name, sizeof(q->name));
		if (q->answer == ANSWER_OPEN)
			json_null(&j, "ok");
		else
			json_bool(&j, "ok", q->answer == ANSWER_OK);
		json_string(&j, "found", q->text, CHECK_TEXT_MAX);
		json_string(&j, "hint", is_no(q) && q->hint[0] ? q->hint : NULL,
			    CHECK_TEXT_MAX);
		json_end(&j, '}');
	}
	json_end(&j, ']');
	put_system_calls(&j);
	json_end(&j, '}');
	show_raw(out, buf);
	show_raw(out, "\n");
}

void check_report(FILE *out, const struct survey *s, unsigned how)
{
	if (how & CHECK_JSON)
		print_json(out, s);
	else
		print_human(out, s, how & CHECK_COLOUR);
}
