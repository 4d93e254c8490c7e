// SPDX-License-Identifier: MIT
/* com_err's texts begin in upper case and some end in a full stop. */
#include "ext4/ext2err.h"

#include <ctype.h>
#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Only a first letter that begins a word in lower case goes down. */
static void tidy(char *text)
{
	size_t n = strlen(text);

	while (n && (text[n - 1] == '.' || text[n - 1] == '\n'))
		text[--n] = '\0';
	if (n > 1 && islower((unsigned char)text[1]))
		text[0] = (char)tolower((unsigned char)text[0]);
}

int ext2err_set(struct err *e, errcode_t code, const char *fmt, ...)
{
	char what[sizeof(e->msg)];
	char why[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	initialize_ext2_error_table();
	snprintf(why, sizeof(why), "%s", error_message(code));
	tidy(why);
	return err_set(e, code < 4096 ? (int)code : EIO, "%s: %s", what, why);
}
