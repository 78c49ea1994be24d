// SPDX-License-Identifier: Apache-2.0
// Listens on another pod's address and port, and on all addresses, and connects to that pod:
// error 4 is EADDRNOTAVAIL.
//
// exit: 0
// stdout: as it should be
// network: pod
#include "check.h"
#include "sock.h"

int main(void)
{
	static const uint8_t other[4] = {10, 231, 77, 2}, any[4];
	const address theirs = {other, sizeof(other)}, all = {any, sizeof(any)};
	uint32_t fd;

	must(sock_open(INET4, STREAM, &fd));
	expect(__WASI_ERRNO_ADDRNOTAVAIL, sock_bind(fd, &theirs, 7000));
	expect(__WASI_ERRNO_NETUNREACH, sock_connect(fd, &theirs, 7000));
	must(sock_bind(fd, &all, 7000));
	must(sock_listen(fd, 10));
	return done();
}
