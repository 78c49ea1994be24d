// SPDX-License-Identifier: Apache-2.0
// Reads as many directories at a time as it can open: each takes a buffer of the host.
//
// exit: 0
// stdout: as it should be
#include "files.h"

int main(void)
{
	uint32_t err = 0;
	int n = 0;
	uint8_t entry[64];
	__wasi_size_t size;

	must(__wasi_path_create_directory(ROOT, "dir"));
	for (; n < 100000; n++) {
		__wasi_fd_t fd;
		if ((err = open_in(ROOT, "dir", DIRECTORY, __WASI_RIGHTS_FD_READDIR, &fd)) != 0 ||
			(err = __wasi_fd_readdir(fd, entry, sizeof(entry), 0, &size)) != 0)
			break;
	}
	expect(__WASI_ERRNO_MFILE, err);
	return done();
}
