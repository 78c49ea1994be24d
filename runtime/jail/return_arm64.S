// SPDX-License-Identifier: Apache-2.0

// Where a host call of a guest returns to when its return address was replaced
// (return.c): calls jail_returned, and goes on where that address led, with the result
// of the host call: a C function's is in x0, x1, v0 or v1.
//
// The address is on the stack again before that, where the unwinder looks for it: the
// guest may end there, and is traced then (trace.c).

	.text
	.globl	jail_return
	.hidden	jail_return
	.type	jail_return, %function
jail_return:
	.cfi_startproc
	.cfi_undefined x30
	sub	sp, sp, #64
	stp	x0, x1, [sp]
	stp	q0, q1, [sp, #16]
	bl	jail_return_address
	str	x0, [sp, #56]
	.cfi_def_cfa sp, 64
	.cfi_offset x30, -8
	bl	jail_returned
	ldr	x16, [sp, #56]
	ldp	q0, q1, [sp, #16]
	ldp	x0, x1, [sp]
	add	sp, sp, #64
	.cfi_def_cfa_offset 0
	.cfi_undefined x30
	br	x16
	.cfi_endproc
	.size	jail_return, .-jail_return

	.section .note.GNU-stack, "", %progbits
