// SPDX-License-Identifier: Apache-2.0

// Shared by the C files of this package only.
#pragma once

#include "jail.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <wasmedge/wasmedge.h>

// Ends guests. Linux never sends it, and it is not a real-time signal: those
// queue, and a guest that did not run for a while would get a frame on its
// signal stack for each.
#define JAIL_SIGKILL SIGSTKFLT
// Makes them look whether they are to be held.
#define JAIL_SIGPAUSE SIGPWR

enum jail_phase {
	PHASE_SETUP,
	PHASE_CREATED,
	PHASE_GUEST, // guest code may run
	PHASE_DONE,
};

enum jail_parked {
	NOT_PARKED,
	PARKED_IN_HANDLER, // of a signal that found it in guest code
	PARKED_IN_CALL,    // in a host call that blocks (interpose.c)
};

struct jail {
	uint64_t id;
	const struct jail_spec *spec;
	pthread_t thread; // if spawned
	_Atomic int spawned;
	_Atomic int tid;
	_Atomic int phase;
	_Atomic int ordered; // futex: there is a spec
	_Atomic int ready;   // instantiated
	_Atomic int start;   // futex: 0 wait, 1 start or end
	_Atomic int killed;
	_Atomic int paused;    // is to be held
	_Atomic int caught;    // since then the thread has taken the signal
	_Atomic int parked;    // enum jail_parked: waits to be resumed
	_Atomic int changes;   // futex: counts those of killed and paused
	_Atomic int fault;     // enum jail_ending for which it is to end, or 0
	int bad_call;          // number of the system call (JAIL_END_SYSCALL)
	sigjmp_buf *unwinding; // where a fault of the unwinder goes on, or NULL
	uintptr_t return_to;   // where the host call would return (return.c)
	bool taken_calls;      // of the thread: what blocks
	bool taken_memory;     // of the sender of kills
	int steps;             // instructions stepped for the current signal
	struct jail_result result;

	// trace.c
	struct jail_walk *walk; // that goes on, or NULL
	struct jail_trace trace;
	char *_Atomic description; // of it, or NULL
	_Atomic int described;

	// One mapping, from its start: signal stack, guard, stack (thread.c). Of
	// the stack, what is below low is not accessible yet.
	char *region;
	size_t stack_size;
	char *guard, *stack, *low;

	// budget.c
	struct jail_limit *limit;
	_Atomic uint64_t memory; // bytes that count against the limit
	uint64_t charged;        // bytes, all together
	uint64_t prepaid;        // bytes that the instance's memory may take
	_Atomic int refused;     // enum jail_refusal
	bool owes;               // it is over, and nothing is given back yet
	// The address space that is reserved for linear memory (interpose.c).
	char *linear, *linear_end;

	struct jail_wasm *wasm;   // or NULL
	struct jail_large *large; // what it may lose (interpose.c)

	// resolve.c
	_Atomic uint32_t lookup; // number of the question, and how far it is
	const struct jail_query *query;
	struct jail_answer *answer;

	_Atomic int events; // not yet taken; not 0: queued (event.c)
	struct jail *next;
};

// guest_may_run says whether the thread may be in guest code.
static inline int guest_may_run(const struct jail *j)
{
	return j->phase == PHASE_GUEST;
}

// The guest that the calling thread runs; NULL on every other thread.
extern __thread struct jail *jail_self;

// fault.c
const char *jail_signals_init(const void *keepalive);
void jail_install_handler(
	int sig, void (*handler)(int, siginfo_t *, void *), int flags, struct sigaction *old);
_Noreturn void jail_stop_daemon(struct jail *j, const siginfo_t *info, uintptr_t pc);

// stop.c
void jail_stop_init(void);
// Ends the guest, holds it, or arranges for another look.
void jail_deliver(struct jail *j, siginfo_t *info, void *context);
// Ends or holds the guest whose host call has just returned.
void jail_stop_here(struct jail *j);
// Holds the calling guest's thread while it is paused.
void jail_park(struct jail *j, enum jail_parked where);

// return.c: true: the running host call returns to jail_stop_here.
bool jail_replace_return(struct jail *j);

// code.c
const char *jail_code_init(void);
void jail_code_add(const void *at, size_t size);
void jail_code_add_frames(const void *frames); // of what the thread has added last
void jail_code_remove(const void *at, size_t size);
bool jail_is_module_code(uintptr_t pc);
// jail_code_offset returns which module's code an address is in, NULL if in none, and
// how far from where that begins.
const void *jail_code_offset(uintptr_t pc, uint64_t *offset);
// jail_code_find finds the function that an address is in, and its entry in .eh_frame. It
// looks at so many entries, and takes them from budget.
struct jail_function {
	uintptr_t start, end;
	const void *entry;
};
bool jail_code_find(uintptr_t pc, struct jail_function *function, size_t *budget);
bool jail_in_guest_code(const void *context);

