/* SPDX-License-Identifier: MIT */
/*
 * See arch.h, which alone includes this.
 */
#ifndef GUEST_ARCH_X86_64_H
#define GUEST_ARCH_X86_64_H

#include <linux/sched.h>
#include <stdint.h>
#include <sys/syscall.h>

struct run;

static inline long arch_clone(const struct clone_args *args,
			      void (*born)(struct run *r), struct run *r)
{
	long pid;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %[run], %%rdi\n\t"
			 "call *%[born]\n"
			 "1:"
			 : "=a"(pid)
			 : "0"((long)SYS_clone3), "D"(args),
			   "S"(sizeof(*args)), [run] "r"(r), [born] "r"(born)
			 : "rcx", "r11", "cc", "memory");
	return pid;
}

static inline uint64_t arch_counter(void)
{
	return __builtin_ia32_rdtsc();
}

#endif
