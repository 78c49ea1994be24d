// SPDX-License-Identifier: Apache-2.0
// Is not root, and tries to change what is root's: error 2 is EACCES.
//
// exit: 0
// stdout: as it should be
// user: 1000:1000
#include "files.h"

int main(void)
{
	expect(__WASI_ERRNO_ACCES, try_open(ROOT, "new", CREATE, WRITE));
	expect(__WASI_ERRNO_ACCES, try_open(ROOT, "user.wasm", 0, WRITE));
	expect(__WASI_ERRNO_ACCES, __wasi_path_create_directory(ROOT, "new"));
	expect(__WASI_ERRNO_ACCES, __wasi_path_unlink_file(ROOT, "user.wasm"));
	expect(ANY,
		__wasi_path_filestat_set_times(ROOT, 0, "user.wasm", 0, 0, __WASI_FSTFLAGS_MTIM));
	return done();
}
