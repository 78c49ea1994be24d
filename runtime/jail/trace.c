// SPDX-License-Identifier: Apache-2.0

// In which functions a guest was when it trapped.
//
// All traps end in a longjmp of the engine's, back to where it called the guest: those
// that compiled code finds itself, those that a host call ends in, and faults (fault.c).
// Just before it, all of the guest's frames are still there. The unwinder walks them, on
// the guest's own thread: the engine's frames first and, if there was a signal, its
// handler's, then those of the module's code, for which it gets the tables here that
// the engine has registered (code.c). So it takes no lock, and allocates nothing, here
// as little as in return.c. What it is told about the guest's code comes from where the
// code itself comes from, and a fault on its way ends the walk.
//
//   trap --longjmp--> walk --> back in jail_wasm_run --+--> wait for the text --> log
//                                                      |         ^
//                                        JAIL_EV_TRAPPED         jail_describe
//
// A guest that is to be killed is not traced, and does not wait.

#include "internal.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <unwind.h>

// Frames to look at, of 100,000 that endless recursion may make, and entries of tables:
// some milliseconds. A kill waits for that.
#define MAX_WALK 4096
#define MAX_ENTRIES ((size_t)1 << 20)

#define RECENT 16

struct jail_walk {
	struct jail_trace *trace;
	const void *module; // whose frames these are: the first that is found
	int seen;
	size_t budget;                       // entries left
	struct jail_function recent[RECENT]; // recursion comes to the same ones again
	unsigned latest;
};

static void add(struct jail_trace *t, uint64_t offset)
{
	if (t->n < JAIL_MAX_FRAMES)
		t->frames[t->n++] = (uint32_t)offset;
	else
		t->more++;
}

// visit: a frame is in a module if its code is, and then the unwinder knows of which
// function it is.
static _Unwind_Reason_Code visit(struct _Unwind_Context *frame, void *arg)
{
	struct jail_walk *w = arg;
	int interrupted;
	uintptr_t pc = _Unwind_GetIPInfo(frame, &interrupted);
	if (!interrupted)
		pc--; // else it is where the call returns to, which may be another function
	uint64_t offset;
	const void *module = jail_code_offset(pc, &offset);
	if (w->module == NULL)
		w->module = module;
	if (module != NULL && module == w->module &&
		jail_code_offset(_Unwind_GetRegionStart(frame), &offset) == module)
		add(w->trace, offset);
	if (++w->seen < MAX_WALK && w->budget > 0)
		return _URC_NO_REASON;
	w->trace->cut = 1;
	return _URC_END_OF_STACK;
}

static const struct jail_function *find_function(struct jail_walk *w, uintptr_t pc)
{
	for (unsigned i = 0; i < RECENT; i++)
		if (pc >= w->recent[i].start && pc < w->recent[i].end)
			return &w->recent[i];
	struct jail_function *f = &w->recent[w->latest++ % RECENT];
	if (jail_code_find(pc, f, &w->budget))
		return f;
	*f = (struct jail_function){0};
	return NULL;
}

static void walk(struct jail *j)
{
	sigjmp_buf fault;
	struct jail_walk w = {.trace = &j->trace, .budget = MAX_ENTRIES};
	j->trace = (struct jail_trace){.n = 0};
	if (sigsetjmp(fault, 0) == 0) {
		j->unwinding = &fault; // signals leave it alone (return.c)
		j->walk = &w;
		_Unwind_Backtrace(visit, &w);
	}
	j->walk = NULL;
	j->unwinding = NULL;
}

// trace is for what ends a call of guest code. proc_exit is no trap, and neither is
// what ends a walk of the unwinder.
static void trace(int code)
{
	struct jail *j = jail_self;
	if (j == NULL || !guest_may_run(j) || j->killed || j->unwinding != NULL ||
		!j->spec->traced || (uint32_t)code == WasmEdge_ErrCode_Terminated)
		return;
	walk(j);
}

static void (*_Atomic real_longjmp)(struct __jmp_buf_tag *, int);

// The engine's longjmp, as Debian builds it (_FORTIFY_SOURCE).
// NOLINTNEXTLINE(bugprone-reserved-identifier)
_Noreturn void __longjmp_chk(struct __jmp_buf_tag *to, int value)
{
	trace(value);
	if (real_longjmp == NULL)
		real_longjmp =
			(void (*)(struct __jmp_buf_tag *, int))dlsym(RTLD_NEXT, "__longjmp_chk");
	real_longjmp(to, value);
	__builtin_unreachable();
}

// struct dwarf_eh_bases of libgcc.
struct jail_bases {
	void *text, *data, *function;
};

static const void *(*_Atomic real_find)(void *, struct jail_bases *);

// How the unwinder finds what it has to know of a function (libgcc). Of modules' code
// it knows nothing (interpose.c), unless it is to walk through it.
const void *_Unwind_Find_FDE(
	void *pc, struct jail_bases *bases) // NOLINT(bugprone-reserved-identifier)
{
	struct jail_walk *w = jail_self != NULL ? jail_self->walk : NULL;
	if (w != NULL && jail_is_module_code((uintptr_t)pc)) {
		const struct jail_function *f = find_function(w, (uintptr_t)pc);
		// NOLINTNEXTLINE(performance-no-int-to-ptr)
		*bases = (struct jail_bases){NULL, NULL, f != NULL ? (void *)f->start : NULL};
		return f != NULL ? f->entry : NULL;
	}
	if (real_find == NULL)
		real_find = (const void *(*)(void *, struct jail_bases *))dlsym(
			RTLD_NEXT, "_Unwind_Find_FDE");
	return real_find(pc, bases);
}

// jail_trace_init makes sure that no signal handler has to ask the dynamic linker.
const char *jail_trace_init(void)
{
	real_longjmp = (void (*)(struct __jmp_buf_tag *, int))dlsym(RTLD_NEXT, "__longjmp_chk");
	real_find =
		(const void *(*)(void *, struct jail_bases *))dlsym(RTLD_NEXT, "_Unwind_Find_FDE");
	if (real_longjmp == NULL || real_find == NULL)
		return "libc has no __longjmp_chk, or libgcc_s no _Unwind_Find_FDE";
	return NULL;
}

const char *jail_await_description(struct jail *j)
{
	if (j->trace.n == 0)
		return "";
	jail_post(j, JAIL_EV_TRAPPED);
	for (;;) {
		int seen = j->changes;
		if (j->described || j->killed)
			break;
		jail_futex_wait(&j->changes, seen);
	}
	return j->described && j->description != NULL ? j->description : "";
}

const struct jail_trace *jail_get_trace(const struct jail *j)
{
	return &j->trace;
}

void jail_describe(struct jail *j, const char *text)
{
	if (j->described)
		return;
	j->description = strdup(text); // NULL: it goes on without
	j->described = 1;
	j->changes++;
	jail_futex_wake(&j->changes);
}
