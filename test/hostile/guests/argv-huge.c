// SPDX-License-Identifier: Apache-2.0
// Gets a hundred thousand arguments, and has no room for them.
//
// exit: 0
// stdout: as it should be
// args: 100000 of 100
#include "check.h"

int main(int argc, char **argv)
{
	__wasi_size_t n, size;

	must(__wasi_args_sizes_get(&n, &size));
	if (n != 100001 || argc != 100001 || size < 100000 * 101)
		surprises++;
	for (int i = 1; i < argc; i++)
		if (argv[i][99] != 'x' || argv[i][100] != 0)
			surprises++;
	// They fit, but not there.
	expect(__WASI_ERRNO_FAULT, __wasi_args_get((uint8_t **)0xfffffff0, (uint8_t *)argv));
	expect(__WASI_ERRNO_FAULT, __wasi_args_get((uint8_t **)argv, (uint8_t *)0xffff0000));
	return done();
}
