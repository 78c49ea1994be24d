// SPDX-License-Identifier: Apache-2.0

// Where a host call of a guest returns to when its return address was replaced
// (return.c): calls jail_returned, and goes on where that says, with the result of
// the host call: a C function's is in x0, x1, v0 or v1.

	.text
	.globl	jail_return
	.hidden	jail_return
	.type	jail_return, %function
jail_return:
	sub	sp, sp, #48
	stp	x0, x1, [sp]
	stp	q0, q1, [sp, #16]
	bl	jail_returned
	mov	x16, x0
	ldp	q0, q1, [sp, #16]
	ldp	x0, x1, [sp]
	add	sp, sp, #48
	br	x16
	.size	jail_return, .-jail_return

	.section .note.GNU-stack, "", %progbits
