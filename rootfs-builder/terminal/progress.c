// SPDX-License-Identifier: MIT
/*
 * Ten redraws a second at most; nothing is drawn in the first 200 ms, so a
 * short build does not flicker.
 */
#include "terminal/progress.h"

#include <time.h>
#include <unistd.h>

#include "lib/show.h"

#define MS 1000000ll

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

void progress_init(struct progress *p, FILE *to)
{
	*p = (struct progress){ .to = to, .terminal = isatty(fileno(to)) };
}

const char *progress_bytes(uint64_t n, char *buf)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	double v = (double)n / 1024;
	size_t i = 0;

	if (n < 1024) {
		snprintf(buf, 16, "%u bytes", (unsigned int)n);
		return buf;
	}
	for (; v >= 1000 && i < 3; i++)
		v /= 1024;
	snprintf(buf, 16, "%.1f %s", v, units[i]);
	return buf;
}

void progress_begin(struct progress *p, const char *what, uint64_t total)
{
	if (!p)
		return;
	p->what = what;
	p->total = total;
	p->done = 0;
	p->began = now_ns();
	p->next_draw = p->began + 200 * MS;
}

static void draw_left(const struct progress *p, int64_t now)
{
	double share = (double)p->done / (double)p->total;
	double spent = (double)(now - p->began) / 1e9;

	if (share > 1)
		share = 1;
	fprintf(p->to, ", %.0f %%", share * 100);
	if (share > 0.02)
		fprintf(p->to, ", %.0f s left", spent / share - spent);
}

void progress_set(struct progress *p, uint64_t done)
{
	char bytes[16];
	int64_t now;

	if (!p)
		return;
	p->done = done;
	if (!p->terminal)
		return;
	now = now_ns();
	if (now < p->next_draw)
		return;
	p->next_draw = now + 100 * MS;
	p->drawn = true;
	fputs("\r\033[K", p->to);
	show(p->to, "%s: %s", p->what, progress_bytes(done, bytes));
	if (p->total)
		draw_left(p, now);
	fflush(p->to);
}

void progress_clear(struct progress *p)
{
	if (!p || !p->drawn)
		return;
	fputs("\r\033[K", p->to);
	fflush(p->to);
	p->drawn = false;
}

void progress_end(struct progress *p)
{
	char bytes[16];

	if (!p)
		return;
	progress_clear(p);
	show_line(p->to, "%s: %s", p->what, progress_bytes(p->done, bytes));
}
