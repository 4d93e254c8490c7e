// SPDX-License-Identifier: MIT
/*
 * The allow-lists as a table, and an assembler of 150 lines for it.
 *
 * Rejected: libseccomp. Statically linked it adds 112 KiB to a binary of
 * 1.2 MB (nearly all of it tables of other architectures) and builds a filter
 * through a database on the heap; the table below needs 60 instructions and
 * no allocation.
 *
 * Descriptors are not listed for read and write: which they are is known only
 * at run time, a pool's streams arrive later, and all that is open in a jailed
 * process are the job's streams, KVM's objects and the image. An open would
 * be needed to make that more, and there is none. Memory can't become
 * executable: neither mmap with PROT_EXEC nor mprotect is here.
 */
#include "jail/policy.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>

#define L  (1u << JAIL_LOOP | 1u << JAIL_MAKER | 1u << JAIL_WAITER)
#define V  (1u << JAIL_VCPU)
#define LV (L | V)
#define M  (1u << JAIL_MAKER)
#define W  (1u << JAIL_WAITER)
#define MW (M | W)

#define CALL(n)	     #n, SYS_##n
#define IS(arg, val) { POLICY_VALUE, arg, ~0u, val }
#define HAS(arg, mask, val) { POLICY_VALUE, arg, mask, val }
#define VM(arg)	     { POLICY_VM, arg, ~0u, 0 }
#define OWN(arg)     { POLICY_OWN, arg, ~0u, 0 }
#define PID(arg)     { POLICY_PID, arg, ~0u, 0 }
#define NO	     { POLICY_NONE, 0, 0, 0 }

/* A futex operation, private or not. */
#define FUTEX(op)                                                              \
	{ CALL(futex), LV,                                                     \
	  { HAS(1, ~(uint32_t)(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME), op),\
	    NO },                                                              \
	  "locks between the threads, and waiting for their end" }

static const struct policy_row rows[] = {
	{ CALL(ioctl), V, { IS(1, KVM_RUN), OWN(0) }, "runs the guest" },
	{ CALL(ioctl), LV, { IS(1, KVM_SIGNAL_MSI), VM(0) },
	  "interrupts of the devices" },
	FUTEX(FUTEX_WAIT),
	FUTEX(FUTEX_WAKE),
	FUTEX(FUTEX_WAIT_BITSET),
	{ CALL(ppoll), LV, { NO }, "waits for streams, timers and signals" },
	{ CALL(pwritev2), LV, { HAS(5, ~(uint32_t)RWF_NOWAIT, 0), NO },
	  "output of the job" },
	{ CALL(preadv2), LV, { HAS(5, ~(uint32_t)RWF_NOWAIT, 0), NO },
	  "input of the job" },
	{ CALL(preadv), LV, { NO }, "the disk; counts of memory" },
	{ CALL(write), LV, { NO },
	  "wakes the loop; kernel log, status and the line on stderr" },
	{ CALL(read), L, { NO }, "signals and wake-ups" },
	{ CALL(sendmsg), LV, { IS(2, MSG_DONTWAIT | MSG_NOSIGNAL), NO },
	  "output of the job to a socket" },
	{ CALL(recvmsg), LV, { NO },
	  "input of the job from a socket; streams of a pool's job" },
	{ CALL(close), LV, { NO }, "the end of a stream" },
	{ CALL(rt_sigreturn), V, { NO }, "back from the kick of a vCPU" },
	{ CALL(clock_gettime), LV, { NO },
	  "time, on hosts whose vDSO has no clock" },
	{ CALL(tgkill), L, { PID(0), IS(2, SIGUSR1) },
	  "takes vCPUs out of the guest" },
	{ CALL(setitimer), L, { IS(0, ITIMER_REAL), NO },
	  "ends a husk that hangs, some time after --timeout" },
	{ CALL(munmap), L, { NO }, "takes the machine apart" },
	{ CALL(exit_group), L, { NO }, "the end" },
	{ CALL(madvise), V, { IS(2, MADV_DONTNEED), NO },
	  "the stack of a thread that ends" },
	{ CALL(rt_sigprocmask), V, { NO }, "the end of a thread" },
	{ CALL(exit), V, { NO }, "the end of a thread" },

	{ CALL(clock_nanosleep), M, { NO }, "lets the guest come to rest" },
	{ CALL(pwrite64), M, { NO }, "writes the template" },
	{ CALL(ftruncate), MW, { NO },
	  "gives the template its length; empties a client's result" },
	{ CALL(mmap), MW, { HAS(2, PROT_EXEC, 0), IS(4, ~0u) },
	  "memory for the template's head, or for a client's request" },
	{ CALL(brk), MW, { NO },
	  "memory for the template's head, or for a client's request" },
	{ CALL(fstat), W, { NO },
	  "what kind of file a client's descriptor is" },
	{ CALL(fcntl), W, { IS(1, F_GETFL), NO },
	  "which way a client's descriptor is open" },
	{ CALL(getrandom), W, { NO }, "seeds of the job" },
	{ CALL(seccomp), W, { IS(0, SECCOMP_SET_MODE_FILTER), IS(1, 0) },
	  "gives up the rows of a waiter when its job runs" },
	{ CALL(ioctl), M, { IS(1, KVM_RUN), NO },
	  "completes a vCPU's last instruction" },
};

