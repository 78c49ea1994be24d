// SPDX-License-Identifier: Apache-2.0
// A library (-mexec-model=reactor): what it exports can be run as an entrypoint.
#include <stdint.h>
#include <stdio.h>
#include <wasi/api.h>

#define EXPORT(name) __attribute__((export_name(#name)))

static int initialized;

__attribute__((constructor)) static void initialize(void)
{
	initialized++;
}

// Prints its arguments, one a line.
EXPORT(greet) void greet(void)
{
	static uint8_t *argv[16], text[4096];
	__wasi_size_t argc, size;

	if (__wasi_args_sizes_get(&argc, &size) != 0 || argc > 16 || size > sizeof(text))
		__builtin_trap();
	if (__wasi_args_get(argv, text) != 0)
		__builtin_trap();
	for (__wasi_size_t i = 0; i < argc; i++)
		printf("arg %s\n", (char *)argv[i]);
	fflush(stdout);
}

EXPORT(ready) int ready(void)
{
	return initialized == 1 ? 0 : 1;
}

EXPORT(seven) int seven(void)
{
	return 7;
}

EXPORT(minus_one) int minus_one(void)
{
	return -1;
}

EXPORT(leave) int leave(void)
{
	__wasi_proc_exit(42);
}

EXPORT(die) void die(void)
{
	__builtin_trap();
}

EXPORT(spin) void spin(void)
{
	for (volatile int i = 0;; i++)
		;
}

EXPORT(add) int add(int a, int b)
{
	return a + b;
}

EXPORT(pi) double pi(void)
{
	return 3.14159;
}
