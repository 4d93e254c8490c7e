// SPDX-License-Identifier: MIT
/*
 * Octal escapes, as ls and tar print them: a shell's $'..' takes them back.
 * How is lib/text.h's to say; here it is a value, for an argument list.
 */
#include "terminal/quote.h"

#include "lib/text.h"

#include <string.h>

struct quoted quote_name(const char *name)
{
	static const char cut[] = "...";
	struct quoted q;
	struct text t;

	text_init(&t, q.s, sizeof(q.s) - sizeof(cut) + 1);
	text_add_name(&t, name);
	if (!text_is_whole(&t))
		memcpy(q.s + text_len(&t), cut, sizeof(cut));
	return q;
}
