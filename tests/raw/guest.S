/* SPDX-License-Identifier: MIT */
/*
 * The guest of the raw tests: an interpreter of a list of commands, which the
 * test has put into memory. So a test says in C what its guest does, and what
 * the guest read stands in the list afterwards.
 *
 * It runs where the loader enters a kernel: 64-bit mode, flat, memory mapped
 * one to one, interrupts off. Position-independent, no stack, no memory but
 * the list. A command is 24 bytes: op (8), address or port (8), value (8);
 * ops are in machine.h. A vCPU put to guest_next runs the list in its RSI.
 *
 * guest_ap is what a second vCPU runs: 16-bit code, told by its start-up
 * message to begin at a page below 64 KiB. It offers eight requests more than
 * were used on the queue whose rings lie at RAW_LOW_*, for ever.
 */
#include "machine.h"

	.section .rodata
	.balign 16
	.code64
	.global guest_start, guest_next, guest_end, guest_ap_start, guest_ap_end

#define OP(n)	cmp $n, %eax; je op_##n

guest_start:
	mov $RAW_LIST, %esi
guest_next:
next:
	mov (%rsi), %eax
	mov 8(%rsi), %rdi
	mov 16(%rsi), %rbx
	mov %edi, %edx
	OP(RAW_WRITE8)
	OP(RAW_WRITE16)
	OP(RAW_WRITE32)
	OP(RAW_WRITE64)
	OP(RAW_READ8)
	OP(RAW_READ16)
	OP(RAW_READ32)
	OP(RAW_READ64)
	OP(RAW_OUT8)
	OP(RAW_OUT16)
	OP(RAW_OUT32)
	OP(RAW_IN8)
	OP(RAW_IN16)
	OP(RAW_IN32)
	OP(RAW_OUTS)
	OP(RAW_WRMSR)
	OP(RAW_RDMSR)
	OP(RAW_WAIT16)
	OP(RAW_SPIN)
	OP(RAW_TRIPLE)
	OP(RAW_JUMP)
	/* RAW_HALT, and whatever is no command. */
halt:
	cli
	hlt
	jmp halt

op_RAW_WRITE8:
	mov %bl, (%rdi)
	jmp done
op_RAW_WRITE16:
	mov %bx, (%rdi)
	jmp done
op_RAW_WRITE32:
	mov %ebx, (%rdi)
	jmp done
op_RAW_WRITE64:
	mov %rbx, (%rdi)
	jmp done
op_RAW_READ8:
	xor %ebx, %ebx
	mov (%rdi), %bl
	jmp answer
op_RAW_READ16:
	xor %ebx, %ebx
	mov (%rdi), %bx
	jmp answer
op_RAW_READ32:
	mov (%rdi), %ebx
	jmp answer
op_RAW_READ64:
	mov (%rdi), %rbx
	jmp answer
op_RAW_OUT8:
	mov %ebx, %eax
	out %al, %dx
	jmp done
op_RAW_OUT16:
	mov %ebx, %eax
	out %ax, %dx
	jmp done
op_RAW_OUT32:
	mov %ebx, %eax
	out %eax, %dx
	jmp done
op_RAW_IN8:
	xor %eax, %eax
	in %dx, %al
	mov %rax, %rbx
	jmp answer
op_RAW_IN16:
	xor %eax, %eax
	in %dx, %ax
	mov %rax, %rbx
	jmp answer
op_RAW_IN32:
	in %dx, %eax
	mov %rax, %rbx
	jmp answer
	/* Value: a length; the bytes are those behind the list. */
op_RAW_OUTS:
	mov %rsi, %r8
	mov $RAW_TEXT, %esi
	mov %ebx, %ecx
	cld
	rep outsb
	mov %r8, %rsi
	jmp done
op_RAW_WRMSR:
	mov %edi, %ecx
	mov %ebx, %eax
	mov %rbx, %rdx
	shr $32, %rdx
	wrmsr
	jmp done
op_RAW_RDMSR:
	mov %edi, %ecx
	rdmsr
	shl $32, %rdx
	mov %eax, %ebx
	or %rdx, %rbx
	jmp answer
	/* Until the word in memory is the value. */
op_RAW_WAIT16:
	mov (%rdi), %ax
	cmp %bx, %ax
	jne op_RAW_WAIT16
	jmp done
op_RAW_SPIN:
	jmp op_RAW_SPIN
	/* No interrupt table, then a fault: the fault's fault has none. */
op_RAW_TRIPLE:
	lidt 8(%rsi)
	ud2
	jmp halt
	/* Another list. */
op_RAW_JUMP:
	mov %rdi, %rsi
	jmp next

answer:
	mov %rbx, 16(%rsi)
done:
	add $24, %rsi
	jmp next
guest_end:

	.code16
guest_ap_start:
	xor %ax, %ax
	mov %ax, %ds
1:	mov RAW_LOW_USED + 2, %ax
	add $8, %ax
	mov %ax, RAW_LOW_AVAIL + 2
	jmp 1b
guest_ap_end:

	.section .note.GNU-stack, "", @progbits
