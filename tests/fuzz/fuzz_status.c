// SPDX-License-Identifier: MIT
/* LINK: vmm/job/status.c vmm/job/outcome.c vmm/job/version.c */
/* LINK: vmm/arch/x86_64/words.c */
/*
 * The status object and the timeline of any outcome: numbers of any size, a
 * reason, names and identities of any bytes. What comes out is one line of
 * JSON that fits, and a timeline without a control character of the guest's.
 */
#include "job/status.h"

#include "../unit/json_read.h"
#include "feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes up to a NUL, the buffer's last byte at the latest. */
static void take_string(struct feed *f, char *buf, size_t size)
{
	size_t n = feed_u8(f) | (size_t)feed_u8(f) << 8;

	feed_bytes(f, buf, n < size ? n : size - 1);
	buf[n < size ? n : size - 1] = '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed f = { data, size };
	char kernel[600], image[600], buf[STATUS_MAX + 1];
	struct identity id = { .kernel = kernel, .image = image };
	struct config c = { 0 };
	struct outcome o;
	size_t n;

	feed_bytes(&f, &o, sizeof(o));
	o.verdict = (enum verdict)(feed_u8(&f) % (VERDICT_ERROR + 1));
	for (unsigned i = 0; i < STREAM_NR; i++)
		o.stream[i].truncated = feed_u8(&f) & 1;
	o.guest_said = o.code & 1;
	o.reason[sizeof(o.reason) - 1] = '\0';
	take_string(&f, kernel, sizeof(kernel));
	take_string(&f, image, sizeof(image));
	take_string(&f, id.kernel_salt, sizeof(id.kernel_salt));
	take_string(&f, id.image_uuid, sizeof(id.image_uuid));
	id.kernel_size = id.image_size = feed_u64(&f);
	id.kernel_mtime = id.image_mtime = (int64_t)feed_u64(&f);
	n = status_format(buf, sizeof(buf), &c, &id, &o);
	REQUIRE(n < STATUS_MAX && n == strlen(buf) && is_json_line(buf));
	n = status_timeline(buf, sizeof(buf), &o, false);
	REQUIRE(n < sizeof(buf) && n == strlen(buf));
	for (size_t i = 0; i < n; i++)
		REQUIRE((unsigned char)buf[i] >= ' ' || buf[i] == '\n');
	return outcome_exit_status(&o) > 255 ? -1 : 0;
}
