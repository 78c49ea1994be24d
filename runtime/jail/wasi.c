// SPDX-License-Identifier: Apache-2.0

// WASI functions of WasmEdge 0.14 that a hostile guest may not have, and what
// guests get in their place.

#include "internal.h"

#include <sys/random.h>

enum { // errno of WASI preview 1
	WASI_SUCCESS = 0,
	WASI_FAULT = 21,
	WASI_IO = 29,
};

static int32_t fill(uint8_t *buf, uint32_t size)
{
	// getrandom is not interrupted up to 256 bytes; between two calls a kill is.
	enum { PIECE = 256 };
	for (uint32_t n = 0; size > 0; buf += n, size -= n) {
		n = size < PIECE ? size : PIECE;
		if (getrandom(buf, n, 0) != (ssize_t)n)
			return WASI_IO;
	}
	return WASI_SUCCESS;
}

// random_get: WasmEdge's is a linear congruential generator with 31 bits of state.
static WasmEdge_Result random_get(void *data, const WasmEdge_CallingFrameContext *frame,
	const WasmEdge_Value *args, WasmEdge_Value *rets)
{
	(void)data;
	uint32_t at = (uint32_t)WasmEdge_ValueGetI32(args[0]);
	uint32_t size = (uint32_t)WasmEdge_ValueGetI32(args[1]);
	WasmEdge_MemoryInstanceContext *memory = WasmEdge_CallingFrameGetMemoryInstance(frame, 0);
	uint8_t *buf = memory != NULL ? WasmEdge_MemoryInstanceGetPointer(memory, at, size) : NULL;
	rets[0] = WasmEdge_ValueGenI32(buf != NULL ? fill(buf, size) : WASI_FAULT);
	return WasmEdge_Result_Success;
}

static void replace(WasmEdge_ModuleInstanceContext *wasi, const char *name, uint32_t n_params,
	WasmEdge_HostFunc_t function)
{
	enum { MAX_PARAMS = 8 };
	WasmEdge_ValType i32 = WasmEdge_ValTypeGenI32(), params[MAX_PARAMS];
	for (int i = 0; i < MAX_PARAMS; i++)
		params[i] = i32;
	WasmEdge_FunctionTypeContext *type = WasmEdge_FunctionTypeCreate(params, n_params, &i32, 1);
	WasmEdge_ModuleInstanceAddFunction(
		wasi, jail_string(name), WasmEdge_FunctionInstanceCreate(type, function, NULL, 0));
	WasmEdge_FunctionTypeDelete(type);
}

void jail_replace_functions(WasmEdge_ModuleInstanceContext *wasi)
{
	replace(wasi, "sock_getaddrinfo", 8, jail_getaddrinfo);
	replace(wasi, "random_get", 2, random_get);
}
