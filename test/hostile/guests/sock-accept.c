// SPDX-License-Identifier: Apache-2.0
// Waits for a connection that never comes.
//
// kill: SIGKILL -> 137
// after: running
#include "check.h"
#include "sock.h"

int main(void)
{
	static const uint8_t any[4];
	const address a = {any, sizeof(any)};
	uint32_t fd, connection;

	must(sock_open(INET4, STREAM, &fd));
	must(sock_bind(fd, &a, 80));
	must(sock_listen(fd, 1));
	say("running");
	for (;;)
		sock_accept(fd, 0, &connection);
}
