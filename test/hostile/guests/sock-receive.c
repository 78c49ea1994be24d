// SPDX-License-Identifier: Apache-2.0
// Waits for a datagram that never comes.
//
// kill: SIGKILL -> 137
// after: running
#include "check.h"
#include "sock.h"

int main(void)
{
	static const uint8_t any[4];
	const address a = {any, sizeof(any)};
	uint8_t text[16];
	const buffer list = {text, sizeof(text)};
	uint32_t fd, size, flags;

	must(sock_open(INET4, DATAGRAM, &fd));
	must(sock_bind(fd, &a, 7200));
	say("running");
	for (;;)
		sock_recv(fd, &list, 1, 0, &size, &flags);
}
