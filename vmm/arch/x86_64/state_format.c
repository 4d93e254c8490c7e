// SPDX-License-Identifier: MIT
/*
 * See state_format.h. One table says what each part may look like; reading
 * and writing both go through it in its order, so nothing can be missing,
 * twice or in another order. What values may be is judged in state_check.c,
 * and then by KVM, which checks them like those of any other process.
 */
#include "arch/x86_64/state_format.h"

#include "lib/pack.h"

#include <errno.h>
#include <string.h>

#define MAGIC_LEN 8u
#define HEAD_LEN  16u
#define PART_HEAD 8u
#define ALIGN	  8u

static const char magic_vcpu[MAGIC_LEN + 1] = "huskVCPU";
static const char magic_clock[MAGIC_LEN + 1] = "huskCLCK";

/*
 * A part is `fixed` bytes and a number of elements of `step` bytes, at most
 * `max` in all. `counted`: its first u32 says how many elements.
 */
struct rule {
	const char *name;
	uint32_t fixed, step, max;
	bool counted;
};

#define CPUID_ENTRY sizeof(struct kvm_cpuid_entry2)
#define MSR_ENTRY   sizeof(struct kvm_msr_entry)
#define PLAIN(name, type)                                                      \
	{                                                                      \
		name, sizeof(type), 0, sizeof(type), false                     \
	}

static const struct rule rules[VCPU_PARTS_END] = {
	[VCPU_CPUID] = { "CPUID", sizeof(struct kvm_cpuid2), CPUID_ENTRY,
			 sizeof(struct kvm_cpuid2) + 256 * CPUID_ENTRY, true },
	[VCPU_MP_STATE] = PLAIN("run state", struct kvm_mp_state),
	[VCPU_REGS] = PLAIN("registers", struct kvm_regs),
	[VCPU_SREGS] = PLAIN("system registers", struct kvm_sregs),
	[VCPU_XCRS] = PLAIN("XCR", struct kvm_xcrs),
	[VCPU_XSAVE] = { "XSAVE area", STATE_XSAVE_MIN, 64, STATE_XSAVE_MAX,
			 false },
	[VCPU_DEBUGREGS] = PLAIN("debug registers", struct kvm_debugregs),
	[VCPU_LAPIC] = PLAIN("local APIC", struct kvm_lapic_state),
	[VCPU_TSC] = PLAIN("TSC", struct vcpu_tsc),
	[VCPU_MSRS] = { "MSR", sizeof(struct kvm_msrs), MSR_ENTRY,
			sizeof(struct kvm_msrs) + STATE_MAX_MSRS *MSR_ENTRY,
			true },
	[VCPU_EVENTS] = PLAIN("events", struct kvm_vcpu_events),
};

static uint32_t padding(uint32_t len)
{
	return -len % ALIGN;
}

/* ---- the head ---- */

static void put_head(struct pack *p, const char *magic)
{
	pack_bytes(p, magic, MAGIC_LEN);
	pack_u16(p, STATE_MACHINE);
	pack_u16(p, STATE_VERSION);
	pack_u32(p, 0); /* length of all: put_end */
}

static int put_end(struct pack *p, size_t *len, struct err *e)
{
	struct pack at;

	if (p->failed)
		return err_set(e, ENOSPC, "write state: more than %zu bytes",
			       p->size);
	pack_init(&at, p->buf + MAGIC_LEN + 4, 4);
	pack_u32(&at, (uint32_t)p->len);
	*len = p->len;
	return 0;
}

static int get_head(struct unpack *u, const char *magic, const char *what,
		    struct err *e)
{
	char found[MAGIC_LEN];
	unsigned machine, version;
	uint32_t total;

	unpack_bytes(u, found, sizeof(found));
	machine = unpack_u16(u);
	version = unpack_u16(u);
	total = unpack_u32(u);
	if (u->failed || memcmp(found, magic, sizeof(found)))
		return err_set(e, EPROTO, "read state: this is no %s state",
			       what);
	if (machine != STATE_MACHINE)
		return err_set(e, EPROTO,
			       "read %s state: it is of machine type %u, this "
			       "husk runs %u (x86-64)",
			       what, machine, STATE_MACHINE);
	if (version != STATE_VERSION)
		return err_set(e, EPROTO,
			       "read %s state: it has format %u, this husk "
			       "reads %u (make the template again)",
			       what, version, STATE_VERSION);
	if (total != u->len)
		return err_set(e, EPROTO,
			       "read %s state: it has %zu bytes instead of %u",
			       what, u->len, total);
	return 0;
}

/* ---- one part ---- */

static bool has_length(const struct rule *r, uint32_t len)
{
	if (len < r->fixed || len > r->max)
		return false;
	return r->step ? !((len - r->fixed) % r->step) : len == r->fixed;
}

