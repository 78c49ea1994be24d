// SPDX-License-Identifier: Apache-2.0
// Reads as many directories at a time as it can open: each takes a buffer of the host,
// which is to count as its own memory. Without an argument it has no limit but that of
// files, or what all guests have together.
//
// exit: 0
// memory: 16MiB
// args: limited
// stdout: as it should be
#include "files.h"

static uint32_t open_and_read(__wasi_fd_t *fd)
{
	uint8_t entry[64];
	__wasi_size_t size;
	uint32_t err = open_in(ROOT, "dir", DIRECTORY, __WASI_RIGHTS_FD_READDIR, fd);

	return err != 0 ? err : __wasi_fd_readdir(*fd, entry, sizeof(entry), 0, &size);
}

int main(int argc, char **argv)
{
	uint32_t err = 0;
	__wasi_fd_t fd, last = 0;
	int n = 0;

	(void)argv;
	must(__wasi_path_create_directory(ROOT, "dir"));
	for (; n < 100000 && (err = open_and_read(&fd)) == 0; n++)
		last = fd;
	if (argc > 1 || err != __WASI_ERRNO_MFILE)
		expect(__WASI_ERRNO_NOMEM, err);
	if (argc > 1 && n > 512) { // each takes 32 KiB at least
		printf("%d directories\n", n);
		surprises++;
	}
	// It can go on when it has closed one.
	if (err == __WASI_ERRNO_NOMEM)
		must(__wasi_fd_close(fd)); // it was opened, and not read
	must(__wasi_fd_close(last));
	expect(0, open_and_read(&fd));
	return done();
}
