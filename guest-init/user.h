/* SPDX-License-Identifier: MIT */
/*
 * What the job's user is called: as the image's /etc/passwd has it, otherwise
 * its number. The two that nearly every image has, root and nobody, are not
 * looked up.
 */
#ifndef GUEST_INIT_USER_H
#define GUEST_INIT_USER_H

#include <stddef.h>
#include <stdint.h>

#define USER_NAME_MAX 32 /* bytes, as useradd has it */

/* The name of a user of the root directory's image. */
void user_name(uint32_t uid, char name[USER_NAME_MAX + 1]);

/* The same by the text of a passwd file. */
void user_find(const char *text, size_t len, uint32_t uid,
	       char name[USER_NAME_MAX + 1]);

#endif
