// SPDX-License-Identifier: Apache-2.0
// Listens on as many ports as it can, and ends with them.
//
// exit: 0
// network: pod
#include "check.h"
#include "sock.h"

int main(void)
{
	static const uint8_t any[4];
	const address a = {any, sizeof(any)};

	for (uint32_t port = 1; port < 5000; port++) {
		uint32_t fd;
		if (sock_open(INET4, STREAM, &fd) != 0)
			return 0;
		must(sock_bind(fd, &a, port));
		must(sock_listen(fd, 1000));
	}
	return 0;
}
