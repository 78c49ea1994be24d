// SPDX-License-Identifier: Apache-2.0

// How a signal handler finds the interrupted instruction, how it gets control
// back soon, and how it makes the interrupted system call fail: the one place
// where processors differ.
//
// x86-64 has return addresses in a known place on the stack, which can be replaced
// (return.c), and a trap flag, by which the thread takes SIGTRAP after each
// instruction, if there is no such address. arm64 keeps return addresses anywhere,
// and has no trap flag that user space can set: the sender sends again and again
// (guest.go), and one of those signals finds the thread in guest code.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#if defined(__x86_64__)
#define CAN_STEP 1
#define CAN_REPLACE_RETURN 1 // with return_amd64.S
#define TRAP_FLAG 0x100
static inline uintptr_t context_pc(const ucontext_t *u)
{
	return (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
}
static inline uintptr_t context_sp(const ucontext_t *u)
{
	return (uintptr_t)u->uc_mcontext.gregs[REG_RSP];
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
#define CAN_REPLACE_RETURN 0
static inline uintptr_t context_pc(const ucontext_t *u)
{
	return (uintptr_t)u->uc_mcontext.pc;
}
static inline uintptr_t context_sp(const ucontext_t *u)
{
	return (uintptr_t)u->uc_mcontext.sp;
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
