// SPDX-License-Identifier: Apache-2.0

// Runs a compiled module on a thread with no jail, to compare with: once for each
// byte on fd 3. Writes to fd 4 the nanoseconds that each run took, from the creation
// of the thread to its end, as 8 bytes.
//
//	bare MODULE ARGUMENT...

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <wasmedge/wasmedge.h>

static WasmEdge_ASTModuleContext *module;
static const char *const *args;
static uint32_t n_args;

static void must(int ok)
{
	if (!ok)
		exit(1);
}

static void *run(void *unused)
{
	WasmEdge_ExecutorContext *executor = WasmEdge_ExecutorCreate(NULL, NULL);
	WasmEdge_StoreContext *store = WasmEdge_StoreCreate();
	WasmEdge_ModuleInstanceContext *instance = NULL, *wasi = WasmEdge_ModuleInstanceCreateWASI(
								 args, n_args, NULL, 0, NULL, 0);
	must(WasmEdge_ResultOK(WasmEdge_ExecutorRegisterImport(executor, store, wasi)) &&
		WasmEdge_ResultOK(
			WasmEdge_ExecutorInstantiate(executor, &instance, store, module)));
	WasmEdge_Result r = WasmEdge_ExecutorInvoke(executor,
		WasmEdge_ModuleInstanceFindFunction(
			instance, WasmEdge_StringCreateByCString("_start")),
		NULL, 0, NULL, 0);
	must(WasmEdge_ResultOK(r));
	WasmEdge_ModuleInstanceDelete(instance);
	WasmEdge_ModuleInstanceDelete(wasi);
	WasmEdge_StoreDelete(store);
	WasmEdge_ExecutorDelete(executor);
	return unused;
}

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
	must(argc > 1);
	args = (const char *const *)argv + 1;
	n_args = (uint32_t)argc - 1;
	WasmEdge_LogOff();
	WasmEdge_LoaderContext *loader = WasmEdge_LoaderCreate(NULL);
	WasmEdge_ValidatorContext *validator = WasmEdge_ValidatorCreate(NULL);
	must(WasmEdge_ResultOK(WasmEdge_LoaderParseFromFile(loader, &module, argv[1])) &&
		WasmEdge_ResultOK(WasmEdge_ValidatorValidate(validator, module)));
	char order;
	while (read(3, &order, 1) == 1) {
		uint64_t begin = now();
		pthread_t thread;
		must(pthread_create(&thread, NULL, run, NULL) == 0);
		pthread_join(thread, NULL);
		uint64_t took = now() - begin;
		must(write(4, &took, sizeof(took)) == sizeof(took));
	}
	return 0;
}
