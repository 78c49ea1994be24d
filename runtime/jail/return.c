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

#if CAN_REPLACE_RETURN

extern char jail_return[]; // return_amd64.S

struct search {
	const struct jail *j;
	uintptr_t *slot; // of the return address into guest code
	bool done;       // it is ours already
};

static _Unwind_Reason_Code visit(struct _Unwind_Context *frame, void *arg)
{
	struct search *s = arg;
	int interrupted; // by a signal: its caller's address is on no stack
	uintptr_t pc = _Unwind_GetIPInfo(frame, &interrupted);
	if (pc == (uintptr_t)jail_return) {
		s->done = true;
		return _URC_END_OF_STACK;
	}
	if (!jail_is_module_code(pc))
		return _URC_NO_REASON;
	// NOLINTNEXTLINE(performance-no-int-to-ptr): the frame of what it called ends here.
	uintptr_t *slot = (uintptr_t *)_Unwind_GetCFA(frame) - 1;
	const char *at = (const char *)slot, *top = s->j->stack + s->j->stack_size;
	if (!interrupted && at >= s->j->low && at < top && *slot == pc)
		s->slot = slot;
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
		j->return_to = *s.slot;
		*s.slot = (uintptr_t)jail_return;
		s.done = true;
	}
	return s.done;
}

// jail_returned is called when the host call has returned. It returns where the
// guest goes on.
uintptr_t jail_returned(void)
{
	struct jail *j = jail_self;
	uintptr_t to = j->return_to;
	jail_stop_here(j);
	return to;
}

#else

bool jail_replace_return(struct jail *j)
{
	(void)j;
	return false;
}

#endif
