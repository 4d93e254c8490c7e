/* SPDX-License-Identifier: MIT */
/*
 * A JSON writer (RFC 8259) for flat facts: no tree, no allocation, one line
 * of output, commas by itself. Balance of begin and end is the caller's.
 *
 * `key` is NULL inside an array and for the outermost value. Keys are our own
 * words and are written as they are; string values may hold anything.
 */
#ifndef HUSK_LIB_JSON_H
#define HUSK_LIB_JSON_H

#include "lib/text.h"

#include <stdbool.h>
#include <stdint.h>

struct json {
	struct text text;	/* where it goes; see there for overflow */
	bool comma;		/* the next value needs one in front */
};

void json_init(struct json *j, char *buf, size_t size);

void json_begin(struct json *j, const char *key, char bracket); /* { or [ */
void json_end(struct json *j, char bracket);			/* } or ] */

void json_null(struct json *j, const char *key);
void json_bool(struct json *j, const char *key, bool value);
void json_uint(struct json *j, const char *key, uint64_t value);
void json_int(struct json *j, const char *key, int64_t value);

/*
 * NULL is written as null. Bytes that are not UTF-8 become U+FFFD. What would
 * take more than `max` bytes between the quotes is cut at a character and
 * ends in "..."; `max` is at least 3.
 */
void json_string(struct json *j, const char *key, const char *value,
		 size_t max);

#endif
