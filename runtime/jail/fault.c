// SPDX-License-Identifier: Apache-2.0

// Signals of guest threads: traps that the hardware finds, the end of the
// native stack, and the kill.
//
// WasmEdge installs its own SIGSEGV, SIGBUS and SIGFPE handlers for the whole
// process, without SA_ONSTACK, when the first guest enters compiled code, and
// sets them to SIG_DFL when the last one leaves: Go would then die of any nil
// dereference. So one parked guest stays in compiled code for ever
// (jail_signals_init), and handlers of ours stand before WasmEdge's on guest
// threads and before Go's everywhere else.
//
// WasmEdge's handler ends a guest by longjmp. That is safe only where WasmEdge
// and libc hold no lock and no half-made object: in guest code itself.
// Everything here follows from that rule: when a guest must end and the
// interrupted instruction is not guest code, the thread goes on, one
// instruction at a time, until it is.

#include "arch.h"
#include "internal.h"

#include <link.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <wasmedge/wasmedge.h>

// Steps for one signal: about a thousand, 10 ms, end a host call that may not
// block, unless it works on much memory; then it goes on at full speed until the
// kill is sent again.
#define MAX_STEPS 4000

// WasmEdge reserves 4 GiB before a linear memory and 8 GiB from its start, and
// nothing else is there (lib/system/allocator.cpp).
#define MEMORY_BEFORE ((uintptr_t)4 << 30)
#define MEMORY_AFTER ((uintptr_t)8 << 30)

__thread struct jail *jail_self;

static struct sigaction go_action[NSIG]; // Go's, from before
static struct sigaction we_action[NSIG]; // WasmEdge's

// Executable segments of every object in the process. Guest code is what is
// executable and not here. Nothing is loaded later: no guest reaches the
// resolver, which could load modules (wasm.c, isolate.c), and none may map
// executable pages (seccomp.c).
static struct {
	uintptr_t start, end;
} *texts;
static size_t n_texts;

static int collect_texts(struct dl_phdr_info *info, size_t size, void *err)
{
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X))
			continue;
		void *grown = realloc(texts, (n_texts + 1) * sizeof(*texts));
		if (grown == NULL) {
			*(const char **)err = "out of memory";
			return 1;
		}
		texts = grown;
		texts[n_texts].start = info->dlpi_addr + ph->p_vaddr;
		texts[n_texts].end = texts[n_texts].start + ph->p_memsz;
		n_texts++;
	}
	return 0;
}

static bool in_guest_code(const ucontext_t *u)
{
	uintptr_t pc = context_pc(u);
	for (size_t i = 0; i < n_texts; i++)
		if (pc >= texts[i].start && pc < texts[i].end)
			return false;
	return true;
}

// end_guest enters WasmEdge's fault path; it does not return.
static void end_guest(siginfo_t *info, ucontext_t *u)
{
	we_action[SIGSEGV].sa_sigaction(SIGSEGV, info, u);
}

// deliver ends the guest if it is to end and may end here, and otherwise
// arranges for another look. The trap flag must be off before the thread
// ends: with signals blocked, a pending step kills the process.
static void deliver(struct jail *j, siginfo_t *info, ucontext_t *u)
{
	context_step(u, false);
	if (!guest_may_run(j) || (!j->killed && !j->overflowed))
		return;
	if (in_guest_code(u))
		end_guest(info, u);
	// An overflow has nobody who sends again, so it is never given up.
	if (++j->steps <= MAX_STEPS || j->overflowed)
		context_step(u, true);
}

// on_kill: the first signal also takes from the thread every system call that
// could block, so that no host call lasts, or begins again.
static void on_kill(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	struct jail *j = jail_self;
	if (j == NULL || !j->killed)
		return;
	j->steps = 0;
	if (j->kills++ == 0 && j->phase >= PHASE_GUEST)
		jail_seccomp_end();
	deliver(j, info, context);
}

static void on_step(int sig, siginfo_t *info, void *context)
{
	struct jail *j = jail_self;
	if (j != NULL)
		deliver(j, info, context);
	else
		go_action[sig].sa_sigaction(sig, info, context);
}

// A fault below the stack is its end. In guest code that is a trap like any
// other. In a host call the reserve is opened, so that the call can finish and
// give back its locks, and the guest ends when it returns.
static bool overflow(struct jail *j, siginfo_t *info, ucontext_t *u)
{
	char *at = info->si_addr;
	if (at < j->guard || at >= j->stack)
		return false;
	if (!in_guest_code(u)) {
		if (at < j->reserve || j->overflowed)
			return false;
		if (mprotect(j->reserve, (size_t)(j->stack - j->reserve), PROT_READ | PROT_WRITE) !=
			0)
			return false;
	}
	j->overflowed = 1;
	deliver(j, info, u);
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
		"while it "
		"served guest thread %llu: the daemon stops\n",
		crash.signal, crash.address, (unsigned long)crash.pc,
		(unsigned long long)crash.guest);
	abort();
	return unused;
}

static void stop_daemon(struct jail *j, int sig, siginfo_t *info, ucontext_t *u)
{
	crash.signal = sig;
	crash.address = info->si_addr;
	crash.pc = context_pc(u);
	crash.guest = j->id;
	sem_post(&crashed);
	for (;;)
		pause();
}

