// SPDX-License-Identifier: Apache-2.0
// Gives itself rights that it does not have.
//
// exit: 0
// stdout: as it should be
// mount: ro /data
#include "files.h"

int main(void)
{
	__wasi_fdstat_t stat;
	__wasi_fd_t fd;

	must(__wasi_fd_fdstat_get(ROOT, &stat));
	for (int bit = 0; bit < 64; bit++)
		if ((stat.fs_rights_base & 1ULL << bit) == 0)
			expect(ANY,
				__wasi_fd_fdstat_set_rights(ROOT, stat.fs_rights_base | 1ULL << bit,
					stat.fs_rights_inheriting));
	// Without the right to open, nothing opens any more.
	must(__wasi_path_open(ROOT, FOLLOW, ".", DIRECTORY, 0, 0, 0, &fd));
	expect(__WASI_ERRNO_NOTCAPABLE, try_open(fd, "file", CREATE, WRITE));
	expect(__WASI_ERRNO_NOTCAPABLE, __wasi_path_create_directory(fd, "new"));
	expect(__WASI_ERRNO_NOTCAPABLE, __wasi_path_unlink_file(fd, "rights.wasm"));
	expect(ANY,
		__wasi_fd_fdstat_set_rights(fd, stat.fs_rights_base, stat.fs_rights_inheriting));
	return done();
}