#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

const struct policy_row *policy_row(const struct policy_arch *arch, unsigned i)
{
	const struct policy_row *r;

	if (i < NR_ROWS)
		return &rows[i];
	r = &arch->row[i - NR_ROWS];
	return r->name[0] ? r : NULL;
}

/* ---- the assembler ---- */

struct program {
	struct sock_filter *at;
	unsigned len;
	/* The argument that A holds, under a mask; NULL: something else. */
	const struct policy_check *held;
};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "see ARGUMENT");

#define DATA(member) ((uint32_t)offsetof(struct seccomp_data, member))

/* Of little-endian words the low one; the kernel's ints are that. */
#define ARGUMENT(n) (DATA(args) + (uint32_t)(n) * 8)

/* Where a jump leads: over so many instructions, or to one of two ends. */
#define NEXT	 0u
#define TO_ALLOW 254u
#define TO_KILL	 255u

static void put(struct program *p, uint16_t code, uint32_t k)
{
	if (p->len < POLICY_MAX)
		p->at[p->len] = (struct sock_filter)BPF_STMT(code, k);
	p->len++;
}

/* Returns where it stands. */
static unsigned put_test(struct program *p, uint16_t how, uint32_t k,
			 uint8_t good, uint8_t bad)
{
	if (p->len < POLICY_MAX)
		p->at[p->len] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | how | BPF_K, k, good, bad);
	return p->len++;
}

/* From `at` to here, or to an end: a jump too far makes it all too long. */
static uint8_t reach(struct program *p, unsigned at)
{
	unsigned over = p->len - at - 1;

	if (over >= TO_ALLOW)
		p->len = POLICY_MAX + 1;
	return (uint8_t)over;
}

/* The two ends, and all jumps to them. */
static void put_ends(struct program *p)
{
	static const struct {
		uint32_t mark, action;
	} ends[] = {
		{ TO_ALLOW, SECCOMP_RET_ALLOW },
		{ TO_KILL, SECCOMP_RET_KILL_PROCESS },
	};
	unsigned i, n;

	for (n = 0; n < 2; n++) {
		for (i = 0; i < p->len && p->len < POLICY_MAX; i++) {
			struct sock_filter *f = &p->at[i];

			if (BPF_CLASS(f->code) != BPF_JMP)
				continue;
			if (f->jt == ends[n].mark)
				f->jt = reach(p, i);
			if (f->jf == ends[n].mark)
				f->jf = reach(p, i);
		}
		put(p, BPF_RET | BPF_K, ends[n].action);
	}
}

static uint32_t expected(const struct policy_check *c,
			 const struct policy_values *v)
{
	switch (c->kind) {
	case POLICY_VM:
		return (uint32_t)v->vm_fd;
	case POLICY_OWN:
		return (uint32_t)v->vcpu_fd;
	case POLICY_PID:
		return (uint32_t)v->pid;
	default:
		return c->value;
	}
}

static void load(struct program *p, const struct policy_check *c)
{
	if (p->held && p->held->arg == c->arg && p->held->mask == c->mask)
		return;
	put(p, BPF_LD | BPF_W | BPF_ABS, ARGUMENT(c->arg));
	if (c->mask != ~0u)
		put(p, BPF_ALU | BPF_AND | BPF_K, c->mask);
	p->held = c;
}

