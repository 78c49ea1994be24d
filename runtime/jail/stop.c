// SPDX-License-Identifier: Apache-2.0

// How a running guest is ended and held.
//
// WasmEdge's fault handler ends a guest by longjmp. That is safe only where
// WasmEdge and libc hold no lock and no half-made object: in guest code itself. A
// guest that waits in the middle of malloc would be no better. Everything here
// follows from that rule: when the interrupted instruction is not guest code, the
// thread goes on until its host call returns (return.c). Where the return address
// cannot be found, or replaced, it goes on one instruction at a time (arch.h), or
// until another signal.
//
//               signal, in guest code                 end_guest
//   running ------------------------------> stopped ------------> over
//      |  ^                                  ^  |
//      |  +------------ resumed -------------|--+
//      |                                     | the host call returned
//      +---- signal, in a host call ----> leaving
//
// A host call that blocks, or works for long: a kill makes it fail (take_calls_away,
// take_memory_away). A pause leaves it alone: the kernel (SA_RESTART) or interpose.c
// begin it again.

#include "arch.h"
#include "internal.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// Steps for one signal: about a thousand, 10 ms, end most host calls that may not
// block. Others go on at full speed until the kill is sent again.
#define MAX_STEPS 4000

static struct sigaction go_step, go_syscall; // Go's, from before

static bool must_end(const struct jail *j)
{
	return j->killed || j->fault;
}

static bool is_held(const struct jail *j)
{
	return j->paused && !must_end(j);
}

// jail_park: who pauses the guest again just before it goes on may see it parked, and
// then sends no signal: so it looks once more.
void jail_park(struct jail *j, enum jail_parked where)
{
	while (is_held(j)) {
		j->parked = where;
		int seen = j->changes;
		if (is_held(j))
			jail_futex_wait(&j->changes, seen);
		j->parked = NOT_PARKED;
	}
}

// steps says whether to look again after the next instruction. Only a kill is sent
// again, so only that may give up.
static bool steps(struct jail *j)
{
	if (j->fault || j->paused)
		return true;
	return ++j->steps <= MAX_STEPS;
}

// in_handler: the signal came during another one's handler. That looks itself. To
// step it would take a signal frame for each step, until the stack for them ends.
static bool in_handler(const struct jail *j, const void *context)
{
	uintptr_t sp = context_sp(context);
	return sp >= (uintptr_t)j->region && sp < (uintptr_t)j->guard;
}

// The trap flag must be off before the thread ends: with signals blocked, a
// pending step kills the process.
void jail_deliver(struct jail *j, siginfo_t *info, void *context)
{
	if (in_handler(j, context))
		return;
	context_step(context, false);
	if (!guest_may_run(j) || !(j->paused || must_end(j)))
		return;
	j->caught = 1;
	if (jail_in_guest_code(context)) {
		jail_park(j, PARKED_IN_HANDLER);
		if (must_end(j))
			jail_end_guest(info, context);
		return;
	}
	if (!jail_replace_return(j))
		context_step(context, steps(j));
}

void jail_stop_here(struct jail *j)
{
	siginfo_t info = {.si_signo = SIGSEGV};
	jail_park(j, PARKED_IN_HANDLER);
	if (must_end(j))
		jail_end_guest(&info, NULL);
}

// take_calls_away: the first signal of a kill takes from the thread every system call
// that could block, so that no host call waits, or begins to.
static void take_calls_away(struct jail *j)
{
	if (j->phase < PHASE_GUEST || j->taken_calls)
		return;
	j->taken_calls = true; // first: another signal may come in between
	jail_seccomp_end();
}

// take_memory_away, so that no host call works on it for long, nor the kernel, which
// looks for no signal while it reads or writes 2 GiB of a file: that fails then. In a
// host call it is a trap, and the call holds no lock. Not on the guest's thread: a
// signal would not come through.
static void take_memory_away(struct jail *j)
{
	if (!guest_may_run(j) || j->taken_memory || j->linear == NULL)
		return;
	j->taken_memory = true;
	mprotect(j->linear, (size_t)(j->linear_end - j->linear), PROT_NONE);
}

