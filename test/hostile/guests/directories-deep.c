// SPDX-License-Identifier: Apache-2.0
// Makes three thousand directories, each in the one before: whoever removes them must not use their
// path.
//
// exit: 0
// stdout: as it should be
#include "files.h"

int main(void)
{
	__wasi_fd_t dir = ROOT;

	for (int i = 0; i < 3000; i++) {
		must(__wasi_path_create_directory(dir, "d"));
		__wasi_fd_t next = open_dir(dir, "d");
		if (dir != ROOT)
			must(__wasi_fd_close(dir));
		dir = next;
	}
	must(try_open(dir, "file", CREATE, WRITE));
	return done();
}
