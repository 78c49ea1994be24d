// SPDX-License-Identifier: Apache-2.0
// Puts files and its root in the place of its stdio, and the other way round.
//
// exit: 0
// stdout: as it should be
#include "files.h"

int main(void)
{
	__wasi_fd_t fd;
	__wasi_size_t size;
	const __wasi_ciovec_t list = {(const uint8_t *)"x", 1};

	must(open_in(ROOT, "file", CREATE, READ | WRITE, &fd));
	expect(__WASI_ERRNO_BADF, __wasi_fd_renumber(fd, 77));
	expect(__WASI_ERRNO_BADF, __wasi_fd_renumber(77, fd));
	expect(0, __wasi_fd_renumber(0, 0));
	expect(0, __wasi_fd_renumber(fd, 2));
	expect(0, __wasi_fd_write(2, &list, 1, &size));
	expect(__WASI_ERRNO_BADF, __wasi_fd_write(fd, &list, 1, &size));
	// stdin in the place of the root, and the root nowhere.
	expect(0, __wasi_fd_renumber(0, ROOT));
	expect(ANY, try_open(ROOT, "file", 0, READ));
	expect(__WASI_ERRNO_BADF, __wasi_fd_close(0));
	expect(0, __wasi_fd_close(ROOT));
	return done();
}
