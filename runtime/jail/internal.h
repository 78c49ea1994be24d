// SPDX-License-Identifier: Apache-2.0

// Shared by the C files of this package only.
#pragma once

#include "jail.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

// Ends guests. Linux never sends it, and it is not a real-time signal: those
// queue, and a guest that did not run for a while would get a frame on its
// signal stack for each.
#define JAIL_SIGKILL SIGSTKFLT

enum jail_phase {
	PHASE_SETUP,
	PHASE_CREATED,
	PHASE_GUEST, // guest code may run
	PHASE_DONE,
};

struct jail {
	uint64_t id;
	const struct jail_spec *spec;
	pthread_t thread; // if spawned
	_Atomic int spawned;
	_Atomic int tid;
	_Atomic int phase;
	_Atomic int start; // futex: 0 wait, 1 start or end
	_Atomic int killed;
	_Atomic int overflowed;
	int kills; // signals taken since the guest was to end
	int steps; // instructions stepped for the current signal
	struct jail_result result;

	// One mapping, from its start: signal stack, guard, reserve, stack
	// (thread.c). The reserve is usable only to finish a host call after an
	// overflow.
	char *region;
	char *guard, *reserve, *stack;

	pthread_mutex_t memory_lock; // guards memory against teardown
	const void *memory;          // WasmEdge_MemoryInstanceContext or NULL
	char *linear;                // where it begins; never moves

	int events; // not yet taken; not 0: queued (event.c)
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
// A thread that is no guest; it takes no signals. Returns an error number.
int jail_make_thread(pthread_t *thread, void *(*main)(void *), void *arg);

// event.c
void jail_post(struct jail *j, int events);
void jail_futex_wait(_Atomic int *addr, int value);
void jail_futex_wake(_Atomic int *addr);

// isolate.c: each returns 0, or -1 after jail_fail.
int jail_isolate(struct jail *j);
int jail_drop_privileges(struct jail *j);

// Each returns NULL, or what failed.
const char *jail_seccomp(void); // for the calling thread and those it makes
void jail_seccomp_end(void);    // leaves the calling thread what ending takes
const char *jail_spawner_init(void);

// thread.c, spawn.c
void *jail_thread_main(void *jail);
size_t jail_stack_size(const struct jail_spec *spec);
void jail_spawn(struct jail *j);
const char *jail_isolate_init(void);

// root.c
extern int jail_template_ns; // fd in the process's table
const char *jail_root_init(void);
int jail_enter_root(struct jail *j);

// jail_fail records the errno and the failed step; returns -1.
int jail_fail(struct jail *j, const char *step, const char *path);

// wasm.c
struct jail_wasm;
struct jail_wasm *jail_wasm_create(struct jail *j);
void jail_wasm_run(struct jail *j, struct jail_wasm *w);
void jail_wasm_delete(struct jail *j, struct jail_wasm *w);
