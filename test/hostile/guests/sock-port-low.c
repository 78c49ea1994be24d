// SPDX-License-Identifier: Apache-2.0
// Listens on a port below 1024, and is not root: error 2 is EACCES.
//
// exit: 0
// stdout: as it should be
// user: 1000:1000
#include "check.h"
#include "sock.h"

int main(void)
{
	static const uint8_t any[4];
	const address a = {any, sizeof(any)};
	uint32_t fd;

	must(sock_open(INET4, STREAM, &fd));
	expect(__WASI_ERRNO_ACCES, sock_bind(fd, &a, 80));
	expect(0, sock_bind(fd, &a, 8080));
	return done();
}
