// SPDX-License-Identifier: MIT
/* Values come from the Makefile; vmm's file was not shared: see the layers. */
#include "version.h"

const char image_version[] = HUSK_VERSION_STRING;
const char image_commit[] = HUSK_COMMIT;
