// SPDX-License-Identifier: Apache-2.0

// The WasmEdge side of a guest thread: WASI, instantiation, the call.

#include "internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct jail_wasm {
	WasmEdge_ConfigureContext *config;
	WasmEdge_ExecutorContext *executor;
	WasmEdge_StoreContext *store;
	WasmEdge_ModuleInstanceContext *wasi;
	WasmEdge_ModuleInstanceContext *instance;
	const WasmEdge_FunctionInstanceContext *entry;
	WasmEdge_Value returned; // by the entry
};

static void say(struct jail *j, int ending, const char *message)
{
	j->result.ending = ending;
	snprintf(j->result.message, sizeof(j->result.message), "%s", message);
}

// jail_wasm_create makes what does not depend on the guest.
int jail_wasm_create(struct jail *j)
{
	struct jail_wasm *w = j->wasm = calloc(1, sizeof(*w));
	if (w == NULL) {
		say(j, JAIL_END_SETUP, "out of memory");
		return -1;
	}
	w->config = WasmEdge_ConfigureCreate();
	w->executor = WasmEdge_ExecutorCreate(w->config, NULL);
	w->store = WasmEdge_StoreCreate();
	w->wasi = WasmEdge_ModuleInstanceCreateWASI(NULL, 0, NULL, 0, NULL, 0);
	jail_replace_functions(w->wasi);
	WasmEdge_Result r = WasmEdge_ExecutorRegisterImport(w->executor, w->store, w->wasi);
	if (WasmEdge_ResultOK(r))
		return 0;
	say(j, JAIL_END_SETUP, WasmEdge_ResultGetMessage(r));
	return -1;
}

// jail_wasm_open opens the preopened root directory, so it runs inside the guest's
// root, and before its privileges are dropped.
void jail_wasm_open(struct jail *j)
{
	static const char *const preopens[] = {"/:/"};
	const struct jail_spec *spec = j->spec;
	WasmEdge_ModuleInstanceInitWASI(
		j->wasm->wasi, spec->args, spec->n_args, spec->env, spec->n_env, preopens, 1);
}

static unsigned long long kib(uint64_t bytes)
{
	return bytes / 1024;
}

// jail_wasm_prepay charges the memory that the module starts with. To refuse it later,
// WasmEdge would start the guest with no memory, and keep the reserved space.
bool jail_wasm_prepay(struct jail *j)
{
	uint64_t need = j->spec->initial_memory, limit = jail_limit(j);
	if (need <= limit && jail_prepay(j, need))
		return true;
	j->result.ending = JAIL_END_INIT;
	if (need <= limit && j->refused == JAIL_REFUSED_LIMIT)
		snprintf(j->result.message, sizeof(j->result.message),
			"the module needs %llu KiB of memory to start, and its container has "
			"%llu of the %llu KiB that it may have",
			kib(need), kib(jail_limit_used(j)), kib(limit));
	else if (need > limit)
		snprintf(j->result.message, sizeof(j->result.message),
			"the module needs %llu KiB of memory to start, its limit is %llu KiB",
			kib(need), kib(limit));
	else
		snprintf(j->result.message, sizeof(j->result.message),
			"the module needs %llu KiB of memory to start, and the daemon has given "
			"%llu of the %llu KiB that it has for guests",
			kib(need), kib(jail_budget_used()), kib(jail_budget()));
	return false;
}

// write_to must not wait for a reader. What does not fit is lost.
static void write_to(int fd, const char *text)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return;
	ssize_t n = write(fd, text, strlen(text));
	(void)n;
}

// leave_message writes to the file in which Kubernetes looks for why a container ended
// (terminationMessagePath), by the guest's own rights and in its root. What the guest
// has written there itself stays as it is.
static void leave_message(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return;
	struct stat st;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0)
		write_to(fd, text);
	close(fd);
}

// tell_guest_log writes why the guest ended where its own messages go. It is one line
// and, for a trap, one for each function that the guest was in. All of it is what kubelet
// takes of a log for a termination message (FallbackToLogsOnError). WasmEdge never closes
// fds 0 to 2, so fd 2 is what it was.
static void tell_guest_log(struct jail *j)
{
	static const char *const refused[] = {
		[JAIL_REFUSED_NOTHING] = "",
		[JAIL_REFUSED_LIMIT] = "WebAssembly: the memory limit was reached\n",
		[JAIL_REFUSED_BUDGET] =
			"WebAssembly: the daemon has no more memory for guests (max_memory)\n",
		[JAIL_REFUSED_KERNEL] = "WebAssembly: the kernel has no more memory\n",
	};
	char text[2048];
	if (j->result.ending == JAIL_END_EXIT)
		snprintf(text, sizeof(text), "%s", refused[j->refused]);
	else
		snprintf(text, sizeof(text), "%sWebAssembly trap: %s\n%s", refused[j->refused],
			j->result.message, jail_await_description(j));
	write_to(STDERR_FILENO, text);
	if (j->spec->termination != NULL)
		leave_message(j->spec->termination, text);
}

