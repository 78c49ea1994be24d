// SPDX-License-Identifier: Apache-2.0
// Opens devices that a volume has: a terminal's, a disk.
//
// exit: 0
// stdout: as it should be
// mount: rw /data
#include "files.h"

int main(void)
{
	__wasi_fd_t data = open_dir(ROOT, "data");

	expect(__WASI_ERRNO_ACCES, try_open(data, "null", 0, READ));
	expect(__WASI_ERRNO_ACCES, try_open(data, "null", 0, WRITE));
	expect(__WASI_ERRNO_ACCES, try_open(data, "disk", 0, READ));
	expect(__WASI_ERRNO_ACCES, try_open(data, "disk", 0, READ | WRITE));
	return done();
}
