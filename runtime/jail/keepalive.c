// SPDX-License-Identifier: Apache-2.0

// WasmEdge installs its own SIGSEGV, SIGBUS and SIGFPE handlers for the whole
// process, without SA_ONSTACK, when the first guest enters compiled code, and
// sets them to SIG_DFL when the last one leaves: Go would then die of any nil
// dereference. So one guest stays in compiled code for ever, and handlers of ours
// (fault.c) stand before WasmEdge's on guest threads and before Go's everywhere
// else.

#include "internal.h"

#include <string.h>
#include <unistd.h>

static struct sigaction we_action[NSIG]; // WasmEdge's

void jail_end_guest(siginfo_t *info, void *context)
{
	int sig = info->si_signo == SIGBUS || info->si_signo == SIGFPE ? info->si_signo : SIGSEGV;
	we_action[sig].sa_sigaction(sig, info, context);
}

static void block_signals(sigset_t *old)
{
	sigset_t set;
	sigfillset(&set);
	// Blocked, these would kill the process when they happen.
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		sigdelset(&set, faults[i]);
	sigdelset(&set, JAIL_SIGKILL);
	sigdelset(&set, JAIL_SIGPAUSE);
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
	WasmEdge_ModuleInstanceContext *host = WasmEdge_ModuleInstanceCreate(jail_string("env"));
	WasmEdge_FunctionTypeContext *type = WasmEdge_FunctionTypeCreate(NULL, 0, NULL, 0);
	WasmEdge_ModuleInstanceAddFunction(host, jail_string("block"),
		WasmEdge_FunctionInstanceCreate(type, keepalive_block, NULL, 0));
	WasmEdge_ModuleInstanceContext *instance = NULL;
	if (WasmEdge_ResultOK(WasmEdge_ExecutorRegisterImport(executor, store, host)) &&
		WasmEdge_ResultOK(WasmEdge_ExecutorInstantiate(executor, &instance, store, module)))
		WasmEdge_ExecutorInvoke(executor,
			WasmEdge_ModuleInstanceFindFunction(instance, jail_string("go")), NULL, 0,
			NULL, 0);
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

const char *jail_keepalive_init(const void *module)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE};
	struct sigaction before;
	sigaction(SIGSEGV, NULL, &before);
	const char *err = start_keepalive(module);
	if (err != NULL)
		return err;
	for (size_t i = 0; i < 3; i++)
		sigaction(faults[i], NULL, &we_action[faults[i]]);
	if (we_action[SIGSEGV].sa_sigaction == before.sa_sigaction)
		return "the engine installed no fault handler: was the keep-alive module compiled?";
	return NULL;
}
