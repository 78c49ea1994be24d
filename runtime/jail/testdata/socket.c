// SPDX-License-Identifier: Apache-2.0

// Blocks for ever in the socket call that its argument names: accept, connect,
// recv or send. Says so on stdout first, and exits with 1 if it does not block.

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "../../../test/hostile/guests/sock.h"

static uint8_t loopback[4] = {127, 0, 0, 1};
static const address here = {loopback, 4};

static uint32_t stream(void)
{
	uint32_t fd;
	if (sock_open(INET4, STREAM, &fd) != 0)
		_exit(2);
	return fd;
}

static uint32_t listener(uint32_t *port)
{
	static uint8_t bytes[16];
	buffer own = {bytes, sizeof(bytes)};
	uint32_t type;
	uint32_t fd = stream();
	if (sock_bind(fd, &here, 0) != 0 || sock_listen(fd, 1) != 0 ||
		sock_getlocaladdr(fd, &own, &type, port) != 0)
		_exit(3);
	return fd;
}

int main(int argc, char **argv)
{
	const char *call = argc > 1 ? argv[1] : "";
	static char data[65536];
	buffer slice = {data, sizeof(data)};
	uint32_t port, n, flags;
	uint32_t fd = listener(&port), peer;
	write(1, "blocks\n", 7);
	if (strcmp(call, "accept") == 0)
		sock_accept(fd, 0, &peer);
	if (strcmp(call, "connect") == 0)
		while (sock_connect(stream(), &here, port) == 0)
			; // until the listener's queue is full
	peer = stream();
	if (sock_connect(peer, &here, port) != 0)
		return 4;
	if (strcmp(call, "recv") == 0)
		sock_recv(peer, &slice, 1, 0, &n, &flags);
	if (strcmp(call, "send") == 0)
		while (sock_send(peer, &slice, 1, 0, &n) == 0)
			;
	return 1;
}
