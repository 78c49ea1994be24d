// SPDX-License-Identifier: Apache-2.0
// Owns its module, which other containers share, and so needs no capability to change its times, or
// to give it more names than a file can have.
//
// exit: 0
// stdout: as it should be
// capabilities: none
#include "files.h"

static const char *const module = "module-times.wasm";

int main(void)
{
	const uint64_t rights = READ | __WASI_RIGHTS_FD_FILESTAT_SET_TIMES;
	__wasi_fd_t fd;

	expect(ANY, __wasi_path_filestat_set_times(ROOT, 0, module, 0, 1, __WASI_FSTFLAGS_MTIM));
	expect(ANY,
		__wasi_path_filestat_set_times(ROOT, 0, module, 0, 0, __WASI_FSTFLAGS_MTIM_NOW));
	if (__wasi_path_open(ROOT, 0, module, 0, rights, rights, 0, &fd) == 0)
		expect(ANY, __wasi_fd_filestat_set_times(fd, 0, 1, __WASI_FSTFLAGS_MTIM));
	expect(ANY, __wasi_path_link(ROOT, 0, module, ROOT, "link"));
	expect(ANY, try_open(ROOT, module, 0, WRITE));
	return done();
}
