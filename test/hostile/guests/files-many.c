// SPDX-License-Identifier: Apache-2.0
// Opens a hundred thousand files, of which it gets what its limit says: error 33 is EMFILE.
//
// exit: 0
// stdout: as it should be
#include "files.h"

static __wasi_fd_t fds[100000];

int main(void)
{
	uint32_t err = 0;
	int n = 0;

	must(try_open(ROOT, "file", CREATE, WRITE));
	while (n < 100000 && (err = open_in(ROOT, "file", 0, READ, &fds[n])) == 0)
		n++;
	expect(__WASI_ERRNO_MFILE, err);
	if (n < 1000 || n > 16384) {
		printf("%d files\n", n);
		surprises++;
	}
	// It can go on when it has closed some.
	for (int i = 0; i < n; i++)
		must(__wasi_fd_close(fds[i]));
	expect(0, try_open(ROOT, "file", 0, READ));
	return done();
}
