// SPDX-License-Identifier: Apache-2.0

// Where a host call of a guest returns to when its return address was replaced
// (return.c): calls jail_returned, and goes on where that says, with the result of
// the host call: a C function's is in rax, rdx, xmm0 or xmm1.

	.text
	.globl	jail_return
	.hidden	jail_return
	.type	jail_return, @function
jail_return:
	// The stack is aligned to 16 bytes here, as it was before the call.
	sub	$64, %rsp
	mov	%rax, (%rsp)
	mov	%rdx, 8(%rsp)
	movups	%xmm0, 16(%rsp)
	movups	%xmm1, 32(%rsp)
	call	jail_returned
	mov	%rax, 56(%rsp)
	mov	(%rsp), %rax
	mov	8(%rsp), %rdx
	movups	16(%rsp), %xmm0
	movups	32(%rsp), %xmm1
	add	$56, %rsp
	ret
	.size	jail_return, .-jail_return

	.section .note.GNU-stack, "", @progbits
