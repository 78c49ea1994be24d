// SPDX-License-Identifier: Apache-2.0
// Writes to a file for ever.
//
// kill: SIGKILL -> 137
// after: running
#include "files.h"

static uint8_t data[1 << 20];

int main(void)
{
	__wasi_fd_t fd;
	__wasi_size_t written;
	const __wasi_ciovec_t list = {data, sizeof(data)};

	must(open_in(ROOT, "file", CREATE, WRITE | __WASI_RIGHTS_FD_SEEK, &fd));
	for (int n = 0;; n++) {
		// 64 MiB and again: the disk is not only this guest's.
		must(__wasi_fd_pwrite(fd, &list, 1, (uint64_t)(n % 64) << 20, &written));
		if (n == 3)
			say("running");
	}
}
