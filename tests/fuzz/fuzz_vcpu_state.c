// SPDX-License-Identifier: MIT
/* LINK: vmm/arch/x86_64/state_format.c vmm/arch/x86_64/msrs.c */
/* LINK: vmm/arch/x86_64/cpuid_fit.c vmm/arch/x86_64/cpuid.c */
/*
 * The state of a vCPU or of a clock, of any bytes. What is refused has a line
 * that says why. What is taken lies inside of the buffer with all its counts
 * and is written again as the same bytes; comparing its CPUID with any other
 * comes to an end.
 */
#include "arch/x86_64/cpuid_fit.h"
#include "arch/x86_64/msrs.h"
#include "arch/x86_64/state_format.h"
#include "lib/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_written(const struct vcpu_state *s, const uint8_t *buf,
			  size_t size)
{
	auto_free void *again = malloc(size);
	struct err e = { 0 };
	size_t len = 0;

	REQUIRE(again && !vcpu_state_write(s, again, size, &len, &e));
	REQUIRE(len == size && !memcmp(again, buf, size));
	REQUIRE(vcpu_state_write(s, again, size - 1, &len, &e) < 0);
}

static void check_cpuid(const struct kvm_cpuid2 *c)
{
	struct cpuid_list l = { .nent = c->nent };
	struct err e = { 0 };
	int r;

	REQUIRE(c->nent <= CPUID_MAX);
	memcpy(l.entry, c->entries, c->nent * sizeof(l.entry[0]));
	REQUIRE(!cpuid_fit(c->entries, c->nent, l.entry, l.nent, &e));
	cpuid_edit(&l, 0, 8);
	r = cpuid_fit(c->entries, c->nent, l.entry, l.nent, &e);
	if (r)
		REQUIRE_REFUSED(r, &e);
	REQUIRE(cpuid_clean(l.entry, l.nent) <= l.nent);
}

static void check_taken(const struct vcpu_state *s, const uint8_t *buf,
			size_t size)
{
	const struct kvm_msrs *m = s->part[VCPU_MSRS].data;

	for (enum vcpu_part i = VCPU_CPUID; i < VCPU_PARTS_END; i++) {
		const uint8_t *at = s->part[i].data;

		REQUIRE(at > buf && s->part[i].len <= size);
		REQUIRE((size_t)(at - buf) <= size - s->part[i].len);
		REQUIRE(!((uintptr_t)at % 8));
	}
	REQUIRE(m->nmsrs <= STATE_MAX_MSRS);
	for (uint32_t i = 0; i < m->nmsrs; i++)
		REQUIRE(msr_is_kept(m->entries[i].index));
	REQUIRE(vcpu_state_index(s) < 256);
	check_cpuid(s->part[VCPU_CPUID].data);
	check_written(s, buf, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of its own size, so that one byte too far is found. */
	auto_free uint8_t *buf = malloc(size ? size : 1);
	struct err e = { 0 };
	struct vcpu_state s;
	uint64_t ns;
	int r;

	REQUIRE(buf != NULL);
	memcpy(buf, data, size);
	r = vcpu_state_read(&s, buf, size, &e);
	if (r)
		REQUIRE_REFUSED(r, &e);
	else
		check_taken(&s, buf, size);
	memset(&e, 0, sizeof(e));
	r = clock_state_read(&ns, buf, size, &e);
	if (r)
		REQUIRE_REFUSED(r, &e);
	return 0;
}
