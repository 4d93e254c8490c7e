// SPDX-License-Identifier: MIT
/*
 * Preloaded into the lab's QEMU, takes one wrong store out of it, in memory.
 *
 * VMRUN with an injected interrupt (svm_helper.c, helper_vmrun, in 7.2 and
 * still in 10.x) delivers the interrupt itself, but leaves its vector in
 * exception_index, as if it were still to come. When the CPU loop is left next
 * without an interrupt of the host's (with -icount: whenever a timer is due),
 * it is delivered again, whatever IF is. A guest kernel that holds the lock of
 * the same interrupt then waits for itself for ever. `probe once` shows it.
 *
 * The store is found by the instructions around it, which end in a call of an
 * exported function; a QEMU where they are not there exactly once is left as
 * it is and one line says so. Rejected: a QEMU of our own, which is 20 minutes
 * to build, and a changed copy of the file, which looks for its firmware and
 * modules elsewhere and outlives an upgrade.
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

static bool matches(const unsigned char *at, const void *callee)
{
	int32_t distance;

	for (size_t i = 0; i < AROUND; i++) {
		if (around[i] != ANY && around[i] != at[i])
			return false;
	}
	memcpy(&distance, at + AROUND - 4, sizeof(distance));
	return (at[1] & 0xc7) == 0x83 && at + AROUND + distance == callee;
}

static bool take_out(unsigned char *at)
{
	/* nopw 0(rax, rax) */
	static const unsigned char nop[STORE] = { 0x66, 0x0f, 0x1f, 0x44 };
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *start = at - (uintptr_t)at % page;
	size_t len = (size_t)(at + STORE - start);

	if (mprotect(start, len, PROT_READ | PROT_WRITE | PROT_EXEC))
		return false;
	memcpy(at, nop, sizeof(nop));
	return !mprotect(start, len, PROT_READ | PROT_EXEC);
}

/* The first object is the program itself. */
static int mend(struct dl_phdr_info *info, size_t size, void *arg)
{
	const void *callee = dlsym(RTLD_DEFAULT, "do_interrupt_x86_hardirq");
	unsigned char *found = NULL;
	bool *done = arg;
	int n = 0;

	(void)size;
	for (int i = 0; callee && i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		unsigned char *at =
			(unsigned char *)info->dlpi_addr + p->p_vaddr;

		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
			continue;
		for (size_t k = 0; k + AROUND <= p->p_memsz; k++) {
			if (!matches(at + k, callee))
				continue;
			found = at + k;
			n++;
		}
	}
	*done = n == 1 && take_out(found);
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
