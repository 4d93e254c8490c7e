/* LINK: vmm/pool/wire.c vmm/job/status.c vmm/job/outcome.c */
/* LINK: vmm/arch/x86_64/words.c */
// SPDX-License-Identifier: MIT
/*
 * Any bytes as what a client or a machine of a pool sent. What is taken is in
 * range, lies inside the message, and packs to the same bytes again; the
 * status object of any reply fits its buffer.
 *
 * Bit 0 of byte 0 chooses request or reply; bit 1 puts the head right, so
 * that mutations need not guess it.
 */
#include "pool/wire.h"

#include "job/version.h"

#include "feed.h"

/* For the status object; the fuzzer's build has no names for itself. */
const char version_number[] = "0", version_commit[] = "0";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(const char *s, const uint8_t *msg, size_t len)
{
	const char *first = (const char *)msg;

	REQUIRE(s >= first && s < first + len);
	REQUIRE(memchr(s, '\0', (size_t)(first + len - s)));
}

static void check_request(const uint8_t *msg, size_t len)
{
	struct pool_request r;
	const struct config *c = &r.config;
	uint8_t *again = NULL;
	struct err e;
	unsigned i;

	if (pool_request_parse(&r, msg, len)) {
		REQUIRE(!r.argv);
		return;
	}
	check_inside(c->hostname, msg, len);
	check_inside(c->workdir, msg, len);
	for (i = 0; c->argv[i]; i++)
		check_inside(c->argv[i], msg, len);
	for (i = 0; i < c->nr_env; i++)
		check_inside(c->env[i], msg, len);
	REQUIRE(pool_request_fds(c) <= POOL_FDS_MAX);
	REQUIRE(c->pids_max && c->uid <= CONFIG_ID_MAX);
	REQUIRE(pool_request_pack(c, r.t0_ns, &again, &e) == (long)len);
	REQUIRE(!memcmp(again, msg, len));
	free(again);
	pool_request_fini(&r);
}

static void check_reply(const uint8_t *msg, size_t len)
{
	const char *hostname = "h";
	const struct config c = { .hostname = hostname };
	uint8_t again[POOL_REPLY_MAX];
	struct pool_reply r;
	char json[STATUS_MAX];
	struct config m;

	if (pool_reply_parse(&r, msg, len))
		return;
	REQUIRE(r.outcome.verdict > VERDICT_NONE &&
		r.outcome.verdict <= VERDICT_ERROR);
	REQUIRE(outcome_exit_status(&r.outcome) >= 0 &&
		outcome_exit_status(&r.outcome) <= 255);
	REQUIRE(status_format(json, sizeof(json), &c, &r.id, &r.outcome) <
		sizeof(json) - 1);
	REQUIRE(json[strlen(json) - 1] == '\n');
	m = (struct config){ .memory = r.memory, .cpus = r.cpus };
	REQUIRE(pool_reply_pack(again, &m, &r.outcome, &r.id) == len);
	REQUIRE(!memcmp(again, msg, len));
}

static void mend(uint8_t *msg, size_t len, enum pool_message type)
{
	uint16_t version = POOL_WIRE_VERSION, is = (uint16_t)type;
	uint32_t n = (uint32_t)(len - POOL_HEAD);

	memcpy(msg, "POOL", 4);
	memcpy(msg + 4, &version, sizeof(version));
	memcpy(msg + 6, &is, sizeof(is));
	memcpy(msg + 8, &n, sizeof(n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed f = { data, size };
	uint8_t how = feed_u8(&f), *msg = malloc(f.left + 1);
	enum pool_message type = how & 1 ? POOL_REPLY : POOL_REQUEST;
	size_t len = f.left, all;

	REQUIRE(msg);
	feed_bytes(&f, msg, len);
	if (how & 2 && len >= POOL_HEAD)
		mend(msg, len, type);
	all = pool_wire_size(msg, len, type);
	REQUIRE(!all || (len >= POOL_HEAD && all >= POOL_HEAD &&
			 all <= POOL_REQUEST_MAX));
	if (type == POOL_REPLY)
		check_reply(msg, len);
	else
		check_request(msg, len);
	REQUIRE(pool_signal_parse(msg, len) >= 0);
	free(msg);
	return 0;
}
