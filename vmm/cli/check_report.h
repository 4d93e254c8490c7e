/* SPDX-License-Identifier: MIT */
/*
 * What husk check found out, and how it is shown: a line for each question,
 * or a JSON object. Filled by check.c; nothing is asked here.
 */
#ifndef HUSK_CHECK_REPORT_H
#define HUSK_CHECK_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#define CHECK_QUESTIONS_MAX 64
#define CHECK_TEXT_MAX	    320

enum check_how {
	CHECK_JSON = 1,
	CHECK_COLOUR = 2,
	CHECK_STRICT = 4,
};

enum answer {
	ANSWER_OPEN, /* could not be asked */
	ANSWER_NO,
	ANSWER_LESS, /* no, but jobs run */
	ANSWER_OK,
};

struct question {
	char name[40]; /* key of the JSON object: lower case and '_' */
	enum answer answer;
	char text[CHECK_TEXT_MAX]; /* what was found */
	char hint[CHECK_TEXT_MAX]; /* what to do when the answer is no */
};

struct survey {
	unsigned nr;
	bool strict;
	struct question question[CHECK_QUESTIONS_MAX];
};

/* No question left with "no", nor, strict, with "less". */
bool check_is_sound(const struct survey *s);

/* Print all of it; `how` has bits of enum check_how. */
void check_report(FILE *out, const struct survey *s, unsigned how);

#endif
