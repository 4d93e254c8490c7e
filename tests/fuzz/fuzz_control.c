/* LINK: vmm/backends/control.c */
// SPDX-License-Identifier: MIT
/*
 * Any bytes as what guest-init says, cut in any way: whole or in pieces, the
 * same state comes out; what came out may be printed and believed as far as
 * the protocol goes.
 *
 * Byte 0 says how long pieces are; 0x80 set in it puts the magic and version
 * into the frames, so that mutations need not guess them.
 */
#include "backends/control.h"

#include "feed.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_moved(void *opaque)
{
	unsigned *n = opaque;

	++*n;
}

static void make(struct control *c, unsigned *nr_moved)
{
	static char arg[] = "true";
	static char *const argv[] = { arg, NULL };
	const struct control_job strings = { "h", "/", argv, NULL, 0 };
	const struct husk_job job = { .pids_max = 1 };
	struct err e;

	*nr_moved = 0;
	REQUIRE(!control_init(c, &job, &strings, on_moved, nr_moved, &e));
}

static void take(struct control *c, uint8_t *p, size_t len)
{
	struct iovec iov = { p, len };

	REQUIRE(control_ops.take(c, &iov, 1, len) == (ssize_t)len);
}

static void check(const struct control *c)
{
	const char *s;

	REQUIRE(c->have <= sizeof(c->buf));
	REQUIRE(c->state <= CONTROL_BAD);
	for (s = c->reason; *s; s++)
		REQUIRE(*s >= ' ' && *s <= '~');
	REQUIRE(strlen(c->reason) <= HUSK_REASON_MAX);
	if (c->state != CONTROL_ENDED)
		return;
	REQUIRE(c->end.kind >= HUSK_END_EXITED &&
		c->end.kind <= HUSK_END_ERROR);
	REQUIRE(c->end.code <= 4095);
	REQUIRE(c->end.kind != HUSK_END_EXITED || c->end.code <= 255);
	REQUIRE(c->end.reason_len == strlen(c->reason));
}

/* Frames as they would be cut by their own lengths get a right head. */
static void mend(uint8_t *p, size_t size)
{
	struct husk_frame f;
	size_t at = 0;

	while (size - at >= sizeof(f)) {
		memcpy(&f, p + at, sizeof(f));
		f.magic = HUSK_MAGIC;
		f.version = HUSK_VERSION;
		f.len %= HUSK_REPORT_MAX + 8;
		memcpy(p + at, &f, sizeof(f));
		if (f.len > size - at - sizeof(f))
			return;
		at += sizeof(f) + f.len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct control whole, cut;
	struct feed f = { data, size };
	uint8_t how = feed_u8(&f), *copy = malloc(f.left + 1);
	size_t len = f.left, piece = (how & 0x7f) + 1u, at;
	unsigned moved_whole, moved_cut;

	REQUIRE(copy);
	feed_bytes(&f, copy, len);
	if (how & 0x80)
		mend(copy, len);
	make(&whole, &moved_whole);
	make(&cut, &moved_cut);
	take(&whole, copy, len);
	check(&whole);
	for (at = 0; at < len; at += piece) {
		take(&cut, copy + at, len - at < piece ? len - at : piece);
		check(&cut);
	}
	REQUIRE(whole.state == cut.state && moved_whole == moved_cut);
	REQUIRE(!memcmp(&whole.end, &cut.end, sizeof(cut.end)));
	REQUIRE(!memcmp(whole.reason, cut.reason, sizeof(cut.reason)));
	control_fini(&whole);
	control_fini(&cut);
	free(copy);
	return 0;
}