// keepalive.c
const char *jail_keepalive_init(const void *module);
void jail_end_guest(siginfo_t *info, void *context); // does not return from guest code
// A thread that is no guest; it takes no signals. Returns an error number.
int jail_make_thread(pthread_t *thread, void *(*main)(void *), void *arg);

// budget.c: false: refused, and noted.
bool jail_share_limit(struct jail *j, uint64_t bytes, struct jail *beside);
void jail_leave_limit(struct jail *j);
uint64_t jail_limit(const struct jail *j);
uint64_t jail_limit_used(const struct jail *j);
int jail_charge_overhead(struct jail *j, uint64_t bytes); // 0, EDQUOT or EBUSY: jail_create
bool jail_prepay(struct jail *j, uint64_t bytes);
bool jail_charge(struct jail *j, uint64_t bytes);
bool jail_charge_stack(struct jail *j, uint64_t bytes);
void jail_charge_anyway(struct jail *j, uint64_t bytes); // what cannot be refused
bool jail_charge_memory(struct jail *j, uint64_t bytes);
void jail_uncharge(struct jail *j, uint64_t bytes);
void jail_uncharge_memory(struct jail *j, uint64_t bytes);
void jail_owe(struct jail *j);   // it is over
void jail_repay(struct jail *j); // what it was charged is free again

// interpose.c
const char *jail_interpose_init(void);
void jail_delete_lost(struct jail *j); // once nothing of the guest's is in use

// trace.c
const char *jail_trace_init(void);
_Noreturn void __longjmp_chk(struct __jmp_buf_tag *to, int value);
struct jail_bases;
const void *_Unwind_Find_FDE(void *pc, struct jail_bases *bases);
// jail_await_description returns the text for the trace, empty if there is none.
const char *jail_await_description(struct jail *j);

// event.c
void jail_post(struct jail *j, int events);
void jail_futex_wait(_Atomic int *addr, int value);
void jail_futex_wake(_Atomic int *addr);

// isolate.c: moves the calling thread; 0, or -1 and errno.
int jail_join_cgroup(const char *file);

// Each returns 0, or -1 after jail_fail.
int jail_own_state(struct jail *j); // needs no spec
int jail_isolate(struct jail *j);
int jail_drop_privileges(struct jail *j);
// From unconfined, a thread with no_new_privs may change to any profile, and from
// there not back. What comes before that, the profile need not allow.
int jail_apply_apparmor(struct jail *j);

// Each returns NULL, or what failed.
const char *jail_seccomp(void); // for the calling thread and those it makes
int jail_seccomp_profile(struct jail *j);
void jail_seccomp_end(void); // leaves the calling thread what ending takes
const char *jail_spawner_init(const char *cgroup);
const char *jail_janitor_init(void);

// thread.c, spawn.c
void *jail_thread_main(void *jail);
// jail_new makes what a thread needs, jail_delete gives it back,
// when the thread is gone.
struct jail *jail_new(size_t stack_size);
void jail_delete(struct jail *j);
size_t jail_stack_size(size_t bytes);
bool jail_grow_stack(struct jail *j, const char *to);
bool jail_open_reserve(struct jail *j, const char *to);
void jail_spawn(struct jail *j);
// A thread that is warmed up, and waits for its work order.
struct jail *jail_take_spare(size_t stack_size);
void jail_offer_spare(struct jail *j, bool taken); // taken: again, after jail_take_spare
const char *jail_isolate_init(void);
int jail_keep_out(void);

// errno.c: what an error is for WASI, or the next best.
int jail_wasi_errno(int err);

// root.c
extern int jail_template_ns; // fd in the process's table
const char *jail_root_init(void);
int jail_enter_root(struct jail *j);
int jail_set_mount_attr(struct jail *j, int fd, uint64_t attr, int flags, const char *path);

// hide.c
int jail_open_masks(struct jail *j);
int jail_hide(struct jail *j, int masks);

// jail_fail records the errno and the failed step; returns -1.
int jail_fail(struct jail *j, const char *step, const char *path);

// resolve.c
WasmEdge_Result jail_getaddrinfo(void *data, const WasmEdge_CallingFrameContext *frame,
	const WasmEdge_Value *in, WasmEdge_Value *out);

// wasi.c
void jail_replace_functions(WasmEdge_ModuleInstanceContext *wasi);

// A string for the engine that is not copied, so that there is nothing to delete.
static inline WasmEdge_String jail_string(const char *s)
{
	return WasmEdge_StringWrap(s, (uint32_t)strlen(s));
}

// wasm.c
struct jail_wasm;
int jail_wasm_create(struct jail *j); // 0, or -1 with a message
void jail_wasm_open(struct jail *j);
bool jail_wasm_prepay(struct jail *j);
bool jail_wasm_instantiate(struct jail *j);
void jail_wasm_run(struct jail *j);
void jail_wasm_delete(struct jail *j);
