/* SPDX-License-Identifier: MIT */
/*
 * A stand-in for guest-init in tests of what wraps it: 23 bytes, a length that
 * needs padding.
 */
	.section .rodata
	.global husk_init_start
husk_init_start:
	.ascii "stand-in for guest-init"
	.global husk_init_end
husk_init_end:
	.byte 0xff

	.section .note.GNU-stack, "", @progbits
