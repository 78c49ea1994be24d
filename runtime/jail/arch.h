// SPDX-License-Identifier: Apache-2.0

// How a signal handler finds the interrupted instruction, how it gets control
// back soon, and how it makes the interrupted system call fail: the one place
// where processors differ.
//
//                  x86-64                          arm64
//   return.c       replaces the host call's        the same, in its frame record, if the
//                  return address, on the stack    call has one yet; it may be signed
//   CAN_STEP       else the trap flag: SIGTRAP     no: user space cannot set such a flag
//                  after each instruction
//   context_return 0: has no use there             where the function that was interrupted
//                                                  returns to, as long as it has called no
//                                                  other
//   JAIL_RESENDS   no                              else the sender sends again, until a
//                                                  signal finds guest code
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#if defined(__x86_64__)
#define CAN_STEP 1
#define TRAP_FLAG 0x100
static inline uintptr_t context_pc(const ucontext_t *u)
{
	return (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
}
static inline uintptr_t context_sp(const ucontext_t *u)
{
	return (uintptr_t)u->uc_mcontext.gregs[REG_RSP];
}
static inline uintptr_t context_return(const ucontext_t *u)
{
	(void)u;
	return 0;
}
static inline void context_step(ucontext_t *u, bool on)
{
	if (on)
		u->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
	else
		u->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
}
static inline void context_fail_call(ucontext_t *u, int err)
{
	u->uc_mcontext.gregs[REG_RAX] = -err;
}
#elif defined(__aarch64__)
#define CAN_STEP 0
static inline uintptr_t context_pc(const ucontext_t *u)
{
	return (uintptr_t)u->uc_mcontext.pc;
}
static inline uintptr_t context_sp(const ucontext_t *u)
{
	return (uintptr_t)u->uc_mcontext.sp;
}
static inline uintptr_t context_return(const ucontext_t *u)
{
	register uintptr_t x30 __asm__("x30") = (uintptr_t)u->uc_mcontext.regs[30];
	__asm__("hint #7" : "+r"(x30)); // xpaclri: the function may have signed it already
	return x30;
}
static inline void context_step(ucontext_t *u, bool on)
{
	(void)u;
	(void)on;
}
static inline void context_fail_call(ucontext_t *u, int err)
{
	u->uc_mcontext.regs[0] = (unsigned long long)-err;
}
#else
#error "no way to interrupt a guest on this architecture"
#endif

// For the senders (guest.go).
#define JAIL_RESENDS (!CAN_STEP)