static void on_kill(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	struct jail *j = jail_self;
	if (j == NULL || !j->killed)
		return;
	int err = errno;
	j->steps = 0;
	take_calls_away(j);
	// Parked in a handler, the thread goes on there.
	if (j->parked != PARKED_IN_HANDLER)
		jail_deliver(j, info, context);
	errno = err;
}

static void on_pause(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	struct jail *j = jail_self;
	if (j == NULL || j->parked)
		return;
	int err = errno;
	j->steps = 0;
	jail_deliver(j, info, context);
	errno = err;
}

static void on_step(int sig, siginfo_t *info, void *context)
{
	struct jail *j = jail_self;
	if (j == NULL) {
		go_step.sa_sigaction(sig, info, context);
		return;
	}
	// Then it is the instruction at which libc aborts, which would come again for ever.
	if (!CAN_STEP)
		jail_stop_daemon(j, info, context_pc(context));
	int err = errno;
	jail_deliver(j, info, context);
	errno = err;
}

// on_syscall: the guest's seccomp profile ends who makes this call (TRAP, and the
// KILL actions, which would end the daemon). The call fails, and the guest ends
// when the host call returns: nothing in it may block until then.
static void on_syscall(int sig, siginfo_t *info, void *context)
{
	struct jail *j = jail_self;
	if (j == NULL) {
		go_syscall.sa_sigaction(sig, info, context);
		return;
	}
	int err = errno;
	context_fail_call(context, EPERM);
	if (guest_may_run(j) && !j->fault) {
		j->bad_call = info->si_syscall;
		j->fault = JAIL_END_SYSCALL;
		jail_seccomp_end();
		jail_deliver(j, info, context);
	}
	errno = err;
}

void jail_stop_init(void)
{
	// No SA_RESTART: a kill must end blocking calls, in set-up too.
	jail_install_handler(JAIL_SIGKILL, on_kill, 0, NULL);
	jail_install_handler(JAIL_SIGPAUSE, on_pause, SA_RESTART, NULL);
	jail_install_handler(SIGTRAP, on_step, 0, &go_step);
	jail_install_handler(SIGSYS, on_syscall, 0, &go_syscall);
}

static void tell(struct jail *j, int sig)
{
	j->changes++;
	jail_futex_wake(&j->changes);
	if (j->tid != 0)
		syscall(SYS_tgkill, getpid(), j->tid, sig);
}

int jail_signal_test(const struct jail *j)
{
	static const int signals[] = {JAIL_SIGKILL, JAIL_SIGPAUSE};
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		if (syscall(SYS_tgkill, getpid(), j->tid, signals[i]) != 0)
			return errno;
	return 0;
}

void jail_kill(struct jail *j)
{
	if (j->killed)
		take_memory_away(j);
	else if (j->tid != 0 && j->phase != PHASE_DONE)       // or the number may be another's soon
		setpriority(PRIO_PROCESS, (id_t)j->tid, -20); // among many that spin
	j->killed = 1;
	jail_start(j); // one that waits for its start ends without it
	// In every phase: it also ends a wait in set-up or in teardown.
	tell(j, JAIL_SIGKILL);
}

int jail_pause(struct jail *j)
{
	if (!j->paused) {
		j->caught = 0;
		j->paused = 1;
	}
	if (j->parked || (j->caught && CAN_STEP))
		return JAIL_HELD;
	tell(j, JAIL_SIGPAUSE);
	return j->caught ? JAIL_CAUGHT : JAIL_RUNS;
}

void jail_resume(struct jail *j)
{
	j->paused = 0;
	j->changes++;
	jail_futex_wake(&j->changes);
}
