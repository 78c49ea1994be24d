// SPDX-License-Identifier: Apache-2.0
//
// Compiles and runs guests with WasmEdge, in a process of their own as native programs
// have. It is C because WasmEdge-go has no call for interruptible code.
//
//	runner compile LEVEL FLAGS MODULE OUT	prints the nanoseconds of processor time
//	runner run MODULE [ARGUMENT...]
//
// LEVEL is one of 0123sz. FLAGS are letters: g for a generic binary, which uses no
// features of this CPU that not all have; i for interruptible code; or - for neither.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <wasmedge/wasmedge.h>

static void check(WasmEdge_Result result, const char *what)
{
	if (WasmEdge_ResultOK(result))
		return;
	fprintf(stderr, "runner: %s: %s\n", what, WasmEdge_ResultGetMessage(result));
	exit(1);
}

static uint8_t *read_file(const char *path, uint32_t *size)
{
	FILE *f = fopen(path, "rb");
	if (f == NULL || fseek(f, 0, SEEK_END) != 0) {
		fprintf(stderr, "runner: %s: %s\n", path, strerror(errno));
		exit(1);
	}
	*size = (uint32_t)ftell(f);
	uint8_t *bytes = malloc(*size);
	rewind(f);
	if (bytes == NULL || fread(bytes, 1, *size, f) != *size) {
		fprintf(stderr, "runner: cannot read %s\n", path);
		exit(1);
	}
	fclose(f);
	return bytes;
}

static enum WasmEdge_CompilerOptimizationLevel level(char c)
{
	switch (c) {
	case '0':
		return WasmEdge_CompilerOptimizationLevel_O0;
	case '1':
		return WasmEdge_CompilerOptimizationLevel_O1;
	case '2':
		return WasmEdge_CompilerOptimizationLevel_O2;
	case '3':
		return WasmEdge_CompilerOptimizationLevel_O3;
	case 's':
		return WasmEdge_CompilerOptimizationLevel_Os;
	case 'z':
		return WasmEdge_CompilerOptimizationLevel_Oz;
	}
	fprintf(stderr, "runner: no level %c\n", c);
	exit(2);
}

static long long nanoseconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void compile(char **argv)
{
	uint32_t size;
	uint8_t *bytes = read_file(argv[2], &size);
	WasmEdge_ConfigureContext *conf = WasmEdge_ConfigureCreate();
	WasmEdge_ConfigureCompilerSetOptimizationLevel(conf, level(argv[0][0]));
	WasmEdge_ConfigureCompilerSetOutputFormat(conf, WasmEdge_CompilerOutputFormat_Wasm);
	WasmEdge_ConfigureCompilerSetGenericBinary(conf, strchr(argv[1], 'g') != NULL);
	WasmEdge_ConfigureCompilerSetInterruptible(conf, strchr(argv[1], 'i') != NULL);
	WasmEdge_CompilerContext *compiler = WasmEdge_CompilerCreate(conf);
	long long begin = nanoseconds();
	check(WasmEdge_CompilerCompileFromBuffer(compiler, bytes, size, argv[3]), "compile");
	printf("%lld\n", nanoseconds() - begin);
}

static int run(int argc, char **argv)
{
	WasmEdge_ConfigureContext *conf = WasmEdge_ConfigureCreate();
	WasmEdge_ConfigureAddHostRegistration(conf, WasmEdge_HostRegistration_Wasi);
	WasmEdge_VMContext *vm = WasmEdge_VMCreate(conf, NULL);
	WasmEdge_ModuleInstanceContext *wasi =
		WasmEdge_VMGetImportModuleContext(vm, WasmEdge_HostRegistration_Wasi);
	WasmEdge_ModuleInstanceInitWASI(
		wasi, (const char *const *)argv, (uint32_t)argc, NULL, 0, NULL, 0);
	check(WasmEdge_VMLoadWasmFromFile(vm, argv[0]), "load");
	check(WasmEdge_VMValidate(vm), "validate");
	check(WasmEdge_VMInstantiate(vm), "instantiate");
	WasmEdge_String start = WasmEdge_StringCreateByCString("_start");
	WasmEdge_Result result = WasmEdge_VMExecute(vm, start, NULL, 0, NULL, 0);
	if (WasmEdge_ResultGetCode(result) != WasmEdge_ResultGetCode(WasmEdge_Result_Terminate))
		check(result, "run");
	return (int)WasmEdge_ModuleInstanceWASIGetExitCode(wasi);
}

int main(int argc, char **argv)
{
	if (argc == 6 && strcmp(argv[1], "compile") == 0) {
		WasmEdge_LogOff();
		compile(argv + 2);
		return 0;
	}
	if (argc >= 3 && strcmp(argv[1], "run") == 0)
		return run(argc - 2, argv + 2);
	fprintf(stderr, "usage: runner compile LEVEL FLAGS MODULE OUT\n"
			"       runner run MODULE [ARGUMENT...]\n");
	return 2;
}
