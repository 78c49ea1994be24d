// SPDX-License-Identifier: Apache-2.0

// The WasmEdge side of a guest thread: WASI, instantiation, the call.

#include "internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wasmedge/wasmedge.h>

struct jail_wasm {
	WasmEdge_ConfigureContext *config;
	WasmEdge_ExecutorContext *executor;
	WasmEdge_StoreContext *store;
	WasmEdge_ModuleInstanceContext *wasi;
	WasmEdge_ModuleInstanceContext *instance;
};

static void say(struct jail *j, int ending, const char *message)
{
	j->result.ending = ending;
	snprintf(j->result.message, sizeof(j->result.message), "%s", message);
}

// WasmEdge 0.14's sock_getaddrinfo trusts the pointers and lengths that a guest
// gives it, and libc's getaddrinfo restarts after each signal and reads files of
// the guest's root without a limit. Until there is one that does neither, names
// are not resolved: the guest gets ENOTSUP.
static WasmEdge_Result no_getaddrinfo(void *data, const WasmEdge_CallingFrameContext *frame,
	const WasmEdge_Value *args, WasmEdge_Value *rets)
{
	(void)data;
	(void)frame;
	(void)args;
	rets[0] = WasmEdge_ValueGenI32(58); // __WASI_ERRNO_NOTSUP
	return WasmEdge_Result_Success;
}

// replace_getaddrinfo puts ours in the place of WasmEdge's.
static void replace_getaddrinfo(WasmEdge_ModuleInstanceContext *wasi)
{
	enum { PARAMS = 8 };
	WasmEdge_ValType i32 = WasmEdge_ValTypeGenI32(), params[PARAMS];
	for (int i = 0; i < PARAMS; i++)
		params[i] = i32;
	WasmEdge_FunctionTypeContext *type = WasmEdge_FunctionTypeCreate(params, PARAMS, &i32, 1);
	WasmEdge_ModuleInstanceAddFunction(wasi, WasmEdge_StringCreateByCString("sock_getaddrinfo"),
		WasmEdge_FunctionInstanceCreate(type, no_getaddrinfo, NULL, 0));
	WasmEdge_FunctionTypeDelete(type);
}

// jail_wasm_create opens the preopened root directory and binds fds 0 to 2,
// so it runs inside the root and the fd table of the guest, and before its
// privileges are dropped.
struct jail_wasm *jail_wasm_create(struct jail *j)
{
	const struct jail_spec *spec = j->spec;
	struct jail_wasm *w = calloc(1, sizeof(*w));
	if (w == NULL) {
		say(j, JAIL_END_SETUP, "out of memory");
		return NULL;
	}
	static const char *const preopens[] = {"/:/"};
	w->config = WasmEdge_ConfigureCreate();
	WasmEdge_ConfigureSetMaxMemoryPage(w->config, spec->max_pages);
	w->executor = WasmEdge_ExecutorCreate(w->config, NULL);
	w->store = WasmEdge_StoreCreate();
	w->wasi = WasmEdge_ModuleInstanceCreateWASI(
		spec->args, spec->n_args, spec->env, spec->n_env, preopens, 1);
	replace_getaddrinfo(w->wasi);
	WasmEdge_Result r = WasmEdge_ExecutorRegisterImport(w->executor, w->store, w->wasi);
	if (WasmEdge_ResultOK(r))
		return w;
	say(j, JAIL_END_SETUP, WasmEdge_ResultGetMessage(r));
	jail_wasm_delete(j, w);
	return NULL;
}

// A memory that starts above its limit is cut to the limit without an error
// (WasmEdge 0.14), and the guest would trap much later.
static int memory_fits(struct jail *j)
{
	const WasmEdge_ASTModuleContext *module = j->spec->module;
	uint32_t n = WasmEdge_ASTModuleListExportsLength(module);
	const WasmEdge_ExportTypeContext **exports = calloc(n + 1, sizeof(*exports));
	uint64_t need = 0;
	if (exports != NULL)
		n = WasmEdge_ASTModuleListExports(module, exports, n);
	for (uint32_t i = 0; exports != NULL && i < n; i++) {
		if (WasmEdge_ExportTypeGetExternalType(exports[i]) != WasmEdge_ExternalType_Memory)
			continue;
		const WasmEdge_MemoryTypeContext *type =
			WasmEdge_ExportTypeGetMemoryType(module, exports[i]);
		if (type != NULL && WasmEdge_MemoryTypeGetLimit(type).Min > need)
			need = WasmEdge_MemoryTypeGetLimit(type).Min;
	}
	free(exports);
	if (need <= j->spec->max_pages)
		return 1;
	j->result.ending = JAIL_END_INIT;
	snprintf(j->result.message, sizeof(j->result.message),
		"the module needs %llu KiB of memory to start, its limit is %llu KiB",
		(unsigned long long)need * 64, (unsigned long long)j->spec->max_pages * 64);
	return 0;
}

