// SPDX-License-Identifier: MIT
/* LINK: */
/*
 * Any bytes on their way to a terminal: what comes out is UTF-8 of visible
 * characters whatever room there was, a name can be read back from it, and
 * cleaning it again changes nothing. JSON has no control character either.
 */
#include "lib/json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BUF_MAX 4096

static void check_visible(const char *s)
{
	size_t n = strlen(s), len;

	REQUIRE(text_safe_len(s, n, false) == n);
	for (; n; s += len, n -= len) {
		len = text_utf8_len(s, n);
		REQUIRE(len && !text_is_unsafe(s, len));
	}
}

/* Undo the escapes of a name that was not cut. */
static void check_name(const char *shown, const char *name)
{
	for (; *shown; name++) {
		unsigned c = (uint8_t)*shown++;

		if (c == '\\') {
			REQUIRE(strspn(shown, "01234567") >= 3);
			c = (unsigned)(shown[0] - '0') << 6 |
			    (unsigned)(shown[1] - '0') << 3 |
			    (unsigned)(shown[2] - '0');
			shown += 3;
		}
		REQUIRE(c == (uint8_t)*name);
	}
	REQUIRE(!*name);
}

static void check_json(const char *s)
{
	char buf[BUF_MAX];
	struct json j;

	json_init(&j, buf, sizeof(buf));
	json_string(&j, NULL, s, sizeof(buf) - 3);
	check_visible(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t room = size ? data[0] + 1u : 1;
	char *small = malloc(room), big[BUF_MAX], again[BUF_MAX], in[512];
	struct text t;

	REQUIRE(small != NULL);
	size = size > sizeof(in) ? sizeof(in) : size;
	memcpy(in, size ? data + 1 : data, size ? size - 1 : 0);
	in[size ? size - 1 : 0] = '\0';
	text_init(&t, small, room);
	text_add_clean(&t, in);
	check_visible(small);
	REQUIRE(text_len(&t) == strlen(small));
	text_init(&t, small, room);
	text_add_name(&t, in);
	check_visible(small);
	if (text_is_whole(&t))
		check_name(small, in);
	text_init(&t, big, sizeof(big));
	text_add_clean(&t, in);
	text_init(&t, again, sizeof(again));
	text_add_clean(&t, big);
	REQUIRE(!strcmp(big, again));
	check_json(in);
	free(small);
	return 0;
}
