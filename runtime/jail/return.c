// SPDX-License-Identifier: Apache-2.0

// How a guest's thread is stopped when its host call returns: the return address
// into guest code, on the stack, is replaced by one of ours. When control comes
// there, the call is over, with its locks given back and its objects gone, and the
// guest has not run on: as good a place as guest code itself.
//
// The unwinder finds the address. It is the one of C++ exceptions, and takes no
// lock (libgcc 12 with glibc 2.35: _dl_find_object) as long as nobody has registered
// frames with it, which the engine would do for each module (interpose.c): where a
// module's code begins, it knows no frame, and stops. It is used in a signal
// handler, from which it goes on to the interrupted frames. Those may be in the
// middle of something, such as a longjmp, for which it is told nothing useful: a
// fault on its way is no fault of the engine's, and only an address in the code of
// a module, on this stack, is believed.

#include "arch.h"
#include "internal.h"

#include <unwind.h>

extern char jail_return[]; // return_amd64.S, return_arm64.S

struct search {
	const struct jail *j;
	uintptr_t *slot; // of the return address into guest code
	uintptr_t ours;  // as it is to be there
	uintptr_t return_to;
	uintptr_t pointer; // frame pointer of the frame that was visited last
	bool done;         // it is ours already
};

static bool is_on_stack(const struct jail *j, const uintptr_t *slot)
{
	const char *at = (const char *)slot;
	return at >= j->low && at < j->stack + j->stack_size;
}

#if defined(__x86_64__)

// find_slot: frame is the guest's. That of what it called ends where its own has come
// to, below the return address.
static bool find_slot(struct search *s, struct _Unwind_Context *frame, uintptr_t pc)
{
	// NOLINTNEXTLINE(performance-no-int-to-ptr)
	s->slot = (uintptr_t *)_Unwind_GetCFA(frame) - 1;
	s->ours = (uintptr_t)jail_return;
	return is_on_stack(s->j, s->slot) && *s->slot == pc;
}

static uintptr_t frame_pointer(struct _Unwind_Context *frame)
{
	(void)frame;
	return 0;
}

#elif defined(__aarch64__)

// sign is pacia1716: how a function may keep its return address, with the stack pointer
// that it had at first. It changes nothing on processors that cannot.
static uintptr_t sign(uintptr_t address, uintptr_t modifier)
{
	register uintptr_t x17 __asm__("x17") = address;
	register uintptr_t x16 __asm__("x16") = modifier;
	__asm__("hint #8" : "+r"(x17) : "r"(x16));
	return x17;
}

// find_slot: what the guest called has a frame record, of its caller's frame pointer and
// its return address (AAPCS64), if it has come so far. frame is the guest's.
static bool find_slot(struct search *s, struct _Unwind_Context *frame, uintptr_t pc)
{
	uintptr_t stack = _Unwind_GetCFA(frame);
	// NOLINTNEXTLINE(performance-no-int-to-ptr)
	s->slot = (uintptr_t *)s->pointer + 1;
	if (s->pointer % 16 != 0 || !is_on_stack(s->j, s->slot))
		return false;
	bool is_signed = *s->slot != pc;
	s->ours = is_signed ? sign((uintptr_t)jail_return, stack) : (uintptr_t)jail_return;
	return !is_signed || *s->slot == sign(pc, stack);
}

static uintptr_t frame_pointer(struct _Unwind_Context *frame)
{
	return _Unwind_GetGR(frame, 29);
}

#endif

static _Unwind_Reason_Code visit(struct _Unwind_Context *frame, void *arg)
{
	struct search *s = arg;
	int interrupted; // by a signal: its caller's address is on no stack
	uintptr_t pc = _Unwind_GetIPInfo(frame, &interrupted);
	if (pc == (uintptr_t)jail_return) {
		s->done = true;
		return _URC_END_OF_STACK;
	}
	if (!jail_is_module_code(pc)) {
		s->pointer = frame_pointer(frame);
		return _URC_NO_REASON;
	}
	if (interrupted || !find_slot(s, frame, pc))
		s->slot = NULL;
	else
		s->return_to = pc;
	return _URC_END_OF_STACK;
}

bool jail_replace_return(struct jail *j)
{
	sigjmp_buf fault;
	struct search s = {.j = j};
	if (j->unwinding != NULL) // another signal came meanwhile
		return true;
	if (sigsetjmp(fault, 0) == 0) {
		j->unwinding = &fault;
		_Unwind_Backtrace(visit, &s);
	}
	j->unwinding = NULL;
	if (s.slot != NULL) {
		j->return_to = s.return_to;
		*s.slot = s.ours;
		s.done = true;
	}
	return s.done;
}

// jail_return_address is where the guest goes on after its host call, and jail_returned
// what comes before that. Both are called when the call has returned.
uintptr_t jail_return_address(void)
{
	return jail_self->return_to;
}

void jail_returned(void)
{
	jail_stop_here(jail_self);
}
