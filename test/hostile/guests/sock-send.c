// SPDX-License-Identifier: Apache-2.0
// Sends to itself and does not read, until there is no room.
//
// kill: SIGKILL -> 137
// after: running
// network: pod
#include "check.h"
#include "sock.h"

static uint8_t data[1 << 20];

int main(void)
{
	static const uint8_t loopback[4] = {127, 0, 0, 1};
	const address a = {loopback, sizeof(loopback)};
	const buffer list = {data, sizeof(data)};
	uint32_t server, client, size;

	must(sock_open(INET4, STREAM, &server));
	must(sock_bind(server, &a, 7300));
	must(sock_listen(server, 1));
	must(sock_open(INET4, STREAM, &client));
	must(sock_connect(client, &a, 7300));
	say("running");
	for (;;)
		sock_send(client, &list, 1, 0, &size);
}
