/* SPDX-License-Identifier: MIT */
/*
 * What a fuzz target asserts, in every build: that something holds, and that
 * a refusal has one whole line which somebody can read.
 */
#ifndef HUSK_TESTS_REQUIRE_H
#define HUSK_TESTS_REQUIRE_H

#include <stdlib.h>
#include <string.h>

#define REQUIRE(x)                                                             \
	do {                                                                   \
		if (!(x))                                                      \
			abort();                                               \
	} while (0)

/* A macro, for targets without husk's errors: r is what said no, e its err. */
#define REQUIRE_REFUSED(r, e)                                                  \
	do {                                                                   \
		REQUIRE((r) < 0 && (e)->code == -(r) && (e)->msg[0]);          \
		REQUIRE(!strchr((e)->msg, '\n'));                              \
		REQUIRE(strlen((e)->msg) < sizeof((e)->msg) - 1);              \
	} while (0)

#endif