// exit_code is what proc_exit or the entry's result says.
static uint32_t exit_code(const struct jail_wasm *w, WasmEdge_Result r)
{
	if (r.Code == 0 && WasmEdge_ValTypeIsI32(w->returned.Type))
		return (uint32_t)WasmEdge_ValueGetI32(w->returned);
	return WasmEdge_ModuleInstanceWASIGetExitCode(w->wasi);
}

// conclude says how guest code ended. A guest that was to end may also have
// ended by itself, over a host call that failed for it. What enters the engine's
// fault path shows as its out-of-bounds trap.
static void conclude(struct jail *j, const struct jail_wasm *w, WasmEdge_Result r)
{
	if (j->killed) {
		j->result.ending = JAIL_END_KILLED;
		return;
	}
	if (j->fault == JAIL_END_SYSCALL) {
		j->result.ending = JAIL_END_SYSCALL;
		snprintf(j->result.message, sizeof(j->result.message),
			"system call %d: the seccomp profile ends who makes it", j->bad_call);
	} else if (WasmEdge_ResultOK(r)) {
		j->result.ending = JAIL_END_EXIT;
		j->result.code = exit_code(w, r);
	} else if (j->fault == JAIL_END_OVERFLOW) {
		say(j, JAIL_END_OVERFLOW, "call stack exhausted");
	} else if (j->fault == JAIL_END_TRAP) {
		say(j, JAIL_END_TRAP, "the engine could not carry out a host call");
	} else {
		say(j, JAIL_END_TRAP, WasmEdge_ResultGetMessage(r));
	}
	if (j->result.ending != JAIL_END_EXIT || (j->refused && j->result.code != 0))
		tell_guest_log(j);
}

static const WasmEdge_FunctionInstanceContext *find(const struct jail_wasm *w, const char *name)
{
	return WasmEdge_ModuleInstanceFindFunction(w->instance, jail_string(name));
}

// run_before calls an exported function, if there is one of that name. false: the
// guest has ended, also by proc_exit.
static bool run_before(struct jail_wasm *w, const char *name, WasmEdge_Result *r)
{
	const WasmEdge_FunctionInstanceContext *f = name != NULL ? find(w, name) : NULL;
	if (f != NULL)
		*r = WasmEdge_ExecutorInvoke(w->executor, f, NULL, 0, NULL, 0);
	return f == NULL || r->Code == 0;
}

// run_guest_code calls the module's start function, if it has one, a library's
// initializer, and the entry. The engine has turned the first into an export: so no
// guest code runs at instantiation, before there is a memory to watch.
static WasmEdge_Result run_guest_code(struct jail_wasm *w, const struct jail_spec *spec)
{
	WasmEdge_Result r;
	if (!run_before(w, JAIL_START_EXPORT, &r) || !run_before(w, spec->init, &r))
		return r;
	return WasmEdge_ExecutorInvoke(w->executor, w->entry, NULL, 0, &w->returned, 1);
}

// jail_wasm_instantiate runs no guest code (run_guest_code). false: the result says
// why.
bool jail_wasm_instantiate(struct jail *j)
{
	struct jail_wasm *w = j->wasm;
	WasmEdge_Result r =
		WasmEdge_ExecutorInstantiate(w->executor, &w->instance, w->store, j->spec->module);
	// The engine fails then only if there is data to copy: else the instance would have its
	// memory at address 0, and its code looks at no bounds.
	if (j->refused || (WasmEdge_ResultOK(r) && j->memory < j->spec->initial_memory)) {
		say(j, JAIL_END_INIT,
			"the kernel has no memory, or no address space, for an instance of the "
			"module");
		return false;
	}
	if (!WasmEdge_ResultOK(r)) {
		say(j, JAIL_END_INIT, WasmEdge_ResultGetMessage(r));
		return false;
	}
	w->entry = find(w, j->spec->entry);
	if (w->entry != NULL)
		return true;
	j->result.ending = JAIL_END_INIT;
	snprintf(j->result.message, sizeof(j->result.message),
		"the module exports no function \"%s\"", j->spec->entry);
	return false;
}

void jail_wasm_run(struct jail *j)
{
	j->phase = PHASE_GUEST;
	// The order of these two and of those in jail_kill makes sure that either
	// the flag is seen here or the signal finds the phase.
	WasmEdge_Result r = WasmEdge_Result_Fail;
	if (!j->killed)
		r = run_guest_code(j->wasm, j->spec);
	j->phase = PHASE_DONE;
	conclude(j, j->wasm, r);
}

// jail_wasm_delete runs where no file is open (janitor.c). The module may be gone by then:
// an instance has copies of its types, data and elements, and shares its code (WasmEdge
// 0.14.1, Symbol).
void jail_wasm_delete(struct jail *j)
{
	struct jail_wasm *w = j->wasm;
	if (w == NULL)
		return;
	WasmEdge_ModuleInstanceDelete(w->instance);
	WasmEdge_ModuleInstanceDelete(w->wasi);
	WasmEdge_StoreDelete(w->store);
	WasmEdge_ExecutorDelete(w->executor);
	WasmEdge_ConfigureDelete(w->config);
	free(w);
}
