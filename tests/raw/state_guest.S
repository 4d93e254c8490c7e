/* SPDX-License-Identifier: MIT */
/*
 * The guest of raw_state.c, in two halves: the first fills a vCPU with things
 * to remember and stops at an OUT, the second runs in the copy and writes down
 * what it finds. 64-bit, ring 0, flat; position-independent, all data at
 * the fixed places of state_guest.h.
 *
 * QEMU's SVM (the lab) forgets at VMRUN that STI holds interrupts off for one
 * instruction more, so the timer's may come between STI and HLT, which would
 * then sleep for ever: the handler steps over that HLT.
 *
 * Where interrupts cannot be delivered (software KVM), it looks for the timer
 * in the local APIC's request register, and is told to go on by memory.
 */
#include "state_guest.h"

#define MSR_APIC_BASE	 0x1b
#define MSR_TSC_DEADLINE 0x6e0
#define X2APIC_EOI	 0x80b
#define X2APIC_SPIV	 0x80f
#define X2APIC_IRR2	 0x822 /* vectors 0x40 to 0x5f */
#define X2APIC_ICR	 0x830
#define X2APIC_LVTT	 0x832
#define X2APIC_MODE	 0xc00
#define LVTT_DEADLINE	 0x40000
#define CR4_OSXSAVE_SSE	 0x40600

	.section .rodata
	.balign 16
	.code64
	.global sg_start, sg_main, sg_ap, sg_timer, sg_ipi, sg_fault, sg_end

	.macro SET_MSR index, low
	mov $\index, %ecx
	mov $\low, %eax
	xor %edx, %edx
	wrmsr
	.endm

	.macro STORE_TSC at
	rdtsc
	shl $32, %rdx
	or %rdx, %rax
	mov %rax, \at
	.endm

sg_start:

apic_on:
	mov $MSR_APIC_BASE, %ecx
	rdmsr
	or $X2APIC_MODE, %eax
	wrmsr
	SET_MSR X2APIC_SPIV, 0x1ff
	SET_MSR X2APIC_LVTT, (LVTT_DEADLINE | SG_VECTOR_TIMER)
	ret

/* ---- vCPU 0 ---- */

sg_main:
	mov $SG_SEL_TSS, %ax
	ltr %ax
	call apic_on
	testb $SG_AVX, SG_FLAGS
	jz 1f
	call fill_registers
1:	mov $SG_MSRS, %esi
	mov SG_NR_MSRS, %rdi
2:	test %rdi, %rdi
	jz 3f
	mov (%rsi), %ecx
	mov 8(%rsi), %eax
	mov 12(%rsi), %edx
	wrmsr
	add $24, %rsi
	dec %rdi
	jmp 2b
3:	cmpq $0, SG_DELTA
	je 4f
	rdtsc
	shl $32, %rdx
	or %rdx, %rax
	add SG_DELTA, %rax
	mov %rax, %rdx
	shr $32, %rdx
	mov $MSR_TSC_DEADLINE, %ecx
	wrmsr
4:	STORE_TSC SG_TSC_BEFORE
	movabs $0x0101010101010108, %r8
	movabs $0x0101010101010109, %r9
	movabs $0x010101010101010a, %r10
	movabs $0x010101010101010b, %r11
	movabs $0x010101010101010c, %r12
	movabs $0x010101010101010d, %r13
	movabs $0x010101010101010e, %r14
	movabs $0x010101010101010f, %r15
	movabs $0x0101010101010110, %rbx
	movabs $0x0101010101010111, %rbp
	out %al, $SG_PORT_READY

	/* From here on in the copy. */
	mov %r8, SG_REGS
	mov %r9, SG_REGS + 8
	mov %r10, SG_REGS + 16
	mov %r11, SG_REGS + 24
	mov %r12, SG_REGS + 32
	mov %r13, SG_REGS + 40
	mov %r14, SG_REGS + 48
	mov %r15, SG_REGS + 56
	mov %rbx, SG_REGS + 64
	mov %rbp, SG_REGS + 72
	STORE_TSC SG_TSC_AFTER
	testb $SG_AVX, SG_FLAGS
	jz 1f
	call store_registers
1:	mov $SG_MSRS, %esi
	mov SG_NR_MSRS, %rdi
2:	test %rdi, %rdi
	jz 3f
	mov (%rsi), %ecx
	rdmsr
	mov %eax, 16(%rsi)
	mov %edx, 20(%rsi)
	add $24, %rsi
	dec %rdi
	jmp 2b
3:	cmpq $0, SG_DELTA
	je 4f
	call wait_for_timer
4:	testb $SG_MP, SG_FLAGS
	jz 5f
	call call_other
5:	testb $SG_USER, SG_FLAGS
	jz 6f
	pushq $SG_SEL_UDATA
	pushq $SG_USER_RSP
	pushq $2
	pushq $SG_SEL_UCODE
	lea user(%rip), %rax
	push %rax
	iretq
6:	out %al, $SG_PORT_DONE
7:	cli
	hlt
	jmp 7b

user:
	out %al, $SG_PORT_USER
	jmp user

fill_registers:
	mov %cr4, %rax
	or $CR4_OSXSAVE_SSE, %rax
	mov %rax, %cr4
	xor %ecx, %ecx
	xor %edx, %edx
	mov $7, %eax
	xsetbv
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovups SG_YMM_IN + 32 * \n, %ymm\n
	.endr
	fninit
	fldpi
	ret

store_registers:
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovups %ymm\n, SG_YMM_OUT + 32 * \n
	.endr
	fstpt SG_X87
	ret

wait_for_timer:
	testb $SG_IRQ, SG_FLAGS
	jz 2f
1:	cli
	cmpq $0, SG_TICKS
	jne 3f
	sti
timer_hlt:
	hlt
	jmp 1b
2:	mov $X2APIC_IRR2, %ecx
	rdmsr
	test $1, %eax
	jz 2b
	incq SG_TICKS
3:	ret

/* TSC here, there, here again: must never go down. */
call_other:
	STORE_TSC SG_TSC_1
	testb $SG_IRQ, SG_FLAGS
	jz 1f
	mov $X2APIC_ICR, %ecx
	mov $SG_VECTOR_IPI, %eax
	mov $1, %edx
	wrmsr
1:	movq $1, SG_GO
2:	pause
	cmpq $0, SG_AP_COUNT
	je 2b
	STORE_TSC SG_TSC_2
	ret

/* ---- vCPU 1 ---- */

sg_ap:
	call apic_on
	out %al, $SG_PORT_AP
	testb $SG_IRQ, SG_FLAGS
	jz 2f
1:	sti
	hlt
	jmp 1b
2:	pause
	cmpq $0, SG_GO
	je 2b
	STORE_TSC SG_AP_TSC
	incq SG_AP_COUNT
3:	cli
	hlt
	jmp 3b

/* ---- interrupts ---- */

sg_timer:
	push %rax
	push %rcx
	push %rdx
	incq SG_TICKS
	lea timer_hlt(%rip), %rax
	cmp %rax, 24(%rsp)
	jne end_of_interrupt
	incq 24(%rsp)
	jmp end_of_interrupt

sg_ipi:
	push %rax
	push %rcx
	push %rdx
	STORE_TSC SG_AP_TSC
	incq SG_AP_COUNT
end_of_interrupt:
	SET_MSR X2APIC_EOI, 0
	pop %rdx
	pop %rcx
	pop %rax
	iretq

sg_fault:
	out %al, $SG_PORT_FAULT
	cli
	hlt
	jmp sg_fault

sg_end:

	.section .note.GNU-stack, "", @progbits