// in_guest_memory: WasmEdge 0.14 computes the size of a list of a guest's in 32
// bits (getSpan), so a host call can run past the end of linear memory into the
// guard behind it. It reads there, and holds no lock: a trap like any other.
static bool in_guest_memory(const struct jail *j, int sig, const siginfo_t *info)
{
	uintptr_t at = (uintptr_t)info->si_addr, begin = (uintptr_t)j->linear;
	return sig == SIGSEGV && begin != 0 && at >= begin - MEMORY_BEFORE &&
	       at < begin + MEMORY_AFTER;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	struct jail *j = jail_self;
	if (j == NULL) {
		go_action[sig].sa_sigaction(sig, info, context);
		return;
	}
	if (guest_may_run(j)) {
		if (sig == SIGSEGV && overflow(j, info, context))
			return;
		if (in_guest_code(context) || in_guest_memory(j, sig, info)) {
			context_step(context, false);
			we_action[sig].sa_sigaction(sig, info, context);
		}
	}
	stop_daemon(j, sig, info, context);
}

static void block_signals(sigset_t *old)
{
	sigset_t set;
	sigfillset(&set);
	// Blocked, these would kill the process when they happen.
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		sigdelset(&set, faults[i]);
	sigdelset(&set, JAIL_SIGKILL);
	pthread_sigmask(SIG_SETMASK, &set, old);
}

// The thread and those that it makes take no signals but faults and the kill:
// all others are for Go's threads.
int jail_make_thread(pthread_t *thread, void *(*main)(void *), void *arg)
{
	sigset_t old;
	block_signals(&old);
	int err = pthread_create(thread, NULL, main, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

static _Atomic int keepalive_up;

static WasmEdge_Result keepalive_block(void *data, const WasmEdge_CallingFrameContext *frame,
	const WasmEdge_Value *args, WasmEdge_Value *rets)
{
	(void)data;
	(void)frame;
	(void)args;
	(void)rets;
	keepalive_up = 1;
	jail_futex_wake(&keepalive_up);
	while (keepalive_up)
		pause();
	return WasmEdge_Result_Success;
}

// keepalive_thread runs a guest that never leaves compiled code.
static void *keepalive_thread(void *module)
{
	WasmEdge_ExecutorContext *executor = WasmEdge_ExecutorCreate(NULL, NULL);
	WasmEdge_StoreContext *store = WasmEdge_StoreCreate();
	WasmEdge_ModuleInstanceContext *host =
		WasmEdge_ModuleInstanceCreate(WasmEdge_StringCreateByCString("env"));
	WasmEdge_FunctionTypeContext *type = WasmEdge_FunctionTypeCreate(NULL, 0, NULL, 0);
	WasmEdge_ModuleInstanceAddFunction(host, WasmEdge_StringCreateByCString("block"),
		WasmEdge_FunctionInstanceCreate(type, keepalive_block, NULL, 0));
	WasmEdge_ModuleInstanceContext *instance = NULL;
	if (WasmEdge_ResultOK(WasmEdge_ExecutorRegisterImport(executor, store, host)) &&
		WasmEdge_ResultOK(WasmEdge_ExecutorInstantiate(executor, &instance, store, module)))
		WasmEdge_ExecutorInvoke(executor,
			WasmEdge_ModuleInstanceFindFunction(
				instance, WasmEdge_StringCreateByCString("go")),
			NULL, 0, NULL, 0);
	keepalive_up = -1;
	jail_futex_wake(&keepalive_up);
	return NULL;
}

static const char *start_keepalive(const void *module)
{
	pthread_t thread;
	if (jail_make_thread(&thread, keepalive_thread, (void *)module) != 0)
		return "no thread for the keep-alive guest";
	pthread_detach(thread);
	while (keepalive_up == 0)
		jail_futex_wait(&keepalive_up, 0);
	return keepalive_up == 1 ? NULL : "the keep-alive guest ended";
}

static void install(int sig, void (*handler)(int, siginfo_t *, void *), struct sigaction *old)
{
	struct sigaction action;
	memset(&action, 0, sizeof(action));
	action.sa_sigaction = handler;
	// No SA_RESTART: a kill must end blocking calls. SA_NODEFER: a handler is
	// left by longjmp, which does not restore the signal mask.
	action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
	sigaction(sig, &action, old);
}

const char *jail_signals_init(const void *keepalive)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE};
	for (size_t i = 0; i < 3; i++)
		sigaction(faults[i], NULL, &go_action[faults[i]]);
	sem_init(&crashed, 0, 0);
	pthread_t thread;
	if (jail_make_thread(&thread, report_crash, NULL) != 0)
		return "no thread to report crashes";
	pthread_detach(thread);
	const char *err = start_keepalive(keepalive);
	if (err != NULL)
		return err;
	for (size_t i = 0; i < 3; i++)
		install(faults[i], on_fault, &we_action[faults[i]]);
	install(SIGTRAP, on_step, &go_action[SIGTRAP]);
	install(JAIL_SIGKILL, on_kill, NULL);
	if (we_action[SIGSEGV].sa_sigaction == go_action[SIGSEGV].sa_sigaction)
		return "the engine installed no fault handler: was the keep-alive module compiled?";
	dl_iterate_phdr(collect_texts, &err);
	return err;
}
