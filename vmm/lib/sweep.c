// SPDX-License-Identifier: MIT
/*
 * One close_range for each gap between two that stay. Rejected: a list that is
 * sorted first; there are three in it at most.
 */
#include "lib/sweep.h"

#include <limits.h>
#include <unistd.h>

/* The least of `keep` from `from` on; INT_MAX: none. */
static int next_kept(int from, const int *keep, unsigned nr)
{
	int next = INT_MAX;
	unsigned i;

	for (i = 0; i < nr; i++)
		if (keep[i] >= from && keep[i] < next)
			next = keep[i];
	return next;
}

void sweep_fds(int from, const int *keep, unsigned nr)
{
	int next;

	while ((next = next_kept(from, keep, nr)) != INT_MAX) {
		if (next > from)
			close_range((unsigned)from, (unsigned)next - 1, 0);
		from = next + 1;
	}
	close_range((unsigned)from, ~0u, 0);
}
