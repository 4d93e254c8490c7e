// SPDX-License-Identifier: MIT
/* LINK: vmm/jail/policy.c vmm/arch/x86_64/policy.c */
/*
 * The program says what the table says: each number of a system call, and each
 * row's arguments and those next to them, run through the program here and
 * looked up in the table. What the kernel makes of it is in test_jail.c.
 */
#include "arch/arch.h"
#include "jail/policy.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define X32	   0x40000000
#define NR_NUMBERS 600

static const struct policy_values values = { &arch_policy, 7, 9, 4711 };

static uint32_t load(const struct seccomp_data *d, uint32_t at)
{
	uint32_t v;

	assert_in_range(at, 0, sizeof(*d) - sizeof(v));
	memcpy(&v, (const char *)d + at, sizeof(v));
	return v;
}

/* What the kernel does with it; a jump only leads on, so it ends. */
static uint32_t run(const struct sock_filter *f, unsigned len,
		    const struct seccomp_data *d, unsigned *steps)
{
	uint32_t a = 0;
	unsigned i;

	for (i = 0; i < len; i++) {
		++*steps;
		switch (f[i].code) {
		case BPF_LD | BPF_W | BPF_ABS:
			a = load(d, f[i].k);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= f[i].k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			i += a == f[i].k ? f[i].jt : f[i].jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			i += a >= f[i].k ? f[i].jt : f[i].jf;
			break;
		case BPF_RET | BPF_K:
			return f[i].k;
		default:
			fail_msg("instruction %u: code %#x", i, f[i].code);
		}
	}
	fail_msg("the program has no end");
	return 0;
}

static uint32_t wanted(const struct policy_check *c)
{
	switch (c->kind) {
	case POLICY_VM:
		return (uint32_t)values.vm_fd;
	case POLICY_OWN:
		return (uint32_t)values.vcpu_fd;
	case POLICY_PID:
		return (uint32_t)values.pid;
	default:
		return c->value;
	}
}

static bool is_allowed(unsigned thread, const struct seccomp_data *d)
{
	const struct policy_row *r;
	unsigned row;

	for (row = 0; (r = policy_row(&arch_policy, row)); row++) {
		bool good = r->nr == d->nr && r->threads >> thread & 1;

		for (unsigned i = 0; i < 2; i++) {
			const struct policy_check *c = &r->check[i];

			if (c->kind == POLICY_NONE)
				continue;
			good &= ((uint32_t)d->args[c->arg] & c->mask) ==
				wanted(c);
		}
		if (good)
			return true;
	}
	return false;
}

struct program {
	struct sock_filter f[POLICY_MAX];
	unsigned len, thread;
};

static struct program build(unsigned thread)
{
	struct program p = { .thread = thread };

	p.len = policy_build((enum jail_thread)thread, &values, p.f);
	assert_in_range(p.len, 1, POLICY_MAX);
	return p;
}

static unsigned compare(const struct program *p, const struct seccomp_data *d)
{
	unsigned steps = 0;
	bool good = run(p->f, p->len, d, &steps) == SECCOMP_RET_ALLOW;

	if (good != is_allowed(p->thread, d))
		fail_msg("thread %u, call %d (%#llx, %#llx, %#llx): the "
			 "program says %d", p->thread, d->nr,
			 (unsigned long long)d->args[0],
			 (unsigned long long)d->args[1],
			 (unsigned long long)d->args[2], good);
	return steps;
}

/* Arguments that row `r` asks for; one of them turned around a little. */
static void try_row(const struct program *p, const struct policy_row *r,
		    struct seccomp_data *d)
{
	unsigned arg, bit;

	memset(d->args, 0xff, sizeof(d->args));
	for (unsigned i = 0; i < 2; i++)
		if (r->check[i].kind != POLICY_NONE)
			d->args[r->check[i].arg] = wanted(&r->check[i]);
	compare(p, d);
	for (arg = 0; arg < 6; arg++)
		for (bit = 0; bit < 64; bit++) {
			d->args[arg] ^= 1ull << bit;
			compare(p, d);
			d->args[arg] ^= 1ull << bit;
		}
}

static void program_is_the_table(void **state)
{
	(void)state;
	for (unsigned t = 0; t < JAIL_NR_THREADS; t++) {
		struct program p = build(t);
		struct seccomp_data d = { .arch = AUDIT_ARCH_X86_64 };
		const struct policy_row *r;

		for (unsigned i = 0; (r = policy_row(&arch_policy, i)); i++)
			for (d.nr = r->nr - 1; d.nr <= r->nr + 1; d.nr++)
				try_row(&p, r, &d);
		for (d.nr = -1; d.nr < NR_NUMBERS; d.nr++)
			compare(&p, &d);
		for (d.nr = X32; d.nr < X32 + NR_NUMBERS; d.nr++)
			compare(&p, &d);
	}
}

static void another_architecture_has_no_call(void **state)
{
	(void)state;
	for (unsigned t = 0; t < JAIL_NR_THREADS; t++) {
		struct program p = build(t);
		struct seccomp_data d = { .arch = AUDIT_ARCH_I386 };
		unsigned steps = 0;

		for (d.nr = 0; d.nr < NR_NUMBERS; d.nr++)
			assert_int_equal(run(p.f, p.len, &d, &steps),
					 SECCOMP_RET_KILL_PROCESS);
	}
}

/* The kernel tries a filter with each number: what it costs a run's start. */
static void it_decides_soon(void **state)
{
	(void)state;
	for (unsigned t = 0; t < JAIL_NR_THREADS; t++) {
		struct program p = build(t);
		struct seccomp_data d = { .arch = AUDIT_ARCH_X86_64 };
		unsigned steps = 0;

		for (d.nr = 0; d.nr < 450; d.nr++)
			steps += compare(&p, &d);
		print_message("# thread %u: %u instructions, %u.%u for a "
			      "number\n", t, p.len, steps / 450,
			      steps % 450 * 10 / 450);
		assert_true(steps < 450 * 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(program_is_the_table),
		cmocka_unit_test(another_architecture_has_no_call),
		cmocka_unit_test(it_decides_soon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
