// SPDX-License-Identifier: Apache-2.0
// Opens a hundred thousand sockets, of which it gets what its limit says: error 33 is EMFILE.
//
// exit: 0
// stdout: as it should be
#include "check.h"
#include "sock.h"

static uint32_t fds[100000];

int main(void)
{
	uint32_t err = 0, n = 0;

	while (n < 100000 && (err = sock_open(INET4, n % 2 ? STREAM : DATAGRAM, &fds[n])) == 0)
		n++;
	expect(__WASI_ERRNO_MFILE, err);
	if (n < 1000 || n > 16384) {
		printf("%u sockets\n", n);
		surprises++;
	}
	for (uint32_t i = 0; i < n; i++)
		must(__wasi_fd_close(fds[i]));
	expect(0, sock_open(INET4, STREAM, &fds[0]));
	return done();
}