/* Does the count in its first word say what its length says? */
static bool has_count(const struct rule *r, const void *data, uint32_t len)
{
	uint32_t count;

	if (!r->counted)
		return true;
	memcpy(&count, data, sizeof(count));
	return count == (len - r->fixed) / r->step;
}

static bool is_zero(const uint8_t *p, uint32_t len)
{
	while (len && !*p)
		p++, len--;
	return !len;
}

static int bad_part(enum vcpu_part part, const char *why, struct err *e)
{
	return err_set(e, EPROTO, "read vCPU state: the part '%s' %s",
		       rules[part].name, why);
}

static int get_part(struct vcpu_state *s, enum vcpu_part part, struct unpack *u,
		    struct err *e)
{
	const struct rule *r = &rules[part];
	uint32_t type = unpack_u32(u), len = unpack_u32(u);
	const uint8_t *data;

	if (u->failed || type != part)
		return bad_part(part, "is missing", e);
	if (!has_length(r, len))
		return bad_part(part, "has a wrong length", e);
	if (u->len - u->at < len + padding(len))
		return bad_part(part, "is cut off", e);
	data = u->buf + u->at;
	if (!has_count(r, data, len))
		return bad_part(part, "has a wrong count", e);
	if (!is_zero(data + len, padding(len)))
		return bad_part(part, "is not followed by zeros", e);
	s->part[part].data = data;
	s->part[part].len = len;
	u->at += len + padding(len);
	return 0;
}

static void put_part(struct pack *p, enum vcpu_part part, const void *data,
		     uint32_t len)
{
	static const uint8_t zeros[ALIGN];

	pack_u32(p, part);
	pack_u32(p, len);
	pack_bytes(p, data, len);
	pack_bytes(p, zeros, padding(len));
}

/* ---- what is checked inside of parts ---- */

static const struct kvm_cpuid_entry2 *find_leaf1(const struct vcpu_state *s)
{
	const struct kvm_cpuid2 *c = s->part[VCPU_CPUID].data;

	for (uint32_t i = 0; i < c->nent; i++)
		if (c->entries[i].function == 1)
			return &c->entries[i];
	return NULL;
}

static int check_order(const struct vcpu_state *s, struct err *e)
{
	const struct kvm_msrs *m = s->part[VCPU_MSRS].data;

	for (uint32_t i = 1; i < m->nmsrs; i++)
		if (m->entries[i].index <= m->entries[i - 1].index)
			return bad_part(VCPU_MSRS, "is not in order", e);
	return 0;
}

int vcpu_state_read(struct vcpu_state *s, const void *buf, size_t len,
		    struct err *e)
{
	enum vcpu_part part;
	struct unpack u;
	int r;

	*s = (struct vcpu_state){ 0 };
	if ((uintptr_t)buf % ALIGN)
		return err_set(e, EINVAL, "read vCPU state: not aligned");
	unpack_init(&u, buf, len);
	r = get_head(&u, magic_vcpu, "vCPU", e);
	for (part = VCPU_CPUID; !r && part < VCPU_PARTS_END; part++)
		r = get_part(s, part, &u, e);
	if (r)
		return r;
	if (!unpack_is_done(&u))
		return err_set(e, EPROTO,
			       "read vCPU state: something follows it");
	if (!find_leaf1(s))
		return bad_part(VCPU_CPUID, "lacks leaf 1", e);
	return check_order(s, e);
}

int vcpu_state_write(const struct vcpu_state *s, void *buf, size_t size,
		     size_t *len, struct err *e)
{
	enum vcpu_part part;
	struct pack p;

	pack_init(&p, buf, size);
	put_head(&p, magic_vcpu);
	for (part = VCPU_CPUID; part < VCPU_PARTS_END; part++)
		put_part(&p, part, s->part[part].data, s->part[part].len);
	return put_end(&p, len, e);
}

unsigned vcpu_state_index(const struct vcpu_state *s)
{
	return find_leaf1(s)->ebx >> 24;
}

int clock_state_read(uint64_t *ns, const void *buf, size_t len, struct err *e)
{
	struct unpack u;
	int r;

	unpack_init(&u, buf, len);
	r = get_head(&u, magic_clock, "clock", e);
	if (r)
		return r;
	*ns = unpack_u64(&u);
	if (!unpack_is_done(&u))
		return err_set(e, EPROTO, "read clock state: it has %zu bytes",
			       len);
	return 0;
}

int clock_state_write(uint64_t ns, void *buf, size_t size, size_t *len,
		      struct err *e)
{
	struct pack p;

	pack_init(&p, buf, size);
	put_head(&p, magic_clock);
	pack_u64(&p, ns);
	return put_end(&p, len, e);
}