// watch_memory lets other threads ask for the size of the guest's memory.
static void watch_memory(struct jail *j, const WasmEdge_ModuleInstanceContext *instance)
{
	WasmEdge_String name;
	if (WasmEdge_ModuleInstanceListMemory(instance, &name, 1) == 0)
		return;
	pthread_mutex_lock(&j->memory_lock);
	j->memory = WasmEdge_ModuleInstanceFindMemory(instance, name);
	j->linear = (char *)WasmEdge_MemoryInstanceGetPointerConst(j->memory, 0, 0);
	pthread_mutex_unlock(&j->memory_lock);
}

static void unwatch_memory(struct jail *j)
{
	pthread_mutex_lock(&j->memory_lock);
	if (j->memory != NULL)
		j->result.pages = WasmEdge_MemoryInstanceGetPageSize(j->memory);
	j->memory = NULL;
	pthread_mutex_unlock(&j->memory_lock);
}

uint32_t jail_memory(struct jail *j)
{
	pthread_mutex_lock(&j->memory_lock);
	uint32_t pages = j->memory != NULL ? WasmEdge_MemoryInstanceGetPageSize(j->memory) : 0;
	pthread_mutex_unlock(&j->memory_lock);
	return pages;
}

// tell_guest_log writes the reason of a trap where the guest's own messages go.
// It must not wait for a reader. WasmEdge never closes fds 0 to 2, so fd 2 is
// what it was.
static void tell_guest_log(const struct jail *j)
{
	int flags = fcntl(STDERR_FILENO, F_GETFL);
	if (flags >= 0 && fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK) == 0)
		dprintf(STDERR_FILENO, "WebAssembly trap: %s\n", j->result.message);
}

// conclude says how guest code ended. A guest that was to end may also have
// ended by itself, over a host call that failed for it. An overflow shows as
// the engine's out-of-bounds trap, since it uses that path.
static void conclude(struct jail *j, const struct jail_wasm *w, WasmEdge_Result r)
{
	if (j->killed) {
		j->result.ending = JAIL_END_KILLED;
	} else if (WasmEdge_ResultOK(r)) {
		j->result.ending = JAIL_END_EXIT;
		j->result.code = WasmEdge_ModuleInstanceWASIGetExitCode(w->wasi);
	} else if (j->overflowed) {
		say(j, JAIL_END_OVERFLOW, "call stack exhausted");
		tell_guest_log(j);
	} else {
		say(j, JAIL_END_TRAP, WasmEdge_ResultGetMessage(r));
		tell_guest_log(j);
	}
}

static WasmEdge_Result call(struct jail_wasm *w, const WasmEdge_FunctionInstanceContext *f)
{
	return WasmEdge_ExecutorInvoke(w->executor, f, NULL, 0, NULL, 0);
}

// run_guest_code calls the module's start function, if it has one, and the
// entry. The engine has turned the former into an export: so no guest code
// runs at instantiation, before there is a memory to watch.
static WasmEdge_Result run_guest_code(
	struct jail_wasm *w, const WasmEdge_FunctionInstanceContext *entry)
{
	const WasmEdge_FunctionInstanceContext *start = WasmEdge_ModuleInstanceFindFunction(
		w->instance, WasmEdge_StringCreateByCString(JAIL_START_EXPORT));
	if (start != NULL) {
		WasmEdge_Result r = call(w, start);
		if (r.Code != 0) // also proc_exit
			return r;
	}
	return call(w, entry);
}

static const WasmEdge_FunctionInstanceContext *instantiate(struct jail *j, struct jail_wasm *w)
{
	WasmEdge_Result r =
		WasmEdge_ExecutorInstantiate(w->executor, &w->instance, w->store, j->spec->module);
	if (!WasmEdge_ResultOK(r)) {
		say(j, JAIL_END_INIT, WasmEdge_ResultGetMessage(r));
		return NULL;
	}
	const WasmEdge_FunctionInstanceContext *entry = WasmEdge_ModuleInstanceFindFunction(
		w->instance, WasmEdge_StringCreateByCString(j->spec->entry));
	if (entry == NULL) {
		j->result.ending = JAIL_END_INIT;
		snprintf(j->result.message, sizeof(j->result.message),
			"the module exports no function \"%s\"", j->spec->entry);
	}
	return entry;
}

void jail_wasm_run(struct jail *j, struct jail_wasm *w)
{
	if (j->killed) {
		j->result.ending = JAIL_END_KILLED;
		return;
	}
	if (!memory_fits(j))
		return;
	const WasmEdge_FunctionInstanceContext *entry = instantiate(j, w);
	if (entry == NULL)
		return;
	watch_memory(j, w->instance);
	jail_post(j, JAIL_EV_STARTED);
	j->phase = PHASE_GUEST;
	// The order of these two and of those in jail_kill makes sure that either
	// the flag is seen here or the signal finds the phase.
	WasmEdge_Result r = WasmEdge_Result_Fail;
	if (!j->killed)
		r = run_guest_code(w, entry);
	j->phase = PHASE_DONE;
	conclude(j, w, r);
}

void jail_wasm_delete(struct jail *j, struct jail_wasm *w)
{
	unwatch_memory(j);
	WasmEdge_ModuleInstanceDelete(w->instance);
	WasmEdge_ModuleInstanceDelete(w->wasi);
	WasmEdge_StoreDelete(w->store);
	WasmEdge_ExecutorDelete(w->executor);
	WasmEdge_ConfigureDelete(w->config);
	free(w);
}
