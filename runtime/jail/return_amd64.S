// SPDX-License-Identifier: Apache-2.0

// Where a host call of a guest returns to when its return address was replaced
// (return.c): calls jail_returned, and goes on where that address led, with the result
// of the host call: a C function's is in rax, rdx, xmm0 or xmm1.
//
// The address is on the stack again before that, where the unwinder looks for it: the
// guest may end there, and is traced then (trace.c).

	.text
	.globl	jail_return
	.hidden	jail_return
	.type	jail_return, @function
jail_return:
	.cfi_startproc
	.cfi_undefined rip
	// The stack is aligned to 16 bytes here, as it was before the call.
	sub	$64, %rsp
	mov	%rax, (%rsp)
	mov	%rdx, 8(%rsp)
	movups	%xmm0, 16(%rsp)
	movups	%xmm1, 32(%rsp)
	call	jail_return_address
	mov	%rax, 56(%rsp)
	.cfi_def_cfa rsp, 64
	.cfi_offset rip, -8
	call	jail_returned
	mov	(%rsp), %rax
	mov	8(%rsp), %rdx
	movups	16(%rsp), %xmm0
	movups	32(%rsp), %xmm1
	add	$56, %rsp
	.cfi_def_cfa_offset 8
	ret
	.cfi_endproc
	.size	jail_return, .-jail_return

	.section .note.GNU-stack, "", @progbits
