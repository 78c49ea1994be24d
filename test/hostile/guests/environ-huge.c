// SPDX-License-Identifier: Apache-2.0
// Gets a hundred thousand variables.
//
// exit: 0
// stdout: as it should be
// env: 100000 of 100
#include "check.h"

int main(void)
{
	__wasi_size_t n, size;
	uint8_t **list;

	must(__wasi_environ_sizes_get(&n, &size));
	list = malloc(n * sizeof(*list));
	uint8_t *text = malloc(size);
	if (n < 100000 || size < 100000 * 101 || list == NULL || text == NULL)
		return 1;
	must(__wasi_environ_get(list, text));
	// The list in the middle of what it points to.
	must(__wasi_environ_get((uint8_t **)text, text));
	expect(__WASI_ERRNO_FAULT, __wasi_environ_get((uint8_t **)0xfffffff0, text));
	return done();
}
