/* SPDX-License-Identifier: MIT */
/*
 * Questions to a host that is to run strangers' jobs: what can be asked of
 * the settings that docs/host.md is about, each with an answer and a hint.
 * Nothing here keeps a job from running, so none of it is a part of "fit".
 */
#ifndef HUSK_CHECK_SETTINGS_H
#define HUSK_CHECK_SETTINGS_H

#include "lib/text.h"

enum setting_answer {
	SETTING_OPEN,	/* this host does not tell */
	SETTING_BAD,
	SETTING_GOOD,
};

struct setting {
	const char *name;	/* key of the JSON object; NULL: the end */
	const char *hint;	/* what to do when it is not as it should be */
	/*
	 * Looks below the folder `root`, where /proc, /sys and /dev are: "" for
	 * the host's own. Adds what was found to `found`.
	 */
	enum setting_answer (*ask)(const char *root, struct text *found);
};

extern const struct setting check_settings[];

/* Asked of every host: do its guests have nested paging? */
extern const struct setting check_paging;

#endif
