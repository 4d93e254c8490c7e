// SPDX-License-Identifier: MIT
/*
 * Preloaded into the lab's QEMU, mends three of its instructions, in memory.
 * Debian's 7.2.22, 10.0.2, 10.0.13 and 11.1.3 were tried.
 *
 * VMRUN with an injected interrupt (svm_helper.c, helper_vmrun, in 7.2 and
 * still in 11.1) delivers the interrupt itself, but leaves its vector in
 * exception_index, as if it were still to come. When the CPU loop is left next
 * without an interrupt of the host's (with -icount: whenever a timer is due),
 * it is delivered again, whatever IF is. A guest kernel that holds the lock of
 * the same interrupt then waits for itself for ever. `probe once` shows it.
 *
 * VMRUN and #VMEXIT set and clear CPU_INTERRUPT_VIRQ in interrupt_request
 * without the lock under which other threads announce an interrupt there: they
 * read, change and write back, and what was announced in between is lost. Both
 * get a lock prefix, and shrink to the byte that holds the bit, to have room.
 * A QEMU that exports cpu_set_interrupt (11.1, not 10.0) does it right itself.
 *
 * The store is found by the instructions around it, which end in a call of an
 * exported function, the other two by their constants; a QEMU where one is not
 * there exactly once keeps it, and one line says so. Rejected: a QEMU of our
 * own, which is 20 minutes to build, and a changed copy of the file, which
 * looks for its firmware and modules elsewhere and outlives an upgrade.
 */
#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ANY  -1
#define ANY4 ANY, ANY, ANY, ANY

/* What stands around the store, which comes first; rbx is env. */
static const short around[] = {
	0x89, ANY,  ANY,  ANY,	0xff, 0xff,		/* mov r32, -x(rbx) */
	0xc7, 0x83, ANY4, 0,	0,    0,    0,		/* movl 0, y(rbx) */
	0x48, 0xc7, 0x83, ANY4, 0xff, 0xff, 0xff, 0xff, /* movq -1, z(rbx) */
	0xf6, 0x05, ANY4, 0x02,				/* testb 2, loglevel */
	0x0f, 0x85, ANY4,				/* jne */
	0xba, 1,    0,	  0,	0,			/* mov 1, edx */
	0x48, 0x89, 0xdf,				/* mov rbx, rdi */
	0xe8, ANY4,					/* call */
};

#define AROUND (sizeof(around) / sizeof(around[0]))
#define STORE  6

/* `or` and `and` of 0x100 with a 32-bit field of what rbx points behind. */
static const short set_virq[] = {
	0x81, 0x8b, ANY, ANY, 0xff, 0xff, 0x00, 0x01, 0x00, 0x00,
};
static const short clear_virq[] = {
	0x81, 0xa3, ANY, ANY, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff,
};

#define CHANGE (sizeof(set_virq) / sizeof(set_virq[0]))

static bool is_like(const unsigned char *at, const short *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] != ANY && bytes[i] != at[i])
			return false;
	}
	return true;
}

/* A program's code, and what was found in it. */
struct code {
	const void *callee; /* that the store's surroundings end in */
	unsigned char *store, *set, *clear;
	int stores, sets, clears;
};

static void look_at(struct code *c, unsigned char *at, size_t left)
{
	int32_t distance;

	if (left >= AROUND && is_like(at, around, AROUND) &&
	    (at[1] & 0xc7) == 0x83) {
		memcpy(&distance, at + AROUND - 4, sizeof(distance));
		if (at + AROUND + distance == c->callee) {
			c->store = at;
			c->stores++;
		}
	}
	if (left >= CHANGE && is_like(at, set_virq, CHANGE)) {
		c->set = at;
		c->sets++;
	}
	if (left >= CHANGE && is_like(at, clear_virq, CHANGE)) {
		c->clear = at;
		c->clears++;
	}
}

/* QEMU's own way to set and clear it has become atomic. */
static bool is_atomic(const struct code *c)
{
	return !c->sets && !c->clears &&
	       dlsym(RTLD_DEFAULT, "cpu_set_interrupt");
}

static bool put(unsigned char *at, const unsigned char *bytes, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *start = at - (uintptr_t)at % page;
	size_t len = (size_t)(at + n - start);

	if (mprotect(start, len, PROT_READ | PROT_WRITE | PROT_EXEC))
		return false;
	memcpy(at, bytes, n);
	return !mprotect(start, len, PROT_READ | PROT_EXEC);
}

static bool take_out(unsigned char *at)
{
	/* nopw 0(rax, rax) */
	static const unsigned char nop[STORE] = { 0x66, 0x0f, 0x1f, 0x44 };

	return put(at, nop, sizeof(nop));
}

/* lock orb or andb of the next byte; xchg ax, ax */
static bool lock(unsigned char *at, unsigned char operand)
{
	unsigned char bytes[CHANGE] = { 0xf0, 0x80, at[1] };
	int32_t offset;

	memcpy(&offset, at + 2, sizeof(offset));
	offset++;
	memcpy(bytes + 3, &offset, sizeof(offset));
	bytes[7] = operand;
	bytes[8] = 0x66;
	bytes[9] = 0x90;
	return put(at, bytes, sizeof(bytes));
}

static bool mend_delivery(const struct code *c)
{
	return c->callee && c->stores == 1 && take_out(c->store);
}

static bool mend_changes(const struct code *c)
{
	if (is_atomic(c))
		return true;
	return c->sets == 1 && c->clears == 1 && lock(c->set, 0x01) &&
	       lock(c->clear, 0xfe);
}

/* The first object is the program itself. */
static int mend(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct code c = {
		.callee = dlsym(RTLD_DEFAULT, "do_interrupt_x86_hardirq"),
	};
	bool *done = arg;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		unsigned char *at =
			(unsigned char *)info->dlpi_addr + p->p_vaddr;

		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
			continue;
		for (size_t k = 0; k < p->p_memsz; k++)
			look_at(&c, at + k, p->p_memsz - k);
	}
	*done = mend_delivery(&c) && mend_changes(&c);
	return 1;
}

__attribute__((constructor)) static void start(void)
{
	bool done = false;

	dl_iterate_phdr(mend, &done);
	if (!done)
		fputs("lab: not mended, an unknown QEMU: with --icount, guests "
		      "may hang (tests/lab/mend.c)\n",
		      stderr);
}
