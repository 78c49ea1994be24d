// SPDX-License-Identifier: Apache-2.0
// Closes its stdio, opens files in its place, and traps: the last words go where its messages went.
//
// exit: 134
// stderr: WebAssembly trap: unreachable
#include "files.h"

int main(void)
{
	__wasi_fd_t fd;

	for (__wasi_fd_t i = 0; i < 3; i++)
		must(__wasi_fd_close(i));
	for (__wasi_fd_t i = 0; i < 3; i++)
		if (__wasi_fd_close(i) != __WASI_ERRNO_BADF)
			exit(1);
	for (int i = 0; i < 10; i++)
		if (open_in(ROOT, "file", CREATE, READ | WRITE, &fd) != 0)
			exit(2);
	__builtin_trap();
}
