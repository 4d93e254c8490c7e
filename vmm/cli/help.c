// SPDX-License-Identifier: MIT
/*
 * The text of --help: what husk does, a paragraph for each command, and the
 * option table as it stands, so that no option can be missing.
 */
#include "cli/cli.h"

#include "lib/text.h"

#include <string.h>

static const char help_head[] =
	"usage: husk run [OPTION...] -- COMMAND [ARGUMENT...]\n"
	"       husk check [--json] [--strict] [--kernel=FILE] [--image=FILE]\n"
	"       husk template create [OPTION...] -o FILE [--warm COMMAND"
	" [ARGUMENT...]]\n"
	"       husk template info FILE | husk template verify FILE\n"
	"       husk pool --template=FILE --listen=SOCKET [--size=N]"
	" [OPTION...]\n"
	"       husk --help | --version\n"
	"\n"
	"run     run one command in a throw-away Linux microVM, with its stdin,"
	" stdout\n"
	"        and stderr as husk's own; nothing it does outlives it\n"
	"check   say whether this host can do that, and what is missing\n"
	"template create\n"
	"        boot a machine, start the warm command in it, and keep it as a"
	" file;\n"
	"        'husk run --template' then runs in a copy of it\n"
	"template info, template verify\n"
	"        say what a template was made from; read it all and check it\n"
	"pool    keep copies of a template waiting; 'husk run --pool' runs in"
	" one\n";

static const char help_tail[] =
	"\n"
	"SIZE is in bytes, or with K, M, G, T: 128M. TIME is in seconds, or "
	"with"
	" ms, s,\n"
	"m, h: 200ms, 1.5s. What stands in [ ] is the default. HUSK_KERNEL and"
	" HUSK_IMAGE\n"
	"in the environment stand in for --kernel and --image.\n"
	"\n"
	"Exit status: that of the job; 128+N when signal N ended it; 124 time"
	" limit,\n"
	"125 husk or the guest failed, 126 cannot execute, 127 not found, 137"
	" out of\n"
	"memory, 153 output limit, 130 and 143 husk was interrupted. More in"
	" husk(1).\n";

#define HELP_COLUMN 28

static void put_option_help(struct text *t, const struct cli_option *o)
{
	const char *line = o->help, *end;
	size_t from = t->wanted, col;

	text_printf(t, "  --%s", o->name);
	if (o->metavar)
		text_printf(t, "%c%s", o->kind == CLI_REST ? ' ' : '=',
			    o->metavar);
	col = t->wanted - from;
	for (;; line = end + 1, col = 0) {
		end = strchr(line, '\n');
		text_printf(t, "%*s%.*s\n", (int)(HELP_COLUMN - col), "",
			    (int)(end ? end - line : (ptrdiff_t)strlen(line)),
			    line);
		if (!end)
			return;
	}
}

size_t cli_help(char *buf, size_t size)
{
	struct text t;

	text_init(&t, buf, size);
	text_printf(&t, "%s", help_head);
	for (const struct cli_option *o = cli_options; o->help; o++) {
		if (o->name)
			put_option_help(&t, o);
		else
			text_printf(&t, "\n%s:\n", o->help);
	}
	text_printf(&t, "%s", help_tail);
	return t.wanted;
}
