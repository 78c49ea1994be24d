// SPDX-License-Identifier: Apache-2.0
// Opens as many files as it gets, and ends with them.
//
// exit: 0
#include "files.h"

int main(void)
{
	__wasi_fd_t fd;

	must(try_open(ROOT, "file", CREATE, WRITE));
	for (int n = 0; n < 100000 && open_in(ROOT, "file", 0, READ, &fd) == 0; n++)
		;
	return 0;
}
