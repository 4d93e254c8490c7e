/* SPDX-License-Identifier: MIT */
/*
 * Kernels that are nothing but hostile, one for each GUEST_name: real ELF
 * files with the note that husk looks for, entered where a Linux kernel is: 64-bit
 * mode, flat, memory mapped one to one, interrupts off.
 */
#define UART	0x3f8
#define WINDOWS 0xd0000000

	.section .note.husk, "a", @note
	.long 6, 7, 0x100
	.asciz "Linux"
	.balign 4
	.asciz "husk-1"
	.balign 4

/* virtio 4.2.2: a queue whose three areas lie in a page each from `at` on. */
	.macro queue nr, size, at
	movl $\nr, 0x30(%rdi)
	movl $\size, 0x38(%rdi)
	movl $\at, 0x80(%rdi)
	movl $(\at + 0x1000), 0x90(%rdi)
	movl $(\at + 0x2000), 0xa0(%rdi)
	movl $1, 0x44(%rdi)
	.endm

/* virtio 3.1.1: reset, then up to where a driver sets up its queues; and on. */
	.macro driver_begin
	movl $0, 0x70(%rdi)
	movl $3, 0x70(%rdi)
	movl $1, 0x24(%rdi)
	movl $1, 0x20(%rdi)
	movl $11, 0x70(%rdi)
	.endm

	.macro driver_ok
	movl $15, 0x70(%rdi)
	.endm

	.macro kick nr
	movl $\nr, 0x50(%rdi)
	.endm

/* virtio 2.7.5: descriptor `nr` of the table at `at`; the rest of it is 0. */
	.macro buffer at, nr, addr, len
	movl $\addr, (\at + 16 * \nr)
	movl $\len, (\at + 16 * \nr + 8)
	.endm

	.text
	.code64
	.global _start
_start:
	cld
	mov $0x1a00000, %esp

#if defined(GUEST_hlt)
/* Intel SDM 2A, HLT: with interrupts off nothing ever wakes it. */
1:	cli
	hlt
	jmp 1b

#elif defined(GUEST_spin)
1:	cli
	jmp 1b

#elif defined(GUEST_triple)
/* SDM 3A 6.15: a fault, and no table to take it from. */
	push $0
	push $0
	lidt (%rsp)
	ud2

#elif defined(GUEST_reset)
	mov $0xfe, %al
	out %al, $0x64
1:	hlt
	jmp 1b

#elif defined(GUEST_windows)
/* virtio 4.2.2.2: any width, any offset, all windows, for ever. */
	call map_windows
	xor %ebx, %ebx
1:	imul $1664525, %ebx
	add $1013904223, %ebx
	mov %ebx, %eax
	shr $8, %eax
	and $0x3fff, %eax
	mov $WINDOWS, %edi
	add %rax, %rdi
	mov %ebx, (%rdi)
	mov %bl, 1(%rdi)
	mov (%rdi), %rax
	mov %bx, 2(%rdi)
	jmp 1b

#elif defined(GUEST_ports)
/* SDM 1 19.3: strings of all widths to and from every port but the reset. */
1:	mov $0x66, %edx
2:	mov $0x1000000, %esi
	mov $64, %ecx
	rep outsl
	mov $0x1800000, %edi
	mov $64, %ecx
	rep insb
	inc %edx
	cmp $0x10000, %edx
	jb 2b
	jmp 1b

#elif defined(GUEST_log)
/* The early console, as fast as it goes. */
1:	mov $UART, %edx
	mov $0x1000000, %esi
	mov $0x10000, %ecx
	rep outsb
	jmp 1b

#elif defined(GUEST_timer)
/* SDM 3A 11.5.4: a timer of one tick, again and again, and nobody listens. */
	mov $0x1b, %ecx
	mov $0xfee00d00, %eax
	xor %edx, %edx
	wrmsr
	mov $0x80f, %ecx
	mov $0x1ff, %eax
	wrmsr
	mov $0x83e, %ecx
	mov $0xb, %eax
	wrmsr
	mov $0x832, %ecx
	mov $0x20031, %eax
	wrmsr
	mov $0x838, %ecx
	mov $1, %eax
	wrmsr
	/* And a message to itself each time around. */
1:	mov $0x830, %ecx
	mov $0x40041, %eax
	xor %edx, %edx
	wrmsr
	jmp 1b

#elif defined(GUEST_rings)
/* virtio 2.7: the disk up, its ring of noise, kicked and reset for ever. */
	call map_windows
	mov $(WINDOWS + 0x1000), %edi
	xor %ebx, %ebx
1:	driver_begin
	queue 0, 8, 0x1800000
	driver_ok
	mov $0x1800000, %esi
	mov $40, %ecx
2:	imul $1664525, %ebx
	add $1013904223, %ebx
	mov %ebx, %eax
	shr $7, %eax
	mov %eax, (%rsi)
	add $4, %esi
	loop 2b
	movw $8, 0x1801002
	kick 0
	kick 0
	jmp 1b

#elif defined(GUEST_flood)
/*
 * virtio 2.7.13: the console's driver offers, for ever, what it has offered
 * before: 64 requests of 4 MiB each way, again as soon as the device has used
 * one. One kick at the start and none after, and interrupts go nowhere.
 */
	call map_windows
	mov $WINDOWS, %edi
	driver_begin
	queue 3, 16, 0x1800000
	queue 0, 64, 0x1804000
	queue 5, 64, 0x1808000
	driver_ok
	/* 5.3.6.2: port 0 is ready, and open. */
	movl $0x10003, 0x1803004
	movl $0x10006, 0x180300c
	buffer 0x1800000, 0, 0x1803000, 8
	buffer 0x1800000, 1, 0x1803008, 8
	movw $1, 0x1801006
	movw $2, 0x1801002
	/* Of 64 entries each is buffer 0. */
	buffer 0x1804000, 0, 0x2000000, 0x400000
	movw $2, 0x180400c
	buffer 0x1808000, 0, 0x2000000, 0x400000
	movw $64, 0x1805002
	movw $64, 0x1809002
	kick 3
	kick 0
	kick 5
1:	movw 0x1806002, %ax
	add $64, %ax
	movw %ax, 0x1805002
	movw 0x180a002, %ax
	add $64, %ax
	movw %ax, 0x1809002
	jmp 1b

#elif defined(GUEST_reads)
/* virtio 5.2.6: 128 reads of nearly 4 MiB with one kick, again and again. */
	call map_windows
	mov $(WINDOWS + 0x1000), %edi
	driver_begin
	queue 0, 128, 0x1800000
	driver_ok
	/* A header of zeros, then the data and the status in one. */
	buffer 0x1800000, 0, 0x1803000, 16
	movl $0x10001, 0x180000c
	buffer 0x1800000, 1, 0x2000000, 0x3ffe01
	movw $2, 0x180001c
1:	addw $128, 0x1801002
	kick 0
	jmp 1b

#else
#error "no such guest"
#endif

#if defined(GUEST_windows) || defined(GUEST_rings) || \
	defined(GUEST_flood) || defined(GUEST_reads)
/* The loader maps memory only: add the fourth GiB in a page of our own. */
map_windows:
	mov %cr3, %rsi
	mov (%rsi), %rsi
	and $~0xfff, %rsi
	movq $(0x1900000 + 3), 24(%rsi)
	mov $0x1900000, %edi
	mov $0xc0000083, %eax
	mov $512, %ecx
1:	mov %rax, (%rdi)
	add $8, %rdi
	add $0x200000, %rax
	loop 1b
	mov %cr3, %rax
	mov %rax, %cr3
	ret
#endif

	.section .note.GNU-stack, "", @progbits
