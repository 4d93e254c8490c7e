/* SPDX-License-Identifier: MIT */
/*
 * guest-init as bytes of the husk binary: host and guest side of the protocol
 * can never be of different versions.
 */
	.section .rodata
	.balign 16
	.global husk_init_start
husk_init_start:
	.incbin GUEST_INIT
	.global husk_init_end
husk_init_end:
	.byte 0

	.section .note.GNU-stack, "", @progbits