/* Allow what the row asks for, else go on behind it. */
static void put_row(struct program *p, const struct policy_row *r,
		    const struct policy_values *v)
{
	const struct policy_check *c = r->check;
	unsigned first;

	load(p, &c[0]);
	if (c[1].kind == POLICY_NONE) {
		put_test(p, BPF_JEQ, expected(&c[0], v), TO_ALLOW, NEXT);
		return;
	}
	first = put_test(p, BPF_JEQ, expected(&c[0], v), NEXT, NEXT);
	load(p, &c[1]);
	put_test(p, BPF_JEQ, expected(&c[1], v), TO_ALLOW, NEXT);
	if (first < POLICY_MAX)
		p->at[first].jf = reach(p, first);
	/* Which of the two it was that failed, nobody knows. */
	p->held = NULL;
}

/* What a thread may do, by number. */
struct calls {
	const struct policy_values *values;
	const struct policy_row *row[POLICY_ROWS_MAX];
	unsigned len;
};

static uint32_t number(const struct calls *c, unsigned i)
{
	return (uint32_t)c->row[i]->nr;
}

/* The rows first..last, which are about one call. */
static void put_call(struct program *p, const struct calls *c, unsigned first,
		     unsigned last)
{
	unsigned i;

	if (c->row[first]->check[0].kind == POLICY_NONE) {
		put_test(p, BPF_JEQ, number(c, first), TO_ALLOW, TO_KILL);
		return;
	}
	put_test(p, BPF_JEQ, number(c, first), NEXT, TO_KILL);
	p->held = NULL;
	for (i = first; i <= last; i++)
		put_row(p, c->row[i], c->values);
	put(p, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
}

/* The first row of the call that starts next to the middle of low..high. */
static unsigned split(const struct calls *c, unsigned first, unsigned last,
		      uint32_t low, uint32_t high)
{
	unsigned i, best = first;

	for (i = first + 1; i <= last; i++)
		if (number(c, i) != number(c, i - 1) &&
		    (best == first ||
		     number(c, i) + number(c, best) <= low + high))
			best = i;
	return best;
}

/*
 * A search tree over the numbers: the kernel runs a new filter once for each
 * number that there is, to learn which need no filter.
 */
static void put_calls(struct program *p, const struct calls *c, unsigned first,
		      unsigned last, uint32_t low, uint32_t high)
{
	unsigned i, test;

	if (number(c, first) == number(c, last)) {
		put_call(p, c, first, last);
		return;
	}
	i = split(c, first, last, low, high);
	test = put_test(p, BPF_JGE, number(c, i), NEXT, NEXT);
	put_calls(p, c, first, i - 1, low, number(c, i));
	if (test < POLICY_MAX)
		p->at[test].jt = reach(p, test);
	put_calls(p, c, i, last, number(c, i), high);
}

/* Behind the others of its call. What has no room kills. */
static void add_row(struct calls *c, const struct policy_row *r)
{
	unsigned i = c->len;

	if (i == POLICY_ROWS_MAX)
		return;
	for (; i && c->row[i - 1]->nr > r->nr; i--)
		c->row[i] = c->row[i - 1];
	c->row[i] = r;
	c->len++;
}

/* About as many as Linux has. */
#define NUMBERS 450

unsigned policy_build(enum jail_thread thread, const struct policy_values *v,
		      struct sock_filter out[POLICY_MAX])
{
	struct program p = { .at = out };
	struct calls c = { .values = v };
	const struct policy_row *r;
	unsigned i;

	for (i = 0; (r = policy_row(v->arch, i)); i++)
		if (r->threads >> thread & 1)
			add_row(&c, r);
	put(&p, BPF_LD | BPF_W | BPF_ABS, DATA(arch));
	put_test(&p, BPF_JEQ, v->arch->audit, NEXT, TO_KILL);
	put(&p, BPF_LD | BPF_W | BPF_ABS, DATA(nr));
	put_calls(&p, &c, 0, c.len - 1, 0, NUMBERS);
	put_ends(&p);
	return p.len <= POLICY_MAX ? p.len : 0;
}
