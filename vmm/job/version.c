// SPDX-License-Identifier: MIT
/*
 * The Makefile knows both; see there. An object of strings rather than macros
 * in the code: every user of a macro would have to be compiled at each commit.
 */
#include "job/version.h"

const char version_number[] = HUSK_VERSION_STRING;
const char version_commit[] = HUSK_COMMIT;
