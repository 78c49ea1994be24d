// SPDX-License-Identifier: Apache-2.0

// Faults that the hardware finds on guest threads: traps of guest code, the end
// of the native stack, errors of the engine.

#include "arch.h"
#include "internal.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__thread struct jail *jail_self;

static struct sigaction go_action[NSIG]; // Go's, from before

// is_at_entry: the host call that ran out of stack is the guest's first function of the
// host's, which has made no frame yet, and so done nothing. Its return address cannot be
// replaced, and where there is no step either, nothing else would end the guest.
static bool is_at_entry(struct jail *j, const void *context)
{
	return !CAN_STEP && !jail_replace_return(j) && jail_is_module_code(context_return(context));
}

// overflow: no more stack. In guest code that is a trap like any other. In a host
// call the reserve is opened, so that the call can finish and give back its locks,
// and the guest ends when it returns.
static bool overflow(struct jail *j, siginfo_t *info, void *context)
{
	const char *at = info->si_addr;
	if (at < j->guard || at >= j->low)
		return false;
	if (!jail_in_guest_code(context) &&
		(j->fault == JAIL_END_OVERFLOW || !jail_open_reserve(j, at)))
		return false;
	j->fault = JAIL_END_OVERFLOW;
	if (is_at_entry(j, context))
		jail_end_guest(info, context);
	jail_deliver(j, info, context);
	return true;
}

// A fault of the engine itself, outside guest code and not at the end of the
// stack, leaves unknown state behind: the daemon stops, as for a fault in Go
// code. The guest's thread cannot do it (seccomp.c) and its stderr is the
// guest's, so another thread does.
static sem_t crashed;
static struct {
	int signal;
	void *address;
	uintptr_t pc;
	uint64_t guest;
} crash;

static void *report_crash(void *unused)
{
	while (sem_wait(&crashed) != 0)
		;
	fprintf(stderr,
		"containerd-wasm: signal %d at address %p, pc %#lx, in the WebAssembly engine "
		"while it served guest thread %llu: the daemon stops\n",
		crash.signal, crash.address, (unsigned long)crash.pc,
		(unsigned long long)crash.guest);
	abort();
	return unused;
}

void jail_stop_daemon(struct jail *j, const siginfo_t *info, uintptr_t pc)
{
	crash.signal = info->si_signo;
	crash.address = info->si_addr;
	crash.pc = pc;
	crash.guest = j->id;
	sem_post(&crashed);
	for (;;)
		pause();
}

// in_guest_memory: WasmEdge 0.14 computes the size of a list of a guest's in 32
// bits (getSpan), so a host call can run past the end of linear memory into what
// is reserved behind it. It reads there, and holds no lock: a trap like any other.
static bool in_guest_memory(const struct jail *j, int sig, const siginfo_t *info)
{
	const char *at = info->si_addr;
	return sig == SIGSEGV && at >= j->linear && at < j->linear_end;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	struct jail *j = jail_self;
	if (j == NULL) {
		go_action[sig].sa_sigaction(sig, info, context);
		return;
	}
	// That of return.c runs on the signal stack, and has no use for more of the other.
	bool needs_stack = j->unwinding == NULL || j->walk != NULL;
	if (sig == SIGSEGV && needs_stack && jail_grow_stack(j, info->si_addr))
		return;
	if (j->unwinding != NULL)
		siglongjmp(*j->unwinding, 1);
	if (guest_may_run(j)) {
		if (sig == SIGSEGV && overflow(j, info, context))
			return;
		if (jail_in_guest_code(context) || in_guest_memory(j, sig, info)) {
			context_step(context, false);
			jail_end_guest(info, context);
		}
	}
	jail_stop_daemon(j, info, context_pc(context));
}

void jail_install_handler(
	int sig, void (*handler)(int, siginfo_t *, void *), int flags, struct sigaction *old)
{
	struct sigaction action;
	memset(&action, 0, sizeof(action));
	action.sa_sigaction = handler;
	// SA_NODEFER: a handler is left by longjmp, which does not restore the
	// signal mask.
	action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | flags;
	sigaction(sig, &action, old);
}

const char *jail_signals_init(const void *keepalive)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE};
	sem_init(&crashed, 0, 0);
	pthread_t thread;
	if (jail_make_thread(&thread, report_crash, NULL) != 0)
		return "no thread to report crashes";
	pthread_detach(thread);
	for (size_t i = 0; i < 3; i++)
		sigaction(faults[i], NULL, &go_action[faults[i]]);
	const char *err = jail_keepalive_init(keepalive);
	if (err != NULL)
		return err;
	for (size_t i = 0; i < 3; i++)
		jail_install_handler(faults[i], on_fault, 0, NULL);
	jail_stop_init();
	return jail_code_init();
}
