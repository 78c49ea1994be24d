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

// conclude says how guest code ended. A kill or an overflow shows as the
// engine's out-of-bounds trap, since it uses that path.
static void conclude(struct jail *j, const struct jail_wasm *w, WasmEdge_Result r, int failed)
{
	if (WasmEdge_ResultOK(r)) {
		j->result.ending = JAIL_END_EXIT;
		j->result.code = WasmEdge_ModuleInstanceWASIGetExitCode(w->wasi);
	} else if (j->killed) {
		j->result.ending = JAIL_END_KILLED;
	} else if (j->overflowed) {
		say(j, JAIL_END_OVERFLOW, "call stack exhausted");
		tell_guest_log(j);
	} else {
		say(j, failed, WasmEdge_ResultGetMessage(r));
		if (failed == JAIL_END_TRAP)
			tell_guest_log(j);
	}
}

void jail_wasm_run(struct jail *j, struct jail_wasm *w)
{
	const struct jail_spec *spec = j->spec;
	if (!memory_fits(j))
		return;
	j->phase = PHASE_INSTANTIATE;
	// The order of these two and of those in jail_kill makes sure that either
	// the flag is seen here or the signal finds the phase.
	if (j->killed) {
		j->result.ending = JAIL_END_KILLED;
		return;
	}
	WasmEdge_Result r =
		WasmEdge_ExecutorInstantiate(w->executor, &w->instance, w->store, spec->module);
	if (!WasmEdge_ResultOK(r) || r.Code != 0) {
		j->phase = PHASE_DONE;
		conclude(j, w, r, JAIL_END_INIT);
		return;
	}
	WasmEdge_FunctionInstanceContext *entry = WasmEdge_ModuleInstanceFindFunction(
		w->instance, WasmEdge_StringCreateByCString(spec->entry));
	if (entry == NULL) {
		j->phase = PHASE_DONE;
		j->result.ending = JAIL_END_INIT;
		snprintf(j->result.message, sizeof(j->result.message),
			"the module exports no function \"%s\"", spec->entry);
		return;
	}
	watch_memory(j, w->instance);
	jail_post(j, JAIL_EV_STARTED);
	j->phase = PHASE_GUEST;
	if (!j->killed)
		r = WasmEdge_ExecutorInvoke(w->executor, entry, NULL, 0, NULL, 0);
	else
		r.Code = WasmEdge_ErrCode_Interrupted;
	j->phase = PHASE_DONE;
	conclude(j, w, r, JAIL_END_TRAP);
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
